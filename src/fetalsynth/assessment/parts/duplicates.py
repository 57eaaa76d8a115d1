"""Near-duplicates inside the synthetic set: the same picture again, perhaps mirrored.

Distances are Euclidean between standardised pixels (mean 0, norm 1, at most 32 pixels a side), the
nearest over the four mirror images; the threshold comes from real images of different subjects,
those for training included (``metrics/duplicates.py``). Frames of one subject that are taken for
different ones hide duplicates and never make any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Cluster, Metric
from fetalsynth.assessment.metrics.duplicates import LINKS, clusters, duplicate_threshold
from fetalsynth.assessment.metrics.nearest import flips, standardised
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.samples import Samples
from fetalsynth.assessment.tables import csv_text
from fetalsynth.datasets.scratch import gathered

SIDE = 32
LEAST_REAL = 50
MOST_REAL = 1000
LISTED = 12
PICTURED = 8
_ROUNDING = 2e-6
TABLE = "duplicates.csv"


def duplicates(samples: Samples) -> Part:
    """The share of synthetic images in clusters, the largest clusters, a table of all."""
    independent = _different_subjects(samples)
    if sum(map(len, independent)) < LEAST_REAL:
        there = sum(map(len, independent))
        why = f"needs real images of at least {LEAST_REAL} subjects, there are {there}"
        return Part(unjudged={"duplicates": why})
    real, synthetic = _distances(independent), _distances([samples.images["synthetic"]])
    nearest = real.min(1).astype(np.float64)
    threshold = duplicate_threshold(nearest=nearest, count=len(synthetic))
    if threshold is None:
        why = "the real images hold twins (more than 1 in 10), so nothing says what is too near"
        return Part(unjudged={"duplicates": why})
    found = clusters(distances=synthetic, threshold=threshold)
    among_real = clusters(distances=real, threshold=threshold)
    usual = float(np.median(nearest))
    files = samples.files["synthetic"]
    listed = tuple(
        _cluster(rank, group, synthetic, usual, files)
        for rank, group in enumerate(found[:LISTED], start=1)
    )
    rows = [(rank, files[i]) for rank, group in enumerate(found, start=1) for i in group]
    return Part(
        metrics={
            "duplicate-share": _metric(
                found, among_real, threshold=threshold / usual, real=len(real), samples=samples
            )
        },
        duplicate_clusters=listed,
        tables={TABLE: csv_text(("cluster", "file"), rows)},
    )


def _different_subjects(samples: Samples) -> list[NDArray[np.uint8]]:
    """Real images, held out and for training, one of each subject."""
    left, parts = MOST_REAL, []
    for role in ("real", "train"):
        if samples.count(role) and left:
            chosen = samples.one_per_subject(role)[:left]
            parts.append(gathered(samples.images[role], chosen))
            left -= len(chosen)
    return parts


def _distances(sets: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """(N, N) among the images of all sets, the nearest over mirror images; inf on the diagonal."""
    rows, *mirrored = (
        np.concatenate([standardised(images=flip, side=SIDE) for flip in flipped])
        for flipped in zip(*(flips(images=images) for images in sets), strict=True)
    )
    rows = rows.astype(np.float32)
    products = rows @ rows.T
    for other in mirrored:
        np.maximum(products, other.astype(np.float32) @ rows.T, out=products)
    flat = ~rows.any(axis=1)
    products[np.ix_(flat, flat)] = 1
    distances = np.sqrt(np.where(products > 1 - _ROUNDING, 0, 2 - 2 * products))
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances, np.float32)


def _cluster(
    rank: int,
    group: NDArray[np.int64],
    distances: NDArray[np.float32],
    usual: float,
    files: tuple[str, ...],
) -> Cluster:
    return Cluster(
        files=tuple(files[i] for i in group),
        distance=float(distances[np.ix_(group, group)].min()) / usual,
        pictures=tuple(
            f"duplicates/{rank:02d}-{place:02d}.png"
            for place in range(1, min(len(group), PICTURED) + 1)
        ),
    )


def _metric(
    found: list[NDArray[np.int64]],
    among_real: list[NDArray[np.int64]],
    *,
    threshold: float,
    real: int,
    samples: Samples,
) -> Metric:
    count = samples.count("synthetic")
    return Metric(
        value=sum(map(len, found)) / count,
        direction="lower",
        n_real=samples.count("real"),
        n_synthetic=count,
        settings={
            "threshold": threshold,
            "threshold_unit": "usual distance of a real image to its nearest of another subject",
            "links_expected_by_chance": LINKS,
            "clusters": len(found),
            "largest_cluster": max(map(len, found), default=1),
            "side": SIDE,
            "flips": 4,
            "floor_of": "real images of different subjects, those for training included",
            "floor_images": real,
        },
        floor=sum(map(len, among_real)) / real,
        meaning="Share of synthetic images that are nearly the same picture as another synthetic "
        "image (perhaps mirrored), nearer than real images of different subjects ever come; a set "
        "as varied as the real one has none.",
    )
