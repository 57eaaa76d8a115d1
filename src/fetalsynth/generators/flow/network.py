"""The network of flow matching: a compact UNet on pixels that were folded into channels."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fetalsynth.generators.settings import FlowSettings

FREQUENCIES = 16
HEAD_CHANNELS = 32


class FlowNetwork(nn.Module):
    """(noisy images, noise levels, maps, told) → a correction of the size of the images.

    Images are (N, channels, S, S), noise levels log σ (N,), ``maps`` the shares of the labels
    (N, labels, S, S) or None without labels, ``told`` a vector (N, told) of everything else that
    the network is told. Label maps enter beside the image and again in every block on the way up,
    where each label scales and shifts the normalised features (class-adaptive normalisation, Tan et
    al., TPAMI 2021, arXiv 2012.04644).
    """

    def __init__(self, settings: FlowSettings, *, told: int) -> None:
        super().__init__()
        s = self.settings = settings
        fold = s.patch**2
        labels = s.labels if s.condition != "none" else 0
        embedding = 4 * s.widths[0]
        self.noise = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.told = nn.Linear(told, embedding, bias=False) if told else None
        entry = (s.channels + labels * s.label_slices) * fold
        self.entry = nn.Conv2d(entry, s.widths[0], 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(s.widths):
            before = s.widths[max(0, level - 1)]
            attend = s.attention and level == len(s.widths) - 1
            self.down.append(_Stage(width, width, s, embedding=embedding, attend=attend))
            shrink = nn.Conv2d(before, width, 3, stride=2, padding=1) if level else nn.Identity()
            self.shrink.append(shrink)
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(s.widths))):
            width, deep = s.widths[level], level == len(s.widths) - 1
            entering = width if deep else 2 * width
            attend = s.attention and deep
            self.up.append(
                _Stage(entering, width, s, embedding=embedding, labels=labels, attend=attend)
            )
            above = nn.Conv2d(width, s.widths[level - 1], 1) if level else nn.Identity()
            self.grow.append(above)
        self.norm = nn.GroupNorm(_groups(s.widths[0]), s.widths[0])
        self.exit = nn.Conv2d(s.widths[0], s.channels * fold, 3, padding=1)

    def forward(
        self, images: Tensor, noise: Tensor, maps: Tensor | None = None, told: Tensor | None = None
    ) -> Tensor:
        """Raises ValueError where maps or told are missing that the settings ask for."""
        x = F.pixel_unshuffle(images, self.settings.patch)
        pyramid: list[Tensor] = []
        if self.settings.condition != "none":
            if maps is None:
                raise ValueError("this network must be given the shares of the labels")
            x = torch.cat([x, F.pixel_unshuffle(maps, self.settings.patch).to(x.dtype)], 1)
            pyramid = _pyramid(self._middle(maps), self.settings)
        embedded = self.noise(_waves(noise))
        if self.told is not None:
            if told is None:
                raise ValueError("this network must be told the vector of its conditions")
            embedded = embedded + self.told(told)
        embedded = F.silu(embedded)
        x = self.entry(x)
        passed: list[Tensor] = []
        for shrink, stage in zip(self.shrink, self.down, strict=True):
            x = stage(shrink(x), embedded, None)
            passed.append(x)
        x = passed.pop()
        for number, (stage, grow) in enumerate(zip(self.up, self.grow, strict=True)):
            x = torch.cat([passed.pop(), x], 1) if number else x
            x = grow(stage(x, embedded, pyramid[-1 - number] if pyramid else None))
            if passed:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.exit(F.silu(self.norm(x)))
        return F.pixel_shuffle(x, self.settings.patch)

    def _middle(self, maps: Tensor) -> Tensor:
        """The labels of the slice itself, out of those of its neighbours too."""
        labels = self.settings.labels
        first = labels * (self.settings.label_slices // 2)
        return maps[:, first : first + labels]


class _Stage(nn.Module):
    """The blocks of one resolution; the innermost ones attend to all positions."""

    def __init__(
        self,
        before: int,
        width: int,
        settings: FlowSettings,
        *,
        embedding: int,
        labels: int = 0,
        attend: bool = False,
    ) -> None:
        super().__init__()
        entering = [before] + [width] * (settings.blocks - 1)
        self.blocks = nn.ModuleList(
            _Block(each, width, embedding=embedding, labels=labels, dropout=settings.dropout)
            for each in entering
        )
        self.attention = _Attention(width) if attend else None

    def forward(self, x: Tensor, embedded: Tensor, maps: Tensor | None) -> Tensor:
        for block in self.blocks:
            x = block(x, embedded, maps)
        return x if self.attention is None else self.attention(x)


class _Block(nn.Module):
    """Two convolutions beside the way through; noise level and labels scale and shift between."""

    def __init__(
        self, before: int, width: int, *, embedding: int, labels: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_groups(before), before)
        self.conv1 = nn.Conv2d(before, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(_groups(width), width)
        self.modulation = nn.Linear(embedding, 2 * width)
        self.labels = nn.Conv2d(labels, 2 * width, 1, bias=False) if labels else None
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.skip = nn.Conv2d(before, width, 1, bias=False) if before != width else nn.Identity()

    def forward(self, x: Tensor, embedded: Tensor, maps: Tensor | None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        modulation = self.modulation(embedded)[:, :, None, None].to(h.dtype)
        if self.labels is not None and maps is not None:
            modulation = modulation + self.labels(maps)
        scale, shift = modulation.chunk(2, 1)
        h = F.silu(torch.addcmul(shift + h, h, scale))
        through: Tensor = self.skip(x)
        changed: Tensor = self.conv2(self.dropout(h))
        return through + changed


class _Attention(nn.Module):
    """Self-attention of all positions (Vaswani et al. 2017), heads of about 32 channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = _heads(width)
        self.norm = nn.GroupNorm(_groups(width), width)
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        found = self.project(self.norm(x)).reshape(n, 3 * self.heads, c // self.heads, h * w)
        q, k, v = found.transpose(2, 3).chunk(3, 1)
        attended = F.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.out(attended.transpose(2, 3).reshape(n, c, h, w))
        return x + mixed


def _heads(width: int) -> int:
    """The most heads of 32 channels or more that share ``width`` equally."""
    return max(n for n in range(1, max(1, width // HEAD_CHANNELS) + 1) if width % n == 0)


def _groups(width: int) -> int:
    return math.gcd(width, max(1, width // 16))


def _waves(noise: Tensor) -> Tensor:
    """log σ (N,) as sines and cosines (N, 2 · FREQUENCIES) of periods from 0.4 to 50."""
    low, high = math.log(2 * math.pi / 50), math.log(2 * math.pi / 0.4)
    rates = torch.exp(torch.linspace(low, high, FREQUENCIES, device=noise.device))
    angles = noise[:, None] * rates
    return torch.cat([torch.sin(angles), torch.cos(angles)], 1)


def _pyramid(maps: Tensor, settings: FlowSettings) -> list[Tensor]:
    """Mean shares at the resolution of every level, the finest first."""
    found = [F.avg_pool2d(maps, settings.patch) if settings.patch > 1 else maps]
    for _ in settings.widths[1:]:
        found.append(F.avg_pool2d(found[-1], 2))
    return found
