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
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.generators.spade.label_windows import distinct_windows, window_rows
from fetalsynth.generators.spade.layers import SLOPE, SPADEBlock
from fetalsynth.generators.spade.lookup import Workspace, add_bypass, enlarge, modulate
from fetalsynth.generators.spade.tables import LabelNetwork, fold
from fetalsynth.generators.spade.winograd import Convolution, prepare

_PLANNED = 64  # slices that share their windows: more share more, but their tables fill memory
_TOGETHER = 8  # slices that go through the innermost convolutions together
_PIXELS = 1 << 16  # that go through a block at a time: more leave the cache
_WORTH_TILES = 8  # slices from which transforming the weights pays


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

    def by_tiles(self) -> _Stage:
        return replace(self, conv_0=self.conv_0.by_tiles(), conv_1=self.conv_1.by_tiles())


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """What one stage looks up: a | b per window, and the window of each pixel (N, H, W)."""

    first: Tensor
    second: Tensor
    bypass: Tensor | None
    index: Tensor


class FastGenerator:
    """The generator's images in eval mode, without gradients; its weights are copied and folded.

    ``dtype`` float32 differs from the plain forward pass by rounding (below 1e-4 of the range).
    bfloat16 is faster still where the hardware has it, and not the same: measure its error on the
    network at hand. ``generator`` is left in eval mode.
    """

    @torch.no_grad()
    def __init__(self, generator: SPADEGenerator, *, dtype: torch.dtype = torch.float32) -> None:
        generator.eval()
        self.dtype = dtype
        self.generator = copy.copy(generator)  # of which only the innermost layer is still used
        self.generator._modules = {"fc": copy.deepcopy(generator.fc)}
        self.stages = [
            _stage(block, doubled=doubled, dtype=dtype) for block, doubled in generator.blocks()
        ]
        self.last = prepare(generator.conv_img, dtype=dtype)

    @torch.no_grad()
    def __call__(
        self, labels: Tensor, planes: Tensor | None = None, z: Tensor | None = None
    ) -> Tensor:
        """Labels (N, H, W) integer, planes (N,), z (N, latents) → float32 images (N, C, H, W).

        Give all slices of a volume at once: the more there are, the more windows repeat. Raises
        ValueError for labels that the network does not know, and where planes or latents are
        missing that it asks for.
        """
        settings = self.generator.settings
        if not len(labels):
            return labels.new_empty(0, settings.channels, *labels.shape[1:], dtype=torch.float32)
        if int(labels.max()) >= settings.labels or int(labels.min()) < 0:
            raise ValueError(
                f"labels from {int(labels.min())} to {int(labels.max())}: the network knows 0 to "
                f"{settings.labels - 1}"
            )
        labels = labels.to(torch.uint8)
        some, which = _distinct_slices(labels, planes, z)
        stages = self.stages
        if len(some) >= _WORTH_TILES:
            stages = [stage.by_tiles() for stage in stages]  # kept no longer than this call
        images: list[Tensor] = []
        space = Workspace()
        for group in torch.split(some, _PLANNED):
            of_group = labels[group], _take(planes, group), _take(z, group)
            images += self._group(*of_group, stages=stages, space=space)
        return torch.cat(images)[which]

    def _group(
        self,
        labels: Tensor,
        planes: Tensor | None,
        z: Tensor | None,
        *,
        stages: list[_Stage],
        space: Workspace,
    ) -> Iterator[Tensor]:
        """Images of slices that share their tables."""
        conditions = self.generator.conditions_for(labels, planes)
        maps = self.generator.innermost(conditions, labels, z).to(self.dtype)
        tables = self._tables(labels, planes, maps.shape[2])
        layers = list(zip(stages, tables, strict=True))
        for start in range(0, len(labels), _TOGETHER):
            some = slice(start, min(start + _TOGETHER, len(labels)))
            x = maps[some].permute(0, 2, 3, 1).contiguous()
            for y in _run_all(layers, x, some, space):
                yield self._image(y, space)

    def _image(self, x: Tensor, space: Workspace) -> Tensor:
        padded = space.padded(x, (*x.shape,))
        padded[:, 1:-1, 1:-1] = F.leaky_relu_(x, SLOPE)
        return torch.tanh(self.last(padded).float()).permute(0, 3, 1, 2)

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
                rows = window_rows(found, labels=settings.labels, planes=told is not None)
            networks = (stage.first, stage.second, stage.bypass)
            first, second, bypass = (
                None if network is None else network.table(*rows).to(self.dtype)
                for network in networks
            )
            assert first is not None
            assert second is not None
            tables.append(_Tables(first=first, second=second, bypass=bypass, index=found.index))
        return tables


def _stage(block: SPADEBlock, *, doubled: bool, dtype: torch.dtype) -> _Stage:
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
        conv_0=prepare(block.conv_0, dtype=dtype),
        conv_1=prepare(block.conv_1, dtype=dtype),
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


def _run_all(
    layers: list[tuple[_Stage, _Tables]], x: Tensor, some: slice, space: Workspace
) -> Iterator[Tensor]:
    """Last maps of the slices ``some``, from those (n, h, w, C) before the first of ``layers``.

    The larger the maps become, the fewer slices go on together.
    """
    if not layers:
        yield x
        return
    (stage, tables), *rest = layers
    index = tables.index[some]
    together = len(x) if x.is_cuda else max(1, _PIXELS // index[0].numel())
    for start in range(0, len(x), together):
        stop = min(start + together, len(x))
        y = _run(stage, tables, x[start:stop], index[start:stop], space)
        yield from _run_all(rest, y, slice(some.start + start, some.start + stop), space)


def _run(stage: _Stage, tables: _Tables, x: Tensor, index: Tensor, space: Workspace) -> Tensor:
    """One residual block on maps (n, h, w, C), doubled first where the stage says so."""
    into = _normalise(x, stage.norm_0)  # doubling does not change a slice's statistics
    y = modulate(into, index, tables.first, doubled=stage.doubled, space=space)
    y = _normalise(stage.conv_0(y), stage.norm_1)
    y = stage.conv_1(modulate(y, index, tables.second, doubled=False, space=space))
    if stage.conv_s is None:
        return y.add_(enlarge(x) if stage.doubled else x)
    assert tables.bypass is not None
    add_bypass(y, into, index, tables.bypass, stage.conv_s, doubled=stage.doubled)
    return y


def _normalise(x: Tensor, norm: nn.Module | None) -> Tensor:
    if norm is None:
        return x
    normalised: Tensor = norm(x.permute(0, 3, 1, 2).float()).to(x.dtype)
    return normalised.permute(0, 2, 3, 1).contiguous()
