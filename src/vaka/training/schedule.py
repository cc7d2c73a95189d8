"""Learning-rate schedule."""

import math

WARM_UP = 0.25
"""Part of the steps in which the rate rises."""
START = 1 / 25


def one_cycle(step: int, total: int, peak: float) -> float:
    """Learning rate of a step: by a cosine up to the peak, then by a cosine down to zero.

    Smith and Topin, "Super-Convergence", 2018.
    """
    progress = (step + 1) / (total + 1)
    if progress < WARM_UP:
        return peak * (START + (1 - START) * (1 - math.cos(math.pi * progress / WARM_UP)) / 2)
    return peak * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2
