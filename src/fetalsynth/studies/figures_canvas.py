"""What all figures of a study share: colours, panels, and SVG, PNG and CSV beside each other.

The same data make the same bytes. Text stays text in the SVG, so that a journal can restyle it;
the colours are those of a report's light theme, which a report exchanges for its own.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.artifacts.files import write_bytes, write_text
from fetalsynth.errors import explaining

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = ("#0b6170", "#b5480f", "#5b3f9b", "#4c6a1f", "#9c2c63", "#4d5b66")
INK, QUIET, LINE = "#1d2327", "#566067", "#d9dcd8"
PANEL_WIDTH, PANEL_HEIGHT, MOST_COLUMNS = 2.45, 2.3, 4
LEAST_WIDTH = 3.4
PNG_DPI = 200


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One figure with its words and its data: ``rows`` under ``header``."""

    stem: str
    kind: str
    heading: str
    caption: str
    figure: Figure
    header: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    arm: str | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A written figure as it stands in the index; files are named relative to its folder."""

    kind: str
    arm: str | None
    heading: str
    caption: str
    svg: str
    png: str
    csv: str


def save(folder: Path, sheet: Sheet) -> dict[str, Any]:
    """Write the figure into ``folder`` as SVG, PNG and CSV; returns its line of the index."""
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
    listed = Listed(
        kind=sheet.kind,
        arm=sheet.arm,
        heading=sheet.heading,
        caption=sheet.caption,
        svg=f"{sheet.stem}.svg",
        png=f"{sheet.stem}.png",
        csv=f"{sheet.stem}.csv",
    )
    sheet.figure.draw_without_rendering()
    sheet.figure.set_layout_engine("none")  # laid out once, not for SVG and PNG anew
    write_bytes(folder / listed.svg, _rendered(sheet, "svg"))
    write_bytes(folder / listed.png, _rendered(sheet, "png"))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([sheet.header, *sheet.rows])
    write_text(folder / listed.csv, stream.getvalue())
    return asdict(listed)


def _rendered(sheet: Sheet, kind: str) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    canvas = FigureCanvasSVG if kind == "svg" else FigureCanvasAgg
    canvas(sheet.figure)
    fixed: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": sheet.stem}):
        sheet.figure.savefig(stream, format=kind, dpi=PNG_DPI, metadata=fixed, facecolor="white")
    return stream.getvalue()


@contextmanager
def styled() -> Iterator[None]:
    """Inside the block, figures are drawn in the style of a study, whatever the user's own."""
    import matplotlib

    style: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    del style["backend"]
    style |= {
        "font.size": 9.0,
        "axes.titlesize": 9.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": QUIET,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        yield


def panels(
    count: int, *, width: float = PANEL_WIDTH, height: float = PANEL_HEIGHT, columns: int = 0
) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels in rows of ``columns`` (at most four if not given)."""
    from matplotlib.figure import Figure

    columns = columns or min(count, MOST_COLUMNS)
    rows = -(-count // columns)
    size = max(width * columns, LEAST_WIDTH), height * rows + 0.35
    figure = Figure(figsize=size, layout="constrained")
    axes = [one for row in figure.subplots(rows, columns, squeeze=False) for one in row]
    for one in axes[count:]:
        one.set_axis_off()
    return figure, axes[:count]


def tidy(axes: Axes, *, title: str, grid: str = "y") -> None:
    """Title and light lines; no box around the panel."""
    axes.set_title(plain(title))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=LINE, linewidth=0.6)  # type: ignore[arg-type]


def plain(text: str) -> str:
    """Without what matplotlib would read as mathematics."""
    return text.replace("$", r"\$")


def short(value: float) -> str:
    """Three significant digits with a true minus sign, for use in figures."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.3g}".replace("-", "−")
