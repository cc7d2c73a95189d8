"""Each object is answered for by cells that find it, and by no others."""

import torch
from torch import Tensor

from vaka.models.yolo.assigner import CELLS, Objects, assign
from vaka.models.yolo.boxes import cells

CENTRES, STRIDES = cells(64)
COUNT = len(CENTRES)


def objects(*found: tuple[list[float], int]) -> Objects:
    return Objects(torch.tensor([[box for box, _ in found]]), torch.tensor([[kind for _, kind in found]]))


def predicted() -> tuple[Tensor, Tensor]:
    """Boxes of two strides to each side, all classes as likely."""
    reach = 2 * STRIDES[:, None]
    boxes = torch.cat([CENTRES - reach, CENTRES + reach], 1)
    return boxes[None], torch.full((1, COUNT, 3), 0.1)


def test_cells_within_the_object_get_its_class_and_box() -> None:
    aim = assign(*predicted(), objects(([10.0, 10, 40, 40], 2)), CENTRES)
    mine = aim.scores[0].sum(-1) > 0
    assert 0 < mine.sum() <= CELLS
    assert (CENTRES[mine] > 10).all()
    assert (CENTRES[mine] < 40).all()
    assert aim.scores[0, mine].argmax(-1).unique().tolist() == [2]
    assert aim.boxes[0, mine].unique(dim=0).tolist() == [[10, 10, 40, 40]]


def test_the_best_cell_is_to_score_what_it_overlaps() -> None:
    boxes, probabilities = predicted()
    aim = assign(boxes, probabilities, objects(([12.0, 12, 44, 44], 0)), CENTRES)
    best = aim.scores[0].amax(-1).argmax()
    assert boxes[0, best].tolist() == [12, 12, 44, 44]
    assert aim.scores.max() == 1


def test_a_cell_within_two_objects_answers_for_one() -> None:
    both = objects(([0.0, 0, 40, 40], 0), ([10.0, 10, 50, 50], 1))
    aim = assign(*predicted(), both, CENTRES)
    assert ((aim.scores[0] > 0).sum(-1) <= 1).all()
    assert (aim.scores[0] > 0).any(0).tolist() == [True, True, False]


def test_an_object_smaller_than_a_cell_is_not_lost() -> None:
    aim = assign(*predicted(), objects(([15.0, 15, 17, 17], 1)), CENTRES)
    assert (aim.scores[0, :, 1] > 0).any()


def test_padding_and_empty_pictures_ask_for_nothing() -> None:
    boxes, probabilities = predicted()
    padded = Objects(torch.zeros(1, 2, 4), torch.full((1, 2), -1))
    none = Objects(torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.int64))
    for empty in (padded, none):
        assert not assign(boxes, probabilities, empty, CENTRES).scores.any()
