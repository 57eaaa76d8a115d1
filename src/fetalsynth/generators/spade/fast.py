"""The images of a trained SPADE generator, several times faster: the same weights, no training.

Nothing is approximated but the order of sums:

- the label networks, 70 % of the work at the default size, see 5×5 labels and run once per distinct
  window of many slices; every pixel then looks its modulation up;
- normalisation by stored statistics is part of the modulation, and so is the part of a shortcut's
  1×1 convolution that does not depend on the image (:mod:`.tables`);
- slices that are equal, such as the empty ones at both ends of a volume, are computed once;
- spectral norms are divided out beforehand, wide convolutions take a quarter of the multiplications
  (:mod:`.winograd`), maps are kept channels last, and passes over them work on blocks that stay in
  the cache.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.generators.spade.label_windows import distinct_windows
from fetalsynth.generators.spade.layers import SLOPE, SPADEBlock
from fetalsynth.generators.spade.tables import LabelNetwork, fold, one_hot_windows
from fetalsynth.generators.spade.winograd import Convolution, prepare

_PLANNED = 64  # slices that share their windows: more share more, but their tables fill memory
_TOGETHER = 8  # slices that go through the innermost convolutions together
_PIXELS = 1 << 16  # that go through a block at a time: more leave the cache
_BLOCK_BYTES = 1 << 19  # of looked-up modulations at a time: about half a core's second cache


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """A residual block at rest: convolutions, and label networks with the normalisation folded."""

    doubled: bool
    first: LabelNetwork
    second: LabelNetwork
    bypass: LabelNetwork | None
    norm_0: nn.Module | None  # None where folded into the label networks
    norm_1: nn.Module | None
    conv_0: Convolution
    conv_1: Convolution
    conv_s: Tensor | None  # (inputs, outputs)


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """What one stage looks up: a | b per window, and the window of each pixel (N, H, W)."""

    first: Tensor
    second: Tensor
    bypass: Tensor | None
    index: Tensor


@dataclass(frozen=True)
class _Workspace:
    """Maps with a border of zeros, kept from one slice to the next: new memory costs time."""

    made: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    def padded(self, like: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
        """(N, H + 2, W + 2, C) of whatever lies inside the zeros, for ``shape`` (N, H, W, C)."""
        if shape not in self.made:
            count, height, width, channels = shape
            self.made[shape] = like.new_zeros(count, height + 2, width + 2, channels)
        return self.made[shape]


class FastGenerator:
    """The generator's images in eval mode, without gradients; its weights are copied and folded.

    ``dtype`` float32 differs from the plain forward pass by rounding (below 1e-4 of the range).
    bfloat16 is faster still where the hardware has it, and not the same: measure its error on the
    network at hand. The transformed weights take up to four times the memory of the network's own
    on a CPU; ``tiles`` False goes without them.
    """

    @torch.no_grad()
    def __init__(
        self,
        generator: SPADEGenerator,
        *,
        dtype: torch.dtype = torch.float32,
        tiles: bool = True,
    ) -> None:
        self.dtype = dtype
        self.generator = copy.copy(generator)  # of which only the innermost layer is still used
        self.generator._modules = {"fc": copy.deepcopy(generator.fc)}
        self.stages = [
            _stage(block, doubled=doubled, dtype=dtype, tiles=tiles)
            for block, doubled in generator.blocks()
        ]
        self.last = prepare(generator.conv_img, dtype=dtype, tiles=False)

    @torch.no_grad()
    def __call__(
        self, labels: Tensor, planes: Tensor | None = None, z: Tensor | None = None
    ) -> Tensor:
        """Labels (N, H, W) integer, planes (N,), z (N, latents) → float32 images (N, C, H, W).

        Give all slices of a volume at once: the more there are, the more windows repeat. Raises
        ValueError where planes or latents are missing that the network asks for.
        """
        labels = labels.to(torch.uint8)
        some, which = _distinct_slices(labels, planes, z)
        space = _Workspace()
        images: list[Tensor] = []
        for group in torch.split(some, _PLANNED):
            of_group = labels[group], _take(planes, group), _take(z, group)
            images += self._group(*of_group, space=space)
        return torch.cat(images)[which]

    def _group(
        self, labels: Tensor, planes: Tensor | None, z: Tensor | None, *, space: _Workspace
    ) -> Iterator[Tensor]:
        """Images of slices that share their tables."""
        conditions = self.generator.conditions_for(labels, planes)
        maps = self.generator.innermost(conditions, labels, z).to(self.dtype)
        tables = self._tables(labels, planes, maps.shape[2])
        for start in range(0, len(labels), _TOGETHER):
            some = slice(start, min(start + _TOGETHER, len(labels)))
            x = maps[some].permute(0, 2, 3, 1).contiguous()
            yield from self._finish(x, tables, some, stage=0, space=space)

    def _finish(
        self, x: Tensor, tables: list[_Tables], some: slice, *, stage: int, space: _Workspace
    ) -> Iterator[Tensor]:
        """Images of the slices ``some`` from their maps (n, h, w, C) before ``stage``.

        The larger the maps become, the fewer slices go on together.
        """
        if stage == len(self.stages):
            padded = space.padded(x, (*x.shape,))
            padded[:, 1:-1, 1:-1] = F.leaky_relu_(x, SLOPE)
            yield torch.tanh(self.last(padded).float()).permute(0, 3, 1, 2)
            return
        index = tables[stage].index[some]
        together = len(x) if x.is_cuda else max(1, _PIXELS // index[0].numel())
        for start in range(0, len(x), together):
            part = slice(start, min(start + together, len(x)))
            y = _run(self.stages[stage], tables[stage], x[part], index[part], space)
            slices = slice(some.start + part.start, some.start + part.stop)
            yield from self._finish(y, tables, slices, stage=stage + 1, space=space)

    def _tables(self, labels: Tensor, planes: Tensor | None, side: int) -> list[_Tables]:
        """The tables of all stages, whose maps are ``side`` pixels high from the first one on."""
        settings = self.generator.settings
        told = planes if settings.plane_condition else None
        tables: list[_Tables] = []
        for number, stage in enumerate(self.stages):
            side *= 2 if stage.doubled else 1
            if number == 0 or stage.doubled:
                step = labels.shape[1] // side
                found = distinct_windows(labels[:, ::step, ::step].contiguous(), planes=told)
                maps = one_hot_windows(found, labels=settings.labels, planes=told is not None)
            networks = (stage.first, stage.second, stage.bypass)
            first, second, bypass = (
                None if network is None else network.table(*maps).to(self.dtype)
                for network in networks
            )
            assert first is not None
            assert second is not None
            tables.append(_Tables(first=first, second=second, bypass=bypass, index=found.index))
        return tables


def _stage(block: SPADEBlock, *, doubled: bool, dtype: torch.dtype, tiles: bool) -> _Stage:
    norms = [block.norm_0.param_free_norm, block.norm_1.param_free_norm]
    learned, weights = block.learned_shortcut, None
    if learned:
        assert isinstance(block.conv_s, nn.Conv2d)
        weights = block.conv_s.weight.flatten(1)
    return _Stage(
        doubled=doubled,
        first=fold(block.norm_0, statistics=norms[0]),
        second=fold(block.norm_1, statistics=norms[1]),
        bypass=fold(block.norm_s, statistics=norms[0], shortcut=weights) if learned else None,
        norm_0=None if isinstance(norms[0], _BatchNorm) else norms[0],
        norm_1=None if isinstance(norms[1], _BatchNorm) else norms[1],
        conv_0=prepare(block.conv_0, dtype=dtype, tiles=tiles),
        conv_1=prepare(block.conv_1, dtype=dtype, tiles=tiles),
        conv_s=None if weights is None else weights.T.to(dtype).contiguous(),
    )


def _distinct_slices(
    labels: Tensor, planes: Tensor | None, z: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(one of each kind of equal slices, which of these every slice equals)."""
    seen: dict[tuple[bytes, ...], int] = {}
    some: list[int] = []
    which: list[int] = []
    parts = [x.cpu().numpy() for x in (labels, planes, z) if x is not None]
    for n in range(len(labels)):
        key = tuple(part[n].tobytes() for part in parts)
        if key not in seen:
            seen[key] = len(some)
            some.append(n)
        which.append(seen[key])
    device = labels.device
    return torch.tensor(some, device=device), torch.tensor(which, device=device)


