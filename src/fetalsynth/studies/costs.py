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
    """Means over the trainings of each cell, for ``tables/costs.csv``; its caption says of what.

    Sets that took more than one attempt have no seconds per image, since a second attempt goes on
    with the images of the first.
    """
    steps = {step.name: step for step in plan.steps}
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in plan.cells:
        for name, value in _costs(folder, cell, steps, share=_share(cell, plan)):
            if value:
                found[cell.arm, cell.cell][name].append(value)
    return {
        "kind": "costs",
        "arm": None,
        "csv": "costs.csv",
        "caption": "Means over the trainings of a cell. Times are by the clock, with whatever ran "
        "beside. Where cells of fewer epochs are snapshots of one training, each has its part of "
        "the minutes. Memory is the most that the process held (of the GPU, where it trained on "
        "one); the seconds of an image include starting and loading.",
        "factors": ["arm", "cell"],
        "columns": [{"metric": name} for name in COLUMNS],
        "rows": [
            {"levels": list(key), "cells": [_mean(costs.get(name)) for name in COLUMNS]}
            for key, costs in found.items()
        ],
    }


def _share(cell: PlannedCell, plan: Plan) -> float:
    """The part of its training that a cell needs: some are snapshots on the way to longer ones."""
    longest = plan.trainings[cell.train].epochs
    epochs = cell.factors.get("epochs", longest)
    return min(1.0, epochs / longest) if isinstance(epochs, int | float) else 1.0


def _costs(
    folder: Path, cell: PlannedCell, steps: dict[str, Step], *, share: float
) -> Iterator[tuple[str, float]]:
    training, generating = steps[cell.train], steps[cell.generate]
    if is_whole(training, folder):
        facts = read_manifest(folder / training.out).facts
        seconds = float(facts.get("seconds", 0))
        yield COLUMNS[0], facts.get("parameters", {}).get("generator", 0) / 1e6
        yield COLUMNS[1], share * seconds / 60
        yield COLUMNS[2], facts.get("images_seen", 0) / max(seconds, 0.1)
        yield COLUMNS[3], facts.get("peak_memory_mib", 0)
    if not generating.parts and is_whole(generating, folder):
        made = read_manifest(folder / generating.out).configuration.get("n")
        state = read_state(folder, generating.name)
        if made and state.attempts <= 1:
            yield COLUMNS[4], state.seconds / made


def _mean(values: list[float] | None) -> dict[str, Any] | None:
    if not values:
        return None
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    mean = float(np.mean(values))
    return {"n": len(values), "mean": mean, "sd": spread, "low": None, "high": None, "of": ""}
