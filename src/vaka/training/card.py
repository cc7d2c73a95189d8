"""The model card: card.html in the model folder, a page of its own, and its pictures in card/."""

import logging
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vaka.artifacts.manifest import Manifest, Tensor
from vaka.artifacts.runtime import Predict
from vaka.models.architecture import Learner
from vaka.models.card import Card, Section, Table, card_of, figure, png
from vaka.training.history import History

CARD = "card.html"
PICTURES = "card"
VALIDATION_LOSS = "validationLoss"
"""What a learner's `validate` calls the loss on validation data, if it tells it."""

log = logging.getLogger("vaka.training")


def card_for(architecture: str, learner: Learner, predict: Predict) -> Card:
    """What the architecture says of its model. That it cannot be said is no reason to lose the training."""
    try:
        return card_of(architecture, learner, predict)
    except Exception as error:
        log.exception("the model card lacks what the architecture has to say")
        told = f"This part could not be made: {type(error).__name__}: {error}"
        return Card(sections=[Section(title="Predictions", text=told)])


def write_card(folder: Path, manifest: Manifest, sections: Sequence[Section]) -> None:
    """Write page and pictures; `manifest` needs no files yet, for these will be among them."""
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters |= {"base64": lambda content: b64encode(content).decode(), "number": number}
    content = page.get_template(CARD).render(model=manifest, sections=[*sections, *facts(manifest)])
    (folder / CARD).write_text(content, encoding="utf-8")
    (folder / PICTURES).mkdir(exist_ok=True)
    for section in sections:
        if section.picture:
            (folder / PICTURES / f"{section.file}.png").write_bytes(section.picture)


def learning(history: History, measure: str, steps_per_epoch: int) -> Section:
    """The learning curves: the loss, and what the averaged weights achieved after each epoch."""
    drawn = figure(8, 3)
    left, right = drawn.subplots(1, 2)
    ends = (np.arange(len(history.losses)) + 1) * history.stride / steps_per_epoch
    epochs = np.arange(len(history.validations)) + 1
    left.plot(ends, history.losses, linewidth=1, label="training")
    if all(VALIDATION_LOSS in found for found in history.validations):
        left.plot(epochs, [found[VALIDATION_LOSS] for found in history.validations], ".-", label="validation")
    left.set(xlabel="epoch", title="loss")
    left.legend()
    right.plot(epochs, [found[measure] for found in history.validations], ".-")
    right.set(xlabel="epoch", title=f"{measure} on validation data")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return Section(title="Learning curves", picture=png(drawn), file="learning")


def facts(manifest: Manifest) -> list[Section]:
    """What is to be known of its data, what it takes and gives, how it was trained, where it comes from."""
    notes = [Section(title="Data", text=f"{'; '.join(manifest.notes)}.")] if manifest.notes else []
    tensors = [_row("input", t) for t in manifest.signature.inputs]
    tensors += [_row("output", t) for t in manifest.signature.outputs]
    return [
        *notes,
        Section(title="Signature", table=Table(columns=["", "name", "datatype", "shape"], rows=tensors)),
        Section(title="Hyper-parameters", table=_pairs(manifest.hyperparameters)),
        Section(title="Provenance", table=_pairs(manifest.provenance)),
    ]


def number(value: Any) -> str:
    """Numbers with five digits; anything else as it is."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _row(kind: str, tensor: Tensor) -> list[str]:
    shape = " x ".join("any" if size < 0 else str(size) for size in tensor.shape)
    return [kind, tensor.name, tensor.datatype, shape]


def _pairs(values: Mapping[str, Any]) -> Table:
    return Table(columns=["name", "value"], rows=[[name, value] for name, value in values.items()])
