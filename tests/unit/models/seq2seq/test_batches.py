"""Batches hold pairs of about the same length, each pair once in an epoch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vaka.models.seq2seq.batches import Batches, padded


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 3))
def test_an_epoch_has_each_pair_at_most_once(lengths: list[int], size: int, seed: int) -> None:
    batches = Batches(lengths, size, seed)
    steps = range(batches.count, 2 * batches.count)
    seen = np.concatenate([batches.of(step) for step in steps]).tolist()
    assert len(seen) == len(set(seen)) == batches.count * batches.size
    assert set(seen) <= set(range(len(lengths)))
    assert len(lengths) - len(seen) < batches.size


def test_a_batch_depends_on_its_step_alone() -> None:
    forth, back = (Batches(range(1, 41), 8, seed=1) for _ in range(2))
    batches = [forth.of(step).tolist() for step in range(10)]
    assert [back.of(step).tolist() for step in reversed(range(10))] == batches[::-1]
    assert batches[:5] != batches[5:]
    assert Batches(range(1, 41), 8, seed=2).of(0).tolist() != batches[0]


def test_lengths_in_a_batch_are_alike() -> None:
    lengths = np.arange(1, 101)
    batches = Batches(lengths.tolist(), 10, seed=0)
    assert max(np.ptp(lengths[batches.of(step)]) for step in range(batches.count)) < 40


def test_rows_are_padded_to_the_longest_or_as_told() -> None:
    assert padded([[5, 6], [7]]).tolist() == [[5, 6], [7, 0]]
    assert padded([[], [9]], 3).tolist() == [[0, 0, 0], [9, 0, 0]]
    assert padded([[]]).shape == (1, 1)
