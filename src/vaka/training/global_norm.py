"""Batch normalisation over the batch of all processes; torch's own (SyncBatchNorm) is for GPUs only."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Total(torch.autograd.Function):
    """The sum of a tensor over all processes; so its gradient is the sum of theirs."""

    @staticmethod
    def forward(_context: Any, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Ioffe and Szegedy 2015, with mean and variance over the pictures of all processes."""

    def forward(self, features: Tensor) -> Tensor:
        """Features [n, channels, h, w] of this process' pictures."""
        if not self.training:
            return super().forward(features)
        mean, variance, count = self._statistics(features.float())
        self._follow(mean.detach(), variance.detach(), count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        normal = torch.addcmul(shift.view(1, -1, 1, 1), features.float(), scale.view(1, -1, 1, 1))
        return normal.to(features.dtype)

    def _statistics(self, features: Tensor) -> tuple[Tensor, Tensor, float]:
        """Mean and biased variance of each channel, and over how many values.

        In one exchange: sums of the distance to the running mean, which is the same in all processes. So the
        difference of two large numbers, which would cost digits, is none.
        """
        assert self.running_mean is not None
        near = self.running_mean.clone()
        apart = features - near.view(1, -1, 1, 1)
        count = features.new_full((1,), features.numel() / features.shape[1])
        sums = torch.cat([apart.sum((0, 2, 3)), apart.square().sum((0, 2, 3)), count])
        first, second, total = Total.apply(sums).split([len(near), len(near), 1])
        total = total.detach()
        offset = first / total
        return near + offset, second / total - offset.square(), total.item()

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


def with_global_norm(network: nn.Module, device: str) -> nn.Module:
    """The same network, its weights and statistics the same tensors, normalising over all processes."""
    if device != "cpu":
        changed: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return changed
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = GlobalBatchNorm2d
    return network
