"""``results.csv``: one row per cell and metric, collected from the scores of every step."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.scores import Metric, read_scores
from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.cells import text
from fetalsynth.studies.plan import Plan, PlannedCell
from fetalsynth.studies.steps import is_whole

RESULTS = "results.csv"
LBP_TABLE = "lbp_vector.csv"
BEFORE = ("arm", "cell", "seed")
AFTER = (
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "p_value",
    "floor",
    "direction",
    "n_real",
    "n_synthetic",
    "set",
    "step",
)
_PLANES = ("sagittal", "coronal", "axial")


def write_results(folder: Path, plan: Plan) -> int:
    """Write ``results.csv`` from the scores that are there; returns the number of sets in it.

    Factors stand between ``seed`` and ``metric``, empty where an arm does not vary them; so does
    ``fusion`` where volumes were fused in several ways. ``set`` is what the metric looks at:
    "images", "volume" or a plane.
    """
    steps = {step.name: step for step in plan.steps}
    scored = [cell for cell in plan.cells if is_whole(steps[cell.assess], folder)]
    rows = [row for cell in scored for row in _rows(folder, cell, steps[cell.assess].out)]
    factors = list(dict.fromkeys(name for cell in plan.cells for name in cell.factors))
    factors += ["fusion"] if any("fusion" in row for row in rows) else []
    header = [*BEFORE, *factors, *AFTER]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / RESULTS, stream.getvalue())
    return len(scored)


def _rows(folder: Path, cell: PlannedCell, out: Path) -> Iterator[dict[str, Any]]:
    scores = read_scores(folder / out)
    about: dict[str, Any] = {"arm": cell.arm, "cell": cell.cell, "seed": cell.seed}
    about |= {name: text(value) for name, value in cell.factors.items()}
    about["step"] = cell.assess
    for full_name, metric in scores.metrics.items():
        fusion, slash, name = full_name.rpartition("/")
        more = {"fusion": fusion} if slash else {}
        yield {
            **about,
            **more,
            "metric": name,
            **_numbers(metric),
            "set": _set(name, scores.inputs),
        }
    known = {name for name in scores.metrics if name.startswith("LBPv-V")}
    yield from ({**about, **row} for row in _lbp_rows(folder / out, scores.metrics, known))


def _numbers(metric: Metric) -> dict[str, Any]:
    low, high = metric.ci95 or ("", "")
    return {
        "value": repr(metric.value),
        "ci_low": _cell(low),
        "ci_high": _cell(high),
        "p_value": _cell(metric.p_value),
        "floor": _cell(metric.floor),
        "direction": metric.direction,
        "n_real": metric.n_real,
        "n_synthetic": metric.n_synthetic,
    }


def _lbp_rows(out: Path, metrics: dict[str, Metric], known: set[str]) -> Iterator[dict[str, Any]]:
    """The elements of the LBP vector that are no metric of their own: all 256 can be analysed."""
    path = out / LBP_TABLE
    if not path.is_file():
        return
    like = next((metrics[name] for name in sorted(known)), None)
    with explaining(path), path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            name = f"LBPv-V{row['code']}"
            if name not in known:
                yield {
                    "metric": name,
                    "value": row["difference"],
                    "direction": "none" if like is None else like.direction,
                    "n_real": "" if like is None else like.n_real,
                    "n_synthetic": "" if like is None else like.n_synthetic,
                    "set": "images",
                }


def _set(name: str, inputs: dict[str, Any]) -> str:
    last = name.rsplit("-", maxsplit=1)[-1]
    if last in _PLANES:
        return last
    size = str(inputs.get("real", {}).get("size", ""))
    return "volume" if size.count("×") > 1 else "images"


def _cell(value: Any) -> str:
    return "" if value is None or value == "" else repr(value)


def read_results(folder: Path) -> Sequence[dict[str, str]]:
    """Rows of ``results.csv`` as text; UserError where it is missing."""
    path = folder / RESULTS
    if not path.is_file():
        raise UserError(f"{path}: is not there; run the study first")
    with explaining(path), path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
