"""What an architecture adds to the model card, in a module `vaka.models.<name>.card` if it has one.

Only training draws: matplotlib is imported with the first figure, so that nothing else pays for it.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vaka.artifacts.runtime import Predict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaka.models.architecture import Learner

DOTS_PER_INCH = 110


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of words and numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the card. `text` is plain, and `picture` a PNG, which becomes card/FILE.png too."""

    title: str
    text: str = ""
    picture: bytes | None = None
    file: str = ""
    table: Table | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """What there is to say of a model beside single numbers.

    `details` are measures that are no single numbers, as JSON: they go into the manifest.
    """

    sections: Sequence[Section] = ()
    details: dict[str, Any] = field(default_factory=dict)


def card_of(architecture: str, learner: Learner, predict: Predict) -> Card:
    """What the architecture's module `card` says of its published graph; nothing where it has none."""
    name = f"vaka.models.{architecture}.card"
    if find_spec(name) is None:
        return Card()
    card: Card = import_module(name).card(learner, predict)
    return card


def figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, which belongs to nobody but the caller."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # that it looks for fonts is no news
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    # The font that comes with it, and no other that a machine may have: the same bytes everywhere.
    rcParams["font.family"] = "DejaVu Sans"
    rcParams["font.size"] = 9
    return Figure((width, height), layout="constrained")


def png(drawn: Figure) -> bytes:
    """The figure as a PNG; the same bytes for the same figure."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for it
        drawn.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()
