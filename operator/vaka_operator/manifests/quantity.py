"""Kubernetes' quantities of bytes. (Its client can read them, and takes a second to import.)"""

import re
from decimal import Decimal

_DECIMAL = {suffix: Decimal(1000) ** power for power, suffix in enumerate(["", *"kMGTPE"])}
_BINARY = {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}
_UNITS = _DECIMAL | _BINARY | {"m": Decimal("0.001")}


def in_bytes(quantity: str | int) -> int:
    """The whole bytes that a quantity such as 4Mi, 1e6 or 1500 stands for; ValueError if it is none."""
    found = re.fullmatch(r"([0-9.]+(?:[eE][0-9]+)?)([a-zA-Z]*)", str(quantity))
    if not found or found[2] not in _UNITS:
        raise ValueError(f"{quantity!r} is no quantity, such as 4Mi")
    return int(Decimal(found[1]) * _UNITS[found[2]])
