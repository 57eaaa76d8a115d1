"""SPADE's networks: published sizes and names, and the layer against its definition by loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade.calibration import settle_spectral_norms
from fetalsynth.generators.spade.discriminator import SPADEDiscriminator
from fetalsynth.generators.spade.encoder import SPADEEncoder
from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.generators.spade.layers import (
    Conditions,
    Normalisation,
    SPADEBlock,
    SPADELayer,
    SyncNorm,
    one_hot,
)


def small(**changes: object) -> SPADESettings:
    raw = {"size": 64, "width": 4, "hidden": 8, "discriminator_width": 4, "latents": 8, **changes}
    return SPADESettings.model_validate(raw)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def multiply_adds(network: nn.Module, *inputs: Tensor | None) -> float:
    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    return counter.get_total_flops() / 2e9


@pytest.mark.parametrize(
    ("changes", "millions", "giga"),
    [
        # Counted elsewhere on the published code: parameters, and multiply-adds where known.
        ({"channels": 3, "labels": 8}, 92.21, 137.9),
        ({"channels": 3, "labels": 151}, 96.49, 181.2),  # ADE20K; published as 96.5 M
        ({"channels": 3, "labels": 184}, 97.48, 191.2),  # COCO-Stuff
        ({"channels": 3, "labels": 36}, 93.05, 292.8 / 2),  # Cityscapes has twice the pixels
        ({"channels": 3, "width": 32}, 29.51, 59.7),
        ({"channels": 3, "encoder": True}, 108.98, 137.9),
    ],
)
def test_generator_has_the_published_size(
    changes: dict[str, object], millions: float, giga: float
) -> None:
    settings = SPADESettings.model_validate(changes)
    with torch.device("meta"):
        generator = SPADEGenerator(settings).eval()
        labels = torch.zeros(1, 256, 256, dtype=torch.uint8)
        found = multiply_adds(generator, labels, None, torch.zeros(1, 256))
    assert round(count(generator) / 1e6, 2) == millions
    assert found == pytest.approx(giga, rel=1.2e-3)  # that count has the normalisation too


def test_one_channel_saves_two_kernels_of_the_last_convolution() -> None:
    with torch.device("meta"):
        grey, colour = (SPADEGenerator(SPADESettings(channels=n)) for n in (1, 3))
    assert count(colour) == 92_209_347
    assert count(colour) - count(grey) == 2 * (64 * 9 + 1)


def test_discriminator_and_encoder_have_the_published_sizes() -> None:
    maps = [
        [(64, 129), (128, 65), (256, 33), (512, 34), (1, 35)],
        [(64, 65), (128, 33), (256, 17), (512, 18), (1, 19)],
    ]
    for channels, millions in ((1, 5.540), (3, 5.544)):
        with torch.device("meta"):
            settings = SPADESettings(channels=channels)
            discriminator = SPADEDiscriminator(settings)
            images, labels = torch.zeros(1, channels, 256, 256), torch.zeros(1, 8, 256, 256)
            found = discriminator(images, labels)
            giga = multiply_adds(discriminator, images, labels)
        assert round(count(discriminator) / 1e6, 3) == millions
        assert [[tuple(m.shape[1:3]) for m in scale] for scale in found] == maps
        assert giga == pytest.approx(4.75, rel=0.01)
    with torch.device("meta"):
        encoder = SPADEEncoder(SPADESettings(channels=3, encoder=True))
        mean, log_variance = encoder(torch.zeros(2, 3, 128, 128))
    assert round(count(encoder) / 1e6, 2) == 10.46
    assert mean.shape == log_variance.shape == (2, 256)


def test_parameters_carry_the_published_names() -> None:
    """Names of the published checkpoints; those of spectral norms as torch now writes them."""
    with torch.device("meta"):
        found = set(SPADEGenerator(SPADESettings()).state_dict())
    expected = {f"{layer}.{kind}" for layer in ("fc", "conv_img") for kind in ("weight", "bias")}
    blocks = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3"]
    for block in blocks:
        shortcut = block.startswith("up")
        convolutions = ["conv_0", "conv_1", *(["conv_s"] if shortcut else [])]
        for conv in convolutions:
            stem = f"{block}.{conv}"
            published = {f"{stem}.weight_orig", f"{stem}.weight_u", f"{stem}.weight_v"}
            if conv != "conv_s":
                expected.add(f"{stem}.bias")
            expected |= {
                name.replace("weight_orig", "parametrizations.weight.original")
                .replace("weight_u", "parametrizations.weight.0._u")
                .replace("weight_v", "parametrizations.weight.0._v")
                for name in published
            }
        for norm in ("norm_0", "norm_1", *(["norm_s"] if shortcut else [])):
            layers = ("mlp_shared.0", "mlp_gamma", "mlp_beta")
            expected |= {f"{block}.{norm}.{m}.{k}" for m in layers for k in ("weight", "bias")}
            if norm != "norm_s":  # whose statistics are norm_0's
                kept = ("running_mean", "running_var", "num_batches_tracked")
                expected |= {f"{block}.{norm}.param_free_norm.{k}" for k in kept}
    assert found == expected


def _layer_by_loops(
    x: np.ndarray, labels: np.ndarray, w: dict[str, np.ndarray], mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Eq. 1 of Park et al. at every pixel by itself, outside the image zero, in float64."""
    height, width = labels.shape

    def hidden(i: int, j: int) -> np.ndarray:
        total = w["mlp_shared.0.bias"].copy()
        for a in range(3):
            for b in range(3):
                k, m = i + a - 1, j + b - 1
                if 0 <= k < height and 0 <= m < width:
                    total += w["mlp_shared.0.weight"][:, labels[k, m], a, b]
        return np.maximum(total, 0)

    def modulation(name: str, i: int, j: int) -> np.ndarray:
        total = w[f"{name}.bias"].copy()
        for a in range(3):
            for b in range(3):
                k, m = i + a - 1, j + b - 1
                if 0 <= k < height and 0 <= m < width:
                    total += w[f"{name}.weight"][:, :, a, b] @ hidden(k, m)
        return total

    y = np.empty_like(x)
    for i in range(height):
        for j in range(width):
            gamma, beta = (modulation(name, i, j) for name in ("mlp_gamma", "mlp_beta"))
            y[:, i, j] = (1 + gamma) * (x[:, i, j] - mean) / std + beta
    return y