def _take(x: Tensor | None, index: Tensor) -> Tensor | None:
    return None if x is None else x.to(index.device)[index]


def _run(stage: _Stage, tables: _Tables, x: Tensor, index: Tensor, space: _Workspace) -> Tensor:
    """One residual block on maps (n, h, w, C), doubled first where the stage says so."""
    into = _normalise(x, stage.norm_0)  # doubling does not change a slice's statistics
    y = _modulate(into, index, tables.first, doubled=stage.doubled, space=space)
    y = _normalise(stage.conv_0(y), stage.norm_1)
    y = stage.conv_1(_modulate(y, index, tables.second, doubled=False, space=space))
    if stage.conv_s is None:
        return y.add_(_doubled(x) if stage.doubled else x)
    assert tables.bypass is not None
    _add_bypass(y, into, index, tables.bypass, stage.conv_s, doubled=stage.doubled)
    return y


def _normalise(x: Tensor, norm: nn.Module | None) -> Tensor:
    if norm is None:
        return x
    normalised: Tensor = norm(x.permute(0, 3, 1, 2).float()).to(x.dtype)
    return normalised.permute(0, 2, 3, 1).contiguous()


def _modulate(
    x: Tensor, index: Tensor, table: Tensor, *, doubled: bool, space: _Workspace
) -> Tensor:
    """Leaky ReLU of a · x + b with the ``table``'s a | b, in a border of zeros."""
    channels = x.shape[-1]
    padded = space.padded(x, (*index.shape, channels))
    inside = padded[:, 1:-1, 1:-1]
    for block in _blocks(index, table):
        ab = table.index_select(0, index[block].flatten()).view(*index[block].shape, -1)
        y = inside[block]
        torch.addcmul(ab[..., channels:], ab[..., :channels], _part(x, block, doubled), out=y)
        F.leaky_relu_(y, SLOPE)
    return padded


