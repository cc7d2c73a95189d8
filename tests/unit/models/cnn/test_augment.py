"""Augmentation changes a picture as much as it says, and no more."""

from dataclasses import replace

import torch
from torch import Generator, Tensor
from torch.nn import functional

from vaka.models.cnn.augment import (
    COARSE,
    COLOUR,
    GREY,
    Augmentation,
    Draws,
    augment,
    augmentation_for,
    elastic_field,
)

NOTHING = Augmentation()


def pictures(count: int = 64, channels: int = 1, side: int = 28) -> Tensor:
    return torch.rand((count, channels, side, side), generator=Generator().manual_seed(1)) * 255


def changed(images: Tensor, how: Augmentation, seed: int = 0) -> Tensor:
    return augment(images, how, Draws(Generator().manual_seed(seed), len(images)))


def test_nothing_asked_is_nothing_changed() -> None:
    assert (changed(pictures(), NOTHING) - pictures()).abs().max() < 0.01


def test_values_keep_their_range_and_shape() -> None:
    for channels in (1, 3):
        result = changed(pictures(channels=channels), augmentation_for(channels))
        assert result.shape == pictures(channels=channels).shape
        assert result.min() >= 0
        assert result.max() <= 255


def test_the_seed_decides_everything() -> None:
    assert torch.equal(changed(pictures(), GREY, 3), changed(pictures(), GREY, 3))
    assert not torch.equal(changed(pictures(), GREY, 3), changed(pictures(), GREY, 4))


def test_every_picture_is_changed_in_its_own_way() -> None:
    same = pictures(1).expand(8, -1, -1, -1)
    assert len({tuple(p.flatten().tolist()) for p in changed(same, GREY)}) == 8


def test_only_photos_are_mirrored_unless_it_is_said_otherwise() -> None:
    left = torch.zeros(200, 1, 16, 16)
    left[..., :4] = 255
    mirrored = changed(left, replace(NOTHING, mirrored=True))[..., -4:].mean((1, 2, 3)) > 200
    assert 60 < mirrored.sum() < 140
    assert [augmentation_for(channels).mirrored for channels in (1, 3)] == [False, True]
    assert [augmentation_for(channels, mirror=True).mirrored for channels in (1, 3)] == [True, True]
    assert not augmentation_for(3, mirror=False).mirrored


def test_a_shift_moves_by_at_most_its_part_of_the_side() -> None:
    column = torch.zeros(500, 1, 20, 20)
    column[..., 10] = 255
    moved = changed(column, replace(NOTHING, shift=0.1))
    place = (moved.mean((1, 2)) * torch.arange(20)).sum(1) / moved.mean((1, 2)).sum(1)
    assert 1.8 < (place - 10).abs().max() <= 2.01


def test_pictures_are_warped_as_far_as_asked() -> None:
    def change(warp: float) -> float:
        how = augmentation_for(1, warp=warp)
        return float((changed(pictures(), how) - pictures()).abs().mean())

    assert change(0.0) < 0.01 < change(0.2) < change(1.0)


def test_contrast_leaves_grey_levels_in_order() -> None:
    ramp = torch.linspace(60, 190, 256).view(1, 1, 16, 16)
    levels = changed(ramp, replace(NOTHING, contrast=0.3)).flatten()
    assert (levels.diff() >= 0).all()
    assert not torch.allclose(levels, ramp.flatten(), atol=1)


def test_a_part_of_the_batch_is_changed_as_the_whole_is() -> None:
    images, own = pictures(10, channels=3), slice(3, 7)
    part = augment(images[own], COLOUR, Draws(Generator().manual_seed(5), 10, own))
    assert torch.equal(part, changed(images, COLOUR, 5)[own])


def test_a_part_of_as_many_pictures_as_asked_is_erased() -> None:
    images = pictures(400)
    erased = (changed(images, replace(NOTHING, erased=0.25)) - changed(images, NOTHING)).abs() > 0.01
    parts = erased[erased.any(3).any(2).any(1)].float().mean((1, 2, 3))
    assert 70 < len(parts) < 130
    assert parts.max() < 0.3


def test_pictures_are_bent_by_noise_that_is_interpolated_as_torch_does_it() -> None:
    size = torch.Size([12, 20])
    noise = Draws(Generator().manual_seed(0), 4).uniform(0.04, 2, COARSE, COARSE)
    expected = functional.interpolate(noise, size=tuple(size), mode="bicubic").permute(0, 2, 3, 1)
    found = elastic_field(size, 0.02, Draws(Generator().manual_seed(0), 4))
    assert torch.allclose(found, expected, atol=1e-6)
