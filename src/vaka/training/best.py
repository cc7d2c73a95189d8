"""The weights of the best epoch."""

import torch
from torch import Tensor, nn


class BestWeights:
    """Keeps a copy of a network's weights and batch statistics as they once were."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._kept: dict[str, Tensor] = {name: value.clone() for name, value in network.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        """The copy by name, as it is."""
        return self._kept

    @torch.no_grad()
    def keep(self) -> None:
        """Keep what the network holds now."""
        for name, value in self._network.state_dict().items():
            self._kept[name].copy_(value)

    @torch.no_grad()
    def restore(self) -> None:
        """Give the network back what was kept."""
        for name, value in self._network.state_dict().items():
            value.copy_(self._kept[name])
