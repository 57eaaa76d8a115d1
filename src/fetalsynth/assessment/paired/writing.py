"""The assessment of pairs from beginning to end, and its files."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.scores import Scores, write_scores
from fetalsynth.assessment.paired.consistency import Segmenter
from fetalsynth.assessment.paired.pair import (
    ImagePair,
    PairScores,
    Reference,
    fitting_scales,
    reference_of,
    score_pair,
)
from fetalsynth.assessment.paired.pair_set import PairedSet
from fetalsynth.assessment.paired.pictures import Views, views_of, write_pictures
from fetalsynth.assessment.paired.summary import summarise
from fetalsynth.assessment.paired.tables import (
    dice_csv,
    pairs_csv,
    slices_csv,
    slices_summary_csv,
)
from fetalsynth.assessment.profiles import ProfileName, for_pairs, kept_pairs, with_caveats
from fetalsynth.assessment.writing import METRICS, metrics_csv
from fetalsynth.errors import UserError
from fetalsynth.progress import track
from fetalsynth.randomness import numpy_rng

PAIRS, SLICES, DICE = "pairs.csv", "slices.csv", "dice.csv"
SLICES_SUMMARY = "slices_summary.csv"
GRID = 36
_SCALE_RATIO = 2.0


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """One set of pairs: its scores together, and pair by pair; pictures of some of them."""

    scores: Scores
    pairs: tuple[PairScores, ...]
    views: tuple[Views, ...]


@dataclass(frozen=True, kw_only=True)
class References:
    """The references of real images, kept while several synthetic sets are set beside them."""

    known: dict[Hashable, Reference] = field(default_factory=dict)

    def of(self, pair: ImagePair, *, scales: int, segmenter: Segmenter | None) -> Reference:
        """That of the real image of ``pair``, computed at the first call."""
        tissue = b"" if pair.labels is None else hashlib.sha256(pair.labels.tobytes()).digest()
        same_bins = pair.real_bins == pair.synthetic_bins
        key = (pair.real_file, tissue, pair.data_range, same_bins, scales)
        if key not in self.known:
            segment = None if segmenter is None else segmenter.segment
            self.known[key] = reference_of(pair, scales=scales, segment=segment)
        return self.known[key]


def assess_pairs(
    folder: Path,
    *,
    pairs: PairedSet,
    seed: int = 0,
    profile: ProfileName = "small-n",
    segmenter: Segmenter | None = None,
) -> Scores:
    """Score every pair and write scores.json, metrics.csv, pairs.csv and pictures into ``folder``.

    Of volumes, slices.csv has every slice that holds foreground and slices_summary.csv what is
    usual; with ``segmenter`` dice.csv has the labels found again. Definitions are in
    docs/metrics.md. ``seed`` picks the pairs that are shown; ``profile`` the metrics that are kept
    (pairs.csv has all). Raises UserError for pairs that cannot be compared, naming the file, for a
    profile of whole sets and for a full disk.
    """
    return assess_set(
        folder,
        pairs=pairs,
        seed=seed,
        profile=profile,
        segmenter=segmenter,
        references=References(),
    ).scores


def assess_set(
    folder: Path,
    *,
    pairs: PairedSet,
    seed: int,
    profile: ProfileName,
    segmenter: Segmenter | None,
    references: References,
    label: str = "pairs",
) -> Assessed:
    """As :func:`assess_pairs`, with ``references`` shared between sets; returns all it found."""
    for_pairs(profile)
    scales = fitting_scales(pairs.least_size)
    chosen = numpy_rng(seed=seed, stream="assess/pairs").permutation(pairs.count)[:GRID]
    scored: list[PairScores] = []
    shown: list[Views] = []
    with threadpool_limits(limits=1, user_api="blas"):
        for number in track(range(pairs.count), label=label, total=pairs.count, unit="pairs"):
            pair = pairs.load(number)
            scored.append(_score(pair, pairs, scales, segmenter, references))
            if number in chosen:
                shown.append(views_of(pair))
    scores = _scores(pairs, scored, scales, profile)
    if segmenter is not None:
        inputs = {**scores.inputs, "segmenter": segmenter.about}
        scores = scores.model_copy(update={"inputs": inputs})
    whole = scores.model_copy(update={"pictures": write_pictures(folder, shown)})
    write_text(folder / METRICS, metrics_csv(whole.metrics))
    write_text(folder / PAIRS, pairs_csv(scored))
    if any(pair.slices for pair in scored):
        write_text(folder / SLICES, slices_csv(scored))
        write_text(folder / SLICES_SUMMARY, slices_summary_csv(scored))
    if any(pair.ceiling for pair in scored):
        write_text(folder / DICE, dice_csv(scored, label_names=pairs.label_names))
    write_scores(folder, whole)
    return Assessed(scores=whole, pairs=tuple(scored), views=tuple(shown))


def _score(
    pair: ImagePair,
    pairs: PairedSet,
    scales: int,
    segmenter: Segmenter | None,
    references: References,
) -> PairScores:
    try:
        reference = references.of(pair, scales=scales, segmenter=segmenter)
        segment = None if segmenter is None else segmenter.segment
        return score_pair(pair, scales=scales, segment=segment, reference=reference)
    except ValueError as error:
        place = Path(pairs.sources[0].path) / pair.real_file
        raise UserError(f"{place}: {error}; leave this pair out") from error


def _scores(
    pairs: PairedSet, scored: Sequence[PairScores], scales: int, profile: ProfileName
) -> Scores:
    found = summarise(scored, settings=pairs.settings, label_names=pairs.label_names)
    metrics = dict(found.metrics)
    if "MS-SSIM-full" in metrics:
        metric = metrics["MS-SSIM-full"]
        settings = {**metric.settings, "scales": scales}
        metrics["MS-SSIM-full"] = metric.model_copy(update={"settings": settings})
    chosen = for_pairs(profile)
    return Scores(
        metrics=with_caveats(kept_pairs(metrics, chosen), chosen),
        inputs=_inputs(pairs, scored),
        alarms=found.alarms,
        unjudged=found.unjudged,
        profile=profile,
    )


def _inputs(pairs: PairedSet, scored: Sequence[PairScores]) -> dict[str, dict[str, Any]]:
    chosen = "; ".join(pairs.notes) or "each the partner of one synthetic image"
    return {
        role: {
            "path": source.path,
            "digest": source.digest,
            "count": len(scored),
            "subjects": len({pair.subject for pair in scored}),
            "size": " × ".join(map(str, reversed(pairs.least_size))),
            "note": note,
        }
        for role, source, note in zip(
            ("real", "synthetic"), pairs.sources, (chosen, scale_note(scored)), strict=True
        )
    }


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
