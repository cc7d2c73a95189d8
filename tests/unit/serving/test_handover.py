import socket

import pytest

from vaka.serving.handover import give, take


@pytest.fixture
def channel():
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ends
    for end in ends:
        end.close()


def test_a_connection_goes_on_in_the_hands_of_who_takes_it(channel):
    client, accepted = socket.socketpair()
    with client, accepted:
        assert give(channel[0], accepted)
        accepted.close()
        with take(channel[1]) as taken:
            client.sendall(b"asked")
            assert taken.recv(5) == b"asked"


def test_nothing_to_take_is_told_from_nobody_to_give(channel):
    with pytest.raises(BlockingIOError):
        take(channel[1])
    channel[0].close()
    assert take(channel[1]) is None


def test_who_is_gone_or_has_no_room_is_given_nothing(channel):
    with socket.socket() as connection:
        while give(channel[0], connection):
            pass
        with take(channel[1]):
            assert give(channel[0], connection)
        channel[1].close()
        assert not give(channel[0], connection, wait=True)
