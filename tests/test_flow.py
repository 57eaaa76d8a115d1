"""Flow matching: closed forms of the path, the sampler, the optimizer; what the network is told."""

from __future__ import annotations

import math
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.flow import path
from fetalsynth.generators.flow.conditions import condition_of, told_size
from fetalsynth.generators.flow.family import EXTRA, Flow
from fetalsynth.generators.flow.muon import Muon, orthogonalised
from fetalsynth.generators.flow.sampling import Sampling, integrate, schedule
from fetalsynth.generators.settings import FlowSettings
from fetalsynth.randomness import torch_rng

TINY = {"size": 16, "widths": (16, 32), "patch": 2}


def built(**settings: object) -> Flow:
    flow = Flow(FlowSettings.model_validate({**TINY, **settings}))
    flow.initialise(torch_rng(seed=0, stream="test"))
    return flow


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_velocity_of_the_true_image_is_that_of_the_straight_path() -> None:
    x, e = normal(4, 1, 8, 8), normal(4, 1, 8, 8, seed=1)
    time = torch.tensor([0.1, 0.5, 0.9, 1.0], dtype=torch.float64)
    at = path.point(x, e, time)
    assert torch.allclose(path.velocity(at, x), e - x)
    assert torch.allclose(path.errors(at, x, x), torch.zeros(4, dtype=torch.float64))
    off = path.errors(at, x + 0.3, x)
    assert torch.allclose(off, (0.3 / time) ** 2)


def test_times_are_logit_normal() -> None:
    log_noise = torch.logit(path.times(normal(100_000), mean=-0.5, sd=1.2))
    assert abs(log_noise.mean().item() + 0.5) < 0.02
    assert abs(log_noise.std().item() - 1.2) < 0.02


def test_no_correction_means_the_best_linear_guess() -> None:
    """E[x | x_t] of standard normal x and e, from the least squares of many draws."""
    x, e = normal(200_000), normal(200_000, seed=1)
    for t in (0.1, 0.5, 0.9):
        at = path.point(
            x[None, None, None], e[None, None, None], torch.tensor([t], dtype=torch.float64)
        )
        guess = path.image(at, torch.zeros_like(at.noisy), prediction="skip")
        slope = float((at.noisy * x).sum() / at.noisy.square().sum())
        assert torch.allclose(guess, slope * at.noisy, atol=0.02)


def test_input_and_target_of_the_network_have_spread_one_at_every_noise_level() -> None:
    x, e = normal(6, 1, 200, 200), normal(6, 1, 200, 200, seed=1)
    time = torch.tensor([0.01, 0.1, 0.3, 0.6, 0.9, 0.99], dtype=torch.float64)
    at = path.point(x, e, time)
    assert torch.allclose(path.scaled_input(at).std((1, 2, 3)), torch.ones(6).double(), atol=0.02)
    t = time[:, None, None, None]
    target = (t * x - (1 - t) * e) / torch.hypot(1 - t, t)
    assert torch.allclose(path.image(at, target, prediction="skip"), x)
    assert torch.allclose(target.std((1, 2, 3)), torch.ones(6).double(), atol=0.02)


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("multistep", 2), ("heun", 2)])
def test_samplers_reach_the_exact_flow_of_a_normal_distribution_at_their_order(
    sampler: str, order: int
) -> None:
    """Images N(m, s²): the flow takes noise z at time 1 to m + s z at time 0."""
    m, s = 0.7, 0.5

    def denoise(at: path.Point) -> Tensor:
        t = at.time[:, None, None, None]
        gain = s**2 * (1 - t) / ((1 - t) ** 2 * s**2 + t**2)
        return m + gain * (at.noisy - (1 - t) * m)

    z = normal(1, 1, 20, 20)
    off = []
    for steps in (40, 80, 160):
        times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        made = integrate(denoise, z, times, sampler=sampler)
        off.append((made - (m + s * z)).abs().max().item())
    assert off[2] < 0.02
    observed = [math.log2(a / b) for a, b in pairwise(off)]
    assert observed[1] == pytest.approx(order, abs=0.35)


def test_the_schedule_takes_the_quantiles_of_a_spread_normal_distribution() -> None:
    times = schedule(steps=25, mean=-0.5, sd=1.2)
    assert times[0] == 1
    assert times[-1] == 0
    assert len(times) == 26
    assert (times.diff() < 0).all()
    quantiles = norm(-0.5, 1.3 * 1.2).ppf(np.arange(24, 0, -1) / 25)
    assert torch.logit(times[1:-1]).numpy() == pytest.approx(quantiles, abs=1e-9)
    assert len(schedule(steps=1, mean=0.0, sd=1.0)) == 2


