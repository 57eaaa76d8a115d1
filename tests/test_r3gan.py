"""R3GAN-lite: losses and penalties against closed forms, augmentation, training and resuming."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from fetalsynth.artifacts.building import STATE
from fetalsynth.artifacts.model import read_statistics, read_weights, snapshot_path
from fetalsynth.cli.main import main
from fetalsynth.datasets.loading import load_images
from fetalsynth.errors import UserError
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.r3gan import augmentation, losses
from fetalsynth.generators.r3gan.family import EXTRA, R3GAN
from fetalsynth.generators.r3gan.networks import Block, enlarge, halve
from fetalsynth.generators.settings import R3GANSettings
from fetalsynth.training.average import MovingAverage
from fetalsynth.training.data import ResidentImages
from fetalsynth.training.device import autocast
from fetalsynth.training.distributed import Team
from fetalsynth.training.loop import Options, train
from fetalsynth.training.recipe import Recipe, load_recipe, parse_recipe

SMALL = {"size": 32, "latents": 8, "generator_width": 4, "discriminator_width": 4, "max_width": 16}
STILL = {"augmented": 0.0}
ALWAYS = {"augmented": 1.0, "brightness": 0.5, "contrast": 0.5}
NOTHING = {"brightness": 0.0, "contrast": 0.0, "translation": 0.0, "cutout": 0.0}
TINY = {
    "name": "tiny",
    "generator": {"family": "r3gan", **SMALL},
    "epochs": 4,
    "batch_size": 16,
    "snapshots": [2],
    "log_every_images": 50,
    "previews": 2,
    "average_half_life_images": 100,
}


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    torch.manual_seed(0)


def small(**changes: object) -> R3GANSettings:
    return R3GANSettings.model_validate({**SMALL, **changes})


def made(settings: R3GANSettings, *, seed: int = 0) -> R3GAN:
    gan = R3GAN(settings)
    gan.initialise(torch.Generator().manual_seed(seed))
    return gan


def woken(gan: R3GAN, *, scale: float = 0.3) -> R3GAN:
    """With blocks that do something, as after some training."""
    rng = torch.Generator().manual_seed(7)
    for network in gan.networks().values():
        for module in network.modules():
            if isinstance(module, Block):
                nn.init.normal_(module.leave.weight, 0.0, scale, generator=rng)
    return gan


def step(gan: R3GAN, images: Tensor, latents: Tensor, **more: object) -> dict[str, Tensor]:
    options = {"optimizers": gan.optimizers(), "precision": nullcontext, **more}
    return gan.step(Batch(images=images), latents, average_gradients=lambda p: None, **options)  # type: ignore[arg-type]


# networks


@pytest.mark.parametrize("size", [32, 64, 128, 256, 512])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_and_colour(size: int, channels: int) -> None:
    settings = small(size=size, channels=channels, generator_width=2, discriminator_width=3)
    gan = made(settings)
    latents = gan.latents(2, torch.Generator().manual_seed(0))
    assert latents.shape == (2, 8 + EXTRA)
    images = gan.sample(gan.generator, latents)
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert gan.discriminator(images).shape == (2,)
    assert settings.widths(2)[-1] == 2
    assert settings.widths(2)[0] == min(16, size // 2)


def test_widths_double_up_to_the_most_and_count_the_weights() -> None:
    settings = R3GANSettings()
    assert settings.widths(16) == [256, 128, 64, 32, 16]

    def blocks(w: int) -> int:
        return w * w + w + 9 * w * w + w + w * w

    gan, widths = R3GAN(settings), [256, 128, 64, 32, 16]
    changes = sum(a * b for a, b in pairwise(widths))
    shared = sum(map(blocks, widths)) + changes
    count = {n: sum(p.numel() for p in net.parameters()) for n, net in gan.networks().items()}
    assert count["generator"] == shared + 64 * 256 + 256 * 16 + 16 + 1
    assert count["discriminator"] == shared + 2 * 16 + 256 * 16 + 256


def test_published_blocks_are_a_setting() -> None:
    gan = R3GAN(R3GANSettings(blocks=2, expansion=2, group_width=16))
    blocks = [m for m in gan.generator.modules() if isinstance(m, Block)]
    assert len(blocks) == 10
    assert blocks[0].spatial.groups == 512 // 16
    assert blocks[0].spatial.weight.shape == (512, 16, 3, 3)
    assert gan.discriminator(torch.zeros(1, 1, 64, 64)).shape == (1,)


def test_blocks_begin_as_nothing_and_the_way_beside_them_keeps_the_variance() -> None:
    gan = made(R3GANSettings())
    x = torch.randn(2, 32, 8, 8)
    blocks = {
        block.enter.in_channels: block
        for block in gan.discriminator.modules()
        if isinstance(block, Block)
    }
    assert torch.equal(blocks[32](x), x)
    fan = blocks[256].spatial.weight[0].numel()
    expected = math.sqrt(2 / (1 + 0.2**2) / fan) * 5**-0.25
    assert blocks[256].spatial.weight.std().item() == pytest.approx(expected, rel=0.01)
    z = gan.latents(256, torch.Generator().manual_seed(1))
    assert gan.generator(z[:, :64]).std().item() == pytest.approx(0.3, rel=0.4)


def test_resampling_is_smoothed_by_1_2_1_and_one_is_the_others_transpose() -> None:
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    one = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    kernel = torch.outer(one, one).expand(3, 1, 3, 3)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    smooth = F.conv2d(padded, kernel, groups=3)
    assert torch.allclose(halve(x)[..., 1:-1, 1:-1], F.avg_pool2d(smooth, 2)[..., 1:-1, 1:-1])
    doubled = F.pad(
        F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="replicate"
    )
    assert torch.allclose(enlarge(x), F.conv2d(doubled, kernel, groups=3))
    y = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert torch.allclose((halve(x) * y).sum(), (x * enlarge(y)).sum() / 4)
    assert torch.allclose(halve(torch.ones_like(x)), torch.ones_like(y))
    for function in (enlarge, halve):
        again = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(lambda x, f=function: f(x).square(), again)


# losses and penalties


def test_losses_are_those_of_the_paper() -> None:
    real, synthetic = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])
    gaps = [1.5, -4.0]
    expected = sum(math.log1p(math.exp(-gap)) for gap in gaps) / 2
    assert losses.discriminator_loss(real, synthetic).item() == pytest.approx(expected, rel=1e-6)
    swapped = sum(math.log1p(math.exp(gap)) for gap in gaps) / 2
    assert losses.generator_loss(real, synthetic).item() == pytest.approx(swapped, rel=1e-6)
    assert losses.generator_loss(real, real).item() == pytest.approx(math.log(2), rel=1e-6)


def quadratic(seed: int = 0) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor]:
    """D(x) = gᵀx + ½ xᵀHx on images of 2 × 2, in float64."""
    rng = torch.Generator().manual_seed(seed)
    g = torch.randn(4, generator=rng, dtype=torch.float64)
    h = torch.randn(4, 4, generator=rng, dtype=torch.float64)
    h = h + h.T

    def discriminator(images: Tensor) -> Tensor:
        x = images.flatten(1)
        return x @ g + 0.5 * ((x @ h) * x).sum(1)

    return discriminator, g, h


def test_exact_penalty_of_a_quadratic_discriminator() -> None:
    discriminator, g, h = quadratic()
    x = torch.randn(5, 1, 2, 2, dtype=torch.float64)
    logits, penalty = losses.exact_penalty(discriminator, x)
    assert torch.equal(logits, discriminator(x))
    assert torch.allclose(penalty, (g + x.flatten(1) @ h).square().sum(1))


def all_signs() -> Tensor:
    return torch.tensor(list(product([-1.0, 1.0], repeat=4)), dtype=torch.float64).view(-1, 1, 2, 2)


def test_difference_penalty_has_the_exact_one_as_its_expectation() -> None:
    """Over all 16 patterns of signs: ‖∇D‖² + σ² / 4 · E[(sᵀHs)²], to the last digit."""
    discriminator, _, h = quadratic()
    x = torch.randn(1, 1, 2, 2, dtype=torch.float64)
    signs = all_signs()
    s = signs.flatten(1)
    curvature = ((s @ h) * s).sum(1).square().mean()
    _, exact = losses.exact_penalty(discriminator, x)
    for distance in (0.5, 0.05, 0.005):
        _, each = losses.difference_penalty(
            discriminator, x.expand(16, -1, -1, -1), signs, distance=distance
        )
        wanted = exact + distance**2 / 4 * curvature
        assert each.mean().item() == pytest.approx(wanted.item(), rel=1e-9)


def test_difference_penalty_converges_to_the_exact_one_with_its_distance() -> None:
    discriminator = woken(made(small())).discriminator.double()
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64) * 2 - 1
    _, exact = losses.exact_penalty(discriminator, x)
    images = x.expand(64, -1, -1, -1)
    signs = losses.random_signs(torch.arange(64), (1, 32, 32))[:, 0]
    (gradient,) = torch.autograd.grad(discriminator(y := x.clone().requires_grad_()).sum(), y)
    first_order = (signs * gradient).sum((1, 2, 3)).square()
    assert first_order.mean().item() == pytest.approx(exact.item(), rel=4 * math.sqrt(2 / 64))
    errors = []
    for distance in (1e-1, 1e-2, 1e-3, 1e-4):
        _, each = losses.difference_penalty(discriminator, images, signs, distance=distance)
        errors.append(((each - first_order).abs().mean() / exact).item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 50


def test_gradient_of_the_difference_penalty_is_unbiased_even_in_bfloat16() -> None:
    gan = woken(made(small()))
    x = torch.rand(4, 1, 32, 32) * 2 - 1
    weights = list(gan.discriminator.parameters())

    def flat(penalty: Tensor) -> Tensor:
        found = torch.autograd.grad(penalty.mean(), weights, allow_unused=True)
        return torch.cat([g.flatten() for g in found if g is not None])

    exact = flat(losses.exact_penalty(gan.discriminator, x)[1])
    precision = autocast("bfloat16", torch.device("cpu"))
    found = torch.zeros_like(exact)
    for k in range(100):
        signs = losses.random_signs(torch.arange(4) + 4 * k, (1, 32, 32))[:, 0]
        with precision():
            penalty = losses.difference_penalty(gan.discriminator, x, signs, distance=0.05)[1]
        found += flat(penalty) / 100
    # what 100 draws leave of the noise is spread over all weights, little of it along ``exact``
    assert (found @ exact / exact.square().sum()).item() == pytest.approx(1, abs=0.2)


def test_signs_are_even_uncorrelated_and_those_of_their_image() -> None:
    seeds = torch.tensor([3, -5, 2**31 - 1, -(2**31)], dtype=torch.int32)
    signs = losses.random_signs(seeds, (3, 32, 32))
    assert signs.shape == (4, 2, 3, 32, 32)
    assert torch.equal(signs.abs(), torch.ones_like(signs))
    rows = signs.reshape(8, -1)
    products = rows @ rows.T / rows.shape[1]
    assert (products - torch.eye(8)).abs().max() < 5 / math.sqrt(rows.shape[1])
    for row in rows.reshape(8, -1, 32):
        assert abs((row[:, 1:] * row[:, :-1]).mean().item()) < 5 / math.sqrt(row.numel())
    assert torch.equal(losses.random_signs(seeds[2:3], (3, 32, 32))[0], signs[2])


# augmentation


def drawn(count: int, settings: R3GANSettings, *, seed: int = 0) -> dict[str, Tensor]:
    uniforms = torch.rand(
        count, augmentation.NUMBERS, generator=torch.Generator().manual_seed(seed)
    )
    return augmentation.sample_params(uniforms, settings=settings)


def test_augmentation_of_no_strength_leaves_everything_in_place() -> None:
    x = torch.randn(8, 3, 32, 32)
    for none in (STILL, {**ALWAYS, **NOTHING}):
        assert torch.equal(augmentation.apply(x, drawn(8, small(**none))), x)


def test_same_params_give_the_same_images_and_others_do_not() -> None:
    x = torch.rand(8, 1, 32, 32) * 2 - 1
    settings = small(**ALWAYS)
    once, again = (augmentation.apply(x, drawn(8, settings)) for _ in range(2))
    assert torch.equal(once, again)
    other = augmentation.apply(x, drawn(8, settings, seed=1))
    assert all(not torch.equal(a, b) for a, b in zip(once, other, strict=True))


def test_translation_moves_whole_pixels_and_brings_black_into_view() -> None:
    x = torch.arange(32.0 * 32).view(1, 1, 32, 32)
    params = drawn(1, small(**STILL))
    params |= {"down": torch.tensor([3]), "across": torch.tensor([-2])}
    seen = augmentation.apply(x, params)
    assert torch.equal(seen[..., 3:, :-2], x[..., :-3, 2:])
    assert (seen[..., :3, :] == -1).all()
    assert (seen[..., -2:] == -1).all()
    reach = drawn(2000, small(**ALWAYS))
    for name in ("down", "across"):
        assert reach[name].unique().tolist() == list(range(-4, 5))


def test_cutout_brightness_and_contrast_are_as_told() -> None:
    x = torch.rand(300, 1, 32, 32) + 2
    params = drawn(300, small(**ALWAYS | NOTHING | {"cutout": 0.5}))
    cut = augmentation.apply(x, params) == -1
    areas = cut.sum((1, 2, 3))
    assert areas.max() == 16 * 16
    assert areas.min() >= 8 * 8
    assert cut.any(0).all()
    bright = augmentation.apply(x, drawn(300, small(**ALWAYS | NOTHING | {"brightness": 0.5}))) - x
    assert bright.std((1, 2, 3)).max() < 1e-5
    means = bright.mean((1, 2, 3))
    assert -0.5 <= means.min() < -0.45
    assert 0.45 < means.max() <= 0.5
    contrast = augmentation.apply(x, drawn(300, small(**ALWAYS | NOTHING | {"contrast": 0.5})))
    assert torch.allclose(contrast.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-5)
    factors = contrast.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.5 <= factors.min() < 0.55
    assert 1.45 < factors.max() <= 1.5


def test_augmentation_is_differentiable() -> None:
    settings = small(**ALWAYS, translation=0.25, cutout=0.3)
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    params = {
        name: value.double() if value.is_floating_point() else value.clamp(-2, 3)
        for name, value in drawn(2, settings).items()
    }
    assert torch.autograd.gradcheck(lambda x: augmentation.apply(x, params), x)
    assert torch.autograd.gradgradcheck(lambda x: augmentation.apply(x, params).square(), x)


def test_a_share_of_the_images_is_augmented_and_the_others_stay() -> None:
    x = torch.rand(2000, 1, 32, 32)
    seen = augmentation.apply(x, drawn(2000, small(augmented=0.4)))
    changed = (seen != x).flatten(1).any(1).float().mean()
    assert changed.item() == pytest.approx(0.4, abs=0.04)


# a step


@pytest.mark.parametrize("penalty", ["exact", "difference"])
def test_step_is_the_papers_step(penalty: str) -> None:
    """Against a plain transcription: no batches joined, nothing frozen, Adam written by torch."""
    settings = small(**STILL, penalty=penalty, gamma=3.0)
    ours, plain = woken(made(settings)), woken(made(settings))
    optimizers = ours.optimizers()
    adam = {
        name: torch.optim.Adam(net.parameters(), lr=5e-4, betas=(0.0, 0.99), fused=False)
        for name, net in plain.networks().items()
    }
    rng = torch.Generator().manual_seed(1)
    for _ in range(2):
        real = torch.rand(6, 1, 32, 32, generator=rng) * 2 - 1
        z = ours.latents(6, rng)
        found = step(ours, real, z, optimizers=optimizers)

        fake = plain.generator(z[:, :8])
        d = plain.discriminator
        signs = losses.random_signs(z[:, -1].contiguous().view(torch.int32), (1, 32, 32))
        sizes = []
        for images, sign in ((real, signs[:, 0]), (fake.detach(), signs[:, 1])):
            x = images.clone().requires_grad_()
            (g,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
            beside = (d(x) - d(x + 0.05 * sign)).square() / 0.05**2
            sizes.append((g.square().sum((1, 2, 3)) if penalty == "exact" else beside).mean())
        on_real, on_fake = d(real), d(fake.detach())
        adversarial = F.softplus(-(on_real - on_fake)).mean()
        d.zero_grad()
        (adversarial + 1.5 * (sizes[0] + sizes[1])).backward()
        adam["discriminator"].step()
        loss = F.softplus(-(d(fake) - d(real))).mean()
        plain.generator.zero_grad()
        loss.backward()
        adam["generator"].step()

        wanted = {
            "loss_discriminator": adversarial,
            "loss_generator": loss,
            "penalty_real": sizes[0],
            "penalty_synthetic": sizes[1],
            "gap": (d_before := on_real - on_fake).mean(),
            "accuracy": (d_before > 0).float().mean(),
        }
        for name, value in wanted.items():
            assert found[name].item() == pytest.approx(value.item(), rel=1e-3), name


def test_discriminator_is_frozen_while_the_generator_learns_and_sees_augmented_images() -> None:
    gan = made(small(**ALWAYS))
    frozen: list[bool] = []
    seen: list[Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    batch = Batch(images=torch.ones(4, 1, 32, 32))
    gan.step(
        batch,
        gan.latents(4, torch.Generator().manual_seed(0)),
        optimizers=gan.optimizers(),
        precision=nullcontext,
        average_gradients=lambda p: frozen.append(
            not next(gan.discriminator.parameters()).requires_grad
        ),
    )
    assert frozen == [False, True]
    assert [len(images) for images in seen] == [16, 4, 4]
    in_first, in_second = seen[0][:8], torch.cat(seen[1:])
    assert torch.equal(in_first, in_second)
    assert not torch.equal(in_first[0], in_first[1])


def test_an_image_gets_the_same_augmentation_and_signs_in_any_batch() -> None:
    gan = made(small(**ALWAYS))
    z = gan.latents(8, torch.Generator().manual_seed(0))
    real = torch.rand(8, 1, 32, 32) * 2 - 1
    whole = gan._seen(real, real, z)
    half = gan._seen(real[::2], real[::2], z[::2])
    assert all(torch.equal(a[::2], b) for a, b in zip(whole, half, strict=True))
    assert not torch.equal(*whole)


def test_both_modes_of_a_toy_set_are_learnt() -> None:
    """Bright halves, the upper one or the left one: most samples are near one, many near each."""
    half = torch.full((32, 32), -0.7)
    upper, left = half.clone(), half.clone()
    upper[:16], left[:, :16] = 0.7, 0.7
    modes = torch.stack([upper, left])[:, None]
    gan = made(small(**STILL, latents=4, gamma=0.1, learning_rate=2e-3))
    average = MovingAverage(gan.generator, half_life_images=300)
    optimizers = gan.optimizers()
    rng = torch.Generator().manual_seed(2)
    for k in range(150):
        which = torch.randint(0, 2, (16,), generator=rng)
        real = modes[which] + 0.05 * torch.randn(16, 1, 32, 32, generator=rng)
        found = step(gan, real, gan.latents(16, rng), optimizers=optimizers)
        average.update(gan.generator, images_seen=16 * (k + 1), batch_size=16)
    assert gan.warning({name: float(value) for name, value in found.items()}) is None
    images = gan.sample(average.module, gan.latents(256, rng))
    distances = (images - modes[:, 0]).square().mean((2, 3)).sqrt()
    near = distances < 0.45 * (upper - left).square().mean().sqrt()  # what lies between is at 0.5
    shares = near.float().mean(0)
    assert shares.sum() > 0.6
    assert shares.min() > 0.2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"diversity": 0.1}, "the generator has collapsed"),
        ({"accuracy": 0.999, "loss_generator": 6.0}, "the discriminator has won"),
        ({"accuracy": 0.5}, "the generator has won"),
    ],
)
def test_warning_says_who_has_won(changes: dict[str, float], words: str | None) -> None:
    means = {"accuracy": 0.8, "loss_generator": 1.5, "diversity": 0.9, **changes}
    said = R3GAN(small()).warning(means)
    assert said is None if words is None else words in (said or "")


# through the loop and the command line


def recipe_of(**changes: object) -> Recipe:
    recipe = parse_recipe({**TINY, **changes}, where="test")
    assert isinstance(recipe, Recipe)
    return recipe


class Interrupt:
    """A callback that stops the run at its n-th log step, as Ctrl-C would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, row: dict[str, float]) -> None:
        import os
        import signal

        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("generator", [{}, {"penalty": "exact"}])
