"""The model as every peer runs it: ONNX Runtime with one intra-op thread, as Vaka does."""

import os
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

Array: TypeAlias = NDArray[Any]


def load(path: str | None = None) -> Callable[[Array], Array]:
    """The model ($MODEL unless named): images [n, 28, 28] or [n, 1, 28, 28] to probabilities [n, 10]."""
    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = InferenceSession(path or os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    def run(images: Array) -> Array:
        pixels = np.asarray(images, np.float32).reshape(-1, 1, 28, 28)
        result: Array = session.run(None, {"input": pixels})[0]
        return result

    return run