@pytest.mark.parametrize("kind", ["batch", "instance"])
def test_layer_equals_its_definition_pixel_by_pixel(kind: Normalisation) -> None:
    torch.manual_seed(0)
    layer = SPADELayer(3, conditions=4, hidden=5, normalisation=kind)
    x = torch.randn(2, 3, 6, 7) * 3 + 1
    labels = torch.randint(0, 4, (2, 6, 7))
    ours = layer(layer.normalise(x), one_hot(labels, count=4)).detach().numpy()

    w = {k: v.double().numpy() for k, v in layer.state_dict().items() if "mlp" in k}
    x64 = x.double().numpy()
    for n in range(2):
        seen = x64 if kind == "batch" else x64[n : n + 1]
        mean, variance = seen.mean((0, 2, 3)), seen.var((0, 2, 3))
        theirs = _layer_by_loops(x64[n], labels[n].numpy(), w, mean, np.sqrt(variance + 1e-5))
        assert np.abs(ours[n] - theirs).max() < 1e-5


@pytest.mark.parametrize("channels", [(6, 6), (6, 3)])
def test_block_equals_the_published_order_of_operations(channels: tuple[int, int]) -> None:
    """With a normalisation of its own in the shortcut, which shares nothing."""
    torch.manual_seed(0)
    block = SPADEBlock(*channels, conditions=4, hidden=5, normalisation="batch")
    x, c = torch.randn(3, channels[0], 8, 8), one_hot(torch.randint(0, 4, (3, 8, 8)), count=4)
    settle_spectral_norms(block)

    def spade(layer: SPADELayer, y: Tensor) -> Tensor:
        gamma, beta = layer.modulation(c)
        return F.batch_norm(y, None, None, training=True) * (1 + gamma) + beta

    block.conv_0.eval(), block.conv_1.eval()
    shortcut = x
    if channels[0] != channels[1]:
        block.conv_s.eval()
        shortcut = F.conv2d(spade(block.norm_s, x), block.conv_s.weight)
    y = block.conv_0(F.leaky_relu(spade(block.norm_0, x), 0.2))
    y = block.conv_1(F.leaky_relu(spade(block.norm_1, y), 0.2))
    assert torch.allclose(block(x, c), shortcut + y, atol=1e-5)


