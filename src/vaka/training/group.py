"""The processes that train together, as the loop and its checkpoints see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from vaka.models.architecture import Learner, Part

if TYPE_CHECKING:
    from torch import nn


class Wishes(NamedTuple):
    """What a process wants after a step, and what it knows; of all processes the most counts."""

    stop: int = 0
    write: int = 0
    saved: int = 0
    """The step of the newest complete checkpoint."""


class Group(Protocol):
    """All processes of a run. Each method is called by all of them, in the same order."""

    part: Part
    token: str
    """A word of its own for this group, the same in all of its processes."""

    writers: Any
    """For torch: the processes that write a checkpoint together."""
    collective: bool
    """Whether a checkpoint is written by all processes, each its shards."""

    def prepare(self, learner: Learner) -> None:
        """Give each process its part of what is to be learned."""

    def connect(self, learner: Learner, average: nn.Module) -> None:
        """Let what one process learns reach the others; shard the network and its average if so asked."""

    def whole(self, network: nn.Module) -> nn.Module:
        """A network as one process alone would have it."""

    def gathered(self, word: bytes) -> list[bytes]:
        """The words of all processes for the first, nothing for the others. For the thread that writes."""

    def propose(self, wishes: Wishes) -> None:
        """Tell the others what this process wants. Does not wait."""

    def agreed(self) -> Wishes:
        """The most that any process has proposed; the same in all, perhaps that of the step before."""

    def settle(self) -> None:
        """Forget what was proposed and not yet agreed on."""

    def told(self, word: bytes) -> bytes:
        """The word of the first process."""

    def leave(self) -> None:
        """All is done."""


class Alone:
    """One process."""

    def __init__(self) -> None:
        self.part = Part()
        self.token = "alone"
        self.collective = False
        self.writers: Any = None
        self._wishes = Wishes()

    def prepare(self, learner: Learner) -> None: ...

    def connect(self, learner: Learner, average: nn.Module) -> None: ...

    def whole(self, network: nn.Module) -> nn.Module:
        return network

    def gathered(self, word: bytes) -> list[bytes]:
        return [word]

    def propose(self, wishes: Wishes) -> None:
        self._wishes = wishes

    def agreed(self) -> Wishes:
        return self._wishes

    def settle(self) -> None: ...

    def told(self, word: bytes) -> bytes:
        return word

    def leave(self) -> None: ...
