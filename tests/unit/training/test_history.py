"""The history keeps the shape of any training in a bounded number of points."""

from hypothesis import given
from hypothesis import strategies as st

from vaka.training.history import POINTS, History


@given(steps=st.integers(0, 5000))
def test_however_many_steps_the_points_are_few_and_even(steps: int) -> None:
    history = History()
    for step in range(steps):
        history.stepped(float(step))
    assert len(history.losses) < POINTS
    assert len(history.losses) * history.stride + history.waiting == steps
    means = [place * history.stride + (history.stride - 1) / 2 for place in range(len(history.losses))]
    assert history.losses == means


def test_a_copy_stays_as_it_is() -> None:
    history = History()
    history.stepped(1.0)
    copy = history.copy()
    history.stepped(2.0)
    history.validations.append({"accuracy": 1.0})
    assert (copy.losses, copy.validations) == ([1.0], [])
