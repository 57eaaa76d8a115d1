"""R3GAN-lite as a family: initial weights, one training step, sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.r3gan import augmentation, losses
from fetalsynth.generators.r3gan.networks import R3GANDiscriminator, R3GANGenerator, initialise
from fetalsynth.generators.settings import R3GANSettings
from fetalsynth.generators.updating import update

EXTRA = 2 * augmentation.NUMBERS + 1  # columns beside the latents proper that steer a step
Precision = Callable[[], AbstractContextManager[object]]


class R3GAN:
    """Huang et al., NeurIPS 2024 (arXiv 2501.05441), small enough for a few hundred images.

    A relativistic pairing loss with gradient penalties on real and on synthetic images, networks
    without normalisation, and DiffAugment.
    """

    def __init__(self, settings: R3GANSettings) -> None:
        self.settings = settings
        self.generator: R3GANGenerator = R3GANGenerator(settings)
        self.discriminator: R3GANDiscriminator = R3GANDiscriminator(settings)

    def networks(self) -> dict[str, nn.Module]:
        """All networks by name; "generator" is the one that is averaged and sampled."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def initialise(self, rng: torch.Generator) -> None:
        """Fixup's initial weights."""
        initialise(self.generator, rng)
        initialise(self.discriminator, rng)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Fused Adam for each network."""
        s = self.settings
        return {
            name: torch.optim.Adam(
                network.parameters(), lr=s.learning_rate, betas=(s.beta1, s.beta2), fused=True
            )
            for name, network in self.networks().items()
        }

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        """Standard normal numbers (count, n), drawn on the CPU: the latents and a few more.

        Those decide the augmentation and the signs of the penalty in a training step, which so
        depend on nothing but them.
        """
        return torch.randn(count, self.settings.latents + EXTRA, generator=rng)

    def step(
        self,
        batch: Batch,
        latents: Tensor,
        *,
        optimizers: dict[str, torch.optim.Optimizer],
        precision: Precision,
        average_gradients: Callable[[Iterable[nn.Parameter]], None],
    ) -> dict[str, Tensor]:
        """One update of the discriminator, then one of the generator (Huang et al., Eq. 2 and 3).

        The synthetic batch is made and augmented once and serves both updates; the discriminator
        is frozen in the generator's. ``accuracy`` is the share of pairs of which it ranks the real
        image higher, ``gap`` by how much, and ``diversity`` the spread of the synthetic images at a
        pixel over that of the real ones.
        """
        with precision():
            synthetic = self.generator(latents[:, : self.settings.latents]).float()
        real, seen = self._seen(batch.images, synthetic, latents)
        self.discriminator.requires_grad_(True)
        logits, penalties = self._judge(torch.cat([real, seen.detach()]), latents, precision)
        on_real, on_synthetic = logits.chunk(2)
        of_real, of_synthetic = (each.mean() for each in penalties.chunk(2))
        loss_discriminator = losses.discriminator_loss(on_real, on_synthetic)
        penalised = loss_discriminator + self.settings.gamma / 2 * (of_real + of_synthetic)
        update(penalised, {"discriminator": self.discriminator}, optimizers, average_gradients)

        self.discriminator.requires_grad_(False)
        with precision():
            with torch.no_grad():
                still_real = self.discriminator(real)
            fooled = self.discriminator(seen)
        loss_generator = losses.generator_loss(still_real, fooled)
        update(loss_generator, {"generator": self.generator}, optimizers, average_gradients)
        gaps = (on_real - on_synthetic).detach()
        return {
            "loss_discriminator": loss_discriminator.detach(),
            "loss_generator": loss_generator.detach(),
            "penalty_real": of_real.detach(),
            "penalty_synthetic": of_synthetic.detach(),
            "accuracy": (gaps > 0).float().mean(),
            "gap": gaps.mean(),
            "diversity": _spread(synthetic.detach()) / _spread(batch.images).clamp(min=1e-6),
        }

    def _seen(self, real: Tensor, synthetic: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Real and synthetic images as the discriminator sees them, augmented differently."""
        first = self.settings.latents
        uniforms = torch.special.ndtr(latents[:, first : first + 2 * augmentation.NUMBERS])
        views = [
            augmentation.apply(
                images, augmentation.sample_params(numbers, settings=self.settings)
            ).contiguous(memory_format=torch.channels_last)
            for images, numbers in zip((real, synthetic), uniforms.chunk(2, 1), strict=True)
        ]
        return views[0], views[1]

    def _judge(
        self, images: Tensor, latents: Tensor, precision: Precision
    ) -> tuple[Tensor, Tensor]:
        """Logits and squared norms of the gradient (2N,) of N real and N synthetic images."""
        s = self.settings
        if s.penalty == "exact":
            # not through __call__: a compiled network cannot be differentiated twice
            return losses.exact_penalty(self.discriminator.forward, images)
        seeds = latents[:, -1].contiguous().view(torch.int32)
        signs = losses.random_signs(seeds, tuple(images.shape[1:]))
        with precision():
            return losses.difference_penalty(
                self.discriminator,
                images,
                signs.transpose(0, 1).flatten(0, 1),
                distance=s.distance,
            )

    @torch.no_grad()
    def sample(
        self,
        generator: nn.Module,
        latents: Tensor,
        labels: Tensor | None = None,
        planes: Tensor | None = None,
    ) -> Tensor:
        """Images (N, channels, size, size) from latents, cut off at −1 and 1."""
        images: Tensor = generator.eval()(latents[:, : self.settings.latents])
        return images.float().clamp(-1, 1)

    def preview(self, generator: nn.Module, latents: Tensor, batch: Batch) -> Tensor:
        """Pictures for a contact sheet: images from ``latents``."""
        return self.sample(generator, latents)

    def calibrate(
        self, generator: nn.Module, latents: Tensor, batches: Sequence[Batch] = ()
    ) -> None:
        """Nothing to do: nothing is normalised."""

    def warning(self, means: dict[str, float]) -> str | None:
        """What the averaged statistics of a stretch of training say is going wrong, if anything."""
        if means["diversity"] < 0.3:
            return (
                f"the generator has collapsed (its images differ from each other by "
                f"{100 * means['diversity']:.0f} % of what real ones do): use an earlier snapshot, "
                "or train anew with a larger generator.gamma or a lower learning rate"
            )
        if means["accuracy"] > 0.99 and means["loss_generator"] > 4:
            return (
                f"the discriminator has won (it is right on {100 * means['accuracy']:.1f} % of the "
                f"pairs, generator loss {means['loss_generator']:.1f}): the generator learns "
                "little from here on; use more images, stronger augmentation or a larger "
                "generator.gamma"
            )
        if means["accuracy"] < 0.55:
            return (
                f"the generator has won (the discriminator is right on "
                f"{100 * means['accuracy']:.0f} % of the pairs, which is chance): nothing teaches "
                "it from here on; use weaker augmentation, a smaller generator.gamma or a larger "
                "generator.discriminator_width"
            )
        return None


def _spread(images: Tensor) -> Tensor:
    return images.std(0, correction=0).mean()