@pytest.mark.parametrize("shape", [(32, 32), (16, 96), (96, 16)])
def test_muon_brings_all_singular_values_near_one(shape: tuple[int, int]) -> None:
    rng = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=rng), full_matrices=False)
    spread = u @ torch.diag(torch.linspace(0.1, 5, min(shape))) @ v
    made = orthogonalised(spread)
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.6
    assert values.max() < 1.25
    alike = torch.nn.functional.cosine_similarity(made.ravel(), (u @ v).ravel(), 0)
    assert alike > 0.97


def test_muon_is_adam_for_what_is_no_matrix() -> None:
    ours, theirs = nn.Parameter(torch.ones(7)), nn.Parameter(torch.ones(7))
    muon = Muon([], [ours], lr=0.1, weight_decay=0.5)
    adam = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99))
    for k in range(5):
        for parameter, optimizer in ((ours, muon), (theirs, adam)):
            parameter.grad = torch.sin(parameter.detach() * (k + 1) + torch.arange(7))
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_muon_updates_a_convolution_as_a_matrix_and_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.zeros(8, 4, 3, 3)) for _ in range(2)]
    optimizers = [Muon([w], [], lr=1.0, weight_decay=0.0) for w in weights]
    first, second = torch.randn(8, 4, 3, 3), torch.randn(8, 4, 3, 3)
    for weight, optimizer in zip(weights, optimizers, strict=True):
        weight.grad = first.clone()
        optimizer.step()
    size = 0.2 * math.sqrt(36)
    values = torch.linalg.svdvals(weights[0].detach().flatten(1))
    assert values.min() > 0.6 * size
    assert values.max() < 1.3 * size
    optimizers[1].load_state_dict(optimizers[1].state_dict())
    for weight, optimizer in zip(weights, optimizers, strict=True):
        weight.grad = second.clone()
        optimizer.step()
    assert torch.equal(weights[0], weights[1])


def test_the_untrained_network_answers_nothing_and_its_loss_is_that_of_the_linear_guess() -> None:
    flow = built(image_mean=0.0, image_sd=1.0)
    images = torch.randn(64, 1, 16, 16)
    latents = flow.latents(64, torch_rng(seed=1, stream="test"))
    found = flow.held_out_loss(flow.generator, Batch(images=images), latents)
    t = path.times(latents[:, -2], mean=-0.5, sd=1.2)
    expected = 1 / (t.clamp(min=0.05) ** 2) * t**2 / ((1 - t) ** 2 + t**2)  # Var(x | x_t) / t²
    assert found.mean().item() == pytest.approx(expected.mean().item(), rel=0.05)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"channels": 3, "prediction": "image"},
        {"size": 32, "widths": (16, 16, 32), "patch": 4, "blocks": 2, "attention": False},
        {"condition": "head", "labels": 3},
        {"condition": "labels", "labels": 5, "context": 1, "plane_condition": True},
        {"augmentation_condition": False, "optimizer": "adamw", "dropout": 0.1},
    ],
)
def test_every_form_trains_and_samples(settings: dict[str, object]) -> None:
    flow = built(**settings)
    s = flow.settings
    n, size = 4, s.size
    labels = torch.randint(0, s.labels, (n, s.label_slices, size, size), dtype=torch.uint8)
    shares = torch.full((n, 3, size, size), 1 / 3)
    batch = Batch(
        images=torch.rand(n, s.channels, size, size) * 2 - 1,
        labels=labels if s.condition == "labels" else None,
        planes=torch.tensor([0, 1, 2, 0]),
        shares=shares,
        ages=torch.tensor([20.0, 30.0, math.nan, 38.0]),
        augmented=torch.rand(n, 5),
    )
    latents = flow.latents(n, torch_rng(seed=0, stream="latents"))
    before = [p.detach().clone() for p in flow.generator.parameters()]
    optimizers = flow.optimizers()
    for _ in range(5):  # what begins as nothing hides what lies before it for a few updates
        losses = flow.step(
            batch,
            latents,
            optimizers=optimizers,
            precision=nullcontext,
            average_gradients=lambda parameters: None,
        )
    assert all(torch.isfinite(value) for value in losses.values())
    moved = [
        not torch.equal(a, b) for a, b in zip(before, flow.generator.parameters(), strict=True)
    ]
    assert all(moved)
    made = flow.draw(flow.generator, latents, batch, sampling=Sampling(sampler="heun", steps=2))
    assert made.shape == (n, s.channels, size, size)
    assert made.abs().max() <= 1
    assert flow.preview(flow.generator, latents, batch).shape[1:] == (s.channels, size, size)


