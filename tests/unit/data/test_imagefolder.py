"""Image folders: classes by folder, sizes made equal, damage named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaka.data.dataset import DatasetError, ImageShape, divide
from vaka.data.imagefolder import common_shape, read


def picture(file: Path, size: tuple[int, int] = (12, 10), mode: str = "RGB", value: int = 200) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "I;16") else (value, 0, 50)).save(file)


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    for name in ("tiger/1.png", "tiger/2.jpg", "zebra/1.bmp", "zebra/more/2.webp"):
        picture(tmp_path / name)
    return tmp_path


def test_each_folder_is_a_class(animals: Path) -> None:
    parts = read(animals)
    images = parts.splits["train"]
    assert parts.classes == ("tiger", "zebra")
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert images.pixels.shape == (4, 3, 10, 12)
    assert images.pixels[0, :, 0, 0].tolist() == [200, 0, 50]
    assert parts.notes == ()


def test_splits_have_folders_of_their_own(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png", "test/b/1.png"):
        picture(tmp_path / name)
    splits = read(tmp_path).splits
    assert {name: images.labels.tolist() for name, images in splits.items()} == {
        "train": [0, 1],
        "validation": [0, 1],
        "test": [1],
    }


def test_only_grey_pictures_make_one_channel(tmp_path: Path) -> None:
    picture(tmp_path / "a/1.png", mode="L")
    picture(tmp_path / "b/1.png", mode="I;16", value=0x8000)
    pixels = read(tmp_path).splits["train"].pixels
    assert pixels[:, 0, 0, 0].tolist() == [200, 0x80]


def test_a_palette_of_which_a_part_is_clear_is_read_as_its_colours(animals: Path) -> None:
    clear = Image.new("P", (12, 10), 1)
    clear.putpalette([0, 0, 0, 200, 0, 50])
    clear.save(animals / "tiger/0.png", transparency=bytes([255, 128]))
    assert read(animals).splits["train"].pixels[0, :, 0, 0].tolist() == [200, 0, 50]


def test_other_sizes_are_resized_and_told(animals: Path) -> None:
    picture(animals / "zebra/3.png", size=(30, 40))
    parts = read(animals)
    assert str(parts.splits["train"].shape) == "10x12x3"
    assert parts.notes == ("1 of 5 images were resized to 10x12",)


def test_huge_pictures_are_shrunk() -> None:
    assert common_shape([ImageShape(3, 3000, 4000)] * 2) == ImageShape(3, 168, 224)


@pytest.mark.parametrize(("size", "left"), [((400, 8), "4x224"), ((4000, 8), "1x224")])
def test_pictures_that_shrinking_leaves_too_low_are_told_so(
    tmp_path: Path, size: tuple[int, int], left: str
) -> None:
    for name in ("a/1.png", "b/1.png"):
        picture(tmp_path / name, size=size)
    why = f"{left}x3: they must be at least 8x8; 2 of 2 images were resized to {left}, for 224 is the largest"
    with pytest.raises(DatasetError, match=why):
        divide(read(tmp_path), tmp_path, validation_fraction=0.1, seed=0)


def test_a_turned_photo_is_put_upright(tmp_path: Path) -> None:
    picture(tmp_path / "b/1.png", size=(10, 20))
    (tmp_path / "a").mkdir()
    photo = Image.new("RGB", (20, 10))
    photo.paste((255, 255, 255), (0, 0, 10, 10))
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was turned: its left is the top
    photo.save(tmp_path / "a/1.png", exif=turned)
    parts = read(tmp_path)
    pixels = parts.splits["train"].pixels
    assert pixels.shape == (2, 3, 20, 10)
    assert parts.notes == ()
    assert pixels[0, 0, :10].mean() > 250
    assert pixels[0, 0, 10:].mean() < 5


def test_files_that_are_no_images_are_ignored_and_counted(animals: Path) -> None:
    (animals / "tiger/notes.txt").write_text("orange")
    (animals / "tiger/.DS_Store").write_text("")
    assert read(animals).notes == ("1 files that are no images were ignored",)


def test_hidden_files_and_folders_are_left_out(animals: Path) -> None:
    for hidden in ("tiger/.ipynb_checkpoints/1-checkpoint.png", "tiger/more/__MACOSX/1.png", "._1.png"):
        picture(animals / hidden)
    parts = read(animals)
    assert len(parts.splits["train"]) == 4
    assert parts.notes == ()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"not a picture", "is no image of a known kind"),
        (None, "cannot be read: .*truncated"),
    ],
)
def test_a_damaged_picture_is_named(animals: Path, content: bytes | None, why: str) -> None:
    file = animals / "zebra/9.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:4000] if content is None else content)
    with pytest.raises(DatasetError, match=f"zebra/9.png: {why}"):
        read(animals)


def test_an_empty_class_is_named(animals: Path) -> None:
    (animals / "lion").mkdir()
    with pytest.raises(DatasetError, match="lion: has no image in it"):
        read(animals)


def test_a_picture_without_class_is_named(animals: Path) -> None:
    picture(animals / "lost.png")
    with pytest.raises(DatasetError, match=r"lost.png: is in no class folder"):
        read(animals)


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no class folders"):
        read(tmp_path)


def test_a_class_that_training_does_not_know_is_named(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "test/c/1.png"):
        picture(tmp_path / name)
    with pytest.raises(DatasetError, match="test/c: is no class of the data set: known are a, b"):
        read(tmp_path)


def test_a_second_folder_for_a_split_is_named(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "val/a/1.png", "validation/b/1.png"):
        picture(tmp_path / name)
    with pytest.raises(DatasetError, match="validation: is a second folder of the split val/: keep one"):
        read(tmp_path)


def test_a_split_without_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb")
    with pytest.raises(DatasetError, match="has no class folders with images: known are a, b"):
        read(tmp_path)
    for name in ("train/a/1.png", "train/b/1.png"):
        picture(tmp_path / name)
    (tmp_path / "val").mkdir()
    with pytest.raises(DatasetError, match="val: has no class folders with images: known are a, b"):
        read(tmp_path)
