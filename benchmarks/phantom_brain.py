"""CPU seconds per brain phantom at several spacings and ages, on one core.

Run: OMP_NUM_THREADS=1 python benchmarks/phantom_brain.py [volumes per line]
"""

from __future__ import annotations

import sys
import time

from fetalsynth.datasets.phantoms.brain import sample_params, simulate
from fetalsynth.randomness import numpy_rng


def main(count: int) -> None:
    """Print one line per spacing and age."""
    simulate(sample_params(numpy_rng(seed=0, stream="warm-up")), spacing_mm=2.0)
    for spacing in (1.5, 1.0, 0.8):
        for age in (21.0, 28.0, 35.0):
            drawn = [
                sample_params(
                    numpy_rng(seed=0, stream="benchmark", counter=number),
                    gestational_age_weeks=age,
                )
                for number in range(count)
            ]
            began = time.process_time()
            shapes = [simulate(params, spacing_mm=spacing).labels.shape for params in drawn]
            each = (time.process_time() - began) / count
            size = "×".join(map(str, shapes[0]))
            print(f"{spacing:.1f} mm, {age:.0f} weeks: {each:.2f} CPU seconds per volume ({size})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
