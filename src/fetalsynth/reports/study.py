"""The report of a study: ``report.html`` beside its results, analysis, figures and methods."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Manifest, is_artifact, read_manifest
from fetalsynth.errors import UserError, explaining
from fetalsynth.reports.page import render
from fetalsynth.reports.provenance import Record, records
from fetalsynth.reports.study_analysis import Group, groups_of
from fetalsynth.reports.study_figures import plots, read_index, tables
from fetalsynth.reports.wording import count, duration, listing, plural

FILENAME = "report.html"
MOST_LOG_LINES = 12
Level = Literal["alarm", "caution", "clear"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What stands at the head: level, heading, sentence and what limits it."""

    level: Level
    heading: str
    sentence: str
    limits: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A step without a result: ``status`` "failed" or "blocked"."""

    name: str
    status: str
    note: str
    command: str
    log: str


def write_report(folder: Path) -> Path:
    """Write ``report.html`` of the study in ``folder``, growing or whole; same input, same bytes.

    Reads ``plan.json``, ``recipe.yaml``, ``analysis.json``, ``steps/`` and ``logs/``, the indexes
    of ``figures/`` and ``tables/``, ``methods.md`` and manifests of trainings; computes nothing.
    Raises UserError where plan, recipe or analysis cannot be read.
    """
    plan, recipe = _json(folder / "plan.json"), _recipe(folder / "recipe.yaml")
    groups = groups_of(_json(folder / "analysis.json"), recipe.get("analysis") or [])
    states = _states(folder, plan["steps"])
    failures = _failures(folder, plan["steps"], states)
    drawn, undrawn = plots(folder / "figures", read_index(folder / "figures/figures.json"))
    index = read_index(folder / "tables/tables.json")
    manifests = _manifests(folder, plan["steps"])
    context = {
        "study": recipe,
        "counts": _counts(plan),
        "steps": _steps(plan["steps"], states),
        "verdict": _verdict(groups, plan, failures, index, open_steps=_open(states)),
        "groups": groups,
        "plots": drawn,
        "undrawn": undrawn,
        "tables": tables(index),
        "methods": _methods(folder / "methods.md"),
        "failures": failures,
        "licences": list(dict.fromkeys(own for each in manifests for own in each.licences)),
        "record": _record(manifests),
    }
    path = folder / FILENAME
    write_text(path, render("study.html", title=f"Study {recipe['name']}", context=context))
    return path


def _json(path: Path) -> Any:
    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error}); run the study again") from error


def _recipe(path: Path) -> dict[str, Any]:
    import yaml

    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        return dict(yaml.safe_load(text))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is no recipe ({error}); run the study again") from error


def _states(folder: Path, steps: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for step in steps:
        path = folder / "steps" / f"{step['name']}.json"
        found[step["name"]] = _json(path) if path.is_file() else {"status": "waiting"}
    return found


def _counts(plan: Mapping[str, Any]) -> str:
    cells = plan["cells"]
    return listing(
        [
            plural(len({(one["arm"], one["cell"]) for one in cells}), "cell"),
            plural(len({one["train"] for one in cells}), "training"),
            plural(len({one["generate"] for one in cells}), "synthetic set"),
        ]
    )


def _steps(
    steps: Sequence[Mapping[str, Any]], states: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, str, str]]:
    """Kind of step, how they stand, time together."""
    rows = []
    for kind in dict.fromkeys(step["kind"] for step in steps):
        own = [states[step["name"]] for step in steps if step["kind"] == kind]
        stand = Counter(str(state["status"]) for state in own)
        said = ", ".join(f"{count(n)} {status}" for status, n in stand.items())
        rows.append((kind, said, duration(sum(state.get("seconds", 0.0) for state in own))))
    return rows


def _open(states: Mapping[str, Mapping[str, Any]]) -> int:
    """How many steps are neither done nor given up."""
    return sum(state["status"] in ("waiting", "queued", "running") for state in states.values())


def _failures(
    folder: Path, steps: Sequence[Mapping[str, Any]], states: Mapping[str, Mapping[str, Any]]
) -> list[Failure]:
    found = []
    for step in steps:
        state = states[step["name"]]
        if state["status"] in ("failed", "blocked"):
            log = folder / "logs" / f"{step['name']}.log"
            failed = state["status"] == "failed"
            found.append(
                Failure(
                    name=step["name"],
                    status=state["status"],
                    note=state.get("note", ""),
                    command="fetalsynth " + " ".join(step["command"]),
                    log=_tail(log) if failed and log.is_file() else "",
                )
            )
    return sorted(found, key=lambda one: one.status != "failed")


def _tail(log: Path) -> str:
    with explaining(log):
        lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    return "\n".join(lines[-MOST_LOG_LINES:])


def _verdict(
    groups: Sequence[Group],
    plan: Mapping[str, Any],
    failures: Sequence[Failure],
    index: Sequence[Mapping[str, Any]],
    *,
    open_steps: int,
) -> Verdict:
    tested, held = sum(g.tested for g in groups), sum(g.held for g in groups)
    limits = [f"{note[0].upper()}{note[1:]}." for note in plan["notes"]]
    failed = sum(one.status == "failed" for one in failures)
    if open_steps:
        limits.insert(
            0,
            f"The study is not finished: {plural(open_steps, 'step')} are still to be done.",
        )
    if failed:
        limits.insert(
            0,
            f"{plural(failed, 'step')} failed and {len(failures) - failed} could not start: their "
            "cells are missing from everything below.",
        )
    alarmed = _alarmed(index)
    limits += [alarmed] if alarmed else []
    if tested:
        heading = f"{held} of {plural(tested, 'planned test')} held after correction"
        sentence = (
            "A test counts whole trainings with different seeds, not images. What did not hold was "
            "not shown to be absent."
        )
    else:
        heading = "Nothing could be tested"
        sentence = "There are values but no test among them: see what is missing below."
    level: Level = "alarm" if failed else "clear" if tested and not limits else "caution"
    return Verdict(level=level, heading=heading, sentence=sentence, limits=tuple(limits))


def _alarmed(index: Sequence[Mapping[str, Any]]) -> str:
    """How many sets raised alarms when they were assessed: an effect between bad sets is one."""
    table = next((table for table in index if table["kind"] == "alarms"), None)
    if table is None:
        return ""
    sets = sum(int(row["levels"][-1]) for row in table["rows"])
    said = [
        f"{column['metric']} in {sum(row['cells'][place]['n'] for row in table['rows'])}"
        for place, column in enumerate(table["columns"])
    ]
    if not said:
        return ""
    return (
        f"Alarms were raised among {plural(sets, 'set')}: {listing(said)}. A better cell is not a "
        "good one."
    )


def _methods(path: Path) -> list[tuple[str, str]]:
    """Headings ("h") and paragraphs ("p") of ``methods.md``."""
    if not path.is_file():
        return []
    with explaining(path):
        parts = path.read_text(encoding="utf-8").split("\n\n")
    found = []
    for part in filter(None, (part.strip() for part in parts)):
        if not part.startswith("# "):
            heading = part.startswith("## ")
            found.append(("h", part.removeprefix("## ")) if heading else ("p", part))
    return found


def _manifests(folder: Path, steps: Sequence[Mapping[str, Any]]) -> list[Manifest]:
    outs = [folder / step["out"] for step in steps if step["kind"] == "train"]
    return [read_manifest(out) for out in outs if is_artifact(out)]


def _record(manifests: Sequence[Manifest]) -> Record | None:
    """The record of the first training; the others differ as the tables say."""
    if not manifests:
        return None
    return replace(
        records(manifests[0]), title=f"The first of {plural(len(manifests), 'training')}"
    )
