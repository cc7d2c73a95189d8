"""Mixed precision, where the processor has it."""

from contextlib import AbstractContextManager

import torch
from torch.cpu import get_capabilities


def autocast(device: str) -> AbstractContextManager[None]:
    """Convolutions and matrix products in bfloat16 on a GPU, and on a CPU with instructions for it.

    Measured on such a CPU: a training step takes half the time. On others it would take longer.
    """
    return torch.autocast(device, torch.bfloat16, enabled=device != "cpu" or cpu_has_bfloat16())


def cpu_has_bfloat16() -> bool:
    """AVX-512 BF16 or AMX on x86, BF16 on ARM."""
    return any(get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def cpu_has_amx() -> bool:
    """Units that multiply whole tiles of bfloat16: quicker by far than what brings them their numbers."""
    return bool(get_capabilities().get("amx_bf16"))
