"""The segmentation network: shapes, loss in closed form, and a task with a known answer."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.settings import UNetSettings, parse_settings
from fetalsynth.generators.unet import Segmenter, rarity, segment, soft_dice


def discs(count: int, seed: int) -> Batch:
    """Noisy slices of a disc of label 2 within a ring of label 1, at random places."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    labels = np.zeros((count, 32, 32), np.uint8)
    for k in range(count):
        radius = np.hypot(y - rng.uniform(12, 20), x - rng.uniform(12, 20))
        labels[k][radius < 10] = 1
        labels[k][radius < 5] = 2
    images = np.array([-1.0, 0.6, -0.2])[labels] + 0.15 * rng.standard_normal(labels.shape)
    return Batch(
        images=torch.from_numpy(images).float()[:, None],
        labels=torch.from_numpy(labels),
        planes=torch.from_numpy(rng.integers(0, 3, count)),
    )


def made(**changed: object) -> Segmenter:
    settings = {"size": 32, "labels": 3, "width": 4, "levels": 2, "learning_rate": 1e-2}
    family = Segmenter(UNetSettings(**{**settings, **changed}))  # type: ignore[arg-type]
    family.initialise(torch.Generator().manual_seed(0))
    return family


@pytest.mark.parametrize(("channels", "levels", "told"), [(1, 2, False), (3, 4, True)])
def test_any_channels_and_depth(channels: int, levels: int, told: bool) -> None:
    family = made(channels=channels, levels=levels, plane_condition=told, labels=8)
    images = torch.zeros(2, channels, 32, 32)
    assert family.generator(images, torch.tensor([0, 2])).shape == (2, 8, 32, 32)
    if told:
        with pytest.raises(ValueError, match="plane"):
            family.generator(images)


def test_soft_dice_in_closed_form() -> None:
    """Of label 1 four of six voxels are found, of label 2 half the probability everywhere."""
    target = torch.tensor([[[1, 1, 1, 1, 1, 1, 2, 2]]])
    p = torch.zeros(1, 4, 1, 8)
    p[0, 1, 0, :4] = 1
    p[0, 2, 0, 6:] = 0.5
    p[0, 0] = 1 - p[0, 1:].sum(0)
    expected = (2 * 4 / (4 + 6) + 2 * 1 / (1 + 2)) / 2
    assert float(soft_dice(p, target)) == pytest.approx(expected, abs=1e-4)
    assert float(soft_dice(p, torch.zeros_like(target))) == 1


def test_rare_labels_weigh_by_the_root_of_their_count() -> None:
    target = torch.tensor([[0] * 100 + [1] * 25 + [3] * 4])
    weights = rarity(target, 4)
    assert weights.tolist() == pytest.approx([4 * w / 0.8 for w in (0.1, 0.2, 0, 0.5)])


def test_it_learns_discs_and_previews_them() -> None:
    family, test = made(), discs(16, 99)
    optimizers = family.optimizers()
    for step in range(60):
        family.step(
            discs(8, step),
            family.latents(8, torch.Generator()),
            optimizers=optimizers,
            precision=nullcontext,
            average_gradients=lambda parameters: None,
        )
    assert test.labels is not None
    found = segment(family.generator, test.images).argmax(1)
    for label in (1, 2):
        a, b = found == label, test.labels == label
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in family.generator.parameters())
    shown = family.preview(family.generator, torch.empty(16, 0), test)
    assert torch.equal(shown[2::3, 0], found.float() - 1)
    assert torch.equal(shown[::3], test.images)
    alone = segment(family.generator, test.images[3:4])
    assert torch.allclose(alone, segment(family.generator, test.images)[3:4], atol=1e-5)


def test_it_says_what_it_cannot_do() -> None:
    family = made()
    with pytest.raises(TypeError, match="no images"):
        family.sample(family.generator, torch.empty(1, 0))
    with pytest.raises(ValueError, match="learns from labels"):
        family.step(
            Batch(images=torch.zeros(1, 1, 32, 32)),
            torch.empty(1, 0),
            optimizers=family.optimizers(),
            precision=nullcontext,
            average_gradients=lambda parameters: None,
        )
    for size, levels in ((36, 3), (32, 5)):
        with pytest.raises(ValueError, match="multiple"):
            parse_settings({"family": "unet", "size": size, "levels": levels})
