"""How exactly heads are measured on images: HC18's held-out part, phantoms, and the constants.

Run, with imports of HC18 (fetalsynth data import hc18 HC18 --out hc128 --size 128):
    OMP_NUM_THREADS=1 python benchmarks/skull_fit.py hc64 hc128 hc256
    OMP_NUM_THREADS=1 python benchmarks/skull_fit.py hc128 --calibrate
    OMP_NUM_THREADS=1 python benchmarks/skull_fit.py hc128 --headless
    OMP_NUM_THREADS=1 python benchmarks/skull_fit.py --phantoms 100
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from scipy.special import expit, logit

from fetalsynth.anatomy.ellipse import ellipse_circumference, ellipse_mask
from fetalsynth.anatomy.skull import fit
from fetalsynth.anatomy.skull.border import OUTWARD
from fetalsynth.anatomy.skull.fit import fit_skull
from fetalsynth.cli.anatomy_circumference_writing import in_words
from fetalsynth.datasets.asked_heads import AskedHead, asked_of_record, compare
from fetalsynth.datasets.measured_heads import MeasuredHead, measure_heads
from fetalsynth.datasets.phantoms.ultrasound import sample_params, simulate
from fetalsynth.randomness import numpy_rng
from fetalsynth.statistics.measurement import measurement_error

Floats = NDArray[np.float64]
Pair = tuple[str, float | None, float]  # subject, measured, true


def report(name: str, pairs: Iterable[Pair]) -> None:
    """Print one line."""
    pairs = list(pairs)
    found = [(subject, m, t) for subject, m, t in pairs if m is not None]
    error = measurement_error(
        measured=[m for _, m, _ in found],
        true=[t for _, _, t in found],
        clusters=[subject for subject, _, _ in found],
        missing=len(pairs) - len(found),
        rng=numpy_rng(seed=0, stream="head-circumference"),
    )
    low, high = error.median_interval or (float("nan"), float("nan"))
    print(f"{name}: {in_words(error)}; median {100 * low:.2f} to {100 * high:.2f} %", flush=True)


def hc18(folder: Path, *, split: str) -> None:
    """Against the drawn outlines, and against the circumference of HC18's table."""
    drawn, table, sure = [], [], []
    began = time.process_time()
    for head, asked in _heads(folder, split):
        one = compare(head, asked)
        assert one is not None
        drawn.append((head.record.subject, one.measured, one.asked))
        true = float(head.record.extra["head_circumference_mm"])
        table.append((head.record.subject, head.circumference_mm, true))
        if head.fit is not None and head.fit.confidence >= fit.DOUBTFUL:
            sure.append(drawn[-1])
    each = (time.process_time() - began) / len(drawn)
    name = f"{folder.name} {split}"
    report(f"{name}, drawn outline", drawn)
    report(f"{name}, not doubtful ", sure)
    report(f"{name}, HC18's table ", table)
    print(f"  {each:.3f} CPU seconds per image, reading included")


def _heads(folder: Path, split: str) -> Iterable[tuple[MeasuredHead, AskedHead]]:
    for head in measure_heads(folder, splits=(split,))[1]:
        asked = asked_of_record(head.record)
        if asked is not None:
            yield head, asked


def phantoms(count: int) -> None:
    """Phantoms against their biometry."""
    drawn = [
        sample_params(numpy_rng(seed=0, stream="skull-fit", counter=number))
        for number in range(count)
    ]
    for size in (64, 128, 256):
        pairs: list[Pair] = []
        for number, params in enumerate(drawn):
            image = simulate(params, size=size)
            found = fit_skull(image.pixels)
            true = ellipse_circumference(image.ellipse)
            seen = None if found is None else ellipse_circumference(found.ellipse)
            pairs.append((str(number), seen, true))
        report(f"phantoms at {size}", pairs)


def headless(folder: Path) -> None:
    """What is found on held-out images without a head: shuffled, head replaced, and on noise."""
    rng = numpy_rng(seed=0, stream="skull-fit-headless")
    kinds: dict[str, list[float]] = {"noise": [], "shuffled": [], "head replaced by texture": []}
    for head, asked in islice(_heads(folder, "test"), 0, None, 4):
        grey = head.pixels.reshape(head.pixels.shape[:2]).astype(np.float64)
        texture = _texture(rng, grey.shape)
        kinds["noise"].append(_confidence(texture))
        kinds["shuffled"].append(_confidence(_shuffled(rng, grey)))
        kinds["head replaced by texture"].append(_confidence(_beheaded(grey, asked, texture)))
    for kind, found in kinds.items():
        none, doubtful = sum(x == 0 for x in found), sum(0 < x < fit.DOUBTFUL for x in found)
        print(f"{kind}: no head on {none} of {len(found)}, a doubtful one on {doubtful}")


