"""Where descent begins: how the signs of volatility foretell the spread, by a quasi-Newton method.

The idea is Corsi's (2009, HAR): the volatility to come is that of the last days, weeks and months together.
"""

import torch
from torch import Tensor

from vaka.models.lstm.net import MEDIAN, WIDEST, pinball

PENALTY = 1e-3
STEPS = 40
MOST = 6000


def fit(state: Tensor, moves: Tensor, quantiles: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """How much of each volatility goes into the spread, and the profile of quantiles.

    Args:
        state: FP32 [n, state] of windows.
        moves: FP32 [n, horizon, targets], what came then, from the centre and over the scale.

    Returns:
        [horizon, targets, state] and [horizon, targets, quantiles], as `Member` takes them.
    """
    levels = torch.tensor(quantiles)
    keep = torch.tensor([float(level != MEDIAN) for level in quantiles])
    profile = torch.quantile(moves, levels, dim=0).permute(1, 2, 0).contiguous().requires_grad_()
    weights = torch.zeros(*moves.shape[1:], state.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([weights, profile], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        spread = (WIDEST * torch.tanh(torch.einsum("ns,hts->nht", state, weights))).exp()
        errors = moves[..., None] - spread[..., None] * (profile * keep)
        total = pinball(errors, levels).mean() + PENALTY * weights.square().sum() / len(weights)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach(), profile.detach()
