"""What every alarm and metric says about faults of known size: the numbers of the docs page.

Run: OMP_NUM_THREADS=1 python benchmarks/planted.py [seeds for faults] [seeds without fault]

Prints Markdown tables. Every run draws new real, synthetic and training images.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fetalsynth.artifacts.scores import Metric, Scores
from planted_features import judged, kernel_distance
from planted_images import (
    DISGUISES,
    GRAIN,
    Images,
    assess,
    blurred,
    brighter,
    noisy,
    scans,
    ten_modes,
    with_copies,
)

REAL, SYNTHETIC, TRAIN = 200, 400, 400
SHARE = 0.05
ALARMS = ("texture", "intensity", "collapse", "copying")
METRICS = (
    "KID-LBP256",
    "LBPv-JS",
    "image-mean-KS",
    "grey-level-W1",
    "SW2-layout16",
    "precision-layout16",
    "recall-layout16",
    "coverage-layout16",
    "Vendi-ratio-layout16",
    "MS-SSIM-pairs",
    "diversity-nearest",
    "duplicate-share",
    "copy-share",
)
FAULTS: dict[str, Callable[[int], Images]] = {
    "nothing": lambda seed: scans(SYNTHETIC, seed),
    "blur, σ 0.7 pixels": lambda seed: blurred(scans(SYNTHETIC, seed)),
    "white noise, 8 levels": lambda seed: noisy(scans(SYNTHETIC, seed)),
    "speckle 20 % coarser": lambda seed: scans(SYNTHETIC, seed, grain=1.2 * GRAIN),
    "8 grey levels lighter": lambda seed: brighter(scans(SYNTHETIC, seed)),
    "ten pictures only": lambda seed: ten_modes(scans(SYNTHETIC, seed)),
}


def main(fault_seeds: int, null_seeds: int) -> None:
    """All tables."""
    began = time.perf_counter()
    _say(f"{REAL} real, {SYNTHETIC} synthetic, {TRAIN} training images of 64 × 64 pixels.\n")
    _null(null_seeds)
    found = {
        name: [_run(make, 100 + k) for k in range(fault_seeds)] for name, make in FAULTS.items()
    }
    _alarm_table(found)
    _metric_table(found)
    _copies(fault_seeds)
    _known_shifts(8 * fault_seeds)
    _say(f"\n{time.perf_counter() - began:.0f} s in all.")


def _sets(seed: int) -> tuple[Images, Images]:
    return scans(REAL, 1000 * seed + 1), scans(TRAIN, 1000 * seed + 2)


def _run(make: Callable[[int], Images], seed: int) -> Scores:
    real, train = _sets(seed)
    scores: Scores = assess(real, make(1000 * seed + 3), train, seed=seed)
    return scores


def _null(seeds: int) -> None:
    counts: Counter[str] = Counter()
    silent = 0
    for seed in range(seeds):
        alarms = {alarm.name for alarm in _run(FAULTS["nothing"], seed).alarms}
        silent += not alarms
        counts.update(alarms)
    _say(f"Nothing planted: no alarm in {silent} of {seeds} seeds {dict(counts) or ''}\n")


def _alarm_table(found: dict[str, list[Scores]]) -> None:
    _row("planted", *ALARMS)
    _row(*["---"] * (1 + len(ALARMS)))
    for fault, runs in found.items():
        raised = Counter(alarm.name for scores in runs for alarm in scores.alarms)
        _row(fault, *(f"{raised[name]} of {len(runs)}" for name in ALARMS))


def _metric_table(found: dict[str, list[Scores]]) -> None:
    _say("")
    _row("metric (floor)", *found)
    _row(*["---"] * (1 + len(found)))
    for name in METRICS:
        floors = [s.metrics[name].floor for runs in found.values() for s in runs]
        floor = f"{np.mean([f for f in floors if f is not None]):.3g}"
        values = [np.mean([s.metrics[name].value for s in runs]) for runs in found.values()]
        _row(f"{name} ({floor})", *(f"{value:.3g}" for value in values))


def _copies(seeds: int) -> None:
    _say("")
    _row("5 % copies", "alarm", "of the 12 closest pairs, copies", "copy-share")
    _row(*["---"] * 4)
    planted = round(SHARE * SYNTHETIC)
    names = {f"synthetic{k:04d}.png" for k in range(planted)}
    for disguise, change in DISGUISES.items():
        alarms, right, shares = 0, [], []
        for seed in range(200, 200 + seeds):
            real, train = _sets(seed)
            made = with_copies(scans(SYNTHETIC, 1000 * seed + 3), train, change, share=SHARE)
            scores: Scores = assess(real, made, train, seed=seed)
            alarms += "copying" in {alarm.name for alarm in scores.alarms}
            right.append(sum(pair.synthetic_file in names for pair in scores.closest_pairs))
            shares.append(scores.metrics["copy-share"].value)
        _row(disguise, f"{alarms} of {seeds}", f"{np.mean(right):.1f}", f"{np.mean(shares):.3f}")


def _known_shifts(seeds: int) -> None:
    _say("")
    _row("shift", "images a side", "measure", "truth", "mean", "floor", "truth inside the interval")
    _row(*["---"] * 7)
    for shift in (0.5, 1.0):
        truth = kernel_distance(shift**2)
        for count in (60, 120):
            found = [judged(seed, count=count, shift=shift) for seed in range(seeds)]
            kernel = [metrics["KID-Gauss"] for metrics in found]
            frechet = [metrics["FD-Gauss"] for metrics in found]
            _shift_row(shift, count, "KID", truth, kernel, subtract=False)
            _shift_row(shift, count, "FD − floor", shift**2, frechet, subtract=True)


def _shift_row(
    shift: float, count: int, name: str, truth: float, found: list[Metric], *, subtract: bool
) -> None:
    floors = np.array([metric.floor or 0.0 for metric in found])
    taken = floors if subtract else np.zeros(len(found))
    means = np.array([metric.value for metric in found]) - taken
    ends = np.array([metric.ci95 for metric in found]) - taken[:, None]
    inside = int(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).sum())
    cells = [f"{value:.3g}" for value in (truth, means.mean(), floors.mean())]
    _row(f"{shift:g}", str(count), name, *cells, f"{inside} of {len(found)}")


def _row(*cells: str) -> None:
    _say(f"| {' | '.join(cells)} |")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:3])) if len(sys.argv) > 2 else main(5, 20)
