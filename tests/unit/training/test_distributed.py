"""Training by several processes: the result of one, through losses of processes and of nodes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

from vaka.api.contract import EXIT_CONFIG, EXIT_DATA, EXIT_KILLED, RUN_ENV, Report
from vaka.api.run import Run
from vaka.artifacts.read import open_model
from vaka.training.agent import ATTEMPTS
from vaka.training.environment import LISTEN_ENV, TERMINATION_ENV, Nodes
from vaka.training.errors import ConfigError

pytestmark = pytest.mark.distributed

RunOn = Callable[..., Run]
STEPS = 30
STARTED: list[subprocess.Popen[bytes]] = []
LONG = {"epochs": 30, "patience": 8, "keepBest": True, "accumulateSteps": 2}
"""Something to keep of every kind; it stops early."""
CLIPPED = {"every": 3, "keep": 100, "maxGradNorm": 0.5}
QUICK = "last_call_timeout=1,keep_alive_interval=1,keep_alive_max_attempt=3"


class Node:
    """An agent with its workers, in a folder of its own."""

    def __init__(self, job: "Job", index: int) -> None:
        self.folder = job.folder / f"node{index}"
        self.folder.mkdir(exist_ok=True)
        environment = os.environ | {
            RUN_ENV: msgspec.json.encode(job.run).decode(),
            LISTEN_ENV: "127.0.0.1:0",
            TERMINATION_ENV: str(self.folder / "termination"),
            "TMPDIR": str(self.folder),
            "PET_NNODES": job.nodes,
            "PET_NPROC_PER_NODE": str(job.per_node),
            "PET_RDZV_ENDPOINT": f"127.0.0.1:{job.port}",
            "PET_RDZV_ID": "job",
            "PET_RDZV_CONF": QUICK,
            "PET_LOCAL_ADDR": "127.0.0.1",
            "GLOO_SOCKET_IFNAME": "lo",
            "JOB_COMPLETION_INDEX": str(index),
            "OMP_NUM_THREADS": "1",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vaka.training"], env=environment, stderr=log
            )
        STARTED.append(self.process)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def workers(self) -> list[int]:
        """Process ids of its workers that live, as soon as there is one (torch's import has a child, too)."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while not (found := [int(child) for child in children.read_text().split() if is_worker(child)]):
            time.sleep(0.01)
        return found

    def until(self, words: str) -> None:
        while words not in self.log:
            assert self.process.poll() is None, self.log
            time.sleep(0.01)

    def end(self) -> tuple[int, Report]:
        code = self.process.wait()
        return code, msgspec.json.decode((self.folder / "termination").read_bytes(), type=Report)


def is_worker(pid: str) -> bool:
    try:
        return b"vaka.training.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return False


class Job:
    """What all nodes of a job have in common."""

    def __init__(self, folder: Path, run: Run, nodes: str, per_node: int = 1) -> None:
        self.folder = folder
        self.kept = folder / "checkpoints"
        self.run = run
        self.nodes = nodes
        self.per_node = per_node
        self.started: list[Node] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def start(self, *indexes: int) -> list[Node]:
        nodes = [Node(self, index) for index in indexes]
        self.started += nodes
        return nodes

    def until_step(self, step: int) -> None:
        while self.newest() < step:
            assert any(node.process.poll() is None for node in self.started), self.started[0].log
            time.sleep(0.005)

    def newest(self) -> int:
        files = self.kept.glob("step-*/checkpoint.json")
        return max((int(file.parent.name.removeprefix("step-")) for file in files), default=0)

    def losses(self) -> dict[int, float]:
        """The smoothed loss at each checkpoint that is kept."""
        files = self.kept.glob("step-*/checkpoint.json")
        records = [msgspec.json.decode(file.read_bytes())["checkpoint"]["record"] for file in files]
        return {record["step"]: record["loss"] for record in records}

    def weights(self) -> dict[str, Any]:
        open_model(self.folder / "model")
        return load_file(self.folder / "model/weights.safetensors")


@pytest.fixture(scope="module", name="job")
def jobs(
    tmp_path_factory: pytest.TempPathFactory, write_shades: Callable[[Path], None], run_on: RunOn
) -> Callable[..., Job]:
    def make(
        nodes: str,
        *,
        per_node: int = 1,
        every: int = 2,
        keep: int = 2,
        strategy: str = "ddp",
        uri: str = "",
        **hyperparameters: Any,
    ) -> Job:
        folder = tmp_path_factory.mktemp("job")
        write_shades(folder / "shades")
        settings = {"epochs": STEPS // 3, "width": 4} | hyperparameters
        kept: dict[str, Any] = {"everySteps": every, "keep": keep}
        kept |= {"storageUri": uri} if uri else {}
        run = run_on(folder, checkpoint=kept, strategy=strategy, **settings)
        return Job(folder, run, nodes, per_node)

    return make


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


@pytest.fixture(scope="module", name="undisturbed")
def run_undisturbed(job: Callable[..., Job]) -> dict[str, Any]:
    """Weights that two processes come to when nobody disturbs them."""
    node = (two := job("1", per_node=2, **LONG)).start(0)[0]
    all_end_well([node])
    assert "; stopped early after epoch" in node.end()[1].message
    return two.weights()


@pytest.fixture(scope="module", name="alone")
def run_alone(job: Callable[..., Job]) -> dict[int, float]:
    """Losses of one process."""
    all_end_well((one := job("1", **CLIPPED)).start(0))
    return one.losses()


def all_end_well(nodes: list[Node]) -> None:
    for node in nodes:
        code, last = node.end()
        assert (code, last.reason) == (0, "Succeeded"), node.log
        assert last.model
        assert last.progress_percentage == 100


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def assert_near(
    one: dict[int, float], other: dict[int, float], last: int = STEPS, tolerance: float = 0.01
) -> None:
    both = sorted(one.keys() & other.keys())
    assert both[-1] == last
    assert [one[step] for step in both] == pytest.approx([other[step] for step in both], rel=tolerance)
    assert one[last] != other[last], "they are two ways to compute it"


def test_three_nodes_learn_what_one_learns(job: Callable[..., Job], alone: dict[int, float]) -> None:
    all_end_well((three := job("3", **CLIPPED)).start(0, 1, 2))
    assert_near(alone, three.losses())


def test_every_architecture_learns_the_same_in_two_processes(
    tmp_path: Path, another_architecture: str, run_on: RunOn, write_small: Callable[[str, Path], None]
) -> None:
    def run(folder: Path, processes: int) -> dict[int, float]:
        folder.mkdir()
        write_small(another_architecture, folder)
        kept = {"everySteps": 1, "keep": 100}
        job = Job(folder, run_on(folder, architecture=another_architecture, checkpoint=kept), "1", processes)
        all_end_well(job.start(0))
        return job.losses()

    one, two = run(tmp_path / "one", 1), run(tmp_path / "two", 2)
    # Rounding may change which cells a detector is to find an object with, and so more than the last digits.
    assert_near(one, two, last=max(one), tolerance=0.03 if another_architecture == "yolo" else 1e-5)


def test_sharded_over_three_they_learn_the_same_and_go_on_from_shards_in_s3(
    job: Callable[..., Job], alone: dict[int, float], bucket: str, gateway: tuple[str, Path]
) -> None:
    three = job("1", per_node=3, strategy="fsdp", uri=f"s3://{bucket}/run", keepBest=True, **CLIPPED)
    three.kept = gateway[1] / bucket / "run"
    node = three.start(0)[0]
    three.until_step(9)
    os.kill(node.workers()[0], signal.SIGKILL)
    all_end_well([node])
    assert "resumed from step" in node.log
    assert len(list(three.kept.glob(f"step-{STEPS:07}/*.safetensors"))) == 3
    assert_near(alone, three.losses())


def test_whoever_is_stopped_or_killed_comes_back_and_nothing_has_changed(
    job: Callable[..., Job], undisturbed: dict[str, Any]
) -> None:
    two = job("2", every=4, **LONG)
    nodes = two.start(0, 1)
    two.until_step(4)
    nodes[1].process.send_signal(signal.SIGTERM)
    code, last = nodes[1].end()
    assert code == 128 + signal.SIGTERM, nodes[1].log
    assert last.message.startswith("stopped by SIGTERM")
    two.until_step(5)  # the others have written where all stopped
    nodes[1] = two.start(1)[0]
    two.until_step(two.newest() + 4)
    nodes[0].process.kill()  # it is where they meet
    nodes[0].process.wait()
    nodes[0] = two.start(0)[0]
    all_end_well(nodes)
    assert equal(two.weights(), undisturbed)
    all_end_well(two.start(1))  # who comes after the end has nothing to do


@pytest.mark.parametrize(
    ("broken", "code", "reason"),
    [
        ("train-labels-idx1-ubyte", EXIT_DATA, "DatasetInvalid"),
        ({"learningRate": 10, "weightDecay": 1, "epochs": 60}, EXIT_CONFIG, "NonFiniteLoss"),
    ],
)
def test_what_no_repetition_mends_ends_the_node_at_once(
    job: Callable[..., Job], broken: str | dict[str, float], code: int, reason: str
) -> None:
    two = job("1", per_node=2, **broken if isinstance(broken, dict) else {})
    if isinstance(broken, str):
        (two.folder / "shades" / broken).write_bytes(b"")
    node = two.start(0)[0]
    ended, last = node.end()
    assert (ended, last.reason) == (code, reason)
    assert node.log.count("workers ended") == 1


def test_a_node_says_why_a_worker_failed_though_its_first_one_has_said_nothing_yet(
    job: Callable[..., Job],
) -> None:
    two = job("1", per_node=2)
    (two.folder / "shades/train-labels-idx1-ubyte").write_bytes(b"")
    node = two.start(0)[0]
    os.kill(first := node.workers()[0], signal.SIGSTOP)
    node.until("Sending process")  # the other has failed, so that this one is stopped
    os.kill(first, signal.SIGCONT)
    assert node.end()[1].reason == "DatasetInvalid"


def test_a_node_says_which_signal_has_ended_a_worker_each_time(job: Callable[..., Job]) -> None:
    node = job("1", every=1_000_000, per_node=2, epochs=10_000).start(0)[0]
    for killed in range(1, ATTEMPTS + 2):
        while node.log.count("training 10000 epochs") < 2 * killed:
            time.sleep(0.01)
        os.kill(node.workers()[1], signal.SIGKILL)
    code, last = node.end()
    assert (code, last.reason) == (EXIT_KILLED, "TrainerFailed")
    assert last.message == "process 1 of 2 was ended by SIGKILL"


def test_a_node_that_comes_is_welcome_and_one_that_is_lost_is_done_without(job: Callable[..., Job]) -> None:
    elastic = job("1:2", every=10, epochs=10_000)
    first = elastic.start(0)[0]
    first.until("training 10000 epochs")
    second = elastic.start(1)[0]
    second.until("resumed from step")
    second.process.kill()
    elastic.until_step(elastic.newest() + 100)
    first.process.send_signal(signal.SIGTERM)
    assert first.end()[0] == 128 + signal.SIGTERM
    assert first.log.count("resumed from step") == 2


def test_nodes_are_awaited_and_counted(job: Callable[..., Job]) -> None:
    node = job("2").start(0)[0]
    node.until("1 of 2 nodes are here")
    port = json.loads(node.log.splitlines()[0])["port"]
    report = msgspec.json.decode(httpx.get(f"http://127.0.0.1:{port}/report").content, type=Report)
    assert (report.reason, report.waiting) == ("WaitingForNodes", True)
    node.process.send_signal(signal.SIGTERM)
    assert node.end()[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PET_NNODES": "x"}, "invalid literal"),
        ({"PET_NNODES": "3:2", "PET_RDZV_ENDPOINT": "h:1"}, "PET_NNODES is 3:2"),
        ({"PET_NNODES": "2"}, "PET_RDZV_ENDPOINT is missing"),
    ],
)
def test_variables_that_make_no_sense_are_refused(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Nodes.of(variables)
