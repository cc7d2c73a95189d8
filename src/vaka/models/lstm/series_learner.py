"""A training run of the forecaster: which windows come at which step, the loss, the measures."""

import numpy as np
import torch
from torch import Generator, Tensor, nn

from vaka.api.architectures.lstm import LSTM, MEASURE
from vaka.artifacts.manifest import Signature
from vaka.artifacts.manifest import Tensor as TensorSpec
from vaka.artifacts.runtime import Predict
from vaka.models.architecture import Graph, Inputs, Metrics, Part
from vaka.models.lstm import start
from vaka.models.lstm.measures import mase_scale
from vaka.models.lstm.net import Fixed, Forecaster, Framing, Member, Published, Shape, pinball
from vaka.models.lstm.plan import Plan, SeriesData, plan
from vaka.models.lstm.rolling import FUTURE, MEAN, PAST, QUANTILES, Known, Rolled, inputs_at, roll
from vaka.models.lstm.windows import Origins, spread_out
from vaka.models.order import Order, mixed

CHUNK = 1024
SAMPLES = 256
TOLERANCE = 1e-5
"""By how much of a series' standard deviation ONNX Runtime may differ from torch."""
SPREADS = tuple(0.7 + 0.025 * step for step in range(29))
"""By which quantiles may be widened: 0.7 to 1.4."""
ENOUGH = 20
"""Horizons of validation data that could say all by themselves: what a single one asks for is chance."""


class SeriesLearner:
    """See `vaka.models.architecture.Learner`."""

    measure = MEASURE

    def __init__(self, data: SeriesData, hyper: LSTM, device: str) -> None:
        self.data, self.hyper = data, hyper
        self._device = device
        self.plan = plan(data, hyper)
        self.windows = self.plan.windows
        self.train = self.windows.origins(0, self.plan.split.train)
        self.validation = self.windows.origins(self.plan.split.train, self.plan.split.validation)
        self.shape = _shape(self.plan, hyper)
        self._levels = torch.tensor(self.shape.quantiles, device=device)
        self._order = Order(len(self.train), hyper.batch_size, hyper.seed)
        self.samples_per_step = self._order.samples_per_step
        self.steps_per_epoch = self._order.steps_per_epoch
        torch.manual_seed(hyper.seed)
        self.network: nn.Module = self._network().to(device)
        self.replica: nn.Module = self.network
        self.part = Part()
        self.pieces = hyper.accumulate_steps

    def loss(self, step: int, piece: int = 0) -> Tensor:
        """Pinball loss of moves over volatility, so that calm and wild times weigh the same."""
        own = self.part.slice(self.samples_per_step, piece, self.pieces)
        chosen = self._order.of(step)[own]
        losses = self._losses(self.replica, self.train[chosen.numpy()], self._kept(step, own))
        return losses.mean() * (len(chosen) / self.samples_per_step)

    @torch.no_grad()
    def validate(self, network: nn.Module) -> Metrics:
        count = len(self.validation)
        own = self.validation[self.part.slice(count)]
        total = torch.zeros((), dtype=torch.float64, device=self._device)
        for begin in range(0, self.part.most(count), CHUNK):
            total += self._losses(network, own[begin : begin + CHUNK]).mean((1, 2)).sum().double()
        return {MEASURE.name: float(self.part.total(total)) / count}

    def _kept(self, step: int, own: slice) -> Tensor | None:
        """Dropout of this part of a step's batch: the masks are the same whatever the number of parts."""
        if not (rate := self.hyper.dropout):
            return None
        random = Generator().manual_seed(mixed(self.hyper.seed, step))
        drawn = torch.rand(
            self.hyper.members, self.samples_per_step, self.hyper.hidden_size, generator=random
        )
        return ((drawn[:, own] >= rate) / (1 - rate)).to(self._device)

    def _losses(self, network: nn.Module, origins: Origins, kept: Tensor | None = None) -> Tensor:
        """[..., n, horizon, targets], of what members say together, or of each where they are trained."""
        past, future, truth = self._tensors(origins)
        centre, scale, locations, around = network(past, future, kept)
        moves = ((truth - centre) / scale).float()
        said = locations[..., None] + around
        if not network.training:
            said = said.mean(0)
        return pinball(moves[..., None] - said, self._levels).mean(-1)

    def _tensors(self, origins: Origins) -> tuple[Tensor, Tensor | None, Tensor]:
        """Past, what is known ahead, and what came then, in the space that is modelled."""
        windows, device = self.windows, self._device
        future = torch.from_numpy(windows.future(origins)).to(device) if self.shape.known else None
        truth = torch.from_numpy(windows.truth(origins)).to(device)
        past = torch.from_numpy(windows.past(origins)).to(device)
        return past, future, truth.log() if self.plan.logarithmic else truth

    def _network(self) -> Forecaster:
        framing = Framing(self.shape, _fixed(self.plan))
        past, future, truth = (
            None if part is None else part.cpu() for part in self._tensors(spread_out(self.train, start.MOST))
        )
        assert past is not None
        assert truth is not None
        framing.settle(past)
        frame = framing(past, future)
        moves = ((truth - frame.centre) / frame.scale).float()
        weights, profile = start.fit(frame.state, moves, self.shape.quantiles)
        hyper = self.hyper
        members = [
            Member(self.shape, hyper.hidden_size, hyper.layers, weights, profile)
            for _ in range(hyper.members)
        ]
        return Forecaster(framing, members)

    @torch.no_grad()
    def graph(self, network: nn.Module) -> Graph:
        network = network.cpu().eval()
        assert isinstance(network, Forecaster)
        for member in network.members:
            assert isinstance(member, Member)
            member.profile.copy_(member.profile.sort(-1).values)  # quantiles must not cross
        gate, spread = self._calibrated(network)
        past, future, _ = self._tensors(self.train[:2])
        example = (past.cpu(),) if future is None else (past.cpu(), future.cpu())
        return Graph(
            module=Published(network, gate, spread).eval(),
            example=example,
            signature=signature(self.shape),
            labels=list(self.data.series.targets),
            options=self._options(),
            tolerance=TOLERANCE * float(self.windows.series.values[:, : self.shape.targets].std(0).max()),
        )

    def _calibrated(self, network: Forecaster) -> tuple[Tensor, Tensor]:
        """By the validation data: whether each target's locations are of use, and the spread of each step.

        Volatility scaling, not conformal prediction: one factor a step, half of what the validation data ask
        for, as they are few and much alike, or less where they are very few; and more where the centre was
        fitted on them.
        """
        parts = []
        for begin in range(0, len(self.validation), CHUNK):
            past, future, truth = self._tensors(self.validation[begin : begin + CHUNK])
            centre, scale, location, around = network(
                *(None if t is None else t.cpu() for t in (past, future))
            )
            moves = ((truth.cpu() - centre) / scale).float()
            parts.append((moves, location.mean(0), around.mean(0)))
        moves, location, around = (torch.cat(part) for part in zip(*parts, strict=True))
        gate = ((moves - location).abs().mean((0, 1)) < moves.abs().mean((0, 1))).double()
        errors = (moves - gate * location)[..., None]
        losses = [pinball(errors - wide * around, self._levels.cpu()).mean((0, 3)) for wide in SPREADS]
        best = torch.tensor(SPREADS, dtype=torch.float64)[torch.stack(losses).argmin(0)]
        optimism = torch.tensor([centre.optimism for centre in self.plan.centres], dtype=torch.float64)
        heard = min(0.5, len(self.validation) / self.shape.horizon / ENOUGH)
        return gate, best**heard * optimism

    def _options(self) -> dict[str, object]:
        series, said, plan_, shape = self.data.series, self.data.options, self.plan, self.shape
        target_values = series.values[: self.plan.split.validation, : shape.targets]
        return {
            "context": shape.context,
            "horizon": shape.horizon,
            "quantiles": list(shape.quantiles),
            "frequency": str(series.frequency),
            "holidays": [str(day) for day in series.holidays],
            "timeColumn": said.time_column,
            "timeFormat": said.time_format,
            "gaps": said.gaps,
            "duplicates": said.duplicates,
            "season": plan_.season,
            "targets": list(series.targets),
            "observed": list(series.observed),
            "known": list(series.known),
            "positive": plan_.logarithmic,
            "centres": [centre.name for centre in plan_.centres],
            "maseScale": mase_scale(target_values, plan_.season).tolist(),
            "learnedUntil": str(series.times[self.plan.split.validation - 1]),
        }

    def test(self, predict: Predict) -> Metrics:
        return self.rolled(predict).metrics()

    def rolled(self, predict: Predict) -> Rolled:
        """Rolling origins over the newest part of the series, which nothing was learned from."""
        split = self.plan.split
        begin = split.validation if split.test - split.validation >= self.shape.horizon else split.train
        return roll(predict, Known.of(self._options()), self.data.series, begin)

    def samples(self) -> list[Inputs]:
        chosen = spread_out(self.train, SAMPLES)
        return [inputs_at(self.windows, chosen[i : i + 1]) for i in range(len(chosen))]


