"""Figures and tables of a study for its page: SVG inline in the page's colours, numbers as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from fetalsynth.errors import UserError, explaining
from fetalsynth.reports.page import Picture, embed
from fetalsynth.reports.wording import number

COLUMNS_AT_A_TIME = 5
_COLOURS = {
    "#0b6170": "--series-1",
    "#b5480f": "--series-2",
    "#5b3f9b": "--series-3",
    "#4c6a1f": "--series-4",
    "#9c2c63": "--series-5",
    "#4d5b66": "--series-6",
    "#1d2327": "--ink",
    "#566067": "--quiet",
    "#d9dcd8": "--line",
}
_FORBIDDEN = re.compile(
    r"<script|<foreignObject|\son\w+\s*=|<!ENTITY|href=\"(?!#|data:image/png)", re.I
)
_ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One figure; ``chart`` where its SVG is fit for the page, else ``picture``."""

    heading: str
    caption: str
    files: tuple[str, ...]
    chart: Markup | None
    picture: Picture | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A metric of a table: name with its arrow, and what real images score."""

    name: str
    floor: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Part of a table: rows are (levels, entries), an entry is (value, below it)."""

    heading: str
    caption: str
    file: str
    factors: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], ...]


def read_index(path: Path) -> list[dict[str, Any]]:
    """The index of figures or tables; none where there is no such file."""
    if not path.is_file():
        return []
    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error}); make the report again") from error
    return list(found)


def plots(folder: Path, index: Sequence[Mapping[str, Any]]) -> tuple[list[Plot], list[str]]:
    """Figures of the index, and sentences on those that could not be drawn."""
    found, problems = [], []
    for place, line in enumerate(index):
        if "problem" in line:
            problems.append(f"{line['kind']} of {line['arm']}: {line['problem']}")
            continue
        chart = inline(folder / line["svg"], name=f"f{place}", description=line["heading"])
        found.append(
            Plot(
                heading=line["heading"],
                caption=line["caption"],
                files=tuple(f"{folder.name}/{line[kind]}" for kind in ("svg", "png", "csv")),
                chart=chart,
                picture=embed(folder, line["png"]) if chart is None else None,
            )
        )
    return found, problems


def inline(path: Path, *, name: str, description: str) -> Markup | None:
    """The SVG file as an element of a page: own ids, the page's colours, no wider than drawn.

    None where the file is missing or holds what no figure holds (scripts, links).
    """
    if not path.is_file():
        return None
    with explaining(path):
        svg = path.read_text(encoding="utf-8")
    size = re.search(r'<svg [^>]*?width="([\d.]+)pt"[^>]*?(viewBox="[^"]*")', svg)
    size = size or re.search(r'<svg [^>]*?(viewBox="[^"]*")[^>]*?width="([\d.]+)pt"', svg)
    if size is None:
        return None
    view, width = sorted(size.groups(), key=lambda text: not text.startswith("viewBox"))
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<(metadata|style)[^>]*>.*?</\1>\s*", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    if _FORBIDDEN.search(body):
        return None
    body = re.sub(r'(<image\b[^>]*?) id="[^"]*"', r"\1", body)  # equal pictures have one id
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", body)
    head = (
        f'<svg class="chart" {view} role="img" style="max-width:{float(width) * 4 / 3:.0f}px">'
        f"<title>{escape(description)}</title>"
    )
    body = re.sub(r"<svg [^>]*>", lambda _: head, body, count=1)
    body = body.replace('style="fill: #ffffff"', 'style="fill: none"')
    for colour, variable in _COLOURS.items():
        body = body.replace(colour, f"var({variable})")
    return Markup(re.sub(r"font-family: [^;\"]*;? ?|font: [^;\"]*(?<=sans-serif)", "", body))


def tables(index: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Tables of the index, at most five metrics in each."""
    found = []
    for table in index:
        for start in range(0, max(1, len(table["columns"])), COLUMNS_AT_A_TIME):
            part = slice(start, start + COLUMNS_AT_A_TIME)
            found.append(_table(table, part, first=start == 0))
    return found


def _table(table: Mapping[str, Any], part: slice, *, first: bool) -> Table:
    alarms = table["kind"] == "alarms"
    counts = {cell["n"] for row in table["rows"] for cell in row["cells"] if cell}
    same = f" n = {min(counts)} in every cell." if not alarms and len(counts) == 1 else ""
    kind, arm = table["kind"], table["arm"]
    heading = f"{arm}: {kind} by cell" if arm else kind.capitalize()
    columns = table["columns"][part]
    return Table(
        heading=heading if first else "",
        caption=table["caption"] + same if first else "",
        file=f"tables/{table['csv']}",
        factors=tuple(table["factors"]),
        columns=tuple(
            Column(
                name=" ".join(filter(None, (one["metric"], _ARROWS.get(one.get("direction"))))),
                floor="" if one.get("floor") is None else number(one["floor"]),
            )
            for one in columns
        ),
        rows=tuple(
            (
                tuple(row["levels"]),
                tuple(
                    _count(e) if alarms else _entry(e, counted=len(counts) > 1)
                    for e in row["cells"][part]
                ),
            )
            for row in table["rows"]
        ),
    )


def _count(cell: Mapping[str, Any]) -> tuple[str, str]:
    return (str(cell["n"]) if cell["n"] else "–", "")


def _entry(cell: Mapping[str, Any] | None, *, counted: bool) -> tuple[str, str]:
    """Mean ± SD, and the interval below it; with the number of trainings where ``counted``."""
    if cell is None:
        return ("–", "")
    mean, sd, low, high = (cell[key] for key in ("mean", "sd", "low", "high"))
    beside = (sd, mean) if sd else (mean,)  # so that the spread keeps its digits
    text = number(mean, beside=beside)
    text += "" if sd is None else f" ± {number(sd, beside=beside)}"
    if low is None or high is None:
        return (text, "")
    ends = " to ".join(number(end, beside=beside) for end in (low, high))
    return (text, f"{ends}, n {cell['n']}" if counted else ends)
