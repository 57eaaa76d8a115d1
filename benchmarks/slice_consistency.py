"""Do the slices of synthetic volumes hang together as those of the real ones do?

Across each plane, how far a voxel of the labelled brain lies from the mean of the two beside it, as
root mean square, divided by the same in that subject's real volume: 1 is as rough as real, more
jitters from slice to slice, less is smoother. Beside it the paired numbers within the brain: MSE of
grey values from 0 to 1, SSIM (Wang's window) and correlation, of each set and, with --mean, of the
mean volume of all sets given.

    python benchmarks/slice_consistency.py --real VOLUMES --synthetic VOLUMES [VOLUMES …] [--mean]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.artifacts.volumes import WHITE, read_participants
from fetalsynth.assessment.metrics.ssim import ssim_maps
from fetalsynth.assessment.regions import mean_over
from fetalsynth.datasets.volumes.nifti import read_nifti, to_ras

Grey = NDArray[np.float64]
Brain = NDArray[np.bool_]


def volumes(folder: Path) -> dict[str, tuple[Grey, Brain]]:
    """Grey values from 0 to 1 and the labelled brain of each subject and session, in RAS+ order."""
    found = {}
    for row in read_participants(folder):
        grey, brain = (to_ras(read_nifti(folder / str(n)))[0] for n in (row.image, row.labels))
        grey, brain = grey.astype(float) / WHITE, brain > 0
        found[f"{row.subject} {row.session}".strip()] = (grey, brain)
    return found


def roughness(grey: Grey, brain: Brain, *, axis: int) -> float:
    """Root mean square of v[k] − (v[k−1] + v[k+1]) / 2 where all three lie in the brain."""
    v, b = np.moveaxis(grey, axis, 0), np.moveaxis(brain, axis, 0)
    inside = b[1:-1] & b[:-2] & b[2:]
    apart = v[1:-1] - (v[:-2] + v[2:]) / 2
    return float(np.sqrt((apart[inside] ** 2).mean()))


def rows(
    real: Mapping[str, tuple[Grey, Brain]], made: Mapping[str, tuple[Grey, Brain]]
) -> Iterator[list[float]]:
    """Per subject: roughness across the three planes as a share of the real one's; MSE, SSIM, r."""
    for name, (grey, _) in made.items():
        truth, brain = real[name]
        shares = [
            roughness(grey, brain, axis=axis) / roughness(truth, brain, axis=axis)
            for axis in range(3)
        ]
        alike = ssim_maps(first=truth[None], second=grey[None], data_range=1)[0]
        a, b = truth[brain], grey[brain]
        yield [
            *shares,
            float(((a - b) ** 2).mean()),
            mean_over(map_=alike, region=brain),
            float(np.corrcoef(a, b)[0, 1]),
        ]


def main() -> int:
    """Print one row per set, means over its volumes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path, nargs="+", required=True)
    parser.add_argument("--mean", action="store_true")
    wanted = parser.parse_args()
    real = volumes(wanted.real)
    sets = {str(folder): volumes(folder) for folder in wanted.synthetic}
    if wanted.mean:
        names = next(iter(sets.values()))
        sets["mean of all"] = {
            name: (np.mean([made[name][0] for made in sets.values()], axis=0), names[name][1])
            for name in names
        }
    print(
        f"{'set':<40}" + "".join(f"{plane:>10}" for plane in PLANES) + "       MSE    SSIM    corr"
    )
    for name, made in sets.items():
        values = np.mean(list(rows(real, made)), axis=0)
        print(f"{name:<40}" + "".join(f"{value:10.3f}" for value in values[:3]), end="")
        print(f"{values[3]:10.5f}{values[4]:8.4f}{values[5]:8.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
