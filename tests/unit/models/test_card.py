"""Drawing for the model card: always the same bytes, and only where somebody draws."""

import subprocess
import sys
from pathlib import Path

import pytest

from vaka import models
from vaka.models.card import Card, card_of, figure, png


def test_the_same_figure_is_the_same_bytes() -> None:
    def drawn() -> bytes:
        made = figure(2, 1)
        made.subplots().plot([1, 2, 3])
        return png(made)

    assert drawn() == drawn()


def test_a_letter_that_the_font_lacks_is_no_trouble() -> None:
    made = figure(2, 1)
    made.subplots().set_title("縞馬")
    assert png(made)


def test_an_architecture_without_a_module_for_it_adds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent/__init__.py").touch()
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    assert card_of("silent", None, None) == Card()  # type: ignore[arg-type]


def test_no_server_loads_matplotlib() -> None:
    code = "import sys, vaka.models.card, vaka.models.cnn.card, vaka.cli.serve, vaka.serving.app"
    code += "; sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
