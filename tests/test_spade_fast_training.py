"""Label networks run per distinct window, in training: the values and gradients of dense maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade import windowed
from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.generators.spade.layers import Conditions, SPADELayer
from fetalsynth.generators.spade.windowed import find_windows, modulate_by_windows


def gradients(layer: SPADELayer, x: Tensor, y: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    return list(torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()]))


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("size", [(1, 12), (24, 20)])
def test_values_and_gradients_of_a_layer(
    told: bool, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windowed, "_BLOCK_BYTES", 1 << 10)  # several blocks, the last one short
    torch.manual_seed(0)
    layer = SPADELayer(6, conditions=4 + 3 * told, hidden=5, normalisation=None).double()
    labels = torch.randint(0, 4, (3, *size))
    labels[:, size[0] // 4 :], labels[2] = 1, labels[0]
    planes = torch.tensor([0, 2, 0]) if told else None
    x = torch.randn(3, 6, *size, dtype=torch.float64, requires_grad=True)
    dense = layer(x, Conditions(labels, planes, count=4)(*size).double())
    windows = find_windows(labels, planes, count=4)
    assert windows is not None
    by_windows = modulate_by_windows(
        x,
        windows,
        shared=layer.mlp_shared[0],
        gamma=layer.mlp_gamma,
        beta=layer.mlp_beta,
    )
    torch.testing.assert_close(by_windows, dense, rtol=1e-12, atol=1e-12)
    pairs = zip(gradients(layer, x, by_windows), gradients(layer, x, dense), strict=True)
    for found, wanted in pairs:
        assert wanted.abs().max() > 0
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def test_labels_like_noise_are_left_to_one_hot_maps() -> None:
    noise = torch.randint(0, 8, (2, 16, 16))
    assert find_windows(noise, None, count=8) is None
    network = SPADEGenerator(SPADESettings(size=64, width=2, hidden=4))
    assert network(noise.repeat_interleave(4, 1).repeat_interleave(4, 2)).shape == (2, 1, 64, 64)


def test_sums_of_many_bfloat16_gradients_keep_their_digits() -> None:
    """4096 ones would stop at 256 in bfloat16, where the next number is 258."""
    x = torch.zeros(1, 64, 64, 1, dtype=torch.bfloat16)
    table = torch.zeros(1, 2, dtype=torch.bfloat16, requires_grad=True)
    index = torch.zeros(1, 64, 64, dtype=torch.int32)
    windowed._LookUp.apply(x, table, index).sum().backward()
    assert table.grad is not None
    assert table.grad.tolist() == [[0, 4096]]


def test_generator_in_training_makes_the_images_of_dense_maps() -> None:
    torch.manual_seed(0)
    network = SPADEGenerator(SPADESettings(size=64, width=4, hidden=16, normalisation="batch"))
    for module in network.modules():  # power iterations of spectral norms would differ
        module.training = isinstance(module, torch.nn.BatchNorm2d)
    labels = torch.randint(0, 8, (2, 8, 8)).repeat_interleave(8, 1).repeat_interleave(8, 2)
    with torch.no_grad():
        dense = network(labels)
        network.training = True
        by_windows = network(labels)
    assert dense.std() > 0.01
    assert not torch.equal(by_windows, dense)
    torch.testing.assert_close(by_windows, dense, rtol=0, atol=1e-5)
