"""Connections from the process that accepts them to the ones that answer, over a channel between the two.

The channel is a pair of connected AF_UNIX sockets that keep messages apart (SOCK_SEQPACKET). It ends when
one of the processes does, which is how each learns that the other is gone.
"""

import errno
import socket
import struct

TAKES, ENOUGH = b"+", b"-"
"""What a process says when it begins to take connections, and when it takes no more."""
_CONNECTION = b"c"
_number = struct.Struct("i")
"""A file's number, as it goes beside a message."""


def give(channel: socket.socket, connection: socket.socket, *, wait: bool = False) -> bool:
    """Whether the process at the other end has the connection now: not where it is gone, or has no room.

    Args:
        wait: until there is room.
    """
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _number.pack(connection.fileno()))
    try:  # socket.send_fds has no flags before Python 3.12, and recv_fds neither
        channel.sendmsg([_CONNECTION], [rights], 0 if wait else socket.MSG_DONTWAIT)
    except OSError:
        return False
    return True


def take(channel: socket.socket) -> socket.socket | None:
    """The next connection; None where the other process has ended.

    Raises:
        BlockingIOError: none waits.
        OSError: one was given, and this process can have no more files.
    """
    room = socket.CMSG_LEN(_number.size)
    try:
        said, rights, _, _ = channel.recvmsg(len(_CONNECTION), room, socket.MSG_DONTWAIT)
    except ConnectionError:
        return None
    if said and not rights:
        raise OSError(errno.EMFILE, "a connection is lost: too many files are open")
    return socket.socket(fileno=_number.unpack(rights[0][2])[0]) if rights else None
