"""Do synthetic images lie where real ones do, and do they reach everywhere?

In every feature space, and in the layout of the picture (at most 16 pixels a side, mean 0 and norm
1, so that texture, brightness and contrast do not count), at equal counts: precision, recall,
density and coverage from the nearest neighbours, the sliced Wasserstein distance, the ratio of
Vendi scores, and above 5000 images a side the Fréchet distance extrapolated to infinitely many.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Metric
from fetalsynth.assessment.floors import Design, Matched, fewer_draws, matched, matched_table
from fetalsynth.assessment.metrics import frechet_infinity as infinity
from fetalsynth.assessment.metrics import sliced_wasserstein as sliced
from fetalsynth.assessment.metrics.nearest import standardised
from fetalsynth.assessment.metrics.pairwise import euclidean
from fetalsynth.assessment.metrics.precision_recall import K, among, expected_coverage
from fetalsynth.assessment.metrics.vendi import vendi_score
from fetalsynth.assessment.parts.part import Part, together
from fetalsynth.assessment.results import matched_metric
from fetalsynth.assessment.samples import ROLES, Index, Samples
from fetalsynth.assessment.spaces import Space
from fetalsynth.randomness import numpy_rng

LEAST = 20
DRAWS = 10
HALVES = 30
SIDE = 16
_MEANS = {
    "precision": "Share of synthetic images that have a real image as near as real images have "
    "their fifth neighbour: how many look like real ones. A few odd real images raise it.",
    "recall": "Share of real images that have a synthetic image as near as synthetic images have "
    "their fifth neighbour: how much of the real variety is reached.",
    "density": "How crowded with real images the places of synthetic images are: 1 is as among "
    "real ones; above 1 they keep to the most usual kind.",
    "coverage": "Share of real images with a synthetic image among their nearest: how much of the "
    "real variety is reached, less misled by odd images than recall.",
}


def coverage(samples: Samples, design: Design, spaces: tuple[Space, ...]) -> Part:
    """All of it in every space; refused below 20 images a side."""
    if design.count < LEAST:
        why = (
            f"precision, recall, density, coverage, SW2 and Vendi-ratio need {LEAST} images on "
            f"each side of the value and of its floor; there are {design.count}"
        )
        return Part(unjudged={"coverage of the real variety": why})
    spaces = (*spaces, _layout(samples))
    fewer = fewer_draws(design, draws=DRAWS, halves=HALVES, least=K + 2)
    return together(
        Part(
            metrics={
                **_support(space, fewer),
                f"SW2-{space.name}": _sliced(space, samples, fewer),
                **_vendi(space, fewer),
                **extrapolated(space, samples, design),
            },
            unjudged={} if _has_angles(space) else {f"Vendi-ratio-{space.name}": _NO_ANGLE},
        )
        for space in spaces
    )


_NO_ANGLE = "an image without any structure has no likeness to others that the score could count"


def _has_angles(space: Space) -> bool:
    return bool(space.pooled.any(axis=1).all())


def _layout(samples: Samples) -> Space:
    rows = [standardised(images=samples.images[r], side=SIDE) for r in ROLES if r in samples.images]
    settings = {"features": f"block means of at most {SIDE} pixels a side, mean 0, norm 1"}
    return Space(name=f"layout{SIDE}", pooled=np.concatenate(rows), settings=settings)


def _support(space: Space, design: Design) -> dict[str, Metric]:
    distances = euclidean(rows=space.pooled)

    def statistics(first: Index, second: Index) -> NDArray[np.float64]:
        return among(distances=distances, real=first, synthetic=second).values()

    settings = {**space.settings, "k": K, "draws": len(design.value)}
    expected = {"expected_of_one_distribution": expected_coverage(count=design.count)}
    return {
        f"{name}-{space.name}": matched_metric(
            found if name == "density" else _at_most_one(found),
            design,
            settings=settings | (expected if name == "coverage" else {}),
            meaning=_MEANS[name],
            direction="none" if name == "density" else "higher",
        )
        for name, found in zip(_MEANS, matched_table(statistics, design), strict=True)
    }


def _at_most_one(found: Matched) -> Matched:
    if found.ci95 is None:
        return found
    return replace(found, ci95=(found.ci95[0], min(found.ci95[1], 1.0)))


def _sliced(space: Space, samples: Samples, design: Design) -> Metric:
    rng = numpy_rng(seed=samples.seed, stream=f"assess/directions/{space.name}")
    dimensions = space.pooled.shape[1]
    directions = sliced.random_directions(dimensions=dimensions, rng=rng)
    projected = sliced.projections(features=space.pooled, directions=directions)

    def statistic(first: Index, second: Index) -> float:
        return sliced.between(
            projected=projected, first=first, second=second, dimensions=dimensions
        )

    return matched_metric(
        matched(statistic, design),
        design,
        settings={
            **space.settings,
            "directions": sliced.DIRECTIONS,
            "draws": len(design.value),
        },
        meaning="How far the features of the synthetic set would have to be moved, squared, to be "
        "distributed like those of the real set, seen along random directions; above 0 even "
        "between real sets, so read it against its floor.",
    )


def _vendi(space: Space, design: Design) -> dict[str, Metric]:
    """Nothing where an image has no features at all (every pixel left out): it has no angle."""
    if not _has_angles(space):
        return {}

    def statistics(first: Index, second: Index) -> NDArray[np.float64]:
        real, synthetic = (vendi_score(features=space.pooled[group]) for group in (first, second))
        return np.array([synthetic / real, synthetic, real])

    found, of_synthetic, of_real = matched_table(statistics, design)
    ratio = matched_metric(
        found,
        design,
        direction="higher",
        least_images=LEAST,
        settings={
            **space.settings,
            "kernel": "cosine",
            "draws": len(design.value),
            "vendi_synthetic": of_synthetic.value,
            "vendi_real": of_real.value,
            "vendi_synthetic_per_image": of_synthetic.value / design.count,
            "vendi_real_per_image": of_real.value / design.count,
        },
        meaning="Effective number of different images in the synthetic set, divided by that of as "
        "many real images: 1 is as varied as real images, well below 1 is repetition.",
    )
    return {f"Vendi-ratio-{space.name}": ratio}


def extrapolated(space: Space, samples: Samples, design: Design) -> dict[str, Metric]:
    """``FD-infinity`` where there are enough images; else nothing (the settings of FD say why)."""
    if design.count <= infinity.LEAST:
        return {}
    real, synthetic = (
        space.pooled[samples.pooled("real")],
        space.pooled[samples.pooled("synthetic")],
    )
    first, second = (space.pooled[side] for side in design.floor[0])
    rng = numpy_rng(seed=samples.seed, stream=f"assess/infinity/{space.name}")
    value = infinity.frechet_infinity(first=real, second=synthetic, rng=rng)
    floor = infinity.frechet_infinity(first=first, second=second, rng=rng)
    return {
        f"FD-infinity-{space.name}": Metric(
            value=value,
            direction="lower",
            n_real=len(real),
            n_synthetic=len(synthetic),
            settings={
                **space.settings,
                "points": infinity.POINTS,
                "least_images": infinity.LEAST,
                "floor_of": design.kind,
                "floor_images_a_side": len(first),
            },
            floor=floor,
            meaning="Fréchet distance that infinitely many images would have, by a straight line "
            "in 1/number of images; about 0 between real sets.",
        )
    }
