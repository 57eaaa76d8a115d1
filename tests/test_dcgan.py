"""DCGAN: published parameter counts, shapes, and one training step against its definition."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.dcgan import DCGAN
from fetalsynth.generators.settings import DCGANSettings
from fetalsynth.training.recipe import load_recipe, recipe_names


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def small(**changes: object) -> DCGANSettings:
    raw = {"size": 32, "latents": 8, "generator_width": 8, "discriminator_width": 8, **changes}
    return DCGANSettings.model_validate(raw)


def test_parameter_counts_are_the_published_ones() -> None:
    # PyTorch's DCGAN tutorial prints its networks; these counts follow from its layer list.
    rgb = DCGAN(DCGANSettings(channels=3))
    assert count(rgb.generator) == 3_576_704
    assert count(rgb.discriminator) == 2_765_568
    grey = DCGAN(DCGANSettings())
    assert round(count(grey.generator) / 1e6, 2) == 3.57
    assert round(count(grey.discriminator) / 1e6, 2) == 2.76
    with torch.device("meta"):
        authors = DCGAN(load_recipe("dcgan128-authors").generator)
        giant = DCGAN(
            DCGANSettings(size=256, latents=256, generator_width=256, discriminator_width=256)
        )
    assert round(count(authors.generator) / 1e6, 1) == 48.8
    assert round(count(authors.discriminator) / 1e6, 1) == 44.6
    assert round(count(giant.generator) / 1e6) == 749
    assert round(count(giant.discriminator) / 1e6) == 715


@pytest.mark.parametrize("size", [32, 64, 128, 256, 512])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_and_colour(size: int, channels: int) -> None:
    settings = small(size=size, channels=channels, generator_width=2, discriminator_width=2)
    gan = DCGAN(settings)
    images = gan.generator(gan.latents(2, torch.Generator().manual_seed(0)))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert gan.discriminator(images).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("size", [16, 48, 100, 1024])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValidationError, match="size"):
        DCGANSettings(size=size)


def test_initial_weights_have_radfords_spread() -> None:
    gan = DCGAN(DCGANSettings())
    gan.initialise(torch.Generator().manual_seed(0))
    weight = gan.generator[3].weight
    assert abs(weight.std().item() - 0.02) < 1e-4
    assert abs(gan.generator[1].weight.mean().item() - 1.0) < 0.005


def test_step_is_the_textbook_step() -> None:
    """Against a plain transcription of Radford's two updates, with Adam written by torch."""
    settings = small(real_label=0.9, generator_target=0.95)
    ours, plain = DCGAN(settings), DCGAN(settings)
    for gan in (ours, plain):
        gan.initialise(torch.Generator().manual_seed(3))
    optimizers = ours.optimizers()
    adam = {
        name: torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=False)
        for name, network in plain.networks().items()
    }
    rng = torch.Generator().manual_seed(1)
    for _ in range(3):
        real = torch.rand(6, 1, 32, 32, generator=rng) * 2 - 1
        z = ours.latents(6, rng)
        losses = ours.step(
            Batch(images=real),
            z,
            optimizers=optimizers,
            precision=nullcontext,
            average_gradients=lambda p: None,
        )

        fake = plain.generator(z)
        p_real, p_fake = (torch.sigmoid(plain.discriminator(x)) for x in (real, fake.detach()))
        loss_d = F.binary_cross_entropy(p_real, torch.full_like(p_real, 0.9))
        loss_d = loss_d + F.binary_cross_entropy(p_fake, torch.zeros_like(p_fake))
        plain.discriminator.zero_grad()
        loss_d.backward()
        adam["discriminator"].step()
        p_fooled = torch.sigmoid(plain.discriminator(fake))
        loss_g = F.binary_cross_entropy(p_fooled, torch.full_like(p_fooled, 0.95))
        plain.generator.zero_grad()
        loss_g.backward()
        adam["generator"].step()

        assert losses["loss_discriminator"].item() == pytest.approx(loss_d.item(), rel=1e-4)
        assert losses["loss_generator"].item() == pytest.approx(loss_g.item(), rel=1e-4)
        assert losses["accuracy_real"].item() == pytest.approx((p_real > 0.5).float().mean().item())
    for a, b in zip(ours.generator.parameters(), plain.generator.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-5)


def test_accuracy_on_real_counts_hard_decisions_despite_label_smoothing() -> None:
    """Logits of 0.5 lie below the smoothed target's, log(0.9 / 0.1), and are right all the same."""

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            return 0.5 * self.scale * x.mean((1, 2, 3), keepdim=True)

    gan = DCGAN(small(real_label=0.9, discriminator_learning_rate=0.01))
    gan.initialise(torch.Generator().manual_seed(0))
    gan.discriminator = Half()
    losses = gan.step(
        Batch(images=torch.ones(8, 1, 32, 32)),
        gan.latents(8, torch.Generator().manual_seed(1)),
        optimizers=gan.optimizers(),
        precision=nullcontext,
        average_gradients=lambda p: None,
    )
    assert losses["accuracy_real"].item() == 1.0


def test_discriminator_is_frozen_while_the_generator_learns() -> None:
    gan = DCGAN(small())
    gan.initialise(torch.Generator().manual_seed(0))
    frozen: list[bool] = []
    networks: list[set[int]] = []

    def spy(parameters: object) -> None:
        listed = list(parameters)  # type: ignore[call-overload]
        networks.append({id(p) for p in listed})
        frozen.append(all(not p.requires_grad for p in gan.discriminator.parameters()))

    gan.step(
        Batch(images=torch.zeros(4, 1, 32, 32)),
        gan.latents(4, torch.Generator()),
        optimizers=gan.optimizers(),
        precision=nullcontext,
        average_gradients=spy,
    )
    assert networks == [
        {id(p) for p in gan.discriminator.parameters()},
        {id(p) for p in gan.generator.parameters()},
    ]
    assert frozen == [False, True]


def test_calibration_sets_the_exact_statistics_of_the_latents() -> None:
    gan = DCGAN(small())
    gan.initialise(torch.Generator().manual_seed(0))
    latents = gan.latents(128, torch.Generator().manual_seed(1))
    gan.calibrate(gan.generator, latents, chunk=32)
    first, norm = gan.generator[0], gan.generator[1]
    expected = first(latents).mean(dim=(0, 2, 3))
    assert torch.allclose(norm.running_mean, expected, atol=1e-5)
    assert norm.momentum == 0.1


def test_shipped_recipes_are_sound_and_carry_the_papers_hyperparameters() -> None:
    assert {"dcgan128", "dcgan128-authors", "dcgan256", "dcgan64"} <= set(recipe_names())
    assert all(load_recipe(name).name == name for name in recipe_names())
    for name in ("dcgan64", "dcgan128", "dcgan256"):
        recipe = load_recipe(name)
        g = recipe.generator
        assert g.size == int(name.removeprefix("dcgan"))
        assert (g.generator_learning_rate, g.discriminator_learning_rate) == (2e-4, 2e-4)
        assert (g.beta1, g.beta2, g.real_label) == (0.5, 0.999, 1.0)
        assert recipe.augmentation.fill == "black"
        assert recipe.augmentation.flip
        assert recipe.augmentation.rotation_degrees > 0
    authors = load_recipe("dcgan128-authors")
    assert authors.augmentation.fill == "grey"
    assert (authors.batch_size, authors.images, authors.epochs) == (10, 100, 1000)
    assert authors.kept_epochs() == [300, 500, 800, 1000]
