"""The gradients of a step."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

from vaka.models.architecture import Learner
from vaka.training.errors import ConfigError


def check_pieces(learner: Learner) -> None:
    """ConfigError where there is no sample for each piece in each process."""
    samples, processes, pieces = learner.samples_per_step, learner.part.of, learner.pieces
    if samples >= processes * pieces:
        return
    by, less = f"{processes} processes", "numNodes or numProcPerNode"
    if pieces > 1:
        by, less = f"{by} and {pieces} pieces", f"accumulateSteps, {less}"
    raise ConfigError(f"a batch has {samples} samples for {by}: raise batchSize, or lower {less}")


def add_gradients(learner: Learner, step: int) -> Tensor:
    """Add up the gradients of this step's batch, piece by piece; this part's loss."""
    part, last = learner.part, learner.pieces - 1
    losses: list[Tensor] = []
    for piece in range(learner.pieces):
        with nullcontext() if piece == last else _unsynchronised(learner):
            loss = learner.loss(step, piece)
            (loss * part.of).backward()  # type: ignore[no-untyped-call]  # processes average their gradients
        losses.append(loss.detach())
    return sum(losses[1:], losses[0])


def _unsynchronised(learner: Learner) -> AbstractContextManager[None]:
    """Inside, DistributedDataParallel keeps the gradients to itself. Others may add up as they go."""
    silently: Callable[[], AbstractContextManager[None]] = getattr(learner.replica, "no_sync", nullcontext)
    return silently()
