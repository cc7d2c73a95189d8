"""The trainer as a child process."""

import subprocess
import sys

from vaka.cli.trainer import Log, watch

CUTS_ITS_ANSWER = """
import json, socket, sys
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(json.dumps({"port": listener.getsockname()[1]}), file=sys.stderr, flush=True)
    with listener.accept()[0] as client:
        client.recv(1000)
        client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 957\\r\\n\\r\\n")
"""


def test_a_trainer_that_ends_in_the_midst_of_its_report_has_just_ended():
    command = [sys.executable, "-c", CUTS_ITS_ANSWER]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        shown = []
        watch(process, Log(process), shown.append)
    assert (process.returncode, shown) == (0, [])
