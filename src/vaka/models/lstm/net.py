"""The forecaster: moves from a linear centre, divided by their volatility, with quantiles told by LSTMs.

What stands in the series' own unit (centre and volatility) is computed in double precision within the graph,
so that a forecast of the last value is the last value to the last digit; what the LSTMs see has no unit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

DECAYS = (0.94, 0.8, 0.98, 0.99)
"""Of exponentially weighted volatilities; the first, RiskMetrics' for daily prices (1996), is the scale."""
SIGNS = 2 * len(DECAYS)
"""How many signs of the volatility to come there are for each target."""
SIGN_LIMIT = 2.0
CLIP = 6.0
"""Moves beyond as many volatilities look the same: one crash must not saturate the network."""
MEAN_SIZE = 0.8
"""Of a normal move over its volatility, roughly."""
WIDEST = 1.0
"""How far the logarithm of the spread may be moved by a member."""
MEDIAN = 0.5


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a forecaster: lengths in steps, widths in columns."""

    context: int
    horizon: int
    season: int
    targets: int
    observed: int
    known: int
    quantiles: tuple[float, ...]
    recent: int
    """How many of the newest moves the LSTMs read."""

    @property
    def columns(self) -> int:
        return self.targets + self.observed + self.known

    @property
    def state(self) -> int:
        """How many numbers describe a window beside its newest moves."""
        return SIGNS * self.targets + self.horizon * self.known


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What is known of a series before any descent."""

    weights: Tensor
    """FP64 [targets, horizon, context]: the centre is the last value + these times distances from it."""
    effects: Tensor
    """FP64 [targets, horizon, known]: what is added to it for a covariate's distance from its last value."""
    floor: Tensor
    """FP64 [targets], the least volatility: a flat window shall not divide by zero."""
    level: Tensor
    """FP64 [targets], the least level that volatilities are compared with."""
    spans: Tensor
    """FP64 [observed + known, 2], centre and spread of the covariates."""
    located: Tensor
    """FP32 [targets]: 1 where the centre may be moved, 0 where the last value stays it."""
    logarithmic: bool
    """Whether logarithms of the targets are modelled, which must then be positive."""


@dataclass(frozen=True)
class Frame:
    """A window in units of its own: what the members need, and what brings their answers back."""

    moves: Tensor
    """FP32 [n, recent, columns], moves over their volatility, and covariates."""
    state: Tensor
    """FP32 [n, state], signs of the volatility to come, and what is known ahead."""
    centre: Tensor
    """FP64 [n, horizon, targets]."""
    scale: Tensor
    """FP64 [n, horizon, targets], volatility times the square root of the steps ahead."""


