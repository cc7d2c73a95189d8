"""The state of a training run as named tensors, and these as files without pickle."""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor, nn

from vaka.api.architectures.base import Hyperparameters
from vaka.api.run import Run
from vaka.models.architecture import Metrics
from vaka.storage import Unreachable
from vaka.training.best import BestWeights
from vaka.training.ema import WeightAverage
from vaka.training.group import Group
from vaka.training.optimizer import Optimizer
from vaka.training.shards import is_shard
from vaka.training.watch import Record, Watch

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class State:
    """All that training changes. Batches and what is random in them depend on seed and step alone, so the
    order of the samples and the generators have no state to keep: see `vaka.models.architecture.Learner`.
    """

    network: nn.Module
    average: WeightAverage
    optimizer: Optimizer
    watch: Watch
    best: BestWeights | None = None
    """Averaged weights of the epoch that validated best, where those are to be published."""

    def tensors(self) -> Tensors:
        """The tensors themselves, by name: to write into them is to change the state."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.tensors(),
            "best": self.best.tensors() if self.best else {},
        }
        return {f"{part}.{name}": value for part, held in parts.items() for name, value in held.items()}

    def validated(self, metrics: Metrics) -> None:
        """Note what the averaged network achieves after one more epoch."""
        if self.watch.validated(metrics) and self.best:
            self.best.keep()

    def result(self) -> nn.Module:
        """The network to publish, once training has ended."""
        if self.best:
            self.best.restore()
        return self.average.network

    def resume(self, record: Record) -> None:
        """Go on from a record whose tensors have been read."""
        self.optimizer.steps = self.average.steps = record.step
        self.watch.resume(record)


def fingerprint(run: Run, hyper: Hyperparameters, tensors: Tensors) -> str:
    """What a checkpoint must agree in with a run that goes on from it."""
    dataset = run.spec.dataset
    facts: list[Any] = [
        run.spec.model.architecture,
        msgspec.to_builtins(hyper),
        [dataset.storage_uri, dataset.format, dataset.options, dataset.validation_fraction, dataset.seed],
        {name: [str(value.dtype), list(value.shape)] for name, value in tensors.items()},
    ]
    return "sha256:" + hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()


def copied(tensors: Tensors) -> Tensors:
    """A copy in the machine's memory, which training does not change any more."""
    return {name: _copy(value.detach()) for name, value in tensors.items()}


def _copy(tensor: Tensor) -> Tensor:
    return tensor.clone() if is_shard(tensor) else tensor.to("cpu", copy=True).contiguous()


def write(tensors: Tensors, folder: Path, group: Group) -> None:
    """Store them as safetensors in the folder; Unreachable where that fails."""
    # Not before now: it takes a second to import.
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    _silence()
    try:
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
        together: Any = group.writers if group.collective else None
        save(tensors, storage_writer=writer, no_dist=not group.collective, process_group=together)
    except CheckpointException as error:  # no Exception: nobody else would catch it
        raise Unreachable(f"{folder}: {_cause(error)}") from None


def read(folder: Path, tensors: Tensors) -> None:
    """Fill the tensors with what is stored in the folder, which has been verified."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    _silence()
    load(tensors, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)


def _silence() -> None:
    """That one process writes alone is no news. No context manager: those are not safe in threads."""
    warnings.filterwarnings("ignore", message="torch.distributed is disabled")


def _cause(error: Any) -> str:
    return "; ".join(str(exception) for exception, _ in error.failures.values())
