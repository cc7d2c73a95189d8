"""A small language with a known grammar, and a translator that learns it in seconds."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from vaka.api.architectures.seq2seq import Seq2Seq
from vaka.api.run import Run
from vaka.artifacts.read import open_model
from vaka.data.text_pairs import Pairs, TextPairs
from vaka.models.architecture import Published
from vaka.training.report import Reporter
from vaka.training.run import execute

NOUNS = {"hund": "uri", "mann": "tane", "frau": "vahine", "fisch": "ia", "vogel": "manu", "kind": "tama"}
VERBS = {"sieht": "hio", "ruft": "pii", "kennt": "ite", "sucht": "imi"}
ADJECTIVES = {"": "", "kleine": "iti", "große": "rahi", "weiße": "uo"}


def grammar() -> list[tuple[str, str]]:
    """Every sentence, in an order without meaning: verbs come first in the target, adjectives last."""
    pairs = []
    for subject, adjective, verb, thing, other in product(NOUNS, ADJECTIVES, VERBS, NOUNS, ADJECTIVES):
        source = f"der {adjective} {subject} {verb} den {other} {thing}"
        doer, done_to = (f"te {NOUNS[n]} {ADJECTIVES[a]}" for n, a in ((subject, adjective), (thing, other)))
        target = f"{VERBS[verb]} {doer} i {done_to}"
        pairs.append((" ".join(source.split()), " ".join(target.split())))
    order = np.random.default_rng(0).permutation(len(pairs))
    return [pairs[i] for i in order]


def language(train: int, unseen: int) -> TextPairs:
    pairs = grammar()[: train + unseen]
    seen, rest = (Pairs(*zip(*part, strict=True)) for part in (pairs[:train], pairs[train:]))
    return TextPairs(seen, rest, 200)


def settings(**changes: Any) -> Seq2Seq:
    small: dict[str, Any] = {"width": 16, "batch_size": 8, "vocabulary": 64, "beams": 2}
    return Seq2Seq(**(small | changes))


def write_table(file: Path, pairs: Pairs) -> Path:
    file.write_text("".join(f"{source}\t{target}\n" for source, target in pairs.pairs()))
    return file


@pytest.fixture(name="language", scope="session")
def language_fixture() -> Callable[[int, int], TextPairs]:
    return language


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A model folder as a run leaves it, of a translator that has learned little; its data beside it."""
    folder = tmp_path_factory.mktemp("seq2seq")
    data = language(60, 20)
    everything = Pairs(
        data.train.sources + data.validation.sources, data.train.targets + data.validation.targets
    )
    write_table(folder / "pairs.tsv", everything)
    small = {"epochs": 2, "width": 16, "batchSize": 8, "vocabulary": 64, "beams": 2}
    spec = {
        "model": {"architecture": "seq2seq", "hyperparameters": small},
        "dataset": {"storageUri": (folder / "pairs.tsv").as_uri(), "options": {"maxCharacters": 60}},
        "output": {"storageUri": (folder / "model").as_uri()},
    }
    job = {"name": "words", "namespace": "team", "uid": "1", "spec": spec}
    run = msgspec.convert(job | {"publicOutput": "pvc://models/words", "publicCheckpoint": ""}, Run)
    execute(run, Reporter(), folder / "scratch")
    return Published(folder / "model", open_model(folder / "model"))


@pytest.fixture(name="settings", scope="session")
def settings_fixture() -> Callable[..., Seq2Seq]:
    return settings


@pytest.fixture(name="write_table", scope="session")
def write_table_fixture() -> Callable[[Path, Pairs], Path]:
    return write_table
