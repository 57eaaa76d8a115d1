"""``fetalsynth study run --dry-run``: what would run, and what it would take."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fetalsynth.cli.study_run import StudyRun
    from fetalsynth.studies.data import DataFacts
    from fetalsynth.studies.forecast import Forecast
    from fetalsynth.studies.plan import Plan
    from fetalsynth.studies.recipe import StudyRecipe


def print_forecast(
    study: StudyRecipe, plan: Plan, *, data: Sequence[DataFacts], wanted: StudyRun
) -> None:
    """Print steps, images to train on, expected time and disk; nothing is written to --out."""
    from rich.console import Console

    forecast = _forecast(study, plan, data=data, wanted=wanted)
    slots = slots_of(wanted)
    console = Console(width=160, highlight=False)
    console.print(_table(forecast))
    sets = len({cell.generate for cell in plan.cells})
    print(
        f"{len(plan.of_kind('train'))} trainings serve {sets} sets ({len(plan.cells)} cells): "
        f"{forecast.images_to_train_on():,} images to train on\n"
        f"about {clock(forecast.seconds)} of computing, {clock(forecast.wall_seconds)} with "
        f"{slots} steps at a time on this machine as it is now (others that use it count)\n"
        f"about {_size(forecast.disk_bytes)} on disk, and {_size(forecast.scratch_bytes)} more "
        "while it runs"
    )
    if wanted.executor == "slurm":
        print("the times are of this machine, not of the cluster's nodes")


def slots_of(wanted: StudyRun) -> int:
    """How many steps run side by side on this machine."""
    from fetalsynth.threads import allowed_cores

    side_by_side = max(1, allowed_cores() // wanted.threads)
    return min(side_by_side, wanted.jobs or side_by_side)


def _forecast(
    study: StudyRecipe, plan: Plan, *, data: Sequence[DataFacts], wanted: StudyRun
) -> Forecast:
    import torch

    from fetalsynth.studies.calibration import count_items, measure
    from fetalsynth.studies.forecast import data_of, foretell, measure_all
    from fetalsynth.studies.rehearsal import assessed_volumes, rehearse
    from fetalsynth.training.device import choose_device

    torch.set_num_threads(wanted.threads)
    device = choose_device(wanted.device)
    first = data_of(plan, plan.of_kind("train")[0].name, data)
    items = {
        name: count_items(recipe, data_of(plan, name, data))
        for name, recipe in plan.trainings.items()
    }
    with tempfile.TemporaryDirectory() as scratch:
        overheads = rehearse(study, plan, data=first, scratch=Path(scratch), threads=wanted.threads)
    made = study.generate.n or 0
    if study.modality == "mri":
        per_volume = max(items.values()) / max(1, first.to_train_on("train"))
        made = round(per_volume * len(assessed_volumes(study, first)))
    speeds = measure_all(
        plan, data=data, measure=lambda recipe, one: measure(recipe, one, device=device)
    )
    return foretell(
        plan,
        items=items,
        speeds=speeds,
        overheads=overheads,
        made_per_set=made,
        slots=slots_of(wanted),
    )


def _table(forecast: Forecast) -> object:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name, side in (("step", "left"), ("images", "right"), ("time", "right"), ("disk", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for one in forecast.steps:
        images = f"{one.images:,}" if one.images else ""
        table.add_row(one.step.name, images, clock(one.seconds), _size(one.disk_bytes))
    return table


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    if seconds < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
