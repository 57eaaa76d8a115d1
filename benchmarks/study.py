"""A study with snapshots, one cache and warm processes against running every cell by itself.

The grid has the shape of the 2022 ultrasound study in small: sizes of the training set by epochs,
where the study trains once to the largest number of epochs. "By itself" means for every cell its
own training, set and assessment, each a fresh process without a cache, with as many side by side
as the study runs. Both must give the same results.

    python benchmarks/study.py [--jobs 2] [--images 40 80 160] [--epochs 6 10 16 20]
        [--inception-weights FILE] [--keep DIR]
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

SETTINGS = {
    "generator.size": 32,
    "generator.generator_width": 16,
    "generator.discriminator_width": 16,
    "batch_size": 16,
    "average_half_life_images": 0,
}


def recipe(images: list[int], epochs: list[int]) -> dict[str, object]:
    """The study as its file has it."""
    grid = {"images": images, "epochs": epochs}
    arm = {"name": "grid", "recipe": "dcgan64", "settings": SETTINGS, "grid": grid}
    made = {"n": 100, "weights": "raw"}
    return {"name": "benchmark", "modality": "ultrasound", "arms": [arm], "generate": made}


def fetalsynth(*command: str, cwd: Path) -> None:
    """Run one command with one thread, as a fresh process."""
    subprocess.run(
        [sys.executable, "-m", "fetalsynth", *command],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def by_itself(images: int, epochs: int, *, folder: Path, weights: list[str]) -> None:
    """One cell without any sharing."""
    cell = f"{images}-{epochs}"
    given = {**SETTINGS, "images": images, "epochs": epochs}
    settings = [word for k, v in given.items() for word in (f"--{k.replace('_', '-')}", str(v))]
    fetalsynth("train", "dcgan64", "--data", "data", "--out", f"m{cell}", *settings, cwd=folder)
    made = ["--n", "100", "--out", f"s{cell}", "--weights", "raw"]
    fetalsynth("generate", f"m{cell}", *made, cwd=folder)
    scored = ["--real", "data", "--synthetic", f"s{cell}", "--out", f"a{cell}", *weights]
    fetalsynth("assess", *scored, cwd=folder)


def clocked(action: object) -> tuple[float, float]:
    """Seconds on the clock and of the processors (children counted) of calling ``action``."""
    assert callable(action)
    wall, before = time.perf_counter(), os.times()
    action()
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return time.perf_counter() - wall, used


def values(folder: Path) -> dict[tuple[str, str, str], float]:
    """The study's results by images, epochs and metric."""
    with (folder / "study" / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return {(row["images"], row["epochs"], row["metric"]): float(row["value"]) for row in rows}


def check(folder: Path, *, grid: list[tuple[int, int]]) -> int:
    """Compare every metric of every cell; returns how many numbers there are."""
    study, count = values(folder), 0
    for images, epochs in grid:
        with (folder / f"a{images}-{epochs}" / "metrics.csv").open() as stream:
            for row in csv.DictReader(stream):
                ours = study[str(images), str(epochs), row["metric"]]
                assert ours == float(row["value"]), (images, epochs, row["metric"])
                count += 1
    return count


def compare(
    folder: Path, *, images: list[int], epochs: list[int], jobs: int, weights: list[str]
) -> None:
    """Run both ways and print the ratio."""
    grid = [(one, each) for one in images for each in epochs]
    phantom = ["data", "phantom", "ultrasound", "--n", "200", "--size", "32", "--out", "data"]
    fetalsynth(*phantom, cwd=folder)
    (folder / "study.yaml").write_text(yaml.safe_dump(recipe(images, epochs)))

    def study() -> None:
        command = ["study", "run", "study.yaml", "--data", "data", "--out", "study"]
        fetalsynth(*command, "--jobs", str(jobs), *weights, cwd=folder)

    def separately() -> None:
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [
                pool.submit(by_itself, *cell, folder=folder, weights=weights)
                for cell in reversed(grid)
            ]
            for one in waiting:
                one.result()

    wall, used = clocked(study)
    wall_apart, used_apart = clocked(separately)
    shared = sum(images) * max(epochs)
    apart = sum(images) * sum(epochs)
    same = check(folder, grid=grid)
    print(f"{len(grid)} cells, {jobs} at a time, {same} numbers the same")
    print(f"study       {wall:7.1f} s on the clock {used:7.1f} s of processors {shared:7d} images")
    print(
        f"separately  {wall_apart:7.1f} s on the clock {used_apart:7.1f} s of processors "
        f"{apart:7d} images"
    )
    print(
        f"ratio       {wall_apart / wall:7.2f}   on the clock {used_apart / used:7.2f}   of "
        f"processors {apart / shared:7.2f} images trained on"
    )


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--images", type=int, nargs="+", default=[40, 80, 160])
    parser.add_argument("--epochs", type=int, nargs="+", default=[6, 10, 16, 20])
    parser.add_argument("--inception-weights", type=Path)
    parser.add_argument("--keep", type=Path, help="new folder for everything that is made")
    wanted = parser.parse_args()
    weights = []
    if wanted.inception_weights:
        weights = ["--inception-weights", str(wanted.inception_weights.resolve())]
    with tempfile.TemporaryDirectory() as scratch:
        folder = wanted.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        compare(
            folder.resolve(),
            images=wanted.images,
            epochs=wanted.epochs,
            jobs=wanted.jobs,
            weights=weights,
        )


if __name__ == "__main__":
    main()
