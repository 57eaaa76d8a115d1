"""Heat maps of metrics over two factors, each cell with its mean and its spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.studies.figures_canvas import Sheet, panels, plain, short, styled, tidy
from fetalsynth.studies.figures_data import Panel, levels_on, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALE, DARK = "#eaf3f4", "#0a5f6e"  # no colours of the page: reports exchange those
_BETTER = {"lower": " ↓", "higher": " ↑"}
Floats = NDArray[np.float64]


def heat(
    shown: Sequence[Panel],
    *,
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    arm: str,
    stem: str,
) -> Sheet:
    """A panel for each metric: mean over trainings at each pair of levels, its SD below it.

    The better a cell, the darker it is; of metrics without a better side, the nearer to what real
    images score. What else varies is averaged over.
    """
    every = [point for panel in shown for point in panel.points]
    down, across = levels_on(rows, every), levels_on(columns, every)
    found = []
    with styled():
        size = {"width": 0.9 + 0.62 * len(across), "height": 0.85 + 0.42 * len(down)}
        count = 4 if size["width"] < 3 else 3 if size["width"] < 4 else 2
        figure, places = panels(len(shown), columns=min(len(shown), count), **size)
        for panel, axes in zip(shown, places, strict=True):
            mean, sd, n = _cells(panel, rows, columns, down=down, across=across)
            _draw(axes, panel, mean=mean, sd=sd, down=down, across=across)
            found += [
                (panel.metric, a, b, repr(float(mean[i, j])), repr(float(sd[i, j])), int(n[i, j]))
                for i, a in enumerate(down)
                for j, b in enumerate(across)
            ]
        figure.supxlabel(plain(named(columns)), fontsize=9)
        figure.supylabel(plain(named(rows)), fontsize=9)
    return Sheet(
        stem=stem,
        kind="heat",
        arm=arm,
        heading=f"{arm}: {named(rows)} by {named(columns)}",
        caption=_caption(found),
        figure=figure,
        header=("metric", "+".join(rows), "+".join(columns), "mean", "sd", "n"),
        rows=[tuple("" if value == "nan" else value for value in row) for row in found],
    )


def _caption(found: Sequence[tuple[Any, ...]]) -> str:
    trainings = sorted({row[-1] for row in found if row[-1]})
    many = "–".join(str(n) for n in dict.fromkeys((trainings[0], trainings[-1])))
    spread = (
        f"means of {many} sets, each by another training, and below the standard deviation"
        if trainings[-1] > 1
        else "the values of single trainings, so that their spread is unknown"
    )
    return (
        f"Cells are {spread}. Darker is better (↓ lower is better, ↑ higher is better; without an "
        "arrow: darker is nearer to what real images score, or larger where that is unknown)."
    )


def _cells(
    panel: Panel,
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    *,
    down: Sequence[str],
    across: Sequence[str],
) -> tuple[Floats, Floats, Floats]:
    """Mean, standard deviation and number of values at each pair of levels; NaN where none."""
    mean, sd = (np.full((len(down), len(across)), np.nan) for _ in range(2))
    n = np.zeros((len(down), len(across)))
    for i, a in enumerate(down):
        for j, b in enumerate(across):
            own = [p.value for p in panel.points if p.at(rows) == a and p.at(columns) == b]
            n[i, j] = len(own)
            if own:
                mean[i, j] = np.mean(own)
            if len(own) > 1:
                sd[i, j] = np.std(own, ddof=1)
    return mean, sd, n


def _draw(
    axes: Axes,
    panel: Panel,
    *,
    mean: Floats,
    sd: Floats,
    down: Sequence[str],
    across: Sequence[str],
) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    colours = LinearSegmentedColormap.from_list("study", (PALE, DARK))
    shade = _shade(mean, panel)
    for (i, j), value in np.ndenumerate(mean):
        if not np.isfinite(value):
            continue
        face = colours(float(shade[i, j]))
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, edgecolor="white"))
        said = short(float(value))
        said += f"\n±{short(float(sd[i, j]))}" if np.isfinite(sd[i, j]) else ""
        ink = "#ffffff" if shade[i, j] > 0.55 else "#1c2225"
        axes.text(j, i, said, ha="center", va="center", fontsize=7, color=ink, linespacing=1.1)
    tidy(axes, title=panel.metric + _BETTER.get(panel.direction, ""), grid="")
    axes.set_xlim(-0.5, len(across) - 0.5)
    axes.set_ylim(len(down) - 0.5, -0.5)
    axes.set_xticks(range(len(across)), [plain(level) for level in across])
    axes.set_yticks(range(len(down)), [plain(level) for level in down])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)


def _shade(mean: Floats, panel: Panel) -> Floats:
    """0 for the worst cell to 1 for the best; ½ where all are the same.

    Of metrics without a better side those nearest to what real images score are best.
    """
    lower = panel.direction == "lower"
    if panel.direction == "none" and np.isfinite(panel.floor):
        mean, lower = np.abs(mean - panel.floor), True
    low, high = np.nanmin(mean), np.nanmax(mean)
    if not high > low:
        return np.full_like(mean, 0.5)
    share = (mean - low) / (high - low)
    return 1 - share if lower else share
