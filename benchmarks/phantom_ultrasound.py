"""CPU seconds per ultrasound phantom at several sizes, on one core.

Run: OMP_NUM_THREADS=1 python benchmarks/phantom_ultrasound.py [images per size]
"""

from __future__ import annotations

import sys
import time

from fetalsynth.datasets.phantoms.ultrasound import sample_params, simulate
from fetalsynth.randomness import numpy_rng


def main(count: int) -> None:
    """Print one line per size."""
    drawn = [
        sample_params(numpy_rng(seed=0, stream="benchmark", counter=number))
        for number in range(count)
    ]
    simulate(drawn[0], size=64)
    for size in (64, 128, 256, 512):
        began = time.process_time()
        for params in drawn:
            simulate(params, size=size)
        each = (time.process_time() - began) / count
        print(f"{size:4d}×{size:<4d} {each:.4f} CPU seconds per image ({count} images)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
