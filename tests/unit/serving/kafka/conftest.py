"""A real Kafka broker on loopback, for as long as a test needs it."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from vaka.devcluster.folders import cache_root

CLASSES = cache_root() / "kafka" / "libs" / "*"
CLUSTER_ID = "dmFrYS1wYXlsb2FkLWxvZw"  # any 16 bytes in base64
QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a broker."""
    if not CLASSES.parent.exists():
        pytest.skip("there is no Kafka: make kafka")
    with broker(tmp_path_factory.mktemp("kafka")) as address:
        yield address


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """HOST:PORT of a broker that keeps its data in the folder and makes topics as they are asked for."""
    port, control = _free_port(), _free_port()
    settings = folder / "server.properties"
    settings.write_text(
        f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{control}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
"""
    )
    java = ["java", "-Xmx384m", QUIET, "-cp", str(CLASSES)]
    formatting = ["kafka.tools.StorageTool", "format", "--config", str(settings), "--cluster-id", CLUSTER_ID]
    subprocess.run([*java, *formatting], check=True, capture_output=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*java, "kafka.Kafka", str(settings)], stdout=log, stderr=log)
    try:
        _wait_for(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
            return
        time.sleep(0.1)
    raise TimeoutError(f"no broker came up within {seconds:.0f} s")
