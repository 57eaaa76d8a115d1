"""How often every test of a study is wrong without an effect, and how often it finds a planted one.

Run: OMP_NUM_THREADS=1 python benchmarks/null_studies.py [studies]

Prints Markdown tables. Every simulated study draws its own seeds; the interval is Wilson's.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fetalsynth.statistics.proportions import wilson
from planted_studies import CAUTIOUS, NULL, PLANTED, mixed_ordinal, rate


def main(studies: int) -> None:
    started = time.perf_counter()
    tests = {**NULL, "proportional odds, sets random": mixed_ordinal}
    print(f"p ≤ 0.05 in {studies} studies without effect\n")
    print("| test | share (95 % interval) | wanted |")
    print("|---|---|---|")
    for wanted, group in (("5 %", tests), ("at most 5 %", CAUTIOUS)):
        for name, p in group.items():
            print(_row(name, rate(p, studies=studies, seed=1), studies, wanted), flush=True)
    print(f"\np ≤ 0.05 in {studies} studies with a planted effect\n")
    print("| effect | share (95 % interval) | predicted |")
    print("|---|---|---|")
    for name, planted in PLANTED.items():
        hits = rate(planted.p, studies=studies, seed=1)
        print(_row(name, hits, studies, f"{100 * planted.power:.1f} %"), flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


def _row(name: str, hits: int, studies: int, wanted: str) -> str:
    low, high = wilson(hits, studies)
    said = f"{100 * hits / studies:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"| {name} | {said} | {wanted} |"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
