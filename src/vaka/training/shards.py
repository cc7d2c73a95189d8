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


def whole_here(tensor: Tensor) -> Tensor:
    """All of it, where it is. All processes must ask for it together."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def resharded(tensor: Tensor, like: Tensor) -> Tensor:
    """What this process holds of a tensor that all processes have, where it is split as another one is."""
    if not is_shard(like):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None).to_local()


def whole(tensor: Tensor) -> Tensor:
    """All of it, on the CPU. All processes must ask for it together."""
    return whole_here(tensor).detach().cpu()
