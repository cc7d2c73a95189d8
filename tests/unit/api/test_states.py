"""The table of states is made from the code, and every reason is in it."""

from pathlib import Path

from vaka.api.reasons import Reason
from vaka.api.states import SERVING, TRAINING, markdown

PAGE = Path(__file__).parents[3] / "docs" / "states.md"


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == markdown(), "run: make states"


def test_every_reason_stands_on_a_known_condition_and_says_what_to_do() -> None:
    for reason in Reason:
        assert reason.conditions
        assert set(reason.conditions) <= {*TRAINING, *SERVING}, reason
        assert reason.meaning.endswith("."), reason
        assert reason.advice.endswith("."), reason
        assert f"`{reason}`" in markdown()
