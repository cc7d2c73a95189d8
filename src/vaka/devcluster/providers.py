"""What every kind of cluster can do, whoever provides it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Status:
    ready: bool
    lines: tuple[str, ...]  # what runs and what is broken, in words


class Provider(Protocol):
    """All raise ClusterError with a message for people."""

    @property
    def kubeconfig(self) -> Path: ...

    def up(self) -> None:
        """Return with the cluster ready, whatever state it was in."""

    def down(self) -> None:
        """Remove the cluster and everything of it."""

    def status(self) -> Status: ...

    def load(self, image: str) -> str:
        """Make an image (an archive's path, or a name in the local image store) known to the nodes."""

    def enter(self) -> tuple[str, ...]:
        """What to put before a command line so that it runs on the node's network."""
