"""Learning curves of all trainings of an arm: a thin line for each, coloured by level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.model import STATISTICS, read_statistics
from fetalsynth.studies.cells import text
from fetalsynth.studies.figures_canvas import SERIES, Sheet, panels, plain, styled, tidy
from fetalsynth.studies.figures_data import MOST_PANELS, in_order, named
from fetalsynth.studies.plan import Plan

EPOCHS = "epochs"
_PARTS = ("loss", "accuracy")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One quantity of one training (of one plane) over epochs."""

    training: str
    level: str
    seed: int
    panel: str
    x: tuple[float, ...]
    y: tuple[float, ...]


def curves(folder: Path, plan: Plan, *, arm: str, stem: str) -> Sheet | None:
    """Losses and accuracies of the arm's trainings that are there; None where there are none.

    Of models with a network for each plane, the losses alone.
    """
    lines, axis = _lines(folder, plan, arm)
    names = list(dict.fromkeys(line.panel for line in lines))[:MOST_PANELS]
    if not names:
        return None
    levels = in_order(line.level for line in lines)
    colours = {level: SERIES[k % len(SERIES)] for k, level in enumerate(levels)}
    with styled():
        figure, places = panels(len(names), columns=3 if len(names) % 3 == 0 else 0)
        for name, axes in zip(names, places, strict=True):
            tidy(axes, title=name)
            for line in (one for one in lines if one.panel == name):
                axes.plot(
                    line.x,
                    line.y,
                    color=colours[line.level],
                    linewidth=0.9,
                    alpha=0.8,
                    marker="." if len(line.x) < 3 else "",
                    markersize=3,
                )
        figure.supxlabel("epoch", fontsize=9)
        if len(levels) > 1:
            _legend(figure, colours, title=named(axis))
    by = f", coloured by {named(axis)}" if len(levels) > 1 else ""
    trainings = len({line.training for line in lines})
    return Sheet(
        stem=stem,
        kind="curves",
        arm=arm,
        heading=f"{arm}: learning curves",
        caption=f"One line for each of {trainings} trainings{by}; means between log entries.",
        figure=figure,
        header=("training", "level", "seed", "quantity", "epoch", "value"),
        rows=[
            (line.training, line.level, line.seed, line.panel, repr(a), repr(b))
            for line in lines
            for a, b in zip(line.x, line.y, strict=True)
        ],
    )


def _lines(folder: Path, plan: Plan, arm: str) -> tuple[list[Line], tuple[str, ...]]:
    outs = {step.name: step.out for step in plan.steps}
    cells = {cell.train: cell for cell in plan.cells if cell.arm == arm}
    names = [name for name in next(iter(cells.values())).factors if name != EPOCHS] if cells else []
    varying = tuple(
        name for name in names if len({text(cell.factors[name]) for cell in cells.values()}) > 1
    )
    lines = []
    for train, cell in cells.items():
        level = " / ".join(text(cell.factors[name]) for name in varying)
        for part, path in _statistics(folder / outs[train]):
            rows = read_statistics(path)
            for key in _keys(rows, wanted=_PARTS[:1] if part else _PARTS):
                kept = [row for row in rows if _finite(row.get(key)) and _finite(row.get("epoch"))]
                lines.append(
                    Line(
                        training=train,
                        level=level,
                        seed=cell.seed,
                        panel=" ".join([*part, key.replace("_", " ")]),
                        x=tuple(float(row["epoch"]) for row in kept),
                        y=tuple(float(row[key]) for row in kept),
                    )
                )
    return lines, varying


def _statistics(model: Path) -> list[tuple[tuple[str, ...], Path]]:
    """Logs of a model, with the plane's name where it has one for each plane."""
    if (model / STATISTICS).is_file():
        return [((), model / STATISTICS)]
    return [((path.parent.name,), path) for path in sorted(model.glob(f"*/{STATISTICS}"))]


def _keys(rows: Sequence[Mapping[str, Any]], *, wanted: Sequence[str]) -> list[str]:
    keys = dict.fromkeys(key for row in rows for key in row)
    return [key for key in keys if key.split("_")[0] in wanted]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _legend(figure: Any, colours: Mapping[str, str], *, title: str) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=c, label=plain(level)) for level, c in colours.items()]
    figure.legend(
        handles=handles, title=plain(title), loc="outside upper left", ncols=min(6, len(handles))
    )
