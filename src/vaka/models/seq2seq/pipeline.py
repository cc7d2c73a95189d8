"""Text in, text out."""

from pathlib import Path
from typing import Any

import numpy as np

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import Manifest, Signature, Tensor
from vaka.data.text_pairs import clean
from vaka.models.pipeline import Arrays, Pipeline
from vaka.models.seq2seq.model import SCORE, TRANSLATION, Coder
from vaka.models.seq2seq.tokens import END

TEXT, COMPLETE = "text", "complete"


class Translation(Pipeline):
    """See `vaka.models.pipeline.Pipeline`."""

    independent_rows = True

    def __init__(self, manifest: Manifest, coder: Coder) -> None:
        super().__init__(manifest)
        self._coder = coder
        self._signature = Signature(
            inputs=[Tensor(name=TEXT, datatype="BYTES", shape=[-1])],
            outputs=[
                Tensor(name=TRANSLATION, datatype="BYTES", shape=[-1]),
                Tensor(name=SCORE, datatype="FP32", shape=[-1]),
                Tensor(name=COMPLETE, datatype="BOOL", shape=[-1]),
            ],
        )

    @property
    def signature(self) -> Signature:
        return self._signature

    def encode(self, inputs: Arrays) -> tuple[Arrays, Any]:
        sources = [self._subwords(value, f"{TEXT}[{i}]") for i, value in enumerate(inputs[TEXT])]
        return self._coder.inputs(sources, [[]] * len(sources)), None

    def decode(self, outputs: Arrays, told: Any) -> Arrays:  # noqa: ARG002
        """A translation that reached the limit before its end is told, and told to be cut."""
        subwords = outputs[TRANSLATION]
        texts = [self._coder.vocabulary.decode(row) for row in subwords.tolist()]
        complete = (subwords == END).any(1)
        return {TRANSLATION: np.array(texts, object), SCORE: outputs[SCORE], COMPLETE: complete}

    def instance_schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": self._coder.limits.characters}

    def instance_example(self) -> Any:
        return "…"

    def _subwords(self, value: str | bytes, where: str) -> list[int]:
        """BadInput where it is no text that the model takes."""
        text, limits = clean(_text(value, where)), self._coder.limits
        if len(text) > limits.characters:
            raise BadInput(
                f"input {where} has {len(text):,} characters: at most {limits.characters:,} are translated"
            )
        subwords = self._coder.vocabulary.encode(text)
        if not subwords:
            raise BadInput(f"input {where} is empty: give a text of 1 to {limits.characters:,} characters")
        if len(subwords) > limits.source:
            raise BadInput(
                f"input {where} has {len(subwords):,} subwords: at most {limits.source:,} are translated, "
                "as the model has seen no longer texts"
            )
        return subwords


def _text(value: str | bytes, where: str) -> str:
    try:
        return (value.encode() if isinstance(value, str) else value).decode()
    except UnicodeError:
        raise BadInput(f"input {where} is not UTF-8: give a text") from None


def pipeline(manifest: Manifest, folder: Path) -> Pipeline:
    """That of a published translator."""
    return Translation(manifest, Coder.of(manifest, folder))