def signature(shape: Shape) -> Signature:
    """Of the graph: raw values in, means and quantiles out."""
    inputs = [TensorSpec(name=PAST, datatype="FP64", shape=[-1, shape.context, shape.columns])]
    if shape.known:
        inputs.append(TensorSpec(name=FUTURE, datatype="FP64", shape=[-1, shape.horizon, shape.known]))
    size = [-1, shape.horizon, shape.targets]
    return Signature(
        inputs=inputs,
        outputs=[
            TensorSpec(name=MEAN, datatype="FP64", shape=size),
            TensorSpec(name=QUANTILES, datatype="FP64", shape=[*size, len(shape.quantiles)]),
        ],
    )


def _shape(plan_: Plan, hyper: LSTM) -> Shape:
    series, context = plan_.windows.series, plan_.windows.context
    return Shape(
        context=context,
        horizon=hyper.horizon,
        season=plan_.moves_season,
        targets=len(series.targets),
        observed=len(series.observed),
        known=len(series.known),
        quantiles=tuple(sorted(set(hyper.quantiles))),
        recent=min(hyper.recent, context - 1 - plan_.moves_season),
    )


def _fixed(plan_: Plan) -> Fixed:
    return Fixed(
        weights=torch.from_numpy(np.stack([centre.weights for centre in plan_.centres])),
        effects=torch.from_numpy(np.stack([centre.effects for centre in plan_.centres])),
        floor=torch.from_numpy(plan_.floor),
        level=torch.from_numpy(plan_.level),
        spans=torch.from_numpy(plan_.spans),
        located=torch.tensor([float(not centre.is_last) for centre in plan_.centres]),
        logarithmic=plan_.logarithmic,
    )
