"""What an audit looks at besides the content of the pictures: names, files, traces of handling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fetalsynth.errors import UserError
from fetalsynth.reader.audit_files import Png, open_png
from fetalsynth.reader.audit_pixels import CONTENT, TRACES, look
from fetalsynth.reader.study import Item, Orders, Study, stimulus_files, tile_columns

Family = Literal["names", "files", "traces", "content"]
Values = NDArray[np.float64]
GATED: tuple[Family, ...] = ("names", "files", "traces")
_KINDS = 8  # kinds of headers that are told apart
_SLICES = 5  # of each plane of a volume


@dataclass(frozen=True, kw_only=True)
class Cue:
    """One number per item; ``mend`` says what helps where it tells real from synthetic.

    A leak in a family of ``GATED`` fails the audit; "content" is what readers are meant to judge
    and is only reported.
    """

    name: str
    family: Family
    values: Values
    mend: str


def cues_of(
    folder: Path, study: Study, *, orders: Orders, items: Sequence[Item]
) -> tuple[Cue, ...]:
    """Every cue of these items, which the study has; constant ones are left out.

    Raises UserError for stimuli that are missing or broken.
    """
    pngs = [[open_png(folder / file) for file in stimulus_files(item).values()] for item in items]
    found = [
        *_of_names(study, orders, items),
        *_of_files(pngs),
        *_of_pixels(items, pngs),
    ]
    return tuple(cue for cue in found if np.ptp(cue.values) > 0)


def _of_names(study: Study, orders: Orders, items: Sequence[Item]) -> list[Cue]:
    mend = "make the study anew; ids and orders were changed after it was made"
    place = {item.id: float(number) for number, item in enumerate(study.items)}
    numbers = [int(item.id, 16) for item in items]
    shown: dict[str, list[int]] = {item.id: [] for item in study.items}
    for order in orders:
        for position, one in enumerate(order):
            for id in filter(None, (one.item, one.item2)):
                shown[id].append(position)
    columns: dict[str, list[float]] = {
        "order of ids": [number / 2**128 for number in numbers],
        "place in study.json": [place[item.id] for item in items],
        "mean place in the orders": [float(np.mean(shown[i.id] or [0])) for i in items],
        "times shown": [float(len(shown[item.id])) for item in items],
        "share shown on the right": _sides(orders, items),
        **{
            f"bit {bit} of the id": [float(number >> bit & 1) for number in numbers]
            for bit in range(128)
        },
    }
    return [
        Cue(name=name, family="names", values=np.array(values), mend=mend)
        for name, values in columns.items()
    ]


def _sides(orders: Orders, items: Sequence[Item]) -> list[float]:
    """Of pairs, how often an item stood on the right; one half for the one with the larger id.

    The other's share follows from it, and two numbers for one would count a chance as two.
    """
    right: dict[str, list[float]] = {}
    for one in (one for order in orders for one in order):
        if one.item2 is not None:
            right.setdefault(min(one.item, one.item2), []).append(float(one.item2 < one.item))
    return [float(np.mean(right.get(item.id, [0.5]))) for item in items]


def _of_files(pngs: Sequence[Sequence[Png]]) -> list[Cue]:
    mend = "write all stimuli with one encoder: make the study anew with reader new"
    columns: dict[str, list[float]] = {
        "bytes of the file": [sum(png.length for png in one) for one in pngs],
        "number of PNG chunks": [sum(len(png.chunks) for png in one) for one in pngs],
        "bytes of metadata": [sum(png.metadata for png in one) for one in pngs],
        "filtered rows": [float(np.mean([png.filtered for png in one])) for one in pngs],
        "time of writing": [float(max(png.modified for png in one)) for one in pngs],
        "width": [float(one[0].pixels.shape[1]) for one in pngs],
        "height": [float(one[0].pixels.shape[0]) for one in pngs],
    }
    headers = [one[0].header for one in pngs]
    for number, (kind, _) in enumerate(Counter(headers).most_common(_KINDS)):
        columns[f"kind {number} of PNG header"] = [float(header == kind) for header in headers]
    return [
        Cue(name=name, family="files", values=np.array(values, float), mend=mend)
        for name, values in columns.items()
    ]


def _of_pixels(items: Sequence[Item], pngs: Sequence[Sequence[Png]]) -> list[Cue]:
    seen = [_look(item, one) for item, one in zip(items, pngs, strict=True)]
    traces = {name: mend for name, (_, mend) in TRACES.items()}
    named: list[tuple[Family, dict[str, str]]] = [("traces", traces), ("content", CONTENT)]
    return [
        Cue(
            name=name,
            family=family,
            values=np.array([one[name] for one in seen]),
            mend=mend,
        )
        for family, known in named
        for name, mend in known.items()
    ]


def _look(item: Item, pngs: Sequence[Png]) -> dict[str, float]:
    """The cues of an image, or the mean over some middle slices of every plane."""
    if item.slices is None:
        return look(pngs[0].pixels)
    each = []
    for png, (plane, count) in zip(pngs, item.slices.items(), strict=True):
        columns = tile_columns(count)
        for number in np.linspace(count * 0.3, count * 0.7, _SLICES).astype(int):
            top, left = item.height * (number // columns), item.width * (number % columns)
            cut = png.pixels[top : top + item.height, left : left + item.width]
            if cut.shape != (item.height, item.width):
                raise UserError(f"{item.id}: its {plane} slices do not fill their picture")
            each.append(look(cut))
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


def describe(values: NDArray[Any], real: NDArray[np.bool_]) -> str:
    """Medians of both classes, for the eye."""
    return f"median {np.median(values[real]):.4g} in real, {np.median(values[~real]):.4g} synthetic"
