"""Half precision is used where the processor can do it."""

import pytest
import torch

from vaka.models import precision


@pytest.mark.parametrize(
    ("capabilities", "has"),
    [
        ({"avx2": True, "avx512_bf16": True}, True),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx2": True, "avx512_f": True}, False),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_a_processor_with_instructions_for_it_computes_in_bfloat16(
    capabilities: dict[str, bool], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "get_capabilities", lambda: capabilities)
    with precision.autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if has else torch.float32)
