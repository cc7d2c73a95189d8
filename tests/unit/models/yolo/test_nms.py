"""Non-maximum suppression does what one box after the other would do."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaka.models.yolo.nms import Floats, Suppression, iou, suppress


@dataclass
class Scene:
    boxes: Floats
    scores: Floats


def scene(count: int, classes: int, seed: int) -> Scene:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (count, 2))], 1).astype(np.float32)
    return Scene(boxes[None], random.random((1, count, classes)).astype(np.float32))


def one_by_one(boxes: Floats, scores: Floats, how: Suppression) -> list[tuple[int, int]]:
    """Cells and classes that stay, by the definition."""
    pairs = [(c, k) for c, row in enumerate(scores) for k, score in enumerate(row) if score > how.score]
    kept: list[tuple[int, int]] = []
    for cell, kind in sorted(pairs, key=lambda pair: -scores[pair]):
        rivals = [c for c, k in kept if k == kind]
        if not any(iou(boxes[[cell]], boxes[[c]])[0, 0] > how.overlap for c in rivals):
            kept.append((cell, kind))
    return kept[: how.most]


@given(st.integers(0, 300), st.integers(1, 3), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=15, deadline=None)
def test_blocks_give_what_one_by_one_gives(count: int, classes: int, seed: int, overlap: float) -> None:
    found, how = scene(count, classes, seed), Suppression(0.3, overlap, most=150, several=True)
    expected = one_by_one(found.boxes[0], found.scores[0], how)
    (objects,) = suppress(found.boxes, found.scores, how)
    assert objects.scores.tolist() == [found.scores[0][pair] for pair in expected]
    assert objects.classes.tolist() == [kind for _, kind in expected]


def test_boxes_of_different_classes_leave_each_other_alone() -> None:
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 10]]], np.float32)
    scores = np.array([[[0.9, 0.1], [0.1, 0.8]]], np.float32)
    (objects,) = suppress(boxes, scores, Suppression())
    assert objects.classes.tolist() == [0, 1]


@pytest.mark.parametrize(("several", "classes"), [(False, [1]), (True, [1, 0])])
def test_a_cell_names_its_likeliest_class_or_several(several: bool, classes: list[int]) -> None:
    boxes = np.array([[[0, 0, 10, 10]]], np.float32)
    scores = np.array([[[0.5, 0.7]]], np.float32)
    (objects,) = suppress(boxes, scores, Suppression(several=several))
    assert objects.classes.tolist() == classes


def test_of_too_many_candidates_the_likeliest_are_looked_at() -> None:
    found = scene(500, 1, 0)
    (all_of_them,) = suppress(found.boxes, found.scores, Suppression(0.0, 1.0, most=20))
    (some,) = suppress(found.boxes, found.scores, Suppression(0.0, 1.0, most=20, candidates=50))
    assert np.array_equal(all_of_them.scores, some.scores)


def test_nothing_likely_is_nothing_found() -> None:
    found = scene(10, 2, 0)
    (objects,) = suppress(found.boxes, found.scores * 0.1, Suppression(score=0.5))
    assert objects.boxes.shape == (0, 4)