def trained(flow: Flow, images: Tensor, *, updates: int, shares: Tensor | None = None) -> None:
    optimizers = flow.optimizers()
    for k in range(updates):
        rng = torch_rng(seed=0, stream="toy", counter=k)
        chosen = torch.randint(0, len(images), (16,), generator=rng)
        for group in optimizers["generator"].param_groups:
            group["lr"] = flow.settings.learning_rate * (1 - k / updates)
        flow.step(
            Batch(images=images[chosen], shares=None if shares is None else shares[chosen]),
            flow.latents(16, rng),
            optimizers=optimizers,
            precision=nullcontext,
            average_gradients=lambda parameters: None,
        )


def test_both_of_two_pictures_are_learned() -> None:
    """No mode is lost: left half white, or right half white. After so short a training the shares
    are rough, but each is more than an eighth."""
    flow = built(learning_rate=3e-3, image_mean=0.0, image_sd=1.0)
    left = torch.full((1, 16, 16), -1.0)
    left[:, :, :8] = 1
    images = torch.stack([left, left.flip(-1)])
    trained(flow, images, updates=200)
    latents = flow.latents(64, torch_rng(seed=1, stream="draw"))
    made = flow.draw(flow.generator, latents, sampling=Sampling(sampler="heun", steps=8))
    distance = (made[:, None] - images[None]).square().mean((2, 3, 4))
    assert (distance.min(1).values < 0.3).float().mean() > 0.9
    assert 8 < (distance.argmin(1) == 0).sum() < 56


def test_what_is_shown_lies_where_it_was_asked_for() -> None:
    """Bright squares off centre, at places that a mirrored or transposed map would not give."""
    flow = built(condition="head", labels=3, learning_rate=3e-3, image_mean=0.0, image_sd=1.0)
    shares = torch.zeros(64, 3, 16, 16)
    shares[:, 0] = 1
    for k, map_ in enumerate(shares):
        row, column = divmod(k, 8)
        place = (slice(row + 1, row + 5), slice(column + 1, column + 5))
        map_[0][place], map_[2][place] = 0, 1
    images = 2 * shares[:, 2:] - 1
    trained(flow, images, updates=150, shares=shares)
    asked = torch.tensor([4, 23, 58])  # rows 0, 2, 7; columns 4, 7, 2
    latents = flow.latents(3, torch_rng(seed=1, stream="draw"))
    told = Batch(images=images[asked], shares=shares[asked])
    made = flow.draw(flow.generator, latents, told, sampling=Sampling(sampler="euler", steps=8))
    bright = (made > 0).float()
    at = torch.arange(16.0)
    for image, row, column in zip(bright[:, 0], (0, 2, 7), (4, 7, 2), strict=True):
        down = float((image.sum(1) * at).sum() / image.sum())
        along = float((image.sum(0) * at).sum() / image.sum())
        assert (down, along) == pytest.approx((row + 2.5, column + 2.5), abs=1)


def test_the_condition_decides_and_guidance_goes_further() -> None:
    flow = built(
        condition="head", labels=3, learning_rate=3e-3, image_mean=0.0, condition_dropout=0.3
    )
    shares = torch.zeros(2, 3, 16, 16)
    shares[0, 0], shares[1, 2] = 1, 1
    images = torch.stack([torch.full((1, 16, 16), level) for level in (-0.4, 0.4)])
    trained(flow, images, updates=100, shares=shares)
    latents = flow.latents(2, torch_rng(seed=1, stream="draw"))
    told = Batch(images=images, shares=shares)
    means = {
        w: flow.draw(
            flow.generator,
            latents,
            told,
            sampling=Sampling(sampler="euler", steps=8, guidance=w),
        ).mean((1, 2, 3))
        for w in (1.0, 1.5)
    }
    assert torch.allclose(means[1.0], torch.tensor([-0.4, 0.4]), atol=0.1)
    assert means[1.5][1] - means[1.5][0] > means[1.0][1] - means[1.0][0]


def test_guidance_is_the_line_through_answers_without_and_with_the_condition() -> None:
    flow = built(condition="head", labels=3)
    with torch.no_grad():
        for parameter in flow.generator.parameters():
            rng = torch.Generator().manual_seed(1)
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng))
    at = path.Point(noisy=torch.randn(2, 1, 16, 16), time=torch.tensor([0.3, 0.6]))
    shares = torch.rand(2, 3, 16, 16)
    told = condition_of(Batch(images=at.noisy, shares=shares), flow.settings)
    nothing = condition_of(Batch(images=at.noisy), flow.settings)
    with_it = flow.denoiser(flow.generator, told)(at)
    without = flow.denoiser(flow.generator, nothing)(at)
    assert not torch.allclose(with_it, without, atol=1e-2)
    both = flow.denoiser(flow.generator, told, guidance=2.0)(at)
    assert torch.allclose(both, 2 * with_it - without, atol=1e-4)
    plain = built()
    none = condition_of(Batch(images=at.noisy), plain.settings)
    with pytest.raises(ValueError, match="guidance needs"):
        plain.denoiser(plain.generator, none, guidance=2.0)


