"""Pairs are read whole and exactly, and what is broken or left out is told by file and line."""

import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.data.dataset import DatasetError
from vaka.data.pair_tables import Columns
from vaka.data.text_pairs import Pairs, TextParts, clean, divide, read


def parts(source: Path, **changes: Any) -> TextParts:
    settings: dict[str, Any] = {"columns": Columns(), "most_characters": 20, "scratch": source.parent / "s"}
    return read(source, **(settings | changes))


def table(folder: Path, content: str | bytes, name: str = "pairs.tsv") -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_one_table_is_training_data(tmp_path: Path) -> None:
    found = parts(table(tmp_path, "ja\t'ē\nnein\t'aita\tignored\n\n"))
    assert found.splits == {"train": Pairs(("ja", "nein"), ("'ē", "'aita"))}


def test_a_header_is_known_by_its_names_in_any_order(tmp_path: Path) -> None:
    file = table(tmp_path, "\ufeffid\ttarget\tsource\n1\tb\ta\n")
    assert parts(file).splits["train"].pairs() == [("a", "b")]


@pytest.mark.parametrize("header", ["\nsource\ttarget", "Source\tTARGET", " source \ttarget "])
def test_a_header_is_no_pair_however_it_is_written(tmp_path: Path, header: str) -> None:
    assert parts(table(tmp_path, f"{header}\na\tb\n")).splits["train"].pairs() == [("a", "b")]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.tsv.gz"])
def test_a_file_that_is_no_table_says_what_one_is(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=r"is neither a table \(.tsv, .parquet\) nor an archive \(.zip, "):
        parts(table(tmp_path, "a,b", name))


def test_columns_can_be_named(tmp_path: Path) -> None:
    file = table(tmp_path, "ty\tde\n'ē\tja\n")
    assert parts(file, columns=Columns("de", "ty")).splits["train"].pairs() == [("ja", "'ē")]
    with pytest.raises(DatasetError, match=r"has no column 'fr': it has 'ty', 'de'"):
        parts(file, columns=Columns("fr", "ty"))


def test_quotation_marks_are_text(tmp_path: Path) -> None:
    assert parts(table(tmp_path, '"a\t"b" c\n')).splits["train"].pairs() == [('"a', '"b" c')]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_texts_become_nfc_with_single_spaces(text: str) -> None:
    result = clean(text)
    assert unicodedata.is_normalized("NFC", result)
    assert result.split() == result.split(" ") or not result
    assert clean(result) == result
    assert clean(unicodedata.normalize("NFD", text)) == result


def test_macrons_are_kept(tmp_path: Path) -> None:
    assert parts(table(tmp_path, "a\tpa\u0304pu\u0304\n")).splits["train"].targets == ("pāpū",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\tb\nalone\n", "line 2 has 1 column: source and target are 1 and 2, separated by a tab"),
        (b"a\tb\nc\td\n\xff\te\n", "line 3 is not UTF-8"),
        ("a\tb\0\n", "line 1 has a NUL character"),
        ("", "has no pair: it is empty"),
        ("\tb\n", "has no pair: 1 with an empty side"),
    ],
)
def test_what_is_broken_is_told_by_its_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    file = table(tmp_path, content)
    with pytest.raises(DatasetError, match=said) as caught:
        parts(file)
    assert caught.value.file == file


def test_what_is_dropped_is_told(tmp_path: Path) -> None:
    found = parts(table(tmp_path, f"a\tb\na\t b\n \tc\nd\t{'e' * 21}\na\tother\n"))
    assert found.splits["train"].pairs() == [("a", "b"), ("a", "other")]
    assert found.notes == (
        "pairs.tsv: 1 pairs that came before were dropped",
        "pairs.tsv: 1 pairs with an empty side were dropped",
        "pairs.tsv: 1 pairs with more than 20 characters (options.maxCharacters) were dropped",
    )


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    columns = pa.table({"source": ["a", "c", None], "n": [1, 2, 3], "target": ["b", "d", "e"]})
    pq.write_table(columns, tmp_path / "train.parquet")
    found = parts(tmp_path)
    assert found.splits["train"].pairs() == [("a", "b"), ("c", "d")]
    assert found.notes == ("train.parquet: 1 pairs with an empty side were dropped",)
    with pytest.raises(DatasetError, match=r"row 1 holds 1: source and target are text"):
        parts(tmp_path, columns=Columns("n", "target"))


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"x\.parquet: is no readable Parquet file"):
        parts(table(tmp_path, "PAR1", "x.parquet"))


def test_a_folder_names_its_splits(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        table(tmp_path, f"{name}\tx\n", f"{name}.tsv")
    found = parts(tmp_path)
    assert {split: pairs.sources for split, pairs in found.splits.items()} == {
        "train": ("train",),
        "validation": ("dev",),
        "test": ("test",),
    }
    assert found.choose("auto", tmp_path).sources == ("test",)
    assert set(found.choose("all", tmp_path).sources) == {"train", "dev", "test"}


def test_tables_of_no_split_are_refused(tmp_path: Path) -> None:
    table(tmp_path, "a\tb\n", "one.tsv")
    table(tmp_path, "a\tb\n", "two.tsv")
    with pytest.raises(DatasetError, match=r"give train\.tsv or one table alone; it has one\.tsv, two\.tsv"):
        parts(tmp_path)
    with pytest.raises(DatasetError, match="cannot be read as idx: known formats are auto, tsv, parquet"):
        parts(tmp_path, format="idx")


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no test split: it has train"):
        parts(table(tmp_path, "a\tb\n")).choose("test", tmp_path)


def numbered(count: int) -> Pairs:
    return Pairs(tuple(map(str, range(count))), tuple(map(str, range(count))))


@given(st.integers(2, 60), st.floats(0.01, 0.5), st.integers(0, 5))
def test_every_pair_is_trained_on_or_held_out(count: int, fraction: float, seed: int) -> None:
    found = TextParts({"train": numbered(count)})
    settings: dict[str, Any] = {"validation_fraction": fraction, "seed": seed, "most_characters": 9}
    data = divide(found, Path("x"), **settings)
    assert {*data.train.pairs(), *data.validation.pairs()} == set(numbered(count).pairs())
    assert len(data.train) + len(data.validation) == count
    assert len(data.validation) == max(1, round(count * fraction))
    assert divide(found, Path("x"), **settings) == data


def test_what_is_held_out_is_not_trained_on() -> None:
    splits = {"train": numbered(3), "test": numbered(2)}
    settings: dict[str, Any] = {"validation_fraction": 0.1, "seed": 0, "most_characters": 9}
    data = divide(TextParts(splits), Path("x"), **settings)  # type: ignore[arg-type]
    assert (data.train.sources, data.validation.sources) == (("2",), ("0", "1"))
    assert data.notes == ("2 pairs of train are held out too: not trained on",)


def test_data_that_cannot_be_divided_is_refused() -> None:
    settings: dict[str, Any] = {"validation_fraction": 0.1, "seed": 0, "most_characters": 9}
    with pytest.raises(DatasetError, match="has one pair"):
        divide(TextParts({"train": numbered(1)}), Path("x"), **settings)
    with pytest.raises(DatasetError, match="has only test data"):
        divide(TextParts({"test": numbered(3)}), Path("x"), **settings)
    with pytest.raises(DatasetError, match="holds out all that it has"):
        divide(TextParts({"train": numbered(1), "test": numbered(1)}), Path("x"), **settings)
