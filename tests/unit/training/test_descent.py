"""A batch that is computed in pieces gives the gradients of the whole one."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vaka.api.architectures.cnn import CNN
from vaka.data.dataset import Dataset, Images
from vaka.models.architecture import Part
from vaka.models.cnn.image_learner import ImageLearner
from vaka.training.descent import add_gradients, check_pieces
from vaka.training.errors import ConfigError
from vaka.training.loop import begin

BATCH = 12


def learner(pieces: int) -> ImageLearner:
    pixels = np.random.default_rng(0).integers(0, 256, (2 * BATCH, 1, 12, 12), np.uint8)
    images = Images(pixels, np.arange(2 * BATCH) % 2)
    hyper = CNN(batch_size=BATCH, width=4, accumulate_steps=pieces)
    return ImageLearner(Dataset(images, images, ("a", "b")), hyper, "cpu")


def gradients(made: ImageLearner) -> tuple[Tensor, dict[str, Tensor]]:
    """Of step 1 in FP32, with batch norm as when predicting: no other layer depends on the pieces."""
    made.network.eval()
    with patch("vaka.models.precision.cpu_has_bfloat16", return_value=False):
        loss = add_gradients(made, 1)
    return loss, {n: p.grad for n, p in made.network.named_parameters() if p.grad is not None}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-6)


@given(pieces=st.integers(1, BATCH))
@settings(max_examples=BATCH)
def test_any_number_of_pieces_gives_the_same_gradients(pieces: int) -> None:
    (loss, whole), (sum_of_losses, added) = gradients(learner(1)), gradients(learner(pieces))
    torch.testing.assert_close(loss, sum_of_losses)
    assert_close(added, whole)


def test_more_pieces_than_samples_are_refused() -> None:
    hyper = CNN(batch_size=BATCH, width=4, accumulate_steps=BATCH + 1)
    with pytest.raises(
        ConfigError, match=r"12 samples for 1 processes and 13 pieces: .* lower accumulateSteps"
    ):
        begin(learner(BATCH + 1), hyper, lambda _: None)


def test_fewer_samples_than_processes_are_refused() -> None:
    few = learner(1)
    few.part = Part(0, BATCH + 1)
    with pytest.raises(ConfigError, match="12 samples for 13 processes: raise batchSize, or lower numNodes"):
        check_pieces(few)


WORKER = """
import sys, runpy
from safetensors.torch import save_file
from vaka.training.distributed import Processes
from vaka.training.report import Reporter
from vaka.training.shards import whole
here = runpy.run_path(sys.argv[1])
group = Processes("ddp", "cpu", Reporter())
for strategy in ("ddp", "fsdp"):
    made = here["learner"](3)
    group.collective = strategy == "fsdp"
    here["begin"](made, here["CNN"](), print, group)
    found = {name: whole(value).contiguous() for name, value in here["gradients"](made)[1].items()}
    if group.part.rank == 0:
        save_file(found, f"{sys.argv[2]}/{strategy}")
group.leave()
"""


@pytest.mark.distributed
def test_in_several_processes_too(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    where |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, __file__, str(tmp_path)]
    workers = [subprocess.Popen(command, env=os.environ | where | {"RANK": str(rank)}) for rank in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    whole = gradients(learner(1))[1]
    for strategy in ("ddp", "fsdp"):
        assert_close(load_file(tmp_path / strategy), whole)
