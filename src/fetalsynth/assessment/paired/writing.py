"""The assessment of pairs from beginning to end, and its files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fetalsynth.artifacts.contact_sheet import contact_sheet
from fetalsynth.artifacts.files import write_bytes, write_text
from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.scores import Scores, write_scores
from fetalsynth.assessment.paired.pair import ImagePair, PairScores, fitting_scales, score_pair
from fetalsynth.assessment.paired.pair_set import PairedSet
from fetalsynth.assessment.paired.summary import summarise
from fetalsynth.assessment.profiles import ProfileName, for_pairs, kept_pairs, with_caveats
from fetalsynth.assessment.regions import bounding_box
from fetalsynth.assessment.writing import METRICS, metrics_csv
from fetalsynth.errors import UserError
from fetalsynth.progress import track
from fetalsynth.randomness import numpy_rng

PAIRS = "pairs.csv"
GRID, SHOWN = 36, 8
_SCALE_RATIO = 2.0
Picture = NDArray[np.uint8]


def assess_pairs(
    folder: Path, *, pairs: PairedSet, seed: int = 0, profile: ProfileName = "small-n"
) -> Scores:
    """Score every pair and write scores.json, metrics.csv, pairs.csv and pictures into ``folder``.

    Definitions are in docs/metrics.md. ``seed`` picks the pairs that are shown; ``profile`` the
    metrics that are kept (pairs.csv has all). Raises UserError for pairs that cannot be compared,
    naming the file, for a profile of whole sets and for a full disk.
    """
    for_pairs(profile)
    scales = fitting_scales(pairs.least_size)
    chosen = numpy_rng(seed=seed, stream="assess/pairs").permutation(pairs.count)[:GRID]
    scored: list[PairScores] = []
    shown: dict[int, tuple[Picture, Picture]] = {}
    with threadpool_limits(limits=1, user_api="blas"):
        for number in track(range(pairs.count), label="pairs", total=pairs.count, unit="pairs"):
            pair = pairs.load(number)
            scored.append(_score(pair, pairs, scales))
            if number in chosen:
                shown[number] = _views(pair)
    scores = _scores(pairs, scored, scales, profile)
    pictures = _write_pictures(folder, list(shown.values()))
    whole = scores.model_copy(update={"pictures": pictures})
    write_text(folder / METRICS, metrics_csv(whole.metrics))
    write_text(folder / PAIRS, pairs_csv(scored))
    write_scores(folder, whole)
    return whole


def _score(pair: ImagePair, pairs: PairedSet, scales: int) -> PairScores:
    try:
        return score_pair(pair, scales=scales)
    except ValueError as error:
        place = Path(pairs.sources[0].path) / pair.real_file
        raise UserError(f"{place}: {error}; leave this pair out") from error


def _scores(
    pairs: PairedSet, scored: Sequence[PairScores], scales: int, profile: ProfileName
) -> Scores:
    found = summarise(scored, settings=pairs.settings)
    metrics = dict(found.metrics)
    if "MS-SSIM-full" in metrics:
        metric = metrics["MS-SSIM-full"]
        settings = {**metric.settings, "scales": scales}
        metrics["MS-SSIM-full"] = metric.model_copy(update={"settings": settings})
    subjects = len({pair.subject for pair in scored})
    inputs: dict[str, dict[str, Any]] = {
        role: {
            "path": source.path,
            "digest": source.digest,
            "count": len(scored),
            "subjects": subjects,
            "size": " × ".join(map(str, reversed(pairs.least_size))),
            "note": note,
        }
        for role, source, note in zip(
            ("real", "synthetic"),
            pairs.sources,
            ("each the partner of one synthetic image", scale_note(scored)),
            strict=True,
        )
    }
    chosen = for_pairs(profile)
    return Scores(
        metrics=with_caveats(kept_pairs(metrics, chosen), chosen),
        inputs=inputs,
        alarms=found.alarms,
        unjudged=found.unjudged,
        profile=profile,
    )


def scale_note(scored: Sequence[PairScores]) -> str:
    """What to know about brightness before MSE, PSNR and SSIM are read."""
    ratios = np.array([pair.brightness_ratio for pair in scored])
    with np.errstate(invalid="ignore"):
        off = ~((ratios < _SCALE_RATIO) & (ratios > 1 / _SCALE_RATIO))
    if not off.any():
        return "each the partner of one real image"
    return (
        f"in {int(off.sum())} of {len(scored)} pairs the mean brightness of the foreground differs "
        "by more than a factor of two: MSE, PSNR and SSIM judge that scale, not the anatomy "
        "(volumes: --scaling min-max)"
    )


def pairs_csv(scored: Sequence[PairScores]) -> str:
    """One row per pair: its files, every score, and the same score of the trivial baseline."""
    names = list(dict.fromkeys(name for pair in scored for name in pair.values))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [column for name in names for column in (name, f"{name}-baseline")]
    writer.writerow(["subject", "real_file", "synthetic_file", *columns])
    for pair in scored:
        values = [side.get(name, "") for name in names for side in (pair.values, pair.baseline)]
        writer.writerow([pair.subject, pair.real_file, pair.synthetic_file, *values])
    return stream.getvalue()


def _views(pair: ImagePair) -> tuple[Picture, Picture]:
    """Both images of the pair in 8 bits; of volumes the axial plane in the middle of the brain."""
    first, second = pair.real, pair.synthetic
    if first.ndim == 3:
        bright = first > pair.black
        middle = bounding_box(bright if bright.any() else np.ones_like(bright))[2]
        plane = (middle.start + middle.stop) // 2
        first, second = (volume[:, ::-1, plane].T for volume in (first, second))
    return _to_grey(first, pair), _to_grey(second, pair)


def _to_grey(image: NDArray[Any], pair: ImagePair) -> Picture:
    scaled = (image.astype(np.float64) - pair.black) * (255 / pair.data_range)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _write_pictures(folder: Path, shown: list[tuple[Picture, Picture]]) -> dict[str, str]:
    """Sheets of the real and the synthetic images in the same order, and pairs side by side."""
    padded = _padded([image for views in shown for image in views])
    real, synthetic = padded[::2], padded[1::2]
    difference = np.abs(real.astype(np.int16) - synthetic).astype(np.uint8)
    rows = np.stack([real, synthetic, difference], axis=1)[:SHOWN]
    sheets = {
        "samples_real": contact_sheet(real, columns=6),
        "samples_synthetic": contact_sheet(synthetic, columns=6),
        "pairs_real_synthetic_difference": contact_sheet(
            rows.reshape(-1, *rows.shape[2:]), columns=3
        ),
    }
    for name, sheet in sheets.items():
        write_bytes(folder / f"{name}.png", encode_png(sheet))
    return {name: f"{name}.png" for name in sheets}


def _padded(images: list[Picture]) -> Picture:
    """All in one array, the smaller ones in the middle of black."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    whole = np.zeros((len(images), height, width), np.uint8)
    for canvas, image in zip(whole, images, strict=True):
        top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return whole
