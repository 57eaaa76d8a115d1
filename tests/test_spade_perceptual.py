"""Perceptual losses against networks built by their published tables, and files of weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fetalsynth.errors import UserError
from fetalsynth.generators.spade.perceptual import (
    InceptionLoss,
    VGG19Loss,
    vgg19_shapes,
)
from fetalsynth.inception.network import Network
from fetalsynth.inception.reading import folded_shapes, load_weights
from fetalsynth.training.perceptual import load_perceptual


def _random(shapes: dict[str, tuple[int, ...]], *, seed: int = 0) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=rng) * (2 / np.prod(shape[1:])) ** 0.5
        if len(shape) > 1
        else 0.1 * torch.randn(shape, generator=rng)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def vgg_weights() -> dict[str, Tensor]:
    return _random(vgg19_shapes())


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "inception.npz"
    np.savez(path, **{k: v.numpy() for k, v in _random(folded_shapes()).items()})
    return path


def images(channels: int, *, size: int = 32, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(2, channels, size, size, generator=rng) * 2 - 1


def _vgg19() -> nn.Sequential:
    """Configuration E of Simonyan & Zisserman (ICLR 2015), Table 1, as torchvision lays it out."""
    layers: list[nn.Module] = []
    before = 3
    for step in [64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0]:
        if step:
            layers += [nn.Conv2d(before, step, 3, padding=1), nn.ReLU()]
            before = step
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


@pytest.mark.parametrize("channels", [1, 3])
def test_vgg19_form_is_the_published_one(channels: int, vgg_weights: dict[str, Tensor]) -> None:
    network = _vgg19()
    stripped = {name.removeprefix("features."): value for name, value in vgg_weights.items()}
    missing, unexpected = network.load_state_dict(stripped, strict=False)
    assert not unexpected
    assert {name.split(".")[0] for name in missing} == {"30", "32", "34"}

    def depths(x: Tensor) -> list[Tensor]:
        x = x.expand(-1, 3, -1, -1)
        kept = []
        for place, layer in enumerate(network):
            x = layer(x)
            if place in (1, 6, 11, 20, 29):
                kept.append(x)
        return kept

    a, b = images(channels, seed=1), images(channels, seed=2)
    expected = sum(
        w * (p - q).abs().mean()
        for w, p, q in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), depths(a), depths(b), strict=True)
    )
    found = VGG19Loss(vgg_weights)(a, b)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_inception_form_reads_the_maps_that_features_are_made_from(inception_file: Path) -> None:
    loss, weights = load_perceptual("inception768", inception_file), load_weights(inception_file)
    a, b = images(1, size=80, seed=1), images(1, size=80, seed=2)
    network = Network(weights)
    with torch.no_grad():
        expected = 0.0
        maps = zip(
            *(list(network.stages(_last(x.expand(-1, 3, -1, -1)))) for x in (a, b)), strict=True
        )
        for weight, (p, q) in zip((1 / 8, 1 / 4, 1 / 2, 1), maps, strict=True):
            expected += weight * (p - q).abs().mean().item()
    assert loss(a, b).item() == pytest.approx(expected, rel=1e-4)
    colour = [x.expand(-1, 3, -1, -1) for x in (a, b)]
    assert loss(*colour).item() == pytest.approx(expected, rel=1e-4)


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["vgg19", "inception768"])
def test_gradients_reach_the_synthetic_images_and_nothing_else(
    kind: str, vgg_weights: dict[str, Tensor], inception_file: Path
) -> None:
    loss = (
        VGG19Loss(vgg_weights) if kind == "vgg19" else InceptionLoss(load_weights(inception_file))
    )
    assert not list(loss.parameters())
    synthetic = images(1, size=64, seed=1).requires_grad_()
    real = images(1, size=64, seed=2).requires_grad_()
    value = loss(synthetic, real)
    value.backward()
    assert real.grad is None
    assert synthetic.grad is not None
    step = 1e-3 * synthetic.grad / synthetic.grad.norm()
    moved = loss(synthetic.detach() - step, real).item() - value.item()
    assert moved == pytest.approx(-1e-3 * synthetic.grad.norm().item(), rel=0.2)
    assert loss(real.detach(), real).item() == 0
    with pytest.raises(ValueError, match="1 or 3 channels"):
        loss(images(2, size=64), images(2, size=64))


def test_vgg19_weights_come_from_three_kinds_of_files(
    tmp_path: Path, vgg_weights: dict[str, Tensor]
) -> None:
    more = {**vgg_weights, "classifier.6.bias": torch.zeros(1000)}
    torch.save(more, tmp_path / "vgg.pth")
    save_file(more, tmp_path / "vgg.safetensors")
    np.savez(tmp_path / "vgg.npz", **{k: v.numpy() for k, v in more.items()})
    a, b = images(1, seed=1), images(1, seed=2)
    expected = VGG19Loss(vgg_weights)(a, b).item()
    for name in ("vgg.pth", "vgg.safetensors", "vgg.npz"):
        assert load_perceptual("vgg19", tmp_path / name)(a, b).item() == expected


def test_files_that_are_not_vgg19_are_refused(
    tmp_path: Path, vgg_weights: dict[str, Tensor], inception_file: Path
) -> None:
    def saved(name: str, content: object) -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    lacking = {k: v for k, v in vgg_weights.items() if k != "features.28.bias"}
    misshapen = {**vgg_weights, "features.0.weight": torch.zeros(64, 1, 3, 3)}
    damaged = {**vgg_weights, "features.5.bias": torch.full((128,), float("nan"))}
    (tmp_path / "cut.pth").write_bytes(saved("whole.pth", vgg_weights).read_bytes()[:1000])
    (tmp_path / "text.npz").write_text("weights")
    (tmp_path / "text.safetensors").write_text("weights")
    for path, match in (
        (saved("lacking.pth", lacking), "lacks features.28.bias"),
        (saved("misshapen.pth", misshapen), r"has the shape \(64, 1, 3, 3\)"),
        (saved("damaged.pth", damaged), "features.5.bias is damaged"),
        (saved("list.pth", [1, 2]), "no state dictionary"),
        (tmp_path / "cut.pth", "not a plain file of tensors"),
        (tmp_path / "text.npz", "not an .npz file"),
        (tmp_path / "text.safetensors", "damaged weights"),
        (tmp_path / "absent.pth", "does not exist"),
        (inception_file, "lacks features.0.weight"),
    ):
        with pytest.raises(UserError, match=match):
            load_perceptual("vgg19", path)
    with pytest.raises(UserError, match="Inception"):
        load_perceptual("inception768", tmp_path / "lacking.pth")
    with pytest.raises(ValueError, match="neither"):
        load_perceptual("vgg16", inception_file)