class Framing(nn.Module):
    """From raw windows to moves over volatility. Nothing in here is trained by descent."""

    weights: Tensor
    effects: Tensor
    floor: Tensor
    level: Tensor
    spans: Tensor
    located: Tensor
    decays: Tensor
    roots: Tensor
    usual: Tensor
    """FP64 [SIGNS * targets], the mean of each sign."""

    def __init__(self, shape: Shape, fixed: Fixed) -> None:
        super().__init__()
        self.shape = shape
        self.logarithmic = fixed.logarithmic
        ages = torch.arange(shape.context - 2 - shape.season, -1, -1, dtype=torch.float64)
        decays = torch.stack([decay**ages for decay in DECAYS])
        for name in ("weights", "effects", "floor", "level", "spans", "located"):
            self.register_buffer(name, getattr(fixed, name))
        self.register_buffer("decays", decays / decays.sum(1, keepdim=True))
        self.register_buffer("usual", torch.zeros(SIGNS * shape.targets, dtype=torch.float64))
        self.register_buffer("roots", torch.arange(1, shape.horizon + 1, dtype=torch.float64).sqrt())

    def forward(self, past: Tensor, future: Tensor | None) -> Frame:
        """Of raw windows FP64 [n, context, columns], and known covariates FP64 [n, horizon, known] ahead."""
        shape, (values, moves) = self.shape, self._moves(past)
        last = values[:, -1:]
        scale, signs = self._volatility(moves, last)
        state = (signs - self.usual).clamp(-SIGN_LIMIT, SIGN_LIMIT)
        recent = (moves[:, -shape.recent :] / scale).clamp(-CLIP, CLIP)
        centre = last + torch.einsum("thl,nlt->nht", self.weights, values - last)
        if shape.columns > shape.targets:
            others = self._scaled(past[:, -shape.recent :, shape.targets :], 0)
            recent = torch.cat([recent, others], 2)
        if future is not None:
            ahead = self._scaled(future, shape.observed)
            now = self._scaled(past[:, -1:, shape.targets + shape.observed :], shape.observed)
            centre = centre + torch.einsum("thk,nhk->nht", self.effects, ahead - now)
            state = torch.cat([state, ahead.flatten(1)], 1)
        return Frame(recent.float(), state.float(), centre, scale * self.roots[:, None])

    def settle(self, past: Tensor) -> None:
        """Learn from windows how large the signs of volatility usually are."""
        values, moves = self._moves(past)
        self.usual.copy_(self._volatility(moves, values[:, -1:])[1].mean(0))

    def _moves(self, past: Tensor) -> tuple[Tensor, Tensor]:
        """The targets [n, context, targets] as they are modelled, and their moves."""
        values = past[..., : self.shape.targets]
        if self.logarithmic:
            values = values.log()
        return values, differences(values, self.shape.season)

    def _volatility(self, moves: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """The scale [n, 1, targets], and signs of where volatility goes from there [n, SIGNS * targets].

        Signs are the logarithms of: volatilities of other spans over the scale, as in Corsi's HAR (2009);
        mean absolute moves over it, which a single crash moves less; and the scale over the level, for
        volatility in per cent returns to what is usual.
        """
        squares = torch.einsum("dl,nlt->ndt", self.decays, moves.square())
        volatilities = (squares + self.floor.square()).sqrt()
        scale = volatilities[:, :1]
        sizes = torch.einsum("dl,nlt->ndt", self.decays, moves.abs()) + self.floor
        relative = scale if self.logarithmic else scale / (last.square() + self.level.square()).sqrt()
        signs = torch.cat([volatilities[:, 1:] / scale, sizes / scale, relative], 1)
        return scale, signs.log().flatten(1)

    def _scaled(self, covariates: Tensor, first: int) -> Tensor:
        centre, spread = self.spans[first:].unbind(1)
        return ((covariates - centre) / spread).clamp(-CLIP, CLIP)

    def restore(self, values: Tensor) -> Tensor:
        """From the space in which the targets are modelled to that in which they were given."""
        return values.exp() if self.logarithmic else values


def differences(values: Tensor, season: int) -> Tensor:
    """Moves [n, length - 1 - season, t]; of a seasonal series, how they differ from those a season ago."""
    moves = values[:, 1:] - values[:, :-1]
    return moves[:, season:] - moves[:, :-season] if season else moves


class Member(nn.Module):
    """One LSTM: where a window's future lies, and how wide, in units of its volatility.

    A quantile is location + exp(spread) * profile, where only location and spread depend on the window.
    It begins as what volatilities alone tell, and learns where that is wrong. What was fitted stays as it is:
    weight decay would draw it to zero, where no correction is, and not to what is known.

    Args:
        state: FP32 [horizon, targets, state], how the state moves the spread.
        profile: FP32 [horizon, targets, quantiles], quantiles of the moves over their volatility.
    """

    keep: Tensor
    state: Tensor
    profile: Tensor

    def __init__(self, shape: Shape, hidden: int, layers: int, state: Tensor, profile: Tensor) -> None:
        super().__init__()
        self.size = (shape.horizon, shape.targets)
        self.lstm = nn.LSTM(shape.columns + shape.targets, hidden, layers, batch_first=True)
        self.location = nn.Linear(hidden + shape.state, shape.horizon * shape.targets)
        self.spread = nn.Linear(hidden, shape.horizon * shape.targets)
        for layer in (self.location, self.spread):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("state", state.clone())
        self.register_buffer("profile", profile.clone())
        self.register_buffer("keep", torch.tensor([float(q != MEDIAN) for q in shape.quantiles]))

    def forward(self, moves: Tensor, state: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """Locations [n, horizon, targets] and quantiles around them [n, horizon, targets, quantiles].

        Args:
            kept: FP32 [n, hidden] of dropout: zero for what the LSTM knows and is to be forgotten.
        """
        sizes = moves[..., : self.size[1]].abs() - MEAN_SIZE  # large moves of either sign tell of more
        _, (hidden, _) = self.lstm(torch.cat([moves, sizes], 2))
        last = hidden[-1] if kept is None else hidden[-1] * kept
        known = torch.cat([last, state], 1)
        wide = torch.einsum("ns,hts->nht", state, self.state) + self.spread(last).reshape(-1, *self.size)
        spread = (WIDEST * torch.tanh(wide)).exp()
        around = spread[..., None] * (self.profile * self.keep)  # the median is the location
        return self.location(known).reshape(-1, *self.size), around


class Members(nn.ModuleList):
    """Members that are trained side by side: one module, so that it can be sharded as one."""

    def forward(self, frame: Frame, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """What each says: locations [members, n, ...] and quantiles around them [members, n, ...]."""
        masks = [None] * len(self) if kept is None else kept.unbind()
        said = [member(frame.moves, frame.state, mask) for member, mask in zip(self, masks, strict=True)]
        return torch.stack([location for location, _ in said]), torch.stack([around for _, around in said])


class Forecaster(nn.Module):
    """Members and what they are told; they answer by the mean of what each says."""

    def __init__(self, framing: Framing, members: list[Member]) -> None:
        super().__init__()
        self.framing = framing
        self.members = Members(members)

    def forward(
        self, past: Tensor, future: Tensor | None, kept: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Centre and scale FP64 [n, horizon, targets]; over the scale, of each member, locations
        [members, n, horizon, targets] and quantiles around them [members, n, horizon, targets, quantiles].

        Args:
            kept: FP32 [members, n, hidden], see `Member`.
        """
        with torch.no_grad():
            frame = self.framing(past, future)
        locations, around = self.members(frame, kept)
        return frame.centre, frame.scale, locations * self.framing.located, around


class Published(nn.Module):
    """The graph: raw windows to means and quantiles in the series' own unit.

    Args:
        gate: FP64 [targets], 1 where locations are believed.
        spread: FP64 [horizon, targets], by which quantiles are wider than trained: the calibration.
    """

    gate: Tensor
    spread: Tensor

    def __init__(self, network: Forecaster, gate: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("gate", gate)
        self.register_buffer("spread", spread)

    def forward(self, past: Tensor, future: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Means FP64 [n, horizon, targets] and quantiles FP64 [n, horizon, targets, quantiles].

        The mean that is told is the median, as is usual with forecasts by quantiles: absolute errors ask
        for it, and where the centre is the last value it is exactly that.
        """
        centre, scale, locations, around = self.network(past, future)
        middle = centre + scale * self.gate * locations.mean(0)
        wide = (scale * self.spread)[..., None] * around.mean(0)
        restore = self.network.framing.restore
        return restore(middle), restore(middle[..., None] + wide)


def pinball(errors: Tensor, quantiles: Tensor) -> Tensor:
    """Pinball loss (Koenker and Bassett 1978) of value - forecast [..., quantiles]."""
    return torch.maximum(quantiles * errors, (quantiles - 1) * errors)
