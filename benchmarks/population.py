"""Population model on an atlas: ages between compared with the true ones, and sampled brains.

Ages between: every age that has a neighbour on both sides is left out and made from the two next to
it (``anatomy interpolate``). Made and true label map are compared by Dice per tissue on the true
one's voxels, after the made one is laid onto the true one: rigidly, or rigidly with its size fitted
too. The baseline is the nearer label map itself, laid on in the same way; with one neighbour on
each side at the same distance both are tried and the better one counts, which only a reader of the
answer could choose; "copy unseen" is the mean of both, what a blind choice gets. Size fitted to the
truth favours the baseline further: interpolation has to predict the size.

    python benchmarks/population.py ages ATLAS [--only 27 28] [--table FILE]
    python benchmarks/population.py brains SAMPLED

ATLAS is a volumes artifact or a folder of label maps with ages, SAMPLED a result of ``fetalsynth
anatomy sample``. Seconds are of the processor, one thread.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.deformation import smooth
from fetalsynth.anatomy.labels import FETA
from fetalsynth.anatomy.population.alignment import nearer_pose
from fetalsynth.anatomy.population.carrying import Target, way_from
from fetalsynth.anatomy.population.fitting import SPACING_MM
from fetalsynth.anatomy.population.interpolation import between, match
from fetalsynth.anatomy.population.registration import no_velocity
from fetalsynth.anatomy.population.space import Grid, Head, Pose, grid_around, own_poses, soft_maps
from fetalsynth.artifacts.tsv import read_tsv
from fetalsynth.cli.anatomy_heads import find_heads, read_head

TISSUES = FETA[1:]


def dice(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> list[float]:
    found = []
    for label in range(1, len(FETA)):
        a, b = one == label, other == label
        found.append(2 * float((a & b).sum()) / max(1.0, float(a.sum() + b.sum())))
    return found


class Judge:
    """Lays label maps onto a true one and counts what agrees; the truth is prepared once."""

    def __init__(self, truth: Head) -> None:
        self.truth = truth
        self.pose = replace(own_poses([truth])[0], scale=1.0)
        self.grid = grid_around([truth], [self.pose], spacing_mm=SPACING_MM)
        self.fine = soft_maps(truth, self.pose, self.grid.thin(2))

    def dice(self, made: Head) -> dict[str, list[float]]:
        """Dice per tissue, ``made`` laid on rigidly, and with its size fitted too."""
        thin = self.grid.thin(2)
        pose = replace(own_poses([made])[0], scale=1.0)
        maps = soft_maps(made, pose, thin)
        found = {}
        for word, scaled in (("rigid", False), ("scaled", True)):
            rough = self._nearer(
                thinner(maps, thin), thinner(self.fine, thin), pose, factor=4, scaled=scaled
            )
            maps_there = soft_maps(made, rough, thin)
            near = self._nearer(maps_there, self.fine, rough, factor=2, scaled=scaled)
            found[word] = dice(self._laid(made, near), self.truth.labels)
        return found

    def _nearer(
        self, maps: Tensor, target: Tensor, pose: Pose, *, factor: int, scaled: bool
    ) -> Pose:
        return nearer_pose(
            maps,
            target,
            pose=pose,
            grid=self.grid.thin(factor),
            scaled=scaled,
            steps=50 if factor == 4 else 12,
            rate=0.02 if factor == 4 else 0.004,
        )

    def _laid(self, made: Head, pose: Pose) -> NDArray[np.uint8]:
        i, j, k = self.truth.labels.shape
        target = Target(shape=(i, j, k), affine=self.truth.affine, pose=self.pose)
        still = no_velocity(self.grid)
        way = way_from(made.affine, pose, still, grid=self.grid.thin(2), target=target)
        return way.labels(made.labels)


def thinner(maps: Tensor, grid: Grid) -> Tensor:
    blurred = smooth(maps, sigma_mm=grid.spacing_mm, spacing_mm=grid.spacing)
    return blurred[:, ::2, ::2, ::2].contiguous()


def ages(wanted: argparse.Namespace) -> None:
    found = find_heads(wanted.labels)
    heads = []
    for head in found.heads:
        assert head.weeks is not None
        volume = read_head(head, table=found.table)
        heads.append(
            (head.name, Head(labels=volume.labels, affine=volume.affine, weeks=head.weeks))
        )
    known = sorted({head.weeks for _, head in heads})
    rows = []
    for age in known[1:-1]:
        if wanted.only and age not in wanted.only:
            continue
        low = max(a for a in known if a < age)
        high = min(a for a in known if a > age)
        # of two maps of one age, the last below and the first above
        young = [head for _, head in heads if head.weeks == low][-1]
        old = next(head for _, head in heads if head.weeks == high)
        began = time.process_time()
        pair = match(young, old)
        matched = time.process_time()
        middle = {
            "younger carried": between(pair, weeks=age, method="donor"),
            "older carried": between(pair, weeks=age + 1e-3, method="donor"),
            "blend": between(pair, weeks=age, method="blend"),
        }
        for name, truth in heads:
            if truth.weeks != age:
                continue
            row = one_age(name, truth, young, old, middle)
            row["min_jacobian"] = middle["older carried"].min_jacobian
            row["seconds"] = matched - began
            rows.append(row)
            show(row)
            if wanted.table:
                write(wanted.table, rows)
    summary(rows)


def one_age(name: str, truth: Head, young: Head, old: Head, middle: dict) -> dict:  # type: ignore[type-arg]
    made = {
        kind: Head(labels=one.labels, affine=one.affine, weeks=truth.weeks)
        for kind, one in middle.items()
    }
    judge = Judge(truth)
    row: dict = {"volume": name}  # type: ignore[type-arg]
    copies = [judge.dice(head) for head in (young, old)]
    found = {kind: judge.dice(head) for kind, head in made.items()}
    for word in ("rigid", "scaled"):
        row[f"copy, {word}"] = max((copy[word] for copy in copies), key=np.mean)
        row[f"copy unseen, {word}"] = np.mean([copy[word] for copy in copies], axis=0).tolist()
        for kind, each in found.items():
            row[f"{kind}, {word}"] = each[word]
    return row


def show(row: dict) -> None:  # type: ignore[type-arg]
    print(f"{row['volume']}: {row['seconds']:.0f} s, min Jacobian {row['min_jacobian']:.3f}")
    for key, value in row.items():
        if isinstance(value, list):
            cells = " ".join(f"{v:.3f}" for v in value)
            print(f"  {key:<24} mean {np.mean(value):.3f}  {cells}", flush=True)


def write(path: Path, rows: Sequence[dict]) -> None:  # type: ignore[type-arg]
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["volume", "made", *TISSUES, "mean", "min_jacobian", "seconds"])
        for row in rows:
            for key, value in row.items():
                if isinstance(value, list):
                    cells = [*value, np.mean(value), row["min_jacobian"], row["seconds"]]
                    out.writerow([row["volume"], key, *(f"{cell:.4f}" for cell in cells)])


def summary(rows: Sequence[dict]) -> None:  # type: ignore[type-arg]
    print(f"\n| laid on | {' | '.join(TISSUES)} | mean |\n|---|" + "---|" * (len(TISSUES) + 1))
    for key, value in rows[0].items():
        if isinstance(value, list):
            mean = np.mean([row[key] for row in rows], axis=0)
            print(f"| {key} | {' | '.join(f'{m:.3f}' for m in mean)} | {mean.mean():.3f} |")
    for key in rows[0]:
        if not isinstance(rows[0][key], list) or key.startswith("copy"):
            continue
        own = np.array([row[key] for row in rows])
        for baseline in ("copy", "copy unseen"):
            other = np.array([row[f"{baseline}, {key.split(', ')[1]}"] for row in rows])
            cells = " ".join(str(count) for count in (own > other).sum(axis=0))
            volumes = int((own.mean(axis=1) > other.mean(axis=1)).sum())
            print(
                f"{key}: better than the {baseline} in {cells} of {len(rows)} by tissue, "
                f"{volumes} in the mean"
            )


def brains(wanted: argparse.Namespace) -> None:
    rows = [row for row, _ in read_tsv(wanted.sampled / "validity.tsv", needed=("volume",))]
    rejected = [row for row, _ in read_tsv(wanted.sampled / "rejected.tsv", needed=("reasons",))]
    print(f"{len(rows)} brains, {len(rejected)} draws rejected")
    reasons = Counter(
        reason.rsplit(" (", 1)[0].rsplit(" ", 1)[0]
        for row in rejected
        for reason in row["reasons"].split("; ")
    )
    for reason, count in reasons.most_common():
        print(f"  {reason}: {count}")
    print("\n| check | least | median | most |\n|---|---|---|---|")
    for column in rows[0]:
        cells = [row[column] for row in rows if row[column]]
        try:
            values = np.array([float(cell) for cell in cells])
        except ValueError:
            continue
        low, middle, high = np.quantile(values, (0, 0.5, 1))
        print(f"| {column} | {low:.3g} | {middle:.3g} | {high:.3g} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    first = parts.add_parser("ages")
    first.add_argument("labels", type=Path)
    first.add_argument("--only", type=float, nargs="*", default=[])
    first.add_argument("--table", type=Path)
    first.set_defaults(run=ages)
    second = parts.add_parser("brains")
    second.add_argument("sampled", type=Path)
    second.set_defaults(run=brains)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    wanted.run(wanted)


if __name__ == "__main__":
    main()
