"""Chosen items as pixels: every one through the same pipeline, catch trials spoilt at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.reader.choosing_items import Chosen, Spoilt
from fetalsynth.reader.pipeline import (
    Plan,
    Stimulus,
    make_stimulus,
    noise,
    plan_images,
    scrambled,
)
from fetalsynth.reader.pipeline_sources import Sources
from fetalsynth.reader.pipeline_volumes import VolumePlan, make_cube, plan_volumes, tiles


class Stimuli(Protocol):
    """Renders items; all have (height, width) ``shape`` and the same number of ``slices``."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def slices(self) -> dict[str, int] | None: ...
    @property
    def said(self) -> tuple[str, ...]: ...

    def render(self, item: Chosen, *, rng: np.random.Generator) -> dict[str, Stimulus]:
        """Pixels by plane, "" for an image; ``rng`` spoils catch trials."""
        ...


def prepare(
    sources: Sources,
    chosen: Sequence[Chosen],
    *,
    size: int | None = None,
    margin: float = 0.05,
    floor: float,
) -> Stimuli:
    """The one pipeline for all of the ``chosen``; see the plans of images and of volumes.

    ``size`` and ``margin`` are for images.
    """
    if sources.volumes:
        files = [sources.of(c.candidate.set).volumes[c.candidate.place] for c in chosen]
        return _Volumes(sources=sources, plan=plan_volumes(files, floor=floor))
    samples = [source.sample() for source in sources.all]
    plan = plan_images(samples, size=size, margin=margin, floor=floor)
    return _Images(sources=sources, plan=plan)


@dataclass(frozen=True, kw_only=True)
class _Images:
    sources: Sources
    plan: Plan

    @property
    def shape(self) -> tuple[int, int]:
        return self.plan.shape

    @property
    def slices(self) -> dict[str, int] | None:
        return None

    @property
    def said(self) -> tuple[str, ...]:
        return self.plan.said()

    def render(self, item: Chosen, *, rng: np.random.Generator) -> dict[str, Stimulus]:
        one = item.candidate
        pixels = make_stimulus(self.sources.of(one.set).image(one.place), self.plan)
        return {"": _spoilt(pixels, item.made, rng)}


@dataclass(frozen=True, kw_only=True)
class _Volumes:
    sources: Sources
    plan: VolumePlan

    @property
    def shape(self) -> tuple[int, int]:
        return self.plan.size, self.plan.size

    @property
    def slices(self) -> dict[str, int] | None:
        return dict.fromkeys(map(str, PLANES), self.plan.size)

    @property
    def said(self) -> tuple[str, ...]:
        return self.plan.said()

    def render(self, item: Chosen, *, rng: np.random.Generator) -> dict[str, Stimulus]:
        one = item.candidate
        cube = make_cube(self.sources.of(one.set).volumes[one.place], self.plan)
        cube = _spoilt(cube, item.made, rng)
        return {plane: tiles(cube, plane=plane) for plane in PLANES}


def _spoilt(pixels: Stimulus, made: Spoilt, rng: np.random.Generator) -> Stimulus:
    if made == "noise":
        return noise(pixels, rng)
    return scrambled(pixels, rng) if made == "scrambled" else pixels
