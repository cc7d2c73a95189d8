"""However a kernel learns, it learns the same."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from vaka.models.cnn import convolution
from vaka.models.cnn.convolution import ByProduct, Convolution

sizes = st.integers(1, 7)


@given(
    pictures=sizes,
    inputs=sizes,
    outputs=sizes,
    height=sizes,
    width=sizes,
    stride=st.integers(1, 2),
    side=st.sampled_from([1, 3, 5]),
    last=st.booleans(),
)
def test_gradients_are_those_of_torch(
    pictures: int, inputs: int, outputs: int, height: int, width: int, stride: int, side: int, last: bool
) -> None:
    layout = torch.channels_last if last else torch.contiguous_format
    features = torch.randn(pictures, inputs, height, width).to(memory_format=layout).requires_grad_()
    kernel = torch.randn(outputs, inputs, side, side, requires_grad=True)
    expected = nn.functional.conv2d(features, kernel, None, stride, side // 2)
    change = torch.randn_like(expected)
    output = ByProduct.apply(features, kernel, stride, side // 2)
    torch.testing.assert_close(output, expected)
    gradients = torch.autograd.grad(output, [features, kernel], change)
    for own, theirs in zip(gradients, torch.autograd.grad(expected, [features, kernel], change), strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-4)


def learned(layer: nn.Conv2d, features: Tensor) -> Tensor:
    """What it is to change by, in single precision, as its weights are."""
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(features)
    assert output.dtype == torch.bfloat16
    output.float().square().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    return layer.weight.grad


@pytest.mark.parametrize(("side", "stride", "by_product"), [(4, 1, True), (7, 2, True), (28, 1, False)])
def test_large_kernels_over_small_maps_learn_by_a_product(side: int, stride: int, by_product: bool) -> None:
    layer = Convolution(16, 64, stride=stride).to(memory_format=torch.channels_last)
    features = torch.randn(3, 16, side, side).to(memory_format=torch.channels_last)
    with patch.object(convolution, "cpu_has_amx", return_value=False):
        expected = learned(layer, features)
    with (
        patch.object(convolution, "cpu_has_amx", return_value=True),
        patch.object(convolution, "_of_kernel", wraps=convolution._of_kernel) as product,
    ):
        found = learned(layer, features)
    assert product.called is by_product
    torch.testing.assert_close(found, expected, rtol=0.02, atol=float(0.01 * expected.abs().max()))
