"""``fetalsynth study report``: results, analysis and report anew from what is there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Annotated

import tyro

READERS = "readers.csv"


@dataclass(frozen=True)
class StudyReport:
    """Collect the results of a study again, analyse them and write the report anew.

    Works on a study that still runs or has failed steps, too. Not for clinical use.
    """

    study: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder of the study, as given to `study run --out`."""
    readers: Path | None = None
    """CSV file of readers' scores, with columns set and score and perhaps reader; it is kept with
    the study. A set is named by its cell, or by the step that made or assessed it."""


def run(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    from fetalsynth.studies.folder import bringing_up_to_date, find_study

    wanted = tyro.cli(StudyReport, args=arguments, prog="fetalsynth study report")
    folder = find_study(wanted.study)
    with bringing_up_to_date(folder):
        conclude(folder, readers=wanted.readers)
    print(f"report: {folder / 'report.html'}")
    return 0


def conclude(folder: Path, *, readers: Path | None = None) -> None:
    """Write ``results.csv``, ``analysis.json`` and the report of the study in ``folder``.

    Scores of ``readers`` are kept with the study once they were found to fit; without any those
    that were kept before are taken. Raises UserError for scores that fit no sets.
    """
    from fetalsynth.reports.study import write_report
    from fetalsynth.studies.analysis import write_analysis
    from fetalsynth.studies.analysis_scores import read_scores_of_sets
    from fetalsynth.studies.figures import write_figures
    from fetalsynth.studies.folder import RECIPE_COPY
    from fetalsynth.studies.methods import write_methods
    from fetalsynth.studies.plan import read_plan
    from fetalsynth.studies.recipe import load_study
    from fetalsynth.studies.results import write_results
    from fetalsynth.studies.tables import write_tables

    plan = read_plan(folder)
    study = load_study(str(folder / RECIPE_COPY))
    measured = write_results(folder, plan)
    print(f"results of {measured} of {len(plan.cells)} cells in results.csv")
    if readers is None and (folder / READERS).is_file():
        readers = folder / READERS
    if readers is not None:
        read_scores_of_sets(readers)
    found = write_analysis(folder, items=study.analysis, plan=plan, readers=readers)
    drawn = write_figures(folder, study=study, plan=plan, readers=readers)
    if readers is not None:
        _keep(readers, folder)
    print(f"{found} analyses in analysis.json, {drawn} figures in figures/")
    write_tables(folder, study=study, plan=plan)
    write_methods(folder, study=study, plan=plan)
    write_report(folder)


def _keep(readers: Path, folder: Path) -> None:
    """Copy the readers' scores into the study; earlier ones stay beside them under a number."""
    from fetalsynth.artifacts.files import write_bytes
    from fetalsynth.errors import explaining

    with explaining(readers):
        scores = readers.read_bytes()
    kept = folder / READERS
    if kept.is_file() and kept.read_bytes() != scores:
        numbered = (kept.with_stem(f"{kept.stem}-{number}") for number in count(1))
        with explaining(kept):
            kept.rename(next(path for path in numbered if not path.exists()))
    write_bytes(kept, scores)
