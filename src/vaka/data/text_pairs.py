"""Text pairs for translation: tables of two columns as TSV or Parquet.

A folder may name its splits (`train.tsv`, `test.tsv`); one table alone is training data. All text becomes
Unicode NFC with single spaces.
"""

import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaka.data import archive
from vaka.data.dataset import DatasetError, Split, one_split, to_learn_from
from vaka.data.folders import SPLITS
from vaka.data.pair_tables import SUFFIXES, Columns, rows

FORMATS = ("auto", *SUFFIXES)
_SPLITS: dict[str, Split] = {**SPLITS, "dev": "validation"}


@dataclass(frozen=True)
class Pairs:
    """Sources and their targets: the same number of each."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, chosen: list[int]) -> "Pairs":
        return Pairs(tuple(self.sources[i] for i in chosen), tuple(self.targets[i] for i in chosen))

    def first(self, count: int) -> "Pairs":
        return Pairs(self.sources[:count], self.targets[:count])

    def pairs(self) -> list[tuple[str, str]]:
        return list(zip(self.sources, self.targets, strict=True))


@dataclass(frozen=True)
class TextParts:
    """What a folder holds: the splits that it names, and what a person should know of it."""

    splits: dict[Split, Pairs]
    notes: tuple[str, ...] = ()

    def choose(self, split: str, source: Path) -> Pairs:
        """One split's pairs, those of `all`, or by `auto` the best to measure with: test if there is one."""
        if split == "all":
            every = [pair for pairs in self.splits.values() for pair in pairs.pairs()]
            return Pairs(*zip(*every, strict=True))
        return one_split(self.splits, split, source)


@dataclass(frozen=True)
class TextPairs:
    """Pairs to train on and others to measure with; no text is longer than `most_characters`."""

    train: Pairs
    validation: Pairs
    most_characters: int
    notes: tuple[str, ...] = ()


def clean(text: str) -> str:
    """Unicode NFC, with single spaces and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def read(
    source: Path,
    *,
    format: str = "auto",  # noqa: A002  (the field's name in the specification)
    columns: Columns,
    most_characters: int,
    scratch: Path,
) -> TextParts:
    """Every split that a table, a folder of them or an archive holds. DatasetError names file and line.

    Pairs with an empty side, repeated ones and those with a text longer than `most_characters` are dropped,
    and the notes say so.
    """
    if format not in FORMATS:
        raise DatasetError(source, f"cannot be read as {format}: known formats are {', '.join(FORMATS)}")
    splits: dict[Split, Pairs] = {}
    notes: list[str] = []
    for split, file in _tables(source, format, scratch).items():
        splits[split], dropped = _read_table(file, columns, most_characters)
        notes += dropped
    return TextParts(splits, tuple(notes))


def _tables(source: Path, format: str, scratch: Path) -> dict[Split, Path]:  # noqa: A002
    """The table of each split."""
    kinds = SUFFIXES if format == "auto" else (format,)
    if source.is_file() and source.suffix[1:].lower() in kinds:
        return {"train": source}
    if source.is_file() and not archive.is_archive(source):
        known = ", ".join(f".{kind}" for kind in kinds)
        raise DatasetError(
            source, f"is neither a table ({known}) nor an archive ({', '.join(archive.SUFFIXES)})"
        )
    folder = source if source.is_dir() else archive.unpack(source, scratch)
    tables = [
        p for p in sorted(folder.iterdir()) if p.suffix[1:].lower() in kinds and not p.name.startswith(".")
    ]
    named = [p for p in tables if p.stem.lower() in _SPLITS]
    if not named and len(tables) == 1:
        return {"train": tables[0]}
    splits = {_SPLITS[p.stem.lower()]: p for p in named}
    if not splits or len(splits) < len(tables):
        found = ", ".join(p.name for p in tables) or "none"
        raise DatasetError(
            folder, f"has no table for each split: give train.{kinds[0]} or one table alone; it has {found}"
        )
    return splits


def _read_table(file: Path, columns: Columns, most: int) -> tuple[Pairs, list[str]]:
    kept: dict[tuple[str, str], None] = {}
    dropped: Counter[str] = Counter()
    for source, target in rows(file, columns):
        pair = clean(source), clean(target)
        if not all(pair):
            dropped["with an empty side"] += 1
        elif max(map(len, pair)) > most:
            dropped[f"with more than {most:,} characters (options.maxCharacters)"] += 1
        elif pair in kept:
            dropped["that came before"] += 1
        else:
            kept[pair] = None
    if not kept:
        why = ", ".join(f"{count:,} {what}" for what, count in dropped.items()) or "it is empty"
        raise DatasetError(file, f"has no pair: {why}")
    notes = [f"{file.name}: {count:,} pairs {what} were dropped" for what, count in dropped.items()]
    return Pairs(*zip(*kept, strict=True)), notes


def divide(
    parts: TextParts, source: Path, *, validation_fraction: float, seed: int, most_characters: int
) -> TextPairs:
    """Training and validation pairs: the folder's own split, else a seeded one.

    What is held out is not trained on, even where a folder has it in both.
    """
    train, held_out = to_learn_from(parts.splits, source)
    if held_out is None:
        train, held_out, note = _held_out(train, source, validation_fraction, seed)
    else:
        train, note = _without(train, held_out, source)
    return TextPairs(train, held_out, most_characters, (*parts.notes, *note))


def _held_out(train: Pairs, source: Path, fraction: float, seed: int) -> tuple[Pairs, Pairs, list[str]]:
    if len(train) < 2:
        raise DatasetError(source, "has one pair: at least one is to be trained on and one held out")
    count = min(max(1, round(len(train) * fraction)), len(train) - 1)
    order = np.random.default_rng(seed).permutation(len(train)).tolist()
    note = f"no test split: {count:,} of {len(train):,} pairs are held out for validation"
    return train[sorted(order[count:])], train[sorted(order[:count])], [note]


def _without(train: Pairs, held_out: Pairs, source: Path) -> tuple[Pairs, list[str]]:
    unseen = set(held_out.pairs())
    keep = [i for i, pair in enumerate(train.pairs()) if pair not in unseen]
    if not keep:
        raise DatasetError(source, "holds out all that it has to train on: give pairs that differ")
    both = len(train) - len(keep)
    return train[keep], [f"{both:,} pairs of train are held out too: not trained on"] if both else []
