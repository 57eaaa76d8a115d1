"""Augmentation against scikit-image and against what mirroring and turning must keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.transform import rotate

from fetalsynth.generators.batch import Batch
from fetalsynth.training.augmentation import apply, sample_params
from fetalsynth.training.recipe import Augmentation


def params(flip: list[bool], angle: list[float], **others: float) -> dict[str, torch.Tensor]:
    drawn = {"flip": torch.tensor(flip), "angle": torch.tensor(angle, dtype=torch.float64)}
    for name in ("zoom", "across", "down"):
        drawn[name] = torch.full((len(flip),), others.get(name, 0.0), dtype=torch.float64)
    return drawn


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


def test_moving_by_whole_pixels_is_exact() -> None:
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64) * 2 - 1
    setting = Augmentation(flip=False, rotation_degrees=0, shift=0.25)
    drawn = params([False], [0.0], across=4 / 32, down=-2 / 32)
    y = apply(Batch(images=x), drawn, augmentation=setting).images
    assert torch.allclose(y[..., :-2, 4:], x[..., 2:, :-4], atol=1e-9)
    assert torch.allclose(y[..., -2:, :], torch.full((2, 32), -1.0, dtype=y.dtype))


def test_magnifying_twice_is_bilinear_enlargement_of_the_middle() -> None:
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64)
    setting = Augmentation(flip=False, rotation_degrees=0, zoom=1.0)
    y = apply(Batch(images=x), params([False], [0.0], zoom=np.log(2)), augmentation=setting).images
    larger = F.interpolate(x[..., 8:24, 8:24], scale_factor=2, mode="bilinear")
    assert torch.allclose(y[..., 1:-1, 1:-1], larger[..., 1:-1, 1:-1], atol=1e-9)


def test_only_a_share_is_moved_and_all_that_was_done_is_told() -> None:
    setting = Augmentation(flip=False, rotation_degrees=10, zoom=0.1, shift=0.05, share=0.3)
    rng = torch.Generator().manual_seed(0)
    drawn = sample_params(setting, count=10_000, rng=rng)
    assert abs((drawn["angle"] != 0).float().mean().item() - 0.3) < 0.02
    x = torch.rand(10_000, 1, 4, 4)
    seen = apply(Batch(images=x), drawn, augmentation=setting)
    assert seen.augmented is not None
    still = drawn["angle"] == 0
    assert not seen.augmented[still].any()
    assert torch.allclose(seen.images[still], x[still], atol=1e-5)
    assert torch.allclose(seen.augmented[:, 1] * 10, drawn["angle"])
    assert seen.augmented.abs().max() <= 1


def test_shares_and_stacks_of_labels_move_with_the_image() -> None:
    labels = torch.randint(0, 3, (2, 5, 32, 32), dtype=torch.uint8)
    shares = F.one_hot(labels[:, 2].long(), 3).movedim(-1, 1).float()
    batch = Batch(images=shares[:, 1:2] * 2 - 1, labels=labels, shares=shares)
    setting = Augmentation(rotation_degrees=90)
    seen = apply(batch, params([True, False], [90.0, 0.0]), augmentation=setting)
    assert seen.shares is not None
    assert torch.allclose(seen.shares.sum(1), torch.ones(2, 32, 32), atol=1e-5)
    assert torch.allclose(seen.images[:, 0], seen.shares[:, 1] * 2 - 1, atol=1e-4)
    assert seen.labels is not None
    assert seen.labels.shape == labels.shape
    assert torch.equal(seen.labels[:, 2], seen.shares.argmax(1).to(torch.uint8))