def test_resumed_run_is_bitwise_the_uninterrupted_one(
    tmp_path: Path, generator: dict[str, object]
) -> None:
    recipe = recipe_of(generator={**TINY["generator"], **generator})  # type: ignore[dict-item]
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), dtype=np.uint8)

    def run(name: str, **options: object) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        train(
            recipe=recipe,
            data=ResidentImages(pixels, device=torch.device("cpu")),
            seed=5,
            folder=tmp_path / name,
            state=tmp_path / name / STATE,
            options=Options(threads=1, **options),  # type: ignore[arg-type]
            team=Team(),
        )

    run("whole")
    for stops in (1, 1):
        with pytest.raises(KeyboardInterrupt):
            run("parts", callbacks=(Interrupt(stops),))
    run("parts")
    for epoch, averaged in product((2, 4), (False, True)):
        paths = [
            snapshot_path(tmp_path / n, epoch=epoch, averaged=averaged) for n in ("whole", "parts")
        ]
        whole, parts = map(read_weights, paths)
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[name], parts[name]) for name in whole)
    timing = {"seconds", "images_per_second"}
    logs = [
        [{k: v for k, v in row.items() if k not in timing} for row in read_statistics(path)]
        for path in (tmp_path / "whole/stats.jsonl", tmp_path / "parts/stats.jsonl")
    ]
    assert logs[0] == logs[1]
    told = {"loss_discriminator", "loss_generator", "penalty_real", "penalty_synthetic"}
    assert told | {"accuracy", "gap", "diversity"} <= logs[0][0].keys()


