"""The hyper-parameters of each built-in architecture, checked without torch so that the operator can."""

import difflib
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]


class CNN(msgspec.Struct, rename="camel", kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Convolutional image classifier."""

    epochs: Positive = 15
    batch_size: Positive = 128
    learning_rate: Annotated[float, Meta(gt=0, le=10)] = 0.01
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 0.05
    ema_decay: Fraction = 0.99
    label_smoothing: Fraction = 0.1
    max_grad_norm: Annotated[float, Meta(gt=0)] | None = None
    """Gradients whose norm over all weights is larger are scaled down to it (Pascanu et al. 2013)."""
    accumulate_steps: Positive = 1
    """In how many pieces, one after the other, a step's batch is computed: less memory, the same `batchSize`.

    The gradients are those of the whole batch, except that batch normalisation takes the mean and variance
    of each piece.
    """
    patience: Positive | None = None
    """Training stops after as many epochs without a better validation measure."""
    keep_best: bool = False
    """Publish the averaged weights of the epoch that validated best; otherwise, those of the last."""
    augment: bool = True
    width: Annotated[int, Meta(ge=4, le=512)] = 32
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0


ARCHITECTURES: dict[str, type[CNN]] = {"cnn": CNN}


def parse(architecture: str, given: dict[str, Any]) -> CNN:
    """The hyper-parameters with their defaults; ValueError says which is wrong, and what is allowed."""
    kind = ARCHITECTURES[architecture]
    known = kind.__struct_encode_fields__
    for name in given.keys() - set(known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ValueError(f"spec.model.hyperparameters.{name} is unknown to {architecture}: {hint}")
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`")
        raise ValueError(
            f"spec.model.hyperparameters.{name} is {given.get(name)!r}: {what.lower()}"
        ) from error
