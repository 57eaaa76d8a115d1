"""SPADE's generator: label maps in, images out (Park et al. 2019, their Fig. 4 and appendix A).

With the defaults at 256 pixels, 8 labels and 64 channels next to the image: 92.2 M parameters and
138 G multiply-adds per image, 96 G of them in the label networks of the SPADE layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade.layers import SLOPE, Conditions, SPADEBlock, enlarge

HALVINGS = {"normal": 5, "more": 6, "most": 7}
INNERMOST = 16  # times the width next to the image


class SPADEGenerator(nn.Module):
    """Labels (N, size, size), and with an encoder latents (N, latents), to images in [−1, 1].

    The innermost map is a convolution of the labels, or, with an encoder, a linear map of the
    latents. Parameters carry the names of the published checkpoints, spectral norms those of
    :mod:`torch.nn.utils.parametrizations`; ``norm_s`` shares the statistics of ``norm_0``.

    Raises ValueError where ``size`` is too small for the halvings.
    """

    def __init__(self, settings: SPADESettings) -> None:
        super().__init__()
        self.settings = settings
        s, w = settings, settings.width
        self.conditions = conditions_of(settings)
        self.side = s.size >> HALVINGS[s.upsampling]
        if self.side < 2:
            raise ValueError(
                f"size {s.size} is halved {HALVINGS[s.upsampling]} times by upsampling "
                f'"{s.upsampling}", to less than 2 pixels: take a larger size or fewer halvings'
            )
        if s.encoder:
            self.fc: nn.Module = nn.Linear(s.latents, INNERMOST * w * self.side**2)
        else:
            self.fc = nn.Conv2d(self.conditions, INNERMOST * w, 3, padding=1)

        def block(inputs: int, outputs: int) -> SPADEBlock:
            return SPADEBlock(
                inputs,
                outputs,
                conditions=self.conditions,
                hidden=s.hidden,
                normalisation=s.normalisation,
            )

        self.head_0 = block(16 * w, 16 * w)
        self.G_middle_0 = block(16 * w, 16 * w)
        self.G_middle_1 = block(16 * w, 16 * w)
        self.up_0 = block(16 * w, 8 * w)
        self.up_1 = block(8 * w, 4 * w)
        self.up_2 = block(4 * w, 2 * w)
        self.up_3 = block(2 * w, w)
        last = w
        if s.upsampling == "most":
            last = max(1, w // 2)
            self.up_4 = block(w, last)
        self.conv_img = nn.Conv2d(last, s.channels, 3, padding=1)

    def blocks(self) -> list[tuple[SPADEBlock, bool]]:
        """The blocks in order, and whether the maps are doubled in size before each."""
        wide = self.settings.upsampling != "normal"
        plan = [(self.head_0, False), (self.G_middle_0, True), (self.G_middle_1, wide)]
        plan += [(block, True) for block in (self.up_0, self.up_1, self.up_2, self.up_3)]
        return [*plan, (self.up_4, True)] if self.settings.upsampling == "most" else plan

    def forward(
        self, labels: Tensor, planes: Tensor | None = None, z: Tensor | None = None
    ) -> Tensor:
        """Labels (N, H, W) integer, planes (N,), z (N, latents) → images (N, C, H, W).

        H and W are multiples of 2^halvings, and the settings' size where there is an encoder.
        Labels outside 0 … labels − 1 give all-zero maps: check them before. Raises ValueError
        where planes or latents are missing that the settings ask for. In training on a CPU the
        label networks run once per distinct window: the same up to rounding.
        """
        conditions = self.conditions_for(labels, planes)
        # Twice as fast on CPUs; what a compiler traces should not depend on the labels.
        by_windows = self.training and labels.device.type == "cpu"
        by_windows = by_windows and not torch.compiler.is_compiling()
        x = self.innermost(conditions, labels, z)
        for block, doubled in self.blocks():
            if doubled:
                x = enlarge(x)
            size = x.shape[2], x.shape[3]
            windows = conditions.windows(*size) if by_windows else None
            x = block(x, windows or conditions(*size))
        return torch.tanh(self.conv_img(F.leaky_relu(x, SLOPE)))

    def conditions_for(self, labels: Tensor, planes: Tensor | None) -> Conditions:
        """One-hot maps of any size; planes count only where the settings say so."""
        if not self.settings.plane_condition:
            planes = None
        elif planes is None:
            raise ValueError("this generator is told the plane of each slice: give planes (N,)")
        return Conditions(labels, planes, count=self.settings.labels)

    def innermost(self, conditions: Conditions, labels: Tensor, z: Tensor | None) -> Tensor:
        """The map (N, 16 · width, H / 2^halvings, W / 2^halvings) that the first block reads."""
        if not self.settings.encoder:
            halvings = HALVINGS[self.settings.upsampling]
            x: Tensor = self.fc(
                conditions(labels.shape[1] >> halvings, labels.shape[2] >> halvings)
            )
            return x
        if z is None:
            raise ValueError("this generator was trained with an encoder: give latents z")
        x = self.fc(z).view(len(z), -1, self.side, self.side)
        return x.contiguous(memory_format=torch.channels_last)


def conditions_of(settings: SPADESettings) -> int:
    """Channels of the one-hot maps that the networks read: labels, and planes where they count."""
    return settings.labels + (len(PLANES) if settings.plane_condition else 0)