def test_trained_and_generated_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for k, image in enumerate(np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)):
        Image.fromarray(image).save(tmp_path / "data" / f"{k:02d}.png")
    (tmp_path / "tiny.yaml").write_text(json.dumps(TINY))
    words = [
        "train",
        str(tmp_path / "tiny.yaml"),
        "--data",
        str(tmp_path / "data"),
        "--threads",
        "1",
    ]
    more = ["--generator.channels", "3", "--epochs", "2", "--out", str(tmp_path / "model")]
    assert main([*words, *more]) == 0
    assert (tmp_path / "model" / "previews" / "epoch-0002.png").is_file()
    for n in (3, 20):
        out = str(tmp_path / str(n))
        assert main(["generate", str(tmp_path / "model"), "--n", str(n), "--out", out]) == 0
    few, many = (load_images(tmp_path / str(n), role="made").pixels for n in (3, 20))
    assert many.shape == (20, 32, 32, 3)
    assert np.array_equal(few, many[:3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 48}, "size must be a power of two from 32 to 512, not 48"),
        ({"penalty": "none"}, "generator.penalty: Input should be 'difference' or 'exact'"),
        ({"group_width": 3}, "group_width 3 does not divide the 256 channels of the 3 × 3"),
        ({"gama": 3}, "generator.gama is no setting (did you mean gamma?)"),
        ({"beta1": 1.0}, "generator.beta1"),
    ],
)
def test_bad_settings_are_explained(change: dict[str, object], message: str) -> None:
    raw = {**TINY, "generator": {"family": "r3gan", **change}}
    with pytest.raises(UserError) as error:
        parse_recipe(raw, where="mine.yaml")
    assert message in str(error.value)


@pytest.mark.parametrize("size", [16, 100, 1024])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValidationError, match="size"):
        R3GANSettings(size=size)


def test_shipped_recipes_stand_for_their_sizes() -> None:
    for size in (64, 128, 256):
        recipe = load_recipe(f"r3gan{size}")
        assert isinstance(recipe.generator, R3GANSettings)
        assert recipe.generator.size == size
        assert recipe.augmentation.fill == "black"