def test_an_image_depends_on_its_own_numbers_alone() -> None:
    flow = built(condition="head", labels=3)
    trained(flow, torch.rand(8, 1, 16, 16) * 2 - 1, updates=3, shares=torch.rand(8, 3, 16, 16))
    latents = flow.latents(5, torch_rng(seed=2, stream="draw"))
    assert latents.shape == (5, 16 * 16 + EXTRA)
    shares, ages = torch.rand(5, 3, 16, 16), torch.tensor([20.0, 25, 30, math.nan, 35])
    together = flow.draw(flow.generator, latents, Batch(images=latents, shares=shares, ages=ages))
    for k in range(5):
        alone = Batch(images=latents[k : k + 1], shares=shares[k : k + 1], ages=ages[k : k + 1])
        made = flow.draw(flow.generator, latents[k : k + 1], alone)
        assert torch.allclose(made[0], together[k], atol=1e-3)


def test_what_is_nearly_black_is_black_and_the_rest_stays() -> None:
    flow = built(image_mean=0.0, image_sd=1.0)
    levels = torch.tensor([-3.0, 0.0, 1.4, 1.6, 2.0, 128.0, 300.0])[None, None, None]
    made = flow.to_images(levels / 127.5 - 1)
    assert torch.allclose((made + 1) * 127.5, torch.tensor([0, 0, 0, 1.6, 2, 128, 255]), atol=1e-4)
    whole = built(image_mean=0.0, image_sd=1.0, black_below=0).to_images(levels / 127.5 - 1)
    assert (whole[..., 2] + 1) * 127.5 == pytest.approx(1.4, abs=1e-4)


def test_what_is_missing_or_unknown_is_said() -> None:
    flow = built(condition="labels", labels=4, context=1, plane_condition=True)
    images = torch.zeros(1, 1, 16, 16)
    planes = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ValueError, match="plane"):
        condition_of(Batch(images=images), flow.settings)
    with pytest.raises(ValueError, match="give labels"):
        condition_of(Batch(images=images, planes=planes), flow.settings)
    flat = torch.zeros(1, 16, 16, dtype=torch.uint8)
    with pytest.raises(ValueError, match="1 slices, the network sees 3"):
        condition_of(Batch(images=images, planes=planes, labels=flat), flow.settings)
    high = torch.full((1, 3, 16, 16), 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match="label 4"):
        condition_of(Batch(images=images, planes=planes, labels=high), flow.settings)


def test_dropping_the_condition_drops_maps_and_age_but_not_the_rest() -> None:
    flow = built(condition="head", labels=3)
    batch = Batch(
        images=torch.zeros(2, 1, 16, 16),
        shares=torch.rand(2, 3, 16, 16),
        ages=torch.tensor([30.0, 30.0]),
        augmented=torch.ones(2, 5),
    )
    condition = condition_of(batch, flow.settings)
    dropped = condition.without_maps(torch.tensor([True, False]))
    assert condition.maps is not None
    assert dropped.maps is not None
    assert dropped.told is not None
    assert told_size(flow.settings) == dropped.told.shape[1] == 7
    assert not dropped.maps[0].any()
    assert torch.equal(dropped.maps[1], condition.maps[1])
    assert dropped.told[0].tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert dropped.told[1].tolist() == [1, 1, 1, 1, 1, 0.5, 1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 22}, "multiple of 4"),
        ({"widths": (0, 16)}, "widths"),
        ({"widths": (-4, 16)}, "widths"),
        ({"condition": "head"}, "labels is 3"),
        ({"context": 2}, "need condition"),
        ({"guidance": 2.0}, "follows a condition"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FlowSettings.model_validate({**TINY, **settings})


@pytest.mark.parametrize(("width", "heads"), [(16, 1), (64, 2), (100, 2), (102, 3), (97, 1)])
def test_attention_shares_any_width_equally(width: int, heads: int) -> None:
    flow = built(widths=(16, width))
    (attention,) = {
        block.attention.heads
        for block in flow.generator.modules()
        if getattr(block, "attention", None) is not None
    }
    assert attention == heads
    made = flow.sample(flow.generator, flow.latents(2, torch_rng(seed=0, stream="test")))
    assert made.shape == (2, 1, 16, 16)
    assert torch.isfinite(made).all()


@pytest.mark.parametrize(("how", "words"), [(("foo", 8), "'foo'"), (("euler", 0), "1 or more")])
def test_sampling_that_cannot_be_is_refused(how: tuple[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Sampling(sampler=how[0], steps=how[1])  # type: ignore[arg-type]