def _confidence(grey: Floats) -> float:
    found = fit_skull(grey)
    return 0.0 if found is None else found.confidence


def _texture(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Log-normal grain of one to six pixels, median 1."""
    grain = gaussian_filter(rng.standard_normal(shape), rng.uniform(0.4, 2.5))
    return np.asarray(np.exp(0.5 * grain / grain.std()))


def _shuffled(rng: np.random.Generator, grey: Floats) -> Floats:
    """The image as 8 × 8 tiles in another order."""
    high, wide = grey.shape[0] // 8, grey.shape[1] // 8
    tiles = grey[: 8 * high, : 8 * wide].reshape(8, high, 8, wide).swapaxes(1, 2)
    mixed = rng.permutation(tiles.reshape(64, high, wide)).reshape(8, 8, high, wide)
    return mixed.swapaxes(1, 2).reshape(8 * high, 8 * wide)


def _beheaded(grey: Floats, asked: AskedHead, texture: Floats) -> Floats:
    """The head and a seventh around it replaced, the seam blurred over some pixels."""
    assert asked.ellipse is not None
    larger = replace(
        asked.ellipse,
        semi_major_px=1.15 * asked.ellipse.semi_major_px,
        semi_minor_px=1.15 * asked.ellipse.semi_minor_px,
    )
    inside = ellipse_mask(larger, height=grey.shape[0], width=grey.shape[1]) > 0
    share = gaussian_filter(inside * 1.0, grey.shape[1] / 85)
    usual = np.median(grey[~inside & (grey > 0)])
    return np.where(grey > 0, grey * (1 - share) + usual * texture * share, grey)


def calibrate(folder: Path) -> None:
    """The constants that come from HC18's training part, anew."""
    shares, clear, good = [], [], []
    for head, asked in _heads(folder, "train"):
        one = compare(head, asked)
        if head.fit is None or one is None or one.measured is None:
            continue
        clear.append(head.fit.confidence)
        good.append(abs(one.measured / one.asked - 1) <= 0.05)
        shares.append(_outward(head, asked))
    known = [share for share in shares if share is not None]
    print(f"{folder.name} train, outward in thicknesses: {np.median(known):.3f} (now {OUTWARD})")
    clearness = logit(np.array(clear)) / fit.SLOPE + fit.MIDDLE
    slope, middle = _logistic(clearness, np.array(good))
    print(f"  confidence: slope {slope:.2f}, middle {middle:.3f} (now {fit.SLOPE}, {fit.MIDDLE})")


def _outward(head: MeasuredHead, asked: AskedHead) -> float | None:
    """From the middle of the skull to the drawn outline, in thicknesses; None where misplaced.

    An outline that grows by d is 2πd longer.
    """
    if head.fit is None or asked.ellipse is None:
        return None
    lacking = ellipse_circumference(asked.ellipse) - ellipse_circumference(head.fit.ellipse)
    if abs(lacking) > 0.1 * ellipse_circumference(asked.ellipse):
        return None
    return OUTWARD + lacking / (2 * np.pi * head.fit.thickness_px)


def _logistic(x: Floats, good: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and middle of the logistic curve of greatest likelihood."""

    def loss(at: Floats) -> float:
        p = expit(at[0] * (x - at[1]))
        return -float(np.log(np.where(good, p, 1 - p) + 1e-12).sum())

    slope, middle = minimize(loss, [fit.SLOPE, fit.MIDDLE], method="Nelder-Mead").x
    return float(slope), float(middle)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("imports", type=Path, nargs="*")
    parser.add_argument("--split", default="test")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--phantoms", type=int, default=0)
    wanted = parser.parse_args()
    for folder in wanted.imports:
        if wanted.calibrate:
            calibrate(folder)
        elif wanted.headless:
            headless(folder)
        else:
            hc18(folder, split=wanted.split)
    if wanted.phantoms:
        phantoms(wanted.phantoms)


if __name__ == "__main__":
    main()
