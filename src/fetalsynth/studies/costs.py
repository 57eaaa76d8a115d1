"""What every cell of a study took: time, speed and memory of its trainings, time per image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.studies.plan import Plan, PlannedCell
from fetalsynth.studies.state import read_state
from fetalsynth.studies.steps import Step, is_whole

COLUMNS = (
    "parameters of the generator, millions",
    "training, minutes",
    "training, images per second",
    "training, peak memory in MiB",
    "generating, seconds per image",
)


def costs_table(folder: Path, plan: Plan) -> dict[str, Any]:
    """Means over the trainings of each cell, for ``tables/costs.csv``.

    Times are by the clock, with whatever ran beside; a training's is that of its loop, and the
    seconds per image are those of the whole step, loading included.
    """
    steps = {step.name: step for step in plan.steps}
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in plan.cells:
        for name, value in _costs(folder, cell, steps):
            found[cell.arm, cell.cell][name].append(value)
    return {
        "kind": "costs",
        "arm": None,
        "csv": "costs.csv",
        "caption": "Means over the trainings of a cell. Times are by the clock, with whatever ran "
        "beside; memory is the most that the process held (of the GPU, where it trained on one).",
        "factors": ["arm", "cell"],
        "columns": [{"metric": name} for name in COLUMNS],
        "rows": [
            {"levels": list(key), "cells": [_mean(costs.get(name)) for name in COLUMNS]}
            for key, costs in found.items()
        ],
    }


def _costs(folder: Path, cell: PlannedCell, steps: dict[str, Step]) -> Iterator[tuple[str, float]]:
    training, generating = steps[cell.train], steps[cell.generate]
    if is_whole(training, folder):
        facts = read_manifest(folder / training.out).facts
        yield COLUMNS[0], facts["parameters"]["generator"] / 1e6
        yield COLUMNS[1], facts["seconds"] / 60
        yield COLUMNS[2], facts["images_seen"] / max(facts["seconds"], 0.1)
        if facts.get("peak_memory_mib"):
            yield COLUMNS[3], facts["peak_memory_mib"]
    if not generating.parts and is_whole(generating, folder):
        made = read_manifest(folder / generating.out).configuration.get("n")
        seconds = read_state(folder, generating.name).seconds
        if made and seconds:
            yield COLUMNS[4], seconds / made


def _mean(values: list[float] | None) -> dict[str, Any] | None:
    if not values:
        return None
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    mean = float(np.mean(values))
    return {"n": len(values), "mean": mean, "sd": spread, "low": None, "high": None, "of": ""}
