"""Speed of the measures, side by side with the libraries that are usually taken for them.

Each round times ours and then theirs on the same data, so that a busy machine hits both; medians
over the rounds, in wall and CPU seconds, and the ratio of the wall medians. The values must agree,
and by how much they differ is printed. The whole weight-free suite has no counterpart: it is timed
alone.

    python benchmarks/assess.py [--rounds 3] [--only frechet information lbp ssim suite]

Needs scikit-image and scikit-learn. Set OMP_NUM_THREADS to give both sides as many threads.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter
from skimage.feature import local_binary_pattern
from skimage.metrics import structural_similarity
from sklearn.metrics import mutual_info_score

from fetalsynth.assessment.metrics.frechet import frechet_distance
from fetalsynth.assessment.metrics.lbp import lbp_codes
from fetalsynth.assessment.metrics.mutual_information import all_pairs
from fetalsynth.assessment.metrics.ssim import ssim
from fetalsynth.assessment.suite import assess_images
from fetalsynth.datasets.loading import load_images
from fetalsynth.datasets.phantoms.ultrasound import sample_params, simulate
from fetalsynth.randomness import numpy_rng

SAMPLED_PAIRS = 400
Timed = tuple[float, float, Any]


def timed(work: Callable[[], Any]) -> Timed:
    """Wall seconds, CPU seconds, result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def side_by_side(
    name: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    *,
    rounds: int,
    target: float,
    factor: float = 1.0,
) -> None:
    """Print one line; ``factor`` extrapolates their time from a part of the work."""
    runs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    wall = [median(run[side][0] for run in runs) for side in (0, 1)]
    cpu = [median(run[side][1] for run in runs) for side in (0, 1)]
    (_, _, found), (_, _, expected) = runs[-1]
    apart = float(np.max(np.abs(np.asarray(found) - np.asarray(expected))))
    ratio, cpu_ratio = factor * wall[1] / wall[0], factor * cpu[1] / cpu[0]
    print(
        f"{name}: ours {wall[0]:.3f} s (CPU {cpu[0]:.3f}), theirs {factor * wall[1]:.3f} s "
        f"(CPU {factor * cpu[1]:.3f}), ratio {ratio:.1f} (CPU {cpu_ratio:.1f}, target {target:g}), "
        f"largest difference {apart:.1e}",
        flush=True,
    )


def frechet(rounds: int) -> None:
    rng = np.random.default_rng(0)
    spread = np.sqrt(np.arange(1, 2049) ** -1.2)
    first, second = rng.standard_normal((2, 800, 2048)) * spread
    second += 0.02

    def usual() -> float:
        shift = first.mean(0) - second.mean(0)
        a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
        root = np.real(np.trace(sqrtm(a @ b)))
        return float(shift @ shift + np.trace(a) + np.trace(b) - 2 * root)

    side_by_side(
        "Fréchet distance, 800 × 2048 against scipy.linalg.sqrtm",
        lambda: frechet_distance(first=first, second=second),
        usual,
        rounds=rounds,
        target=100,
    )


def information(rounds: int) -> None:
    """Ours makes all pairs; theirs a stated sample of them, from which its time is extrapolated."""
    first, second = phantoms(800, stream="a"), phantoms(800, stream="b")
    rng = np.random.default_rng(1)
    chosen = rng.integers(0, 800, (SAMPLED_PAIRS, 2))
    codes = [(images // 8).reshape(len(images), -1) for images in (first, second)]
    side_by_side(
        f"Mutual information, 800 × 800 pairs at 64² against scikit-learn on {SAMPLED_PAIRS} pairs",
        lambda: all_pairs(first=first, second=second, data_range=(0, 256), corrected=False)[
            chosen[:, 0], chosen[:, 1]
        ],
        lambda: [mutual_info_score(codes[0][a], codes[1][b]) for a, b in chosen],
        rounds=rounds,
        target=100,
        factor=800 * 800 / SAMPLED_PAIRS,
    )


def lbp(rounds: int) -> None:
    images = np.random.default_rng(2).integers(0, 256, (800, 64, 64), dtype=np.uint8)
    side_by_side(
        "LBP codes, 800 images at 64² against scikit-image",
        lambda: lbp_codes(images=images),
        lambda: np.stack([local_binary_pattern(image, 8, 1) for image in images]),
        rounds=rounds,
        target=2,
    )


def similarity(rounds: int) -> None:
    rng = np.random.default_rng(3)
    first = gaussian_filter(rng.standard_normal((160, 160, 160)), 2)
    first = (first - first.min()) / np.ptp(first)
    second = np.clip(first + 0.05 * rng.standard_normal(first.shape), 0, 1)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for window, options in (("gaussian", wang), ("uniform7", {})):
        side_by_side(
            f"3D SSIM at 160³, {window} window, float64, against scikit-image",
            lambda window=window: ssim(first=first, second=second, data_range=1, window=window),
            lambda options=options: structural_similarity(first, second, data_range=1, **options),
            rounds=rounds,
            target=3,
        )


def suite(rounds: int) -> None:
    """Reading PNG files and every measure that needs no weights; target 20 s on two cores."""
    real = phantoms(999, stream="real")
    synthetic = np.stack([gaussian_filter(image, 0.7) for image in phantoms(800, stream="made")])
    with tempfile.TemporaryDirectory() as place:
        folders = {"real": real, "synthetic": synthetic}
        for role, images in folders.items():
            (Path(place) / role).mkdir()
            for number, image in enumerate(images):
                Image.fromarray(image).save(Path(place) / role / f"{number:04d}.png")

        def whole() -> int:
            sets = {role: load_images(Path(place) / role, role=role) for role in folders}
            return len(assess_images(**sets).metrics)

        runs = [timed(whole) for _ in range(rounds)]
    wall, cpu = (median(run[part] for run in runs) for part in (0, 1))
    print(
        f"Whole weight-free suite, 800 against 999 images at 64²: {wall:.1f} s (CPU {cpu:.1f}), "
        f"{runs[0][2]} metrics, target 20 s",
        flush=True,
    )


def phantoms(count: int, *, stream: str) -> np.ndarray:
    """Ultrasound phantoms (count, 64, 64) uint8."""
    drawn = [
        sample_params(numpy_rng(seed=0, stream=f"benchmark/{stream}", counter=number))
        for number in range(count)
    ]
    return np.stack([simulate(params, size=64).pixels for params in drawn])


PARTS: dict[str, Callable[[int], None]] = {
    "frechet": frechet,
    "information": information,
    "lbp": lbp,
    "ssim": similarity,
    "suite": suite,
}


def main() -> None:
    """Run the chosen comparisons one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    threads, load = os.environ.get("OMP_NUM_THREADS", "not set"), os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, OMP_NUM_THREADS {threads}, load {load:.1f}"
    )
    for name in given.only:
        PARTS[name](given.rounds)


if __name__ == "__main__":
    main()
