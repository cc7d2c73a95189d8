"""The pictures of a data set in the size that a network sees them in, in memory as far as that goes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaka.data.dataset import DatasetError
from vaka.data.detection.dataset import Picture
from vaka.data.pictures import PictureError, opened
from vaka.models.yolo.letterbox import fitted_size, fitting

MEMORY = 1 << 30
"""Bytes of pictures that are kept; what is beyond is read from its file each time."""


class Pixels:
    """Pixels uint8 [h, w, 3] of each picture, its longer side of `side` pixels."""

    def __init__(self, pictures: Sequence[Picture], side: int) -> None:
        self._pictures = pictures
        self._side = side
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._free = MEMORY

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """DatasetError where the file is damaged."""
        kept = self._kept.get(index)
        if kept is None:
            kept = np.asarray(fitting(read(self._pictures[index]), self._side))
            if self._free >= kept.nbytes:
                self._free -= kept.nbytes
                self._kept[index] = kept
        return kept

    def boxes(self, index: int) -> NDArray[np.float32]:
        """Boxes [k, 4] of its objects in those pixels, without crowds."""
        picture = self._pictures[index]
        width, height = fitted_size(picture.width, picture.height, self._side)
        scale = np.array([width / picture.width, height / picture.height] * 2, np.float32)
        return picture.boxes[~picture.crowd] * scale

    def classes(self, index: int) -> NDArray[np.int64]:
        """Their classes [k]."""
        picture = self._pictures[index]
        return picture.classes[~picture.crowd]


def read(picture: Picture) -> Image.Image:
    """The picture, upright and RGB; DatasetError where its file is damaged."""
    try:
        return opened(picture.file, 3)
    except PictureError as error:
        raise DatasetError(picture.file, str(error)) from error
