"""SPADE as a family: networks, initial weights, one training step, sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade import losses
from fetalsynth.generators.spade.calibration import calibrate_statistics, settle_spectral_norms
from fetalsynth.generators.spade.discriminator import SPADEDiscriminator
from fetalsynth.generators.spade.encoder import SPADEEncoder
from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.generators.updating import update

Maps = list[list[Tensor]]


class SPADE:
    """Park et al., CVPR 2019, as the fetal MRI study used it (Fernandez Garcia et al. 2022).

    ``perceptual`` is the fixed network of the perceptual loss, (synthetic, real) → loss, on the
    device of the images; it is needed by :meth:`step` alone, where the settings name one.
    """

    def __init__(self, settings: SPADESettings, *, perceptual: nn.Module | None = None) -> None:
        self.settings = settings
        self.perceptual = perceptual
        self.generator: SPADEGenerator = SPADEGenerator(settings)
        self.discriminator = SPADEDiscriminator(settings)
        self.encoder = SPADEEncoder(settings) if settings.encoder else None

    def networks(self) -> dict[str, nn.Module]:
        """All networks by name; "generator" is the one that is averaged and sampled."""
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return networks if self.encoder is None else {**networks, "encoder": self.encoder}

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Xavier's normal weights and biases of 0 for every convolution and linear map.

        Spectral norms begin as those of these weights.
        """
        for network in self.networks().values():
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    _initialise(module, gain=self.settings.initial_gain, rng=rng)
            settle_spectral_norms(network)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Fused Adam for each network, at two time scales (Heusel et al. 2017) or at one."""
        s = self.settings
        slow, fast = (0.5, 2.0) if s.two_time_scales else (1.0, 1.0)
        return {
            name: torch.optim.Adam(
                network.parameters(),
                lr=s.learning_rate * (fast if name == "discriminator" else slow),
                betas=(0.0, 0.9) if s.two_time_scales else (0.5, 0.999),
                fused=True,
            )
            for name, network in self.networks().items()
        }

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        """Standard normal latents (count, latents) with an encoder, else (count, 0); on the CPU."""
        return torch.randn(count, self.settings.latents if self.encoder else 0, generator=rng)

    def step(
        self,
        batch: Batch,
        latents: Tensor,
        *,
        optimizers: dict[str, torch.optim.Optimizer],
        precision: Callable[[], AbstractContextManager[object]],
        average_gradients: Callable[[Iterable[nn.Parameter]], None],
    ) -> dict[str, Tensor]:
        """One update of the generator (and encoder), then one of the discriminator.

        The images are made once: the discriminator learns from those that the generator has just
        been judged on, not from new ones. It is frozen while the generator learns. Real and
        synthetic images go through it together. Labels have to be below the settings' number.
        """
        synthetic, found = self._update_generator(
            batch, latents, optimizers, precision, average_gradients
        )
        self.discriminator.requires_grad_(True)
        with precision():
            on_synthetic, on_real = self._judge(synthetic.detach(), batch)
        loss = losses.hinge_discriminator(on_real, on_synthetic)
        update(loss, {"discriminator": self.discriminator}, optimizers, average_gradients)
        right_on_real, right_on_synthetic = losses.correct(on_real, on_synthetic)
        return {
            "loss_discriminator": loss.detach(),
            **{name: value.detach() for name, value in found.items()},
            "accuracy_real": right_on_real,
            "accuracy_synthetic": right_on_synthetic,
            "difference": F.l1_loss(synthetic.detach().float(), batch.images),
        }

    def _update_generator(
        self,
        batch: Batch,
        latents: Tensor,
        optimizers: dict[str, torch.optim.Optimizer],
        precision: Callable[[], AbstractContextManager[object]],
        average_gradients: Callable[[Iterable[nn.Parameter]], None],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The synthetic images and the losses by name, the generator's being the adversarial."""
        s, found = self.settings, dict[str, Tensor]()
        self.discriminator.requires_grad_(False)
        with precision():
            z = latents
            if self.encoder is not None:
                mean, log_variance = self.encoder(batch.images)
                found["loss_divergence"] = losses.divergence(mean, log_variance)
                z = mean + latents * (0.5 * log_variance).exp()
            synthetic: Tensor = self.generator(_labels(batch), batch.planes, z)
            on_synthetic, on_real = self._judge(synthetic, batch)
            if s.perceptual != "none":
                found["loss_perceptual"] = self._perceive(synthetic, batch.images)
        found["loss_generator"] = losses.hinge_generator(on_synthetic)
        found["loss_matching"] = losses.feature_matching(on_synthetic, on_real)
        weights = {
            "loss_generator": 1.0,
            "loss_matching": s.feature_matching_weight,
            "loss_perceptual": s.perceptual_weight,
            "loss_divergence": s.divergence_weight,
        }
        total = torch.stack([weights[name] * value.float() for name, value in found.items()]).sum()
        learning = {k: v for k, v in self.networks().items() if k != "discriminator"}
        update(total, learning, optimizers, average_gradients)
        return synthetic, found

    def _judge(self, synthetic: Tensor, batch: Batch) -> tuple[Maps, Maps]:
        """The discriminator's maps of synthetic and of real images, made in one pass."""
        conditions = self.generator.conditions_for(_labels(batch), batch.planes)
        maps = conditions(*batch.images.shape[2:])
        images = torch.cat([synthetic.float(), batch.images])
        both = self.discriminator(images, torch.cat([maps, maps]))
        count = len(batch.images)
        return (
            [[layer[:count] for layer in scale] for scale in both],
            [[layer[count:] for layer in scale] for scale in both],
        )

    def _perceive(self, synthetic: Tensor, real: Tensor) -> Tensor:
        if self.perceptual is None:
            raise ValueError(f'perceptual "{self.settings.perceptual}" needs its network to train')
        loss: Tensor = self.perceptual(synthetic, real)
        return loss

    @torch.no_grad()
    def sample(
        self,
        generator: nn.Module,
        latents: Tensor,
        labels: Tensor | None = None,
        planes: Tensor | None = None,
    ) -> Tensor:
        """Images (N, channels, H, W) in [−1, 1] from labels (N, H, W), in eval mode.

        Batch norm then uses stored statistics, so an image does not depend on its batch. Raises
        ValueError for missing labels and for labels that the generator does not know.
        """
        if labels is None:
            raise ValueError("SPADE makes images from labels: give labels (N, H, W)")
        if labels.numel() and int(labels.max()) >= self.settings.labels:
            raise ValueError(
                f"label {int(labels.max())} is not one of the {self.settings.labels} that the "
                "generator was trained with"
            )
        images: Tensor = generator.eval()(
            labels, planes, latents if self.settings.encoder else None
        )
        return images.float()

    def preview(self, generator: nn.Module, latents: Tensor, batch: Batch) -> Tensor:
        """Pictures for a contact sheet, three per slice: labels in grey, real, synthetic."""
        labels = _labels(batch)
        synthetic = self.sample(generator, latents[: len(labels)], labels, batch.planes)
        grey = labels[:, None].float() * (2 / (self.settings.labels - 1)) - 1
        trio = [grey.expand_as(synthetic), batch.images, synthetic]
        return torch.stack(trio, 1).flatten(0, 1)

    def calibrate(
        self, generator: nn.Module, latents: Tensor, batches: Sequence[Batch] = ()
    ) -> None:
        """Set spectral norms and the statistics of batch normalisation to those of the weights.

        Statistics are those of all slices of ``batches`` together; without batches they stay. In
        training they are those of a batch. With one slice per batch, as in the 2022 study, that
        makes batch normalisation the same as instance normalisation while training, and another
        thing afterwards: every slice is then normalised by what is common to all of them, and
        slices with unusual labels come out in contrasts that the network was never trained for.
        Larger batches narrow that gap; the setting "instance" has none.
        """
        assert isinstance(generator, SPADEGenerator)
        settle_spectral_norms(generator)
        if batches:
            calibrate_statistics(generator, latents, batches)
        generator.eval()

    def warning(self, means: dict[str, float]) -> str | None:
        """What the averaged statistics of a stretch of training say is going wrong, if anything."""
        accuracy = min(means["accuracy_real"], means["accuracy_synthetic"])
        if accuracy > 0.99 and means["loss_discriminator"] < 0.05:
            return (
                f"the discriminator has won (it is right on {100 * accuracy:.1f} % of the patches "
                f"of both kinds, loss {means['loss_discriminator']:.3f}): only feature matching "
                "and the perceptual loss still teach the generator; use an earlier snapshot, more "
                "volumes, stronger augmentation or a lower learning rate"
            )
        return None


def _labels(batch: Batch) -> Tensor:
    if batch.labels is None:
        raise ValueError("SPADE learns from images with labels: the batch has none")
    return batch.labels


def _initialise(module: nn.Conv2d | nn.Linear, *, gain: float, rng: torch.Generator) -> None:
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    if not parametrize.is_parametrized(module, "weight"):
        nn.init.xavier_normal_(module.weight, gain, generator=rng)
        return
    original = module.get_parameter("parametrizations.weight.original")
    nn.init.xavier_normal_(original, gain, generator=rng)
