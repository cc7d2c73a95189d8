"""Quantities as Kubernetes writes them."""

import pytest

from vaka.api.types import amount


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (5, 5),
        ("5", 5),
        ("1.5", 2),
        ("1500m", 2),
        ("2k", 2000),
        ("1Ki", 1024),
        ("1.5Gi", 3 * 2**29),
        ("3E", 3 * 10**18),
        ("2Ei", 2**61),
        ("1e3", 1000),
        ("12E2", 1200),
    ],
)
def test_a_quantity_comes_to_its_amount(quantity: str | int, expected: int) -> None:
    assert amount(quantity) == expected
