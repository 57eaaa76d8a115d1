"""What a generator's statistics are after calibration, and what batches of one slice do to them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade.calibration import settle_spectral_norms
from fetalsynth.generators.spade.family import SPADE


def family(**changes: object) -> SPADE:
    raw = {"size": 64, "width": 4, "hidden": 8, "discriminator_width": 4, "latents": 8, **changes}
    gan = SPADE(SPADESettings.model_validate(raw))
    gan.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():  # labels count for more than in untrained networks
        for name, p in gan.generator.named_parameters():
            if "mlp" in name or "fc" in name or "conv_img" in name:
                p.mul_(30)
    return gan


def some_slices(count: int) -> Tensor:
    """Slices that are unlike one another, the first of them empty."""
    coarse = torch.randint(0, 8, (count, 8, 8), generator=torch.Generator().manual_seed(1))
    coarse = coarse % (1 + torch.arange(count)[:, None, None])
    return coarse.repeat_interleave(8, 1).repeat_interleave(8, 2).to(torch.uint8)


def cut(labels: Tensor, *, size: int) -> list[Batch]:
    planes = torch.arange(len(labels)) % 3
    return [
        Batch(images=torch.zeros(len(part), 1, 64, 64), labels=part, planes=where)
        for part, where in zip(torch.split(labels, size), torch.split(planes, size), strict=True)
    ]


@pytest.mark.parametrize("changes", [{}, {"plane_condition": True}, {"encoder": True}])
@pytest.mark.parametrize("size", [1, 4, 12])
def test_calibrated_output_is_that_of_one_large_batch(
    changes: dict[str, object], size: int
) -> None:
    """However small the batches are that the slices come in."""
    gan, labels = family(**changes), some_slices(12)
    latents = gan.latents(20, torch.Generator().manual_seed(2))
    settle_spectral_norms(gan.generator)
    trained = copy.deepcopy(gan.generator).train()
    planes = torch.arange(12) % 3
    with torch.no_grad():
        expected = trained(labels, planes, latents[:12])
    before = gan.sample(gan.generator, latents[:12], labels, planes)
    gan.calibrate(gan.generator, latents, cut(labels, size=size))
    found = gan.sample(gan.generator, latents[:12], labels, planes)
    assert expected.std() > 0.01
    assert (found - expected).abs().max() < 1e-3 * expected.std()
    assert (before - expected).abs().max() > 0.1 * expected.std()


def test_batches_of_one_slice_train_another_function_than_statistics_of_all_give() -> None:
    """In training they are instance normalisation to the bit; calibrated they are not."""
    gan, labels = family(normalisation="batch"), some_slices(12)
    none = gan.latents(12, torch.Generator())
    like = SPADE(gan.settings.model_copy(update={"normalisation": "instance"}))
    like.generator.load_state_dict(
        {k: v for k, v in gan.generator.state_dict().items() if "param_free" not in k}
    )
    for one in (gan, like):
        settle_spectral_norms(one.generator)
    gan.generator.train()
    with torch.no_grad():
        singly = torch.cat([copy.deepcopy(gan.generator)(labels[k : k + 1]) for k in range(12)])
    instance = like.sample(like.generator, none, labels)
    assert torch.allclose(singly, instance, atol=1e-5)
    gan.calibrate(gan.generator, none, cut(labels, size=1))
    calibrated = gan.sample(gan.generator, none, labels)
    assert (calibrated - singly).abs().mean() > 0.05 * singly.std()


def test_averaged_weights_get_spectral_norms_of_their_own() -> None:
    """Vectors of a moving average are those of the weights it began with, and so too small."""
    gan = family(normalisation="instance")
    averaged = copy.deepcopy(gan.generator)
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in averaged.parameters():
            p.copy_(torch.randn(p.shape, generator=rng))

    def norms(network: nn.Module) -> list[float]:
        return [
            float(np.linalg.svd(module.weight.detach().flatten(1).numpy(), compute_uv=False)[0])
            for module in network.modules()
            if parametrize.is_parametrized(module, "weight")
        ]

    assert max(norms(averaged.eval())) > 2
    gan.calibrate(averaged, gan.latents(1, rng), cut(some_slices(1), size=1))
    assert norms(averaged) == pytest.approx([1.0] * 18, abs=1e-4)
    assert not averaged.training


def test_batches_without_labels_are_refused() -> None:
    gan = family()
    with pytest.raises(ValueError, match="need labels"):
        gan.calibrate(gan.generator, torch.empty(2, 0), [Batch(images=torch.zeros(2, 1, 64, 64))])
