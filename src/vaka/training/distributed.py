"""The processes of a run as torch.distributed joins them: gloo between CPUs, NCCL between GPUs.

What is said over the store is waited for in short naps, so that SIGTERM is obeyed meanwhile.
"""

import copy
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from vaka.api.reasons import Reason
from vaka.models.architecture import Learner, Part
from vaka.training.global_norm import with_global_norm
from vaka.training.group import Wishes
from vaka.training.report import Reporter
from vaka.training.shards import whole

SILENCE = timedelta(minutes=5)
"""How long one process may keep the others waiting within a step before it counts as lost."""
ANSWER = timedelta(minutes=1)
"""How long to try to reach the first process."""
NAP_SECONDS = 0.02
FAREWELL_SECONDS = 60.0


class Processes:
    """See `vaka.training.group.Group`. Joins as the environment of a torchrun worker says."""

    def __init__(self, strategy: str, device: str, reporter: Reporter) -> None:
        self._device = device
        self.collective = strategy == "fsdp"
        store, rank, size = next(rendezvous("env://", timeout=ANSWER))
        self._store: Store = store
        self._words = self._gathers = 0
        self.part = Part(rank, size, _total)
        self._meet(reporter)
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=SILENCE)
        self._control: Any = dist.new_group(backend="gloo", timeout=SILENCE)
        self.writers: Any = dist.new_group(backend="gloo", timeout=SILENCE)
        self._proposed: list[tuple[Tensor, dist.Work]] = []
        self.token = self.told(uuid4().hex.encode()).decode()

    def prepare(self, learner: Learner) -> None:
        learner.part = self.part
        learner.network = with_global_norm(learner.network, self._device)
        if self.collective:
            learner.network.to(memory_format=torch.contiguous_format)  # fully_shard knows no other
        learner.replica = learner.network

    def connect(self, learner: Learner, average: nn.Module) -> None:
        if self.collective:
            self._template = copy.deepcopy(average).cpu()
            for network in (learner.network, average):
                shard(network)
            return
        # To look for unused weights keeps torch from arranging its buckets anew after the first step: so a
        # run that goes on from a checkpoint adds up gradients in the same order as the unbroken one.
        learner.replica = DistributedDataParallel(
            learner.network, find_unused_parameters=True, forward_sync_buffers=False
        )

    def whole(self, network: nn.Module) -> nn.Module:
        if not self.collective:
            return network
        self._template.load_state_dict({name: whole(v) for name, v in network.state_dict().items()})
        return self._template

    def propose(self, wishes: Wishes) -> None:
        most = torch.tensor(wishes, dtype=torch.int64)
        work = dist.all_reduce(most, dist.ReduceOp.MAX, group=self._control, async_op=True)
        assert work is not None
        self._proposed.append((most, work))

    def agreed(self) -> Wishes:
        """Of what was proposed a step before: the exchange was made while the step was computed."""
        if len(self._proposed) < 2:
            return Wishes()
        most, work = self._proposed.pop(0)
        work.wait()
        return Wishes(*most.tolist())

    def settle(self) -> None:
        while self._proposed:
            self._proposed.pop()[1].wait()

    def told(self, word: bytes) -> bytes:
        self._words += 1
        key = f"vaka/told/{self._words}"
        if self.part.rank == 0:
            self._store.set(key, word.decode())
            return word
        self._until(lambda: self._store.check([key]))
        heard: bytes = self._store.get(key)
        return heard

    def gathered(self, word: bytes) -> list[bytes]:
        self._gathers += 1
        keys = [f"vaka/gathered/{self._gathers}/{rank}" for rank in range(self.part.of)]
        self._store.set(keys[self.part.rank], word.decode())
        if self.part.rank:
            return []
        self._until(lambda: self._store.check(keys))
        return [self._store.get(key) for key in keys]

    def leave(self) -> None:
        """The first process, whose store the others read, leaves last."""
        gone, end = self._store.add("vaka/gone", 1), time.monotonic() + FAREWELL_SECONDS
        while self.part.rank == 0 and gone < self.part.of and time.monotonic() < end:
            time.sleep(NAP_SECONDS)
            gone = self._store.add("vaka/gone", 0)

    def _meet(self, reporter: Reporter) -> None:
        """Until all have read their data: what follows may not wait long."""
        before = reporter.report
        here = self._store.add("vaka/here", 1)
        while here < self.part.of:
            message = f"{here} of {self.part.of} processes are ready"
            reporter.say(Reason.WAITING_FOR_NODES, message, waiting=True)
            time.sleep(NAP_SECONDS)
            here = self._store.add("vaka/here", 0)
        reporter.say(Reason(before.reason), before.message)

    def _until(self, done: Callable[[], Any]) -> None:
        while not done():
            time.sleep(NAP_SECONDS)


def shard(network: nn.Module) -> None:
    """Give each process its shards of every weight (FSDP2)."""
    from torch.distributed.fsdp import fully_shard

    for block in network.children():
        if next(block.parameters(), None) is not None:
            fully_shard(block)
    fully_shard(network)


def _total(counted: Tensor) -> Tensor:
    result = counted.clone()
    dist.all_reduce(result)
    return result


def lost(error: Exception) -> bool:
    """Whether this is what is raised where another process is gone."""
    text = str(error)
    return isinstance(error, dist.DistError) or "gloo/transport" in text or "gloo/rendezvous" in text
