"""The files of an assessment: scores, tables and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.contact_sheet import contact_sheet
from fetalsynth.artifacts.files import write_bytes, write_text
from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.scores import Metric, Scores, write_scores
from fetalsynth.assessment.features.extractors import Options
from fetalsynth.assessment.parts.patterns import element_table, pattern_counts
from fetalsynth.assessment.samples import Samples, collect
from fetalsynth.assessment.tables import csv_text
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.errors import explaining
from fetalsynth.randomness import numpy_rng

GRID = 6
METRICS = "metrics.csv"
LBP_VECTOR = "lbp_vector.csv"


def write_assessment(
    folder: Path,
    *,
    scores: Scores,
    real: ImageSet,
    synthetic: ImageSet,
    train: ImageSet | None = None,
    seed: int = 0,
    window: tuple[float, float] | None = None,
    exclude_outside_fan: bool = False,
) -> Scores:
    """Write scores.json, its tables (CSV), sample grids, the closest pairs and duplicates.

    The sets and settings are those that the scores were made with. Returns the scores as written,
    with the names of the pictures. Raises UserError where the disk is full or not writable.
    """
    samples = collect(real=real, synthetic=synthetic, train=train, seed=seed, window=window)
    pictures = {}
    for role in ("real", "synthetic"):
        pictures[f"samples_{role}"] = f"samples_{role}.png"
        write_bytes(folder / f"samples_{role}.png", encode_png(sample_grid(samples, role)))
    _write_closest(folder, scores, samples)
    _write_duplicates(folder, scores, samples)
    whole = scores.model_copy(update={"pictures": pictures})
    write_text(folder / METRICS, metrics_csv(whole.metrics))
    options = Options(exclude_outside_fan=exclude_outside_fan)
    write_text(folder / LBP_VECTOR, lbp_vector_csv(samples, options))
    for name, text in whole.tables.items():
        write_text(folder / name, text)
    write_scores(folder, whole)
    return whole


def sample_grid(samples: Samples, role: str) -> NDArray[np.uint8]:
    """Up to 36 images of the role, drawn at random, in rows of six."""
    images = samples.images[role]
    rng = numpy_rng(seed=samples.seed, stream=f"assess/grid/{role}")
    chosen = images[np.sort(rng.permutation(len(images))[: GRID * GRID])]
    return contact_sheet(chosen, columns=GRID)


def _write_closest(folder: Path, scores: Scores, samples: Samples) -> None:
    role = "train" if "train" in samples.images else "real"
    places = {
        name: {file: place for place, file in enumerate(samples.files[name])}
        for name in ("synthetic", role)
    }
    if scores.closest_pairs:
        with explaining(folder):
            (folder / "closest").mkdir(exist_ok=True)
    for pair in scores.closest_pairs:
        ours = samples.images["synthetic"][places["synthetic"][pair.synthetic_file]]
        theirs = samples.images[role][places[role][pair.real_file]]
        write_bytes(folder / pair.picture_synthetic, encode_png(ours))
        write_bytes(folder / pair.picture_real, encode_png(theirs))


def _write_duplicates(folder: Path, scores: Scores, samples: Samples) -> None:
    places = {file: place for place, file in enumerate(samples.files["synthetic"])}
    if scores.duplicate_clusters:
        with explaining(folder):
            (folder / "duplicates").mkdir(exist_ok=True)
    for cluster in scores.duplicate_clusters:
        for file, picture in zip(cluster.files, cluster.pictures, strict=False):
            write_bytes(folder / picture, encode_png(samples.images["synthetic"][places[file]]))


def metrics_csv(metrics: dict[str, Metric]) -> str:
    """One row per metric, all digits; empty where a field is absent."""
    names = ("value", "ci95_low", "ci95_high", "p_value", "floor", "minus_floor", "unit")
    rows = [
        (
            name,
            metric.value,
            *(metric.ci95 or (None, None)),
            metric.p_value,
            metric.floor,
            None if metric.floor is None else metric.value - metric.floor,
            metric.unit,
            metric.direction,
            metric.n_real,
            metric.n_synthetic,
        )
        for name, metric in metrics.items()
    ]
    return csv_text(("metric", *names, "direction", "n_real", "n_synthetic"), rows)


def lbp_vector_csv(samples: Samples, options: Options) -> str:
    """All 256 elements in pixels per image: reference, synthetic, difference, sd, z."""
    table = element_table(samples, pattern_counts(samples, options))
    columns = (table.reference, table.synthetic, table.difference, table.sd, table.z)
    rows = [(code, *map(float, row)) for code, row in enumerate(zip(*columns, strict=True))]
    return csv_text(("code", "reference", "synthetic", "difference", "real_real_sd", "z"), rows)
