"""Cubes of labels → cubes of grey values by flow matching, one per fusion rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.planes import PLANES, Plane
from fetalsynth.generators.flow.family import Flow
from fetalsynth.generators.flow.sampling import Denoise, Sampling, integrate, schedule
from fetalsynth.generators.settings import FlowSettings
from fetalsynth.synthesis.agreeing import Fuse, Told, agreeing, counted, noise_cube, plane_denoiser
from fetalsynth.synthesis.fusion import Rule, Spacing
from fetalsynth.synthesis.volume_model import VolumeModel


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What decides a volume besides its labels: the noise, by ``seed`` and ``name``, and its age.

    ``weeks`` of gestation are None where they are not known.
    """

    seed: int
    name: str
    weeks: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """How volumes are sampled.

    ``at_every_step`` applies the fusion rule at every step to what the planes predict, so that they
    end in one volume; else each plane is sampled to its end by itself, from the same noise, and the
    rule applied to the results.
    """

    sampling: Sampling
    at_every_step: bool = True

    @property
    def evaluations(self) -> int:
        """How often one plane predicts the whole cube on its way from noise to image."""
        steps = self.sampling.steps
        return 2 * steps - 1 if self.sampling.sampler == "heun" else steps

    def work(self, rules: Sequence[Rule]) -> int:
        """Evaluations of a plane that :func:`sample_cubes` takes for ``rules``."""
        planes = sum(len(planes) for planes in self.runs(rules))
        return self.evaluations * planes

    def runs(self, rules: Sequence[Rule]) -> list[tuple[Plane, ...]]:
        """The planes of every cube that is sampled."""
        if self.at_every_step:
            return [rule.planes for rule in rules]
        return [(plane,) for plane in PLANES if any(plane in rule.planes for rule in rules)]

    def describe(self) -> dict[str, Any]:
        """As it stands in configurations and sidecars."""
        return {
            "Sampler": self.sampling.sampler,
            "Steps": self.sampling.steps,
            "Guidance": self.sampling.guidance,
            "Fused": "at every step" if self.at_every_step else "after the last step",
        }


def flow_settings(model: VolumeModel) -> FlowSettings | None:
    """The settings of a flow model, of the first of its networks; None for other models."""
    family = next(iter(model.networks.values())).family
    return family.settings if isinstance(family, Flow) else None


def own_sampling(model: VolumeModel) -> Sampled | None:
    """How a flow model's own settings have it; None for other models."""
    s = flow_settings(model)
    if s is None:
        return None
    return Sampled(sampling=Sampling(sampler=s.sampler, steps=s.steps, guidance=s.guidance))


def sample_cubes(
    model: VolumeModel,
    labels: NDArray[np.uint8],
    *,
    rules: Sequence[Rule],
    how: Sampled,
    asked: Asked,
    spacing_mm: Spacing,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Rule, NDArray[np.float32]]]:
    """Labels (S, S, S) in RAS+ order → one cube (S, S, S) in [−1, 1] for each rule in turn.

    One cube of noise serves all planes and rules. ``tick`` is called after each of the
    ``how.work(rules)`` evaluations.
    """
    told = Told(
        labels=torch.from_numpy(labels).to(model.device),
        weeks=asked.weeks,
        guidance=how.sampling.guidance,
    )
    noise = noise_cube(size=model.grid.size, seed=asked.seed, name=asked.name).to(model.device)
    flow = _flow(model, rules[0].planes[0])
    s = flow.settings
    times = schedule(steps=how.sampling.steps, mean=s.time_mean, sd=s.time_sd)

    def sampled(planes: Sequence[Plane], fuse: Fuse) -> NDArray[np.float32]:
        each = {plane: counted(_denoiser(model, told, plane), tick=tick) for plane in planes}
        denoise = agreeing(each, fuse=fuse)
        with torch.inference_mode():
            cube = flow.to_images(integrate(denoise, noise, times, sampler=how.sampling.sampler))
        return np.ascontiguousarray(cube[0].cpu().numpy())

    if how.at_every_step:
        for rule in rules:
            yield rule, sampled(rule.planes, fusing(rule, spacing_mm=spacing_mm))
        return
    alone = {planes[0]: sampled(planes, _only) for planes in how.runs(rules)}
    for rule in rules:
        yield rule, rule.fuse(alone, spacing_mm=spacing_mm)


def fusing(rule: Rule, *, spacing_mm: Spacing) -> Fuse:
    """``rule`` for cubes (1, S, S, S) on any device.

    They are at the spread of the path, not from −1 to 1; only the 10⁻⁴ of Listing 1 feels that.
    """

    def fuse(cubes: Mapping[Plane, Tensor]) -> Tensor:
        if len(rule.planes) == 1:
            return cubes[rule.planes[0]]
        arrays = {plane: cube[0].cpu().numpy() for plane, cube in cubes.items()}
        device = next(iter(cubes.values())).device
        return torch.from_numpy(rule.fuse(arrays, spacing_mm=spacing_mm))[None].to(device)

    return fuse


def _only(cubes: Mapping[Plane, Tensor]) -> Tensor:
    (cube,) = cubes.values()
    return cube


def _denoiser(model: VolumeModel, told: Told, plane: Plane) -> Denoise:
    return plane_denoiser(
        _flow(model, plane),
        told,
        plane=plane,
        knows_empty=model.networks[plane].knows_empty,
        dtype=model.dtype,
    )


def _flow(model: VolumeModel, plane: Plane) -> Flow:
    family = model.networks[plane].family
    assert isinstance(family, Flow)
    return family
