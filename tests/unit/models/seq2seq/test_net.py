"""The network sees no padding, and the script of the search computes what the layers compute."""

import torch

from vaka.models.seq2seq.net import Translator
from vaka.models.seq2seq.tokens import PAD, START


def network() -> Translator:
    torch.manual_seed(0)
    return Translator(vocabulary=20, width=8).eval()


def test_padding_changes_nothing() -> None:
    source, target = torch.tensor([[5, 6, 7]]), torch.tensor([[START, 8, 9]])
    wider = torch.tensor([[5, 6, 7, PAD, PAD]])
    net = network()
    torch.testing.assert_close(net(source, target), net(wider, target))


def test_a_subword_is_foretold_by_those_before_it_alone() -> None:
    net, source = network(), torch.tensor([[5, 6, 7]])
    one, other = torch.tensor([[START, 8, 9]]), torch.tensor([[START, 8, 10]])
    torch.testing.assert_close(net(source, one)[:, :2], net(source, other)[:, :2])
    assert not torch.allclose(net(source, one)[:, 2], net(source, other)[:, 2])


def test_the_order_of_the_source_matters() -> None:
    net, target = network(), torch.tensor([[START, 8]])
    assert not torch.allclose(net(torch.tensor([[5, 6, 7]]), target), net(torch.tensor([[7, 6, 5]]), target))


def test_every_weight_is_learned() -> None:
    net = network()
    net(torch.tensor([[5, 6, 7]]), torch.tensor([[START, 8]])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
