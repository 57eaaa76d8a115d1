"""The weight gradient by one matrix product against torch's own convolutions."""

import pytest
import torch
from torch import Tensor, nn

from fetalsynth.generators import strided
from fetalsynth.generators.strided import StridedConv2d, StridedConvTranspose2d

LAYERS = [
    (StridedConv2d, lambda: nn.Conv2d(6, 5, 4, 2, 1, bias=False), (3, 6, 8, 4)),
    (StridedConvTranspose2d, lambda: nn.ConvTranspose2d(6, 5, 4, 2, 1, bias=False), (3, 6, 4, 2)),
]


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    calls: list[tuple[int, ...]] = []
    original = strided._weight_gradient

    def counted(small: Tensor, large: Tensor) -> Tensor:
        calls.append(tuple(small.shape))
        return original(small, large)

    monkeypatch.setattr(strided, "_weight_gradient", counted)
    return calls


def gradients(layer: nn.Module, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = x.clone().requires_grad_(True)
    out = layer(x)
    (out * target).sum().backward()
    return out.detach(), x.grad, layer.weight.grad


@pytest.mark.parametrize(("ours", "reference", "shape"), LAYERS)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_results_and_gradients_are_those_of_torch(ours, reference, shape, layout, products):
    torch.manual_seed(0)
    mine, theirs = ours(6, 5).double(), reference().double()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout)
    target = torch.randn_like(theirs(x))
    for got, expected in zip(gradients(mine, x, target), gradients(theirs, x, target), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    assert len(products) == 1


@pytest.mark.parametrize(("ours", "reference", "shape"), LAYERS)
def test_under_bfloat16_it_computes_in_bfloat16_and_learns_in_float32(
    ours, reference, shape, products
):
    torch.manual_seed(0)
    mine, theirs = ours(6, 5), reference()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(shape)
    target = torch.randn_like(theirs(x))
    with torch.autocast("cpu", torch.bfloat16):
        out, _, weight = gradients(mine, x, target)
    assert (out.dtype, weight.dtype) == (torch.bfloat16, torch.float32)
    expected = gradients(theirs, x, target)[2]
    assert (weight - expected).abs().max() < 0.02 * expected.abs().max()
    assert len(products) == 1


@pytest.mark.parametrize(
    "shape", [(1, 6, 9, 8), (1, 6, 16, 16)], ids=["odd", "larger than it pays for"]
)
def test_other_maps_take_torchs_own_way(shape, products):
    layer = StridedConv2d(6, 5)
    layer(torch.randn(shape)).sum().backward()
    assert not products
    assert layer.weight.grad.abs().sum() > 0


def test_a_frozen_layer_passes_the_gradient_on(products):
    layer = StridedConv2d(6, 5).requires_grad_(False)
    x = torch.randn(1, 6, 8, 8, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert not products
