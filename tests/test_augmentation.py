"""Augmentation against scikit-image and against what mirroring and turning must keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.transform import rotate

from fetalsynth.generators.batch import Batch
from fetalsynth.training.augmentation import apply, sample_params
from fetalsynth.training.recipe import Augmentation


def params(flip: list[bool], angle: list[float]) -> dict[str, torch.Tensor]:
    return {"flip": torch.tensor(flip), "angle": torch.tensor(angle, dtype=torch.float64)}


def test_identity_and_mirror_are_exact() -> None:
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    y = apply(
        Batch(images=x), params([False, True], [0.0, 0.0]), augmentation=Augmentation()
    ).images
    assert torch.allclose(y[0], x[0], atol=1e-5)
    assert torch.allclose(y[1], x[1].flip(-1), atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("angle", [-10.0, 7.0, 90.0])
def test_rotation_agrees_with_scikit_image(angle: float, interpolation: str) -> None:
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64) * 2 - 1
    setting = Augmentation(flip=False, rotation_degrees=90, interpolation=interpolation)
    ours = (
        apply(Batch(images=x), params([False], [angle]), augmentation=setting).images[0, 0].numpy()
    )
    order = 1 if interpolation == "bilinear" else 0
    theirs = rotate(x[0, 0].numpy(), angle, order=order, cval=-1.0, center=(15.5, 15.5))
    middle = np.hypot(*np.mgrid[-15.5:16, -15.5:16]) < 14
    assert np.mean(np.abs(ours - theirs)[middle] < 1e-6) > 0.99


def test_corners_are_black_and_grey_only_on_request() -> None:
    x = torch.ones(1, 1, 64, 64)
    turned = {
        fill: apply(
            Batch(images=x), params([False], [10.0]), augmentation=Augmentation(fill=fill)
        ).images
        for fill in ("black", "grey")
    }
    assert turned["black"][0, 0, 0, -1].item() == pytest.approx(-1.0)
    assert turned["grey"][0, 0, 0, -1].item() == pytest.approx(0.0)
    assert turned["black"].min().item() >= -1.0 - 1e-6


def test_parameters_are_uniform_and_honour_the_settings() -> None:
    rng = torch.Generator().manual_seed(0)
    drawn = sample_params(Augmentation(rotation_degrees=10), count=20_000, rng=rng)
    assert abs(drawn["flip"].float().mean().item() - 0.5) < 0.02
    assert drawn["angle"].abs().max().item() <= 10
    assert abs(drawn["angle"].std().item() - 10 / 3**0.5) < 0.1
    none = sample_params(Augmentation(flip=False, rotation_degrees=0), count=100, rng=rng)
    assert not none["flip"].any()
    assert not none["angle"].any()