def test_labels_shrink_as_interpolate_does() -> None:
    labels = torch.randint(0, 5, (2, 32, 64), dtype=torch.uint8)
    conditions = Conditions(labels, None, count=5)
    whole = F.one_hot(labels.long(), 5).permute(0, 3, 1, 2).float()
    for height in (1, 4, 16, 32):
        expected = F.interpolate(whole, size=(height, 2 * height), mode="nearest")
        assert torch.equal(conditions(height, 2 * height), expected)
    assert conditions(4, 8) is conditions(4, 8)


@pytest.mark.parametrize("upsampling", ["normal", "more", "most"])
@pytest.mark.parametrize(("channels", "labels"), [(1, 2), (2, 8), (3, 255)])
def test_any_number_of_channels_and_labels(upsampling: str, channels: int, labels: int) -> None:
    settings = small(
        size=256 if upsampling == "most" else 128,
        width=1,
        hidden=2,
        channels=channels,
        labels=labels,
        upsampling=upsampling,
    )
    generator = SPADEGenerator(settings)
    maps = torch.randint(0, labels, (2, settings.size, settings.size), dtype=torch.uint8)
    images = generator(maps)
    assert images.shape == (2, channels, settings.size, settings.size)
    assert images.abs().max() <= 1


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValidationError, match="power of two"):
        small(size=96)
    with pytest.raises(ValidationError, match="size of 256 or more, not 64"):
        small(size=64, upsampling="most")


def test_planes_and_latents_count_where_the_settings_say_so() -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 8, (1, 64, 64))
    told = SPADEGenerator(small(plane_condition=True)).eval()
    sagittal, axial = (told(labels, torch.tensor([plane])) for plane in (0, 2))
    assert (sagittal - axial).abs().max() > 1e-4
    with pytest.raises(ValueError, match="planes"):
        told(labels)
    untold = SPADEGenerator(small()).eval()
    assert torch.equal(untold(labels, torch.tensor([0])), untold(labels))

    encoded = SPADEGenerator(small(encoder=True)).eval()
    one, other = (encoded(labels, None, torch.full((1, 8), float(z))) for z in (-1, 1))
    assert (one - other).abs().max() > 1e-4
    with pytest.raises(ValueError, match="latents"):
        encoded(labels)


def test_settled_spectral_norms_are_those_of_a_decomposition() -> None:
    torch.manual_seed(0)
    for network in (SPADEGenerator(small()), SPADEDiscriminator(small())):
        normalised = 0
        with torch.no_grad():
            for p in network.parameters():
                p.copy_(torch.randn_like(p))
        settle_spectral_norms(network)
        assert network.training
        network.eval()
        for module in network.modules():
            if parametrize.is_parametrized(module, "weight"):
                normalised += 1
                matrix = module.weight.detach().flatten(1).double().numpy()
                largest = np.linalg.svd(matrix, compute_uv=False)[0]
                assert largest == pytest.approx(1, abs=1e-5)
        assert normalised == (18 if isinstance(network, SPADEGenerator) else 6)


def test_synchronised_statistics_are_the_batchs_own_on_a_processor() -> None:
    ours, plain = SyncNorm(3, affine=False), nn.BatchNorm2d(3, affine=False)
    for _ in range(3):
        x = torch.randn(4, 3, 5, 5) * 2 + 1
        assert torch.equal(ours(x), plain(x))
    assert torch.equal(ours.eval()(x), plain.eval()(x))
    assert torch.equal(ours.running_var, plain.running_var)