def _add_bypass(
    y: Tensor, x: Tensor, index: Tensor, table: Tensor, weights: Tensor, *, doubled: bool
) -> None:
    """Add to y (n, H, W, outputs) the shortcut (a · x) · weights + b, of the ``table``'s a | b."""
    channels = x.shape[-1]
    for block in _blocks(index, table):
        ab = table.index_select(0, index[block].flatten())
        part = _part(x, block, doubled).reshape(-1, channels)
        into = y[block].flatten(0, 2)
        into.add_(ab[:, channels:]).addmm_(ab[:, :channels] * part, weights)


def _blocks(index: Tensor, table: Tensor) -> Iterator[tuple[slice, slice]]:
    """(slices, rows) of pixels: whole slices, or an even number of rows of one, at a time."""
    count, height, width = index.shape
    pixels = max(1, _BLOCK_BYTES // (table.shape[1] * table.element_size()))
    if index.is_cuda:
        pixels = index.numel()
    slices = max(1, pixels // (height * width))
    rows = height if slices > 1 else max(2, pixels // width // 2 * 2)
    for n in range(0, count, slices):
        for top in range(0, height, rows):
            yield slice(n, min(n + slices, count)), slice(top, min(top + rows, height))


def _part(x: Tensor, block: tuple[slice, slice], doubled: bool) -> Tensor:
    """The block's maps, from maps of half the size where these are to be doubled."""
    slices, rows = block
    return _doubled(x[slices, rows.start // 2 : rows.stop // 2]) if doubled else x[block]


def _doubled(x: Tensor) -> Tensor:
    """(n, h, w, C) → (n, 2 h, 2 w, C), nearest."""
    count, height, width, channels = x.shape
    wide = x[:, :, None, :, None, :].expand(count, height, 2, width, 2, channels)
    return wide.reshape(count, 2 * height, 2 * width, channels)
