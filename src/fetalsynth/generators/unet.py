"""U-Net (Ronneberger, Fischer & Brox, MICCAI 2015, arXiv 1505.04597): images → tissue labels.

It makes no images. Trained on real ones, it tells whether a synthetic image shows the labels that
it was made from. Instance norm and the sum of soft Dice and cross-entropy are those of nnU-Net
(Isensee et al., *Nature Methods* 18:203, 2021); rare labels weigh more in the cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.pictures import label_levels, side_by_side
from fetalsynth.generators.settings import UNetSettings
from fetalsynth.generators.updating import update

_SMOOTH = 1e-5


class UNet(nn.Module):
    """(N, channels, H, W) in [−1, 1] → logits (N, labels, H, W)."""

    def __init__(self, settings: UNetSettings) -> None:
        super().__init__()
        self.plane_condition = settings.plane_condition
        widths = [settings.width << k for k in range(settings.levels + 1)]
        entry = settings.channels + (len(PLANES) if settings.plane_condition else 0)
        self.down = nn.ModuleList(
            _block(before, after) for before, after in zip([entry, *widths], widths, strict=False)
        )
        self.halve = nn.MaxPool2d(2)
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(deep, w, 2, 2) for deep, w in pairs)
        self.up = nn.ModuleList(_block(2 * w, w) for _, w in pairs)
        self.head = nn.Conv2d(widths[0], settings.labels, 1)

    def forward(self, images: Tensor, planes: Tensor | None = None) -> Tensor:
        """Logits of every label; ``planes`` (N,) are needed where the network is told them.

        Raises ValueError where they are missing.
        """
        x = self._with_planes(images, planes)
        passed: list[Tensor] = []
        for depth, block in enumerate(self.down):
            x = block(self.halve(x) if depth else x)
            passed.append(x)
        passed.pop()
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat([passed.pop(), grow(x)], 1))
        logits: Tensor = self.head(x)
        return logits

    def _with_planes(self, images: Tensor, planes: Tensor | None) -> Tensor:
        if not self.plane_condition:
            return images
        if planes is None:
            raise ValueError("this network must be told the plane of every slice")
        told = F.one_hot(planes, len(PLANES)).to(images.dtype)[:, :, None, None]
        return torch.cat([images, told.expand(-1, -1, *images.shape[2:])], 1)


def _block(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (before, after):
        layers += [
            nn.Conv2d(width, after, 3, padding=1, bias=False),
            nn.InstanceNorm2d(after, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)


class Segmenter:
    """The network, its optimizer's settings and one training step, as a family of its own."""

    def __init__(self, settings: UNetSettings) -> None:
        self.settings = settings
        self.generator: nn.Module = UNet(settings)

    def networks(self) -> dict[str, nn.Module]:
        """The one network, under the name that is averaged and kept."""
        return {"generator": self.generator}

    def initialise(self, rng: torch.Generator) -> None:
        """He's normal weights for convolutions (fan in, leak 0.01), zero biases."""
        for module in self.generator.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, a=0.01, generator=rng)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Fused Adam."""
        rate = self.settings.learning_rate
        return {"generator": torch.optim.Adam(self.generator.parameters(), lr=rate, fused=True)}

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        """None: (count, 0)."""
        return torch.empty(count, 0)

    def step(
        self,
        batch: Batch,
        latents: Tensor,
        *,
        optimizers: dict[str, torch.optim.Optimizer],
        precision: Callable[[], AbstractContextManager[object]],
        average_gradients: Callable[[Iterable[nn.Parameter]], None],
    ) -> dict[str, Tensor]:
        """One update by weighted cross-entropy plus 1 − soft Dice; ValueError without labels."""
        if batch.labels is None:
            raise ValueError("a segmentation network learns from labels, and the batch has none")
        target = batch.labels.long()
        with precision():
            logits = self.generator(batch.images, batch.planes)
        logits = logits.float()
        entropy = F.cross_entropy(logits, target, weight=rarity(target, logits.shape[1]))
        overlap = soft_dice(logits.softmax(1), target)
        loss = entropy + 1 - overlap
        update(loss, {"generator": self.generator}, optimizers, average_gradients)
        right = (logits.detach().argmax(1) == target).float().mean()
        return {
            "loss_cross_entropy": entropy.detach(),
            "loss_dice": 1 - overlap.detach(),
            "accuracy": right,
        }

    def calibrate(
        self, generator: nn.Module, latents: Tensor, batches: Sequence[Batch] = ()
    ) -> None:
        """Nothing to do: instance norm keeps no statistics."""

    def sample(
        self,
        generator: nn.Module,
        latents: Tensor,
        labels: Tensor | None = None,
        planes: Tensor | None = None,
    ) -> Tensor:
        """Raises TypeError: this family makes labels from images, see :func:`segment`."""
        raise TypeError("a segmentation network makes no images")

    def preview(self, generator: nn.Module, latents: Tensor, batch: Batch) -> Tensor:
        """Pictures for a contact sheet: for every slice the image, its labels, those found."""
        if batch.labels is None:
            raise ValueError("the preview shows labels, and the batch has none")
        found = segment(generator, batch.images, planes=batch.planes).argmax(1)
        count = self.settings.labels
        maps = [label_levels(labels, count=count) for labels in (batch.labels, found)]
        return side_by_side(batch.images[:, :1], *maps)

    def warning(self, means: dict[str, float]) -> str | None:
        """Nothing competes here, so nothing is known to go wrong early."""
        return None


def rarity(target: Tensor, labels: int) -> Tensor:
    """Weights (labels,) of cross-entropy: 1/√(voxels of the label in the batch), of mean 1.

    Without them the background drowns the cerebellum and the brainstem for hundreds of updates.
    Labels that do not occur weigh 0.
    """
    count = torch.bincount(target.ravel(), minlength=labels).float()
    weights = torch.where(count > 0, count.clamp(min=1).rsqrt(), 0.0)
    return weights * (labels / weights.sum())


def soft_dice(probabilities: Tensor, target: Tensor) -> Tensor:
    """Mean over the tissues of 2 Σ p·t / (Σ p + Σ t), sums over the whole batch, in [0, 1].

    ``probabilities`` (N, labels, H, W), ``target`` (N, H, W) int64. Only labels that occur in the
    batch count, the background (0) not; 1 where no tissue occurs.
    """
    truth = F.one_hot(target, probabilities.shape[1]).permute(0, 3, 1, 2).to(probabilities.dtype)
    both, p, t = (x.sum((0, 2, 3))[1:] for x in (probabilities * truth, probabilities, truth))
    occurs = (t > 0).to(probabilities.dtype)
    each = (2 * both + _SMOOTH) / (p + t + _SMOOTH)
    return torch.where(occurs.sum() > 0, (each * occurs).sum() / occurs.sum().clamp(min=1), 1.0)


@torch.no_grad()
def segment(generator: nn.Module, images: Tensor, *, planes: Tensor | None = None) -> Tensor:
    """Probabilities (N, labels, H, W) of every label, by ``generator`` in eval mode."""
    logits: Tensor = generator.eval()(images, planes)
    return logits.float().softmax(1)
