"""SPADE's training step against its definition, its losses against closed forms."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn.utils import parametrize

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade import losses
from fetalsynth.generators.spade.family import SPADE
from fetalsynth.generators.spade.layers import one_hot


def small(**changes: object) -> SPADESettings:
    raw = {"size": 64, "width": 2, "hidden": 4, "discriminator_width": 4, "latents": 8, **changes}
    return SPADESettings.model_validate(raw)


def made(settings: SPADESettings, *, perceptual: nn.Module | None = None, seed: int = 0) -> SPADE:
    gan = SPADE(settings, perceptual=perceptual)
    gan.initialise(torch.Generator().manual_seed(seed))
    return gan


def some_batch(count: int = 2, *, seed: int = 0, labels: int = 8) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, labels, (count, 8, 8), generator=rng, dtype=torch.uint8)
    whole = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)
    images = whole[:, None].float() / labels * 2 - 1 + 0.1 * torch.randn(1, 64, 64, generator=rng)
    return Batch(images=images, labels=whole, planes=torch.arange(count) % 3)


def nothing(_: Iterable[nn.Parameter]) -> None:
    pass


class Difference(nn.Module):
    """Stands for a perceptual network."""

    def forward(self, synthetic: Tensor, real: Tensor) -> Tensor:
        return (synthetic - real).square().mean()


def test_initial_weights_are_xaviers_and_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    one = made(small(width=16, encoder=True), seed=3)
    torch.manual_seed(2)
    same, other = (made(small(width=16, encoder=True), seed=seed) for seed in (3, 4))
    for name, network in one.networks().items():
        states = [gan.networks()[name].state_dict() for gan in (one, same, other)]
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                spectral = parametrize.is_parametrized(module, "weight")
                key = "parametrizations.weight.original" if spectral else "weight"
                weight = module.get_parameter(key).detach()
                taps = weight[0, 0].numel() if weight.ndim == 4 else 1
                expected = 0.02 * math.sqrt(2 / (taps * (weight.shape[0] + weight.shape[1])))
                uncertain = 5 / math.sqrt(2 * weight.numel())
                assert weight.std().item() == pytest.approx(expected, rel=uncertain)
                assert module.bias is None or not module.bias.any()
    assert not torch.equal(one.generator.fc.weight, other.generator.fc.weight)


def test_two_time_scales_are_the_published_rates() -> None:
    def rates(**changes: object) -> dict[str, tuple[float, float, float]]:
        optimizers = made(small(encoder=True, **changes)).optimizers()
        groups = {name: optimizer.param_groups[0] for name, optimizer in optimizers.items()}
        return {name: (group["lr"], *group["betas"]) for name, group in groups.items()}

    assert rates() == {
        "generator": (1e-4, 0.0, 0.9),
        "discriminator": (4e-4, 0.0, 0.9),
        "encoder": (1e-4, 0.0, 0.9),
    }
    assert set(rates(two_time_scales=False, learning_rate=3e-4).values()) == {(3e-4, 0.5, 0.999)}


def test_hinge_losses_have_their_closed_forms() -> None:
    def logits(*values: float) -> list[list[Tensor]]:
        return [[torch.full((2, 3, 4, 4), 9.0), torch.full((2, 1, 5, 5), v)] for v in values]

    # Two scales: real +3 and −0.5, synthetic −2 and +1.
    found = losses.hinge_discriminator(logits(3, -0.5), logits(-2, 1))
    assert found.item() == pytest.approx((0 + 1.5) / 2 + (0 + 2) / 2)
    assert losses.hinge_generator(logits(-2, 1)).item() == pytest.approx(0.5)
    zero = losses.hinge_discriminator(logits(0), logits(0))
    assert zero.item() == 2
    right = losses.correct(logits(3, -0.5), logits(-2, -1))
    assert [share.item() for share in right] == [0.5, 1.0]


def test_feature_matching_is_the_mean_difference_per_layer_without_the_logits() -> None:
    rng = torch.Generator().manual_seed(0)
    shapes = [
        [(2, 3, 8, 8), (2, 5, 4, 4), (2, 1, 2, 2)],
        [(2, 3, 4, 4), (2, 5, 2, 2), (2, 1, 1, 1)],
    ]
    ours, theirs = (
        [[torch.randn(s, generator=rng, requires_grad=True) for s in scale] for scale in shapes]
        for _ in range(2)
    )
    found = losses.feature_matching(ours, theirs)
    by_hand = sum(
        abs(a.detach().numpy() - b.detach().numpy()).mean()
        for scale_a, scale_b in zip(ours, theirs, strict=True)
        for a, b in zip(scale_a[:-1], scale_b[:-1], strict=True)
    )
    assert found.item() == pytest.approx(by_hand / 2, rel=1e-6)
    found.backward()
    assert all(m.grad is None for scale in theirs for m in scale)
    assert all(m.grad is not None for scale in ours for m in scale[:-1])
    assert all(scale[-1].grad is None for scale in ours)


def test_divergence_is_that_of_two_normals_summed() -> None:
    mean, log_variance = torch.randn(3, 8), torch.randn(3, 8)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum()
    assert losses.divergence(mean, log_variance).item() == pytest.approx(expected.item(), rel=1e-5)


def _plain_step(
    gan: SPADE, batch: Batch, noise: Tensor, adam: dict[str, torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """The two updates written out, with nothing frozen."""
    networks, s = gan.networks(), gan.settings
    maps = one_hot(batch.labels, count=8)
    mean, log_variance = networks["encoder"](batch.images)
    z = mean + noise * torch.exp(log_variance / 2)
    fake = networks["generator"](batch.labels, None, z)

    def judge(images: Tensor) -> list[list[tuple[Tensor, Tensor]]]:
        both = torch.cat([torch.cat([maps, images], 1), torch.cat([maps, batch.images], 1)])
        scales = []
        for scale in gan.discriminator.scales:
            scales.append([m.chunk(2) for m in scale(both)])
            both = F.avg_pool2d(both, 3, 2, 1, count_include_pad=False)
        return scales

    judged = judge(fake)
    adversarial = -sum(scale[-1][0].mean() for scale in judged) / 2
    matching = sum((f - r.detach()).abs().mean() for sc in judged for f, r in sc[:-1]) / 2
    spread = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    perceptual = (fake - batch.images).square().mean()
    total = adversarial + s.feature_matching_weight * matching
    total = total + s.perceptual_weight * perceptual + s.divergence_weight * spread
    for network in networks.values():
        network.zero_grad()
    total.backward()
    adam["generator"].step(), adam["encoder"].step()

    judged = judge(fake.detach())
    gan.discriminator.zero_grad()
    right = sum(F.relu(1 + sc[-1][0]).mean() + F.relu(1 - sc[-1][1]).mean() for sc in judged) / 2
    right.backward()
    adam["discriminator"].step()
    return {
        "loss_discriminator": right,
        "loss_generator": adversarial,
        "loss_matching": matching,
        "loss_perceptual": perceptual,
        "loss_divergence": spread,
        "difference": (fake - batch.images).abs().mean(),
    }


def test_step_is_the_definition_written_out() -> None:
    settings = small(encoder=True, perceptual="vgg19", width=1)
    ours = made(settings, perceptual=Difference())
    plain = copy.deepcopy(ours)
    optimizers = ours.optimizers()
    adam: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(
            network.parameters(), lr=4e-4 if name == "discriminator" else 1e-4, betas=(0.0, 0.9)
        )
        for name, network in plain.networks().items()
    }
    for step in range(2):
        batch = some_batch(seed=step)
        noise = ours.latents(2, torch.Generator().manual_seed(step))
        found = ours.step(
            batch, noise, optimizers=optimizers, precision=nullcontext, average_gradients=nothing
        )
        expected = _plain_step(plain, batch, noise, adam)
        for name, value in expected.items():
            assert found[name].item() == pytest.approx(value.item(), rel=1e-3, abs=1e-5), name
    for name, network in ours.networks().items():
        theirs = plain.networks()[name]
        apart = [
            (a - b).abs().mean().item()
            for a, b in zip(network.parameters(), theirs.parameters(), strict=True)
            if a.ndim > 1  # gradients of biases before a normalisation are rounding alone
        ]
        assert max(apart) < 1e-5, name  # against steps of 1e-4 and more


def test_gradients_reach_every_weight_and_the_discriminator_rests_meanwhile() -> None:
    settings = small(encoder=True, plane_condition=True)
    gan, order = made(settings), []

    def spy(parameters: Iterable[nn.Parameter]) -> None:
        listed = list(parameters)
        names = {id(p): name for name, net in gan.networks().items() for p in net.parameters()}
        (name,) = {names[id(p)] for p in listed}
        judge = list(gan.discriminator.parameters())
        learns = {p.requires_grad for p in judge}
        assert all(p.grad is None for p in judge) == (name != "discriminator")
        assert all(p.grad is not None for p in listed)
        flat = [p for p in listed if p.ndim > 1 and not p.grad.any()]
        assert not flat
        order.append((name, learns))

    gan.step(
        some_batch(),
        gan.latents(2, torch.Generator().manual_seed(0)),
        optimizers=gan.optimizers(),
        precision=nullcontext,
        average_gradients=spy,
    )
    assert order == [("generator", {False}), ("encoder", {False}), ("discriminator", {True})]


def test_step_in_bfloat16_gives_float32_losses_near_those_of_float32() -> None:
    gan = made(small(normalisation="instance"))
    copied = copy.deepcopy(gan)
    found = [
        family.step(
            some_batch(4),
            family.latents(4, torch.Generator()),
            optimizers=family.optimizers(),
            precision=precision,
            average_gradients=nothing,
        )
        for family, precision in (
            (gan, nullcontext),
            (copied, lambda: torch.autocast("cpu", torch.bfloat16)),
        )
    ]
    for name, value in found[0].items():
        assert found[1][name].dtype == torch.float32
        assert found[1][name].item() == pytest.approx(value.item(), rel=0.05, abs=0.02), name


def test_samples_do_not_depend_on_their_neighbours() -> None:
    gan, batch = made(small()), some_batch(3)
    none = gan.latents(3, torch.Generator())
    assert none.shape == (3, 0)
    together = gan.sample(gan.generator, none, batch.labels)
    alone = gan.sample(gan.generator, none[:1], batch.labels[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-6)


def test_unknown_labels_and_missing_inputs_are_refused() -> None:
    gan, batch = made(small(labels=4)), some_batch()
    none = gan.latents(2, torch.Generator())
    with pytest.raises(ValueError, match="label 7 is not one of the 4"):
        gan.sample(gan.generator, none, batch.labels)
    with pytest.raises(ValueError, match="give labels"):
        gan.sample(gan.generator, none)
    bare = Batch(images=batch.images)
    for settings, given, match in (
        (small(), bare, "has none"),
        (small(perceptual="vgg19"), batch, "vgg19"),
    ):
        gan = made(settings)
        with pytest.raises(ValueError, match=match):
            gan.step(
                given,
                gan.latents(2, torch.Generator()),
                optimizers=gan.optimizers(),
                precision=nullcontext,
                average_gradients=nothing,
            )


def test_preview_shows_labels_real_and_synthetic_in_turn() -> None:
    gan, batch = made(small()), some_batch(3)
    pictures = gan.preview(gan.generator, gan.latents(9, torch.Generator()), batch)
    assert pictures.shape == (9, 1, 64, 64)
    assert torch.allclose(pictures[0::3, 0], batch.labels.float() / 3.5 - 1)
    assert torch.equal(pictures[1::3], batch.images)
    synthetic = gan.sample(gan.generator, gan.latents(3, torch.Generator()), batch.labels)
    assert torch.equal(pictures[2::3], synthetic)


def test_a_discriminator_that_has_won_is_reported() -> None:
    gan = made(small())
    won = {"accuracy_real": 1.0, "accuracy_synthetic": 0.995, "loss_discriminator": 0.01}
    assert "discriminator has won" in (gan.warning(won) or "")
    assert gan.warning({**won, "accuracy_synthetic": 0.8}) is None
    assert gan.warning({**won, "loss_discriminator": 0.6}) is None


@pytest.mark.slow
def test_a_tiny_network_learns_texture_that_its_tissues_means_lack() -> None:
    """Four slices by heart: better than each tissue painted with its own mean."""
    rng = torch.Generator().manual_seed(0)
    batch = some_batch(4)
    tissue = F.interpolate(torch.randn(4, 1, 6, 6, generator=rng), size=64, mode="bilinear")
    images = (batch.images * 0.6 + 0.3 * tissue).clamp(-1, 1)
    batch = Batch(images=images, labels=batch.labels)
    painted = torch.zeros_like(images)
    for label in range(8):
        where = batch.labels[:, None] == label
        painted[where] = images[where].mean()
    gan = made(small(width=8, hidden=16, discriminator_width=8, normalisation="instance"))
    optimizers = gan.optimizers()
    for _ in range(150):
        gan.step(
            batch,
            gan.latents(4, rng),
            optimizers=optimizers,
            precision=nullcontext,
            average_gradients=nothing,
        )
    learned = gan.sample(gan.generator, gan.latents(4, rng), batch.labels)
    ours, theirs = ((x - images).square().mean().item() for x in (learned, painted))
    assert ours < 0.8 * theirs
