"""Colour jitter of a batch: one 3x3 matrix for each picture, on the batch's device."""

import math

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

HUE, SATURATION, BRIGHTNESS = 0.015, 0.7, 0.4
"""By how much each may change: hue in turns, the others as a factor around 1."""
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # Rec. 601


def drawn(random: Generator) -> NDArray[np.float32]:
    """A random matrix [3, 3] that turns hues, fades or deepens colours and changes the brightness."""
    hue, saturation, brightness = random.uniform(-1, 1, 3) * [HUE, SATURATION, BRIGHTNESS] + [0, 1, 1]
    grey = np.tile(_LUMINANCE, (3, 1))
    matrix = brightness * (grey + saturation * (_turn(2 * math.pi * hue) - grey))
    return np.asarray(matrix, np.float32)


def _turn(angle: float) -> NDArray[np.float64]:
    """Rotation [3, 3] of colours around the axis of greys (Rodrigues)."""
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    rotation: NDArray[np.float64] = (
        np.eye(3) * math.cos(angle) + cross * math.sin(angle) + (1 - math.cos(angle)) / 3
    )
    return rotation


def jitter(images: Tensor, matrices: Tensor) -> Tensor:
    """Images [n, 3, h, w] of 0..1 with the colours that the matrices [n, 3, 3] make of theirs."""
    return torch.einsum("ncd,ndhw->nchw", matrices, images).clamp(0, 1)
