"""Half precision is used where the processor can do it."""

from pathlib import Path

import pytest

from vaka.models.precision import cpu_has_bfloat16


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("flags\t\t: fpu avx2 avx512_bf16", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("Features\t: fp asimd bf16", True),
        ("bugs\t\t: bf16", False),
    ],
)
def test_instructions_for_bfloat16_are_found(tmp_path: Path, line: str, has: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert cpu_has_bfloat16(tmp_path / "cpuinfo") is has


def test_an_unknown_processor_has_none(tmp_path: Path) -> None:
    assert not cpu_has_bfloat16(tmp_path / "nothing")
