"""Fast inference against the plain forward pass of the same weights, and its parts alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade import fast, lookup
from fetalsynth.generators.spade.fast import FastGenerator
from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.generators.spade.label_windows import distinct_windows, window_rows
from fetalsynth.generators.spade.layers import Normalisation, SPADELayer, one_hot
from fetalsynth.generators.spade.tables import fold
from fetalsynth.generators.spade.winograd import prepare

TOLERANCE = 1e-4  # of images from −1 to 1


def trained_like(settings: SPADESettings, *, seed: int = 0) -> SPADEGenerator:
    """A network with the weights' spread, statistics and contrast that training brings about."""
    torch.manual_seed(seed)
    network = SPADEGenerator(settings)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "mlp_" in name:
                parameter.mul_(3)
            elif name.startswith("conv_img"):
                parameter.mul_(2)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.2, 3)
    return network.eval()


def brain_like(count: int, size: int, *, labels: int = 8, seed: int = 0) -> Tensor:
    """Nested, shifting blobs, (count, size, size)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    stack = np.zeros((count, size, size), np.uint8)
    for label in range(1, labels):
        centre, radius = rng.uniform(-0.1, 0.1, 2), 0.45 * (1 - label / (labels + 2))
        for n in range(count):
            wobble = 1 + 0.2 * np.sin(5 * np.arctan2(y, x) + label + 0.3 * n)
            inside = np.hypot(y - centre[0], x - centre[1]) < radius * wobble
            stack[n][inside] = label
    return torch.from_numpy(stack)


def check(network: SPADEGenerator, *inputs: Tensor | None, tolerance: float = TOLERANCE) -> None:
    with torch.no_grad():
        wanted = torch.cat(
            [
                network(*(x if x is None else x[n : n + 1] for x in inputs))
                for n in range(len(inputs[0]))
            ]
        )
    assert wanted.std() > 0.1
    found = FastGenerator(network)(*inputs)
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() < tolerance


@pytest.mark.parametrize("kind", ["batch", "sync", "instance"])
def test_same_images_as_the_plain_network(kind: Normalisation) -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32, normalisation=kind))
    check(network, brain_like(5, 64))


def test_same_images_with_wide_convolutions_by_tiles() -> None:
    network = trained_like(SPADESettings(size=64, width=16, hidden=16))
    transformed = [stage.by_tiles().conv_0.transformed for stage in FastGenerator(network).stages]
    assert [weights is not None for weights in transformed] == 4 * [True] + 3 * [False]
    check(network, brain_like(9, 64))


@pytest.mark.parametrize("upsampling", ["more", "most"])
def test_same_images_at_other_depths_channels_and_labels(upsampling: str) -> None:
    settings = SPADESettings(
        size=256, width=4, channels=2, labels=3, hidden=24, upsampling=upsampling
    )
    check(trained_like(settings), brain_like(2, 256, labels=3))


def test_same_images_of_oblong_slices() -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32))
    check(network, brain_like(2, 96)[:, :, :64].contiguous())


def test_same_images_told_the_plane_of_each_slice() -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32, plane_condition=True))
    labels = brain_like(4, 64)
    labels[1], labels[3] = labels[0], 0
    planes = torch.tensor([0, 2, 1, 2])
    check(network, labels, planes)
    images = FastGenerator(network)(labels, planes)
    assert (images[0] - images[1]).abs().max() > 0.01
    with pytest.raises(ValueError, match="plane"):
        FastGenerator(network)(labels)


def test_same_images_from_latents() -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32, encoder=True, latents=5))
    labels = brain_like(1, 64).expand(3, -1, -1).contiguous()
    z = torch.randn(3, 5)
    z[2] = z[0]
    check(network, labels, None, z)
    images = FastGenerator(network)(labels, None, z)
    assert (images[0] - images[1]).abs().max() > 0.01
    assert torch.equal(images[0], images[2])


def test_equal_slices_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32))
    labels = brain_like(6, 64)
    labels[[0, 5]], labels[3] = 0, labels[2]
    computed = 0
    plain = fast.prepare

    def counting(convolution: nn.Conv2d, *, dtype: torch.dtype) -> object:
        prepared = plain(convolution, dtype=dtype)
        if convolution is not network.conv_img:
            return prepared

        def count(padded: Tensor) -> Tensor:
            nonlocal computed
            computed += len(padded)
            return prepared(padded)

        return count

    monkeypatch.setattr(fast, "prepare", counting)
    images = FastGenerator(network)(labels)
    assert computed == 4
    assert torch.equal(images[0], images[5])
    assert torch.equal(images[2], images[3])


def test_images_do_not_depend_on_how_slices_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32))
    labels = brain_like(7, 64)
    together = FastGenerator(network)(labels)
    monkeypatch.setattr(fast, "_PLANNED", 3)
    monkeypatch.setattr(fast, "_TOGETHER", 2)
    monkeypatch.setattr(fast, "_PIXELS", 64 * 64)
    monkeypatch.setattr(lookup, "_BLOCK_BYTES", 1 << 12)
    apart = FastGenerator(network)(labels)
    assert (together - apart).abs().max() < 1e-5


def test_the_trained_network_stays_as_it_was() -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32))
    before = {name: x.clone() for name, x in network.state_dict().items()}
    copied = FastGenerator(network)
    labels = brain_like(2, 64)
    images = copied(labels)
    assert all(torch.equal(x, before[name]) for name, x in network.state_dict().items())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert torch.equal(copied(labels), images)


def test_labels_that_the_network_does_not_know_are_refused() -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32))
    for label in (8, -1, 256):
        with pytest.raises(ValueError, match="knows 0 to 7"):
            FastGenerator(network)(torch.full((1, 64, 64), label))
    assert FastGenerator(network)(torch.zeros(0, 64, 64, dtype=torch.uint8)).shape == (0, 1, 64, 64)


def test_bfloat16_is_close_and_not_the_same() -> None:
    network = trained_like(SPADESettings(size=64, width=4, hidden=32))
    labels = brain_like(2, 64)
    exact = FastGenerator(network)(labels)
    error = (FastGenerator(network, dtype=torch.bfloat16)(labels) - exact).abs()
    assert 1e-4 < error.mean() < 0.1 * exact.std()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 3), (16, 12)])
def test_tables_hold_the_modulation_of_every_pixel(size: tuple[int, int]) -> None:
    """Borders among them: the label network pads its hidden maps with zeros, not with biases."""
    torch.manual_seed(1)
    layer = SPADELayer(6, conditions=4, hidden=10, normalisation="batch")
    labels = torch.randint(0, 4, (3, *size)).to(torch.uint8)
    norm = layer.param_free_norm
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 4)
    layer.eval()
    x = torch.randn(3, 6, *size)
    with torch.no_grad():
        wanted = layer(layer.normalise(x), one_hot(labels, count=4))
        found = distinct_windows(labels)
        table = fold(layer, statistics=norm).table(*window_rows(found, labels=4, planes=False))
    a, b = table[found.index].permute(0, 3, 1, 2).chunk(2, 1)
    torch.testing.assert_close(a * x + b, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 8, 8), (2, 6, 13), (1, 64, 72)])
def test_convolution_by_tiles_is_the_convolution(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(128, 160, 3, padding=1)
    by_tiles = prepare(convolution, dtype=torch.float32).by_tiles()
    assert by_tiles.transformed is not None
    x = torch.randn(shape[0], 128, *shape[1:])
    with torch.no_grad():
        wanted = convolution.double()(x.double())
    padded = nn.functional.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1).contiguous()
    found = by_tiles(padded).permute(0, 3, 1, 2)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-4 * wanted.std()
