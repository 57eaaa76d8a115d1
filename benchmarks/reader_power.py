"""What a reader study of a given size can show: simulated readers of known ability, analysed.

For every design and ability: how often the outcome is "told", "reversed", "at-chance", "undecided";
how often the 95 % intervals of the readers' mean area and d′ hold the planted values, and each
reader's own d′ hers. Ability varies between readers as given; images share a fifth of the evidence.

    python benchmarks/reader_power.py [--studies 200] [--readers 1 3 5 8 20] [--images 30 60]
        [--d-prime 0 0.36 0.5 1] [--margin 0.10]
"""

from __future__ import annotations

import argparse
import time
from math import sqrt

import numpy as np
from scipy.special import ndtr

from fetalsynth.randomness import derive
from fetalsynth.reader.analysis_detection import each_reader
from fetalsynth.reader.analysis_readings import readings_of
from fetalsynth.reader.analysis_together import together
from fetalsynth.reader.analysis_verdict import outcome
from fetalsynth.reader.simulated import (
    SimulatedReader,
    SimulatedStudy,
    simulated_answers,
    simulated_readers,
)

SPREAD = 0.3
OUTCOMES = ("told", "reversed", "at-chance", "undecided", "unjudged")


def main() -> None:
    """Print one line per design."""
    options = _options()
    print(
        "readers  images of a kind  d′    area   " + "  ".join(f"{o:>9}" for o in OUTCOMES), end=""
    )
    print("  area inside  mean d′ inside  own d′ inside")
    for readers in options.readers:
        for images in options.images:
            for d_prime in options.d_prime:
                _line(options, readers=readers, images=images, d_prime=d_prime)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 3, 5, 8, 20])
    parser.add_argument("--images", type=int, nargs="+", default=[30, 60])
    parser.add_argument("--d-prime", type=float, nargs="+", default=[0.0, 0.36, 0.5, 1.0])
    parser.add_argument("--margin", type=float, default=0.10)
    return parser.parse_args()


def _line(options: argparse.Namespace, *, readers: int, images: int, d_prime: float) -> None:
    began = time.perf_counter()
    spread = SPREAD if d_prime > 0 else 0.0  # nobody can tell: then nobody differs in that
    area = float(ndtr(d_prime / sqrt(2 + spread**2)))
    seen = dict.fromkeys(OUTCOMES, 0)
    inside, own, asked = np.zeros(2), 0, 0
    for study in range(options.studies):
        address = f"power/{readers}/{images}/{d_prime}"
        rng = np.random.default_rng(derive(seed=0, stream=address, counter=study))
        made = simulated_readers(readers=readers, d_prime=d_prime, spread=spread, rng=rng)
        design = SimulatedStudy(
            real=images, synthetic=images, repeats=0, catch=0, points=40, quality=0
        )
        readings = readings_of(simulated_answers(readers=made, study=design, rng=rng))
        found = together(readings, margin=options.margin)
        seen[outcome(found, pairs=False)[0]] += 1
        mean = float(np.mean([reader.d_prime for reader in made]))
        truths = (area, d_prime) if readers >= 5 else (_mean_area(made), mean)
        for place, (name, truth) in enumerate(zip(("auc", "d_prime"), truths, strict=True)):
            ends = found["figures"][name]["ci95"]
            inside[place] += ends is not None and ends[0] <= truth <= ends[1]
        for reader, one in zip(made, each_reader(readings, margin=options.margin), strict=True):
            own += one["d_prime"]["ci95"][0] <= reader.d_prime <= one["d_prime"]["ci95"][1]
            asked += 1
    shares = "  ".join(f"{100 * seen[o] / options.studies:8.1f}%" for o in OUTCOMES)
    area_in, mean_in = 100 * inside / options.studies
    print(
        f"{readers:7}  {images:16}  {d_prime:4.2f}  {area:.3f}  {shares}  {area_in:10.1f}%"
        f"  {mean_in:13.1f}%  {100 * own / asked:12.1f}%   ({time.perf_counter() - began:.0f} s)",
        flush=True,
    )


def _mean_area(made: list[SimulatedReader]) -> float:
    return float(np.mean([ndtr(reader.d_prime / sqrt(2)) for reader in made]))


if __name__ == "__main__":
    main()
