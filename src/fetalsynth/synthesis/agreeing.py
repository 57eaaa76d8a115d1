"""One noisy volume, denoised slice by slice in several planes that agree at every step.

A volume's noise is one cube, and its slices in any plane are noisy slices as the networks of that
plane know them. At every step of sampling each plane predicts the clean volume, slice by slice; the
predictions are fused into one, and the whole volume moves towards it. So what the planes invent,
they invent together, where volumes that were sampled apart differ in it and blur when fused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fetalsynth.anatomy.planes import PLANES, Plane
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.flow.conditions import condition_of
from fetalsynth.generators.flow.family import Flow
from fetalsynth.generators.flow.path import Point
from fetalsynth.generators.flow.sampling import Denoise
from fetalsynth.generators.neighbours import hung, unhung, with_neighbours
from fetalsynth.generators.precision import computing
from fetalsynth.randomness import torch_rng

BLACK = -1.0
# Slices per evaluation. The same ones always go together, because convolutions round differently in
# batches of different size.
CHUNK = 16

Fuse = Callable[[Mapping[Plane, Tensor]], Tensor]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is said of a cube besides its noise, all planes alike.

    ``labels`` (S, S, S) in RAS+ order on the device, ``weeks`` of gestation or None, and how far to
    follow both (``guidance``; 1 as learned).
    """

    labels: Tensor
    weeks: float | None = None
    guidance: float = 1.0


def noise_cube(*, size: int, seed: int, name: str) -> Tensor:
    """The noise (1, S, S, S) of the volume ``name``: of no other volume, and the same each time."""
    rng = torch_rng(seed=seed, stream=f"volume {name}")
    return torch.randn(1, size, size, size, generator=rng)


def plane_denoiser(
    flow: Flow,
    told: Told,
    *,
    plane: Plane,
    knows_empty: bool,
    dtype: torch.dtype = torch.float32,
) -> Denoise:
    """Noisy cubes (1, S, S, S) → clean ones, both at the spread of the path, by slices of a plane.

    Slices without labels are black where the network does not know such (``knows_empty``).
    """
    s, axis = flow.settings, PLANES.index(plane)
    stack = hung(told.labels.movedim(axis, 0))
    labels = with_neighbours(stack, context=s.context)
    held = stack.flatten(1).any(1)
    chosen = torch.nonzero(held | knows_empty)[:, 0]
    black = (BLACK - s.image_mean) / s.image_sd
    weeks = torch.nan if told.weeks is None else told.weeks

    def slices(at: Point, numbers: Tensor) -> Tensor:
        noisy = hung(at.noisy[0].movedim(axis, 0))[numbers][:, None]
        batch = Batch(
            images=noisy,
            labels=labels[numbers],
            planes=torch.full_like(numbers, axis),
            ages=torch.full((len(numbers),), weeks, device=noisy.device),
        )
        denoise = flow.denoiser(flow.generator, condition_of(batch, s), guidance=told.guidance)
        return denoise(Point(noisy=noisy, time=at.time.expand(len(numbers))))[:, 0]

    def denoise(at: Point) -> Tensor:
        clean = torch.full_like(stack, black, dtype=at.noisy.dtype)
        with computing(dtype, at.noisy.device):
            for numbers in torch.split(chosen, CHUNK):
                clean[numbers] = slices(at, numbers)
        return unhung(clean).movedim(0, axis)[None]

    return denoise


def agreeing(planes: Mapping[Plane, Denoise], *, fuse: Fuse) -> Denoise:
    """What several planes say of the same noisy cube, fused into one clean cube."""

    def denoise(at: Point) -> Tensor:
        return fuse({plane: each(at) for plane, each in planes.items()})

    return denoise


def counted(denoise: Denoise, *, tick: Callable[[], None]) -> Denoise:
    """The same, with ``tick`` called after every evaluation."""

    def counting(at: Point) -> Tensor:
        clean = denoise(at)
        tick()
        return clean

    return counting
