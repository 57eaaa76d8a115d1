"""DCGAN (Radford, Metz & Chintala, ICLR 2016, arXiv 1511.06434) for 32 to 512 pixels.

With the defaults at 64 pixels this is the network of the fetal head ultrasound study (Bautista et
al., MIUA 2022): 100 latents, widths 512-256-128-64, 3.57 M parameters in the generator and 2.76 M
in the discriminator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.settings import DCGANSettings
from fetalsynth.generators.strided import StridedConv2d, StridedConvTranspose2d
from fetalsynth.generators.updating import update


def widths(*, size: int, width: int, max_width: int | None) -> list[int]:
    """Channels of the feature maps at 4, 8, …, size / 2 pixels."""
    stages = int(math.log2(size)) - 2
    return [min(width << k, max_width or width << k) for k in reversed(range(stages))]


def build_generator(settings: DCGANSettings) -> nn.Sequential:
    """(N, latents, 1, 1) → images (N, channels, size, size) in [−1, 1]."""
    w = widths(size=settings.size, width=settings.generator_width, max_width=settings.max_width)
    layers: list[nn.Module] = [nn.ConvTranspose2d(settings.latents, w[0], 4, 1, 0, bias=False)]
    for before, after in pairwise(w):
        layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
        layers += [StridedConvTranspose2d(before, after)]
    layers += [nn.BatchNorm2d(w[-1]), nn.ReLU(inplace=True)]
    layers += [nn.ConvTranspose2d(w[-1], settings.channels, 4, 2, 1, bias=False), nn.Tanh()]
    return nn.Sequential(*layers)


def build_discriminator(settings: DCGANSettings) -> nn.Sequential:
    """Images (N, channels, size, size) → logits (N, 1, 1, 1); the sigmoid is part of the loss."""
    w = widths(size=settings.size, width=settings.discriminator_width, max_width=settings.max_width)
    w = w[::-1]
    layers: list[nn.Module] = [nn.Conv2d(settings.channels, w[0], 4, 2, 1, bias=False)]
    layers += [nn.LeakyReLU(0.2, inplace=True)]
    for before, after in pairwise(w):
        layers += [StridedConv2d(before, after)]
        layers += [nn.BatchNorm2d(after), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(w[-1], 1, 4, 1, 0, bias=False))


class DCGAN:
    """The two networks, their optimizers' settings, one training step, and sampling."""

    def __init__(self, settings: DCGANSettings) -> None:
        self.settings = settings
        self.generator: nn.Module = build_generator(settings)
        self.discriminator: nn.Module = build_discriminator(settings)

    def networks(self) -> dict[str, nn.Module]:
        """All networks by name; "generator" is the one that is averaged and sampled."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def initialise(self, rng: torch.Generator) -> None:
        """Radford's initialisation: N(0, std) for convolutions, N(1, std) for batch-norm scales."""
        std = self.settings.initial_std
        for network in self.networks().values():
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                    nn.init.normal_(module.weight, 0.0, std, generator=rng)
                elif isinstance(module, nn.BatchNorm2d):
                    nn.init.normal_(module.weight, 1.0, std, generator=rng)
                    nn.init.zeros_(module.bias)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Fused Adam for each network."""
        s = self.settings
        rates = {
            "generator": s.generator_learning_rate,
            "discriminator": s.discriminator_learning_rate,
        }
        return {
            name: torch.optim.Adam(
                network.parameters(),
                lr=rates[name],
                betas=(s.beta1, s.beta2),
                weight_decay=s.weight_decay,
                fused=True,
            )
            for name, network in self.networks().items()
        }

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        """Standard normal latents (count, latents, 1, 1), drawn on the CPU."""
        return torch.randn(count, self.settings.latents, 1, 1, generator=rng)

    def step(
        self,
        batch: Batch,
        latents: Tensor,
        *,
        optimizers: dict[str, torch.optim.Optimizer],
        precision: Callable[[], AbstractContextManager[object]],
        average_gradients: Callable[[Iterable[nn.Parameter]], None],
    ) -> dict[str, Tensor]:
        """One update of both networks (Radford et al., §4): ascend D's, then G's log likelihood.

        The synthetic batch is made once and serves both updates; the discriminator is frozen in
        the generator's, so no gradients of its weights are computed there. Accuracies count hard
        decisions (logit above or below 0), so label smoothing does not distort them.
        """
        s, real = self.settings, batch.images
        self.discriminator.requires_grad_(True)
        with precision():
            synthetic = self.generator(latents)
            on_real = self.discriminator(real)
            on_synthetic = self.discriminator(synthetic.detach())
        loss_discriminator = _bce(on_real, s.real_label) + _bce(on_synthetic, 0.0)
        update(
            loss_discriminator,
            {"discriminator": self.discriminator},
            optimizers,
            average_gradients,
        )

        self.discriminator.requires_grad_(False)
        with precision():
            fooled = self.discriminator(synthetic)
        loss_generator = _bce(fooled, s.generator_target)
        update(loss_generator, {"generator": self.generator}, optimizers, average_gradients)
        return {
            "loss_discriminator": loss_discriminator.detach(),
            "loss_generator": loss_generator.detach(),
            "accuracy_real": (on_real.detach() > 0).float().mean(),
            "accuracy_synthetic": (on_synthetic.detach() <= 0).float().mean(),
        }

    @torch.no_grad()
    def sample(
        self,
        generator: nn.Module,
        latents: Tensor,
        labels: Tensor | None = None,
        planes: Tensor | None = None,
    ) -> Tensor:
        """Images (N, channels, size, size) in [−1, 1] from latents, by ``generator`` in eval mode.

        Batch norm then uses stored statistics, so an image does not depend on its batch.
        """
        images: Tensor = generator.eval()(latents).float()
        return images

    def preview(self, generator: nn.Module, latents: Tensor, batch: Batch) -> Tensor:
        """Pictures for a contact sheet: images from ``latents``."""
        return self.sample(generator, latents)

    @torch.no_grad()
    def calibrate(
        self,
        generator: nn.Module,
        latents: Tensor,
        batches: Sequence[Batch] = (),
        *,
        chunk: int = 64,
    ) -> None:
        """Set batch-norm statistics to their mean over ``latents`` (N, latents, 1, 1).

        Averaged weights have no statistics of their own, and running ones lag behind the weights.
        """
        norms = [m for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        generator.train()
        for part in torch.split(latents, chunk):
            generator(part)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def warning(self, means: dict[str, float]) -> str | None:
        """What the averaged statistics of a stretch of training say is going wrong, if anything."""
        accuracy = min(means["accuracy_real"], means["accuracy_synthetic"])
        if accuracy > 0.99 and means["loss_generator"] > 4:
            return (
                f"the discriminator has won (it is right on {100 * accuracy:.1f} % of both kinds, "
                f"generator loss {means['loss_generator']:.1f}): the generator learns little from "
                "here on; use an earlier snapshot, more images or stronger augmentation"
            )
        return None


def _bce(logits: Tensor, target: float) -> Tensor:
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
