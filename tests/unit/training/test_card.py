"""The model card is a page of its own that says the same for the same, whatever people have called things."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from vaka.artifacts.manifest import Manifest, Signature, Tensor
from vaka.models.card import Card, Section, Table
from vaka.training import card
from vaka.training.card import card_for, learning, write_card
from vaka.training.history import History

HISTORY = History(losses=[3.0, 2.0, 1.0], validations=[{"accuracy": 0.5, "validationLoss": 1.5}])


def manifest(**changes: Any) -> Manifest:
    image = Tensor(name="image", datatype="FP32", shape=[-1, 3, 8, 8])
    facts = {
        "name": "zebras",
        "architecture": "cnn",
        "task": "image-classification",
        "signature": Signature(inputs=[image], outputs=[]),
        "metrics": {"accuracy": 0.987654321},
        "files": {},
    }
    return Manifest(**facts | changes)


class Page(HTMLParser):
    """What is in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += filter(None, [data.strip()])


def page_of(folder: Path, described: Manifest, *sections: Section) -> Page:
    write_card(folder, described, [learning(HISTORY, "accuracy", 3), *sections])
    return Page((folder / "card.html").read_text())


def test_the_page_holds_all_of_it_and_asks_for_nothing_else(tmp_path: Path) -> None:
    table = Table(columns=["class", "recall"], rows=[["zebra", 0.5]])
    notes = ["2 rows were left out", "1 picture was resized"]
    page = page_of(tmp_path, manifest(notes=notes), Section(title="Classes", table=table))
    assert {
        "zebras",
        "2 rows were left out; 1 picture was resized.",
        "0.98765",
        "any x 3 x 8 x 8",
        "zebra",
        "0.5",
    } <= set(page.words)
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert str(image["src"]).startswith("data:image/png;base64,")
    assert not {"script", "link", "a", "iframe"} & {tag for tag, _ in page.tags}
    assert (tmp_path / "card/learning.png").read_bytes().startswith(b"\x89PNG")


def test_what_people_write_is_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    table = Table(columns=[evil], rows=[[evil]])
    section = Section(title=evil, text=evil, table=table)
    page = page_of(tmp_path, manifest(name=evil, provenance={evil: evil}), section)
    assert "script" not in {tag for tag, _ in page.tags}
    assert " ".join(page.words).count(evil) >= 6


def test_the_same_run_has_the_same_card(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        page_of(tmp_path / name, manifest())
    assert (tmp_path / "a/card.html").read_bytes() == (tmp_path / "b/card.html").read_bytes()


def test_a_card_that_fails_does_not_lose_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Card:
        raise ValueError("no such colour")

    monkeypatch.setattr(card, "card_of", fails)
    made = card_for("cnn", None, None)  # type: ignore[arg-type]
    assert "ValueError: no such colour" in made.sections[0].text
