"""Tensors that may be shards of larger ones (DTensor), which only several processes need to import."""

from torch import Tensor


def is_shard(tensor: Tensor) -> bool:
    return hasattr(tensor, "to_local")


def local(tensor: Tensor) -> Tensor:
    """What this process holds of it: the tensor itself, or its own shard, not a copy."""
    if not is_shard(tensor):
        return tensor
    shard: Tensor = tensor.detach().to_local()  # type: ignore[attr-defined]
    return shard


def whole(tensor: Tensor) -> Tensor:
    """All of it, on the CPU. All processes must ask for it together."""
    if hasattr(tensor, "full_tensor"):
        tensor = tensor.full_tensor()
    return tensor.detach().cpu()
