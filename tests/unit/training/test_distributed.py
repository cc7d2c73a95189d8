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

from vaka.api.contract import EXIT_CONFIG, EXIT_DATA, RUN_ENV, Report, Run
from vaka.artifacts.read import open_model
from vaka.training.environment import LISTEN_ENV, TERMINATION_ENV, Nodes
from vaka.training.errors import ConfigError

RunOn = Callable[..., Run]
STEPS = 30
STARTED: list[subprocess.Popen[bytes]] = []
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

    def worker(self) -> int:
        """Process id of its first worker, as soon as there is one."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while not (found := children.read_text().split()):
            time.sleep(0.01)
        return int(found[0])

    def until(self, words: str) -> None:
        while words not in self.log:
            assert self.process.poll() is None, self.log
            time.sleep(0.01)

    def end(self) -> tuple[int, Report]:
        code = self.process.wait()
        return code, msgspec.json.decode((self.folder / "termination").read_bytes(), type=Report)


class Job:
    """What all nodes of a job have in common."""

    def __init__(self, folder: Path, run: Run, nodes: str, per_node: int = 1) -> None:
        self.folder = folder
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
        names = (self.folder / "checkpoints").glob("step-*")
        return max((int(p.name.removeprefix("step-")) for p in names), default=0)

    def losses(self) -> dict[int, float]:
        """The smoothed loss at each checkpoint that is kept."""
        files = (self.folder / "checkpoints").glob("step-*/checkpoint.json")
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
    two = job("2")
    all_end_well(two.start(0, 1))
    return two.weights()


def all_end_well(nodes: list[Node]) -> None:
    for node in nodes:
        code, last = node.end()
        assert (code, last.reason) == (0, "Succeeded"), node.log
        assert last.model
        assert last.progress_percentage == 100


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_three_nodes_learn_what_one_learns(job: Callable[..., Job]) -> None:
    alone, three = job("1", every=1, keep=100), job("3", every=1, keep=100)
    all_end_well(alone.start(0))
    all_end_well(three.start(0, 1, 2))
    one, other = alone.losses(), three.losses()
    both = sorted(one.keys() & other.keys())
    assert both[-1] == STEPS
    assert [one[step] for step in both] == pytest.approx([other[step] for step in both], rel=0.01)
    assert one[STEPS] != other[STEPS], "they are two ways to compute it"


def test_sharded_over_three_they_learn_the_same_and_go_on_from_their_shards(job: Callable[..., Job]) -> None:
    alone, three = (
        job("1", every=3, keep=100, maxGradNorm=0.5),
        job("3", every=3, keep=100, maxGradNorm=0.5, strategy="fsdp"),
    )
    all_end_well(alone.start(0))
    nodes = three.start(0, 1, 2)
    three.until_step(10)
    os.kill(nodes[2].worker(), signal.SIGKILL)
    all_end_well(nodes)
    assert "resumed from step" in nodes[0].log
    assert len(list((three.folder / f"checkpoints/step-{STEPS:07}").glob("*.safetensors"))) == 3
    one, other = alone.losses(), three.losses()
    both = sorted(one.keys() & other.keys())
    assert [one[step] for step in both] == pytest.approx([other[step] for step in both], rel=0.01)


def test_shards_meet_in_s3(job: Callable[..., Job], bucket: str, gateway: tuple[str, Path]) -> None:
    two = job("1", per_node=2, strategy="fsdp", uri=f"s3://{bucket}/run", every=5)
    node = two.start(0)[0]
    kept = gateway[1] / bucket / "run"
    while not list(kept.glob("step-*/checkpoint.json")):
        assert node.process.poll() is None, node.log
        time.sleep(0.01)
    os.kill(node.worker(), signal.SIGKILL)
    all_end_well([node])
    assert "resumed from step" in node.log
    assert len(list(kept.glob(f"step-{STEPS:07}/*.safetensors"))) == 2


def test_a_killed_worker_changes_nothing(job: Callable[..., Job], undisturbed: dict[str, Any]) -> None:
    killed = job("1", per_node=2)
    node = killed.start(0)[0]
    killed.until_step(8)
    os.kill(node.worker(), signal.SIGKILL)
    all_end_well([node])
    assert "resumed from step" in node.log
    assert equal(killed.weights(), undisturbed)


def test_a_killed_node_comes_back_and_nothing_has_changed(
    job: Callable[..., Job], undisturbed: dict[str, Any]
) -> None:
    killed = job("2")
    nodes = killed.start(0, 1)
    for index in (1, 0):  # node 0 is where they meet
        killed.until_step(killed.newest() + 4)
        nodes[index].process.kill()
        nodes[index].process.wait()
        nodes[index] = killed.start(index)[0]
    all_end_well(nodes)
    assert equal(killed.weights(), undisturbed)


def test_sigterm_of_one_leaves_a_checkpoint_of_all(
    job: Callable[..., Job], undisturbed: dict[str, Any]
) -> None:
    two = job("2", every=5)
    nodes = two.start(0, 1)
    two.until_step(5)
    nodes[1].process.send_signal(signal.SIGTERM)
    code, last = nodes[1].end()
    assert code == 128 + signal.SIGTERM, nodes[1].log
    assert last.message.startswith("stopped by SIGTERM")
    assert two.newest() > 5
    all_end_well([nodes[0], *two.start(1)])
    assert equal(two.weights(), undisturbed)


@pytest.mark.parametrize(
    ("broken", "code", "reason"),
    [("train-labels-idx1-ubyte", EXIT_DATA, "DatasetInvalid"), ("", EXIT_CONFIG, "ConfigInvalid")],
)
def test_what_no_repetition_mends_ends_the_node_at_once(
    job: Callable[..., Job], broken: str, code: int, reason: str
) -> None:
    two = job("1", per_node=2, batchSize=1 if not broken else 16)
    if broken:
        (two.folder / "shades" / broken).write_bytes(b"")
    node = two.start(0)[0]
    ended, last = node.end()
    assert (ended, last.reason) == (code, reason)
    assert node.log.count("workers ended") == 1


def test_a_node_lost_for_good_is_done_without(job: Callable[..., Job]) -> None:
    first, second = (elastic := job("1:2")).start(0, 1)
    elastic.until_step(6)
    second.process.kill()
    all_end_well([first])
    assert "resumed from step" in first.log


def test_a_node_that_comes_is_welcome(job: Callable[..., Job]) -> None:
    elastic = job("1:2", every=1000, epochs=10_000)
    first = elastic.start(0)[0]
    first.until("training 10000 epochs")
    second = elastic.start(1)[0]
    second.until("resumed from step")
    for node in (first, second):
        node.process.send_signal(signal.SIGTERM)
    assert [node.end()[0] for node in (first, second)] == [143, 143]


def test_nodes_are_awaited_and_counted(job: Callable[..., Job]) -> None:
    node = job("2").start(0)[0]
    node.until("1 of 2 nodes are here")
    port = json.loads(node.log.splitlines()[0])["port"]
    report = msgspec.json.decode(httpx.get(f"http://127.0.0.1:{port}/report").content, type=Report)
    assert (report.reason, report.waiting) == ("WaitingForNodes", True)
    node.process.send_signal(signal.SIGTERM)
    assert node.end()[0] == 128 + signal.SIGTERM


def test_who_comes_after_the_end_has_nothing_to_do(job: Callable[..., Job]) -> None:
    two = job("2")
    all_end_well(two.start(0, 1))
    all_end_well(two.start(1))


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
