"""Whatever protocol they came by, pixels are numbers that a picture can have."""

import numpy as np
import pytest

from vaka.artifacts.errors import BadInput
from vaka.artifacts.read import open_model
from vaka.models.pipeline import pipeline


@pytest.mark.parametrize(
    ("value", "found"), [(999, "0..999"), (-1, "-1..0"), (np.nan, "nan..nan"), (np.inf, "0..inf")]
)
def test_what_is_no_pixel_is_refused_and_named(models, tmp_path, value, found):
    folder = models.brightness(tmp_path / "model")
    images = np.zeros((3, 1, 3, 4), np.float32)
    images[2, 0, 1, 1] = value
    with pytest.raises(BadInput, match=rf"input 'image'\[2\]: pixels are 0..255, here {found}"):
        pipeline(open_model(folder), folder).encode({"image": images})


def test_every_pixel_is_taken_as_it_is(models, tmp_path):
    folder = models.brightness(tmp_path / "model")
    inputs = {"image": np.array([0, 0.5, 255], np.float32).repeat(4).reshape(1, 1, 3, 4)}
    assert pipeline(open_model(folder), folder).encode(inputs) == (inputs, None)
