"""Answers as arrays: readers × images, first showing only, with repeats and catch trials apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.errors import UserError
from fetalsynth.reader.analysis_rows import Row

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What was said about the images of the main block when they were shown first.

    Arrays are (readers, images), NaN where there is no answer. ``signal`` (images,) is true for
    synthetic ones. ``said_synthetic`` and ``correct`` are 0 or 1; ``rating`` is higher the more
    surely synthetic (the confidence turned round); ``quality`` as answered; ``seconds`` active.
    Of pairs (an image is then a pair, whichever side is left) only ``correct`` and ``seconds`` hold
    numbers, and ``signal`` says nothing.
    """

    pairs: bool
    readers: tuple[str, ...]
    groups: tuple[str, ...]
    images: tuple[str, ...]
    signal: NDArray[np.bool_]
    sets: tuple[str, ...]
    files: tuple[str, ...]
    said_synthetic: Floats
    correct: Floats
    rating: Floats
    quality: Floats
    seconds: Floats
    positions: Floats
    first: dict[tuple[str, str], Row]
    repeats: tuple[tuple[Row, Row], ...]
    catch: tuple[Row, ...]

    @property
    def rated(self) -> bool:
        """Whether confidence was asked, on more than two points."""
        return bool(len(np.unique(self.rating[np.isfinite(self.rating)])) > 2)

    @property
    def synthetic_sets(self) -> tuple[str, ...]:
        """Names of the sets that synthetic images come from."""
        if self.pairs:
            return tuple(sorted(set(self.sets)))
        return tuple(sorted({s for s, fake in zip(self.sets, self.signal, strict=True) if fake}))


def readings_of(rows: Sequence[Row]) -> Readings:
    """Arrange the rows; practice is left out.

    Raises UserError for rows of several studies, an image that is real in one row and synthetic in
    another, an answer that stands twice or in part, single images among pairs, and where nothing
    of the main block was answered.
    """
    used = [row for row in rows if row.block != "practice" and row.role != "practice"]
    _check(used)
    main = [row for row in used if row.role == "main"]
    first = {(row.reader, shown(row)): row for row in main if row.presentation == 1}
    if not first:
        raise UserError("nothing but practice was answered yet; analyse when readers are done")
    readers = tuple(dict.fromkeys(row.reader for row in first.values()))
    by_item = {name: row for (_, name), row in first.items()}
    images = tuple(sorted(by_item))
    about = [by_item[item] for item in images]
    grid = [[first.get((reader, item)) for item in images] for reader in readers]
    groups = {row.reader: row.group for row in first.values()}
    return Readings(
        pairs=any(row.item2 for row in main),
        readers=readers,
        groups=tuple(groups[reader] for reader in readers),
        images=images,
        signal=np.array([row.truth == "synthetic" and not row.item2 for row in about]),
        sets=tuple(row.set for row in about),
        files=tuple(row.source_file for row in about),
        said_synthetic=_grid(grid, _said_synthetic),
        correct=_grid(grid, lambda row: row.correct),
        rating=_grid(grid, lambda row: None if row.confidence is None else -row.confidence),
        quality=_grid(grid, lambda row: row.quality),
        seconds=_grid(grid, lambda row: row.active_seconds),
        positions=_grid(grid, lambda row: row.position),
        first=first,
        repeats=_repeats(main, first),
        catch=tuple(row for row in used if row.role == "catch"),
    )


def shown(row: Row) -> str:
    """Name of what was shown; of a pair the same whichever stood on the left."""
    return "+".join(sorted((row.item, row.item2))) if row.item2 else row.item


def _said_synthetic(row: Row) -> float | None:
    return float(row.verdict == "synthetic") if row.verdict else None


def _grid(grid: Sequence[Sequence[Row | None]], value: Callable[[Row], float | None]) -> Floats:
    out = np.full((len(grid), len(grid[0])), np.nan)
    for i, cells in enumerate(grid):
        for j, row in enumerate(cells):
            found = None if row is None else value(row)
            out[i, j] = np.nan if found is None else float(found)
    return out


def _repeats(main: Sequence[Row], first: dict[tuple[str, str], Row]) -> tuple[tuple[Row, Row], ...]:
    again = [row for row in main if row.presentation > 1 and (row.reader, shown(row)) in first]
    return tuple((first[row.reader, shown(row)], row) for row in again)


def _check(rows: Sequence[Row]) -> None:
    studies = sorted({row.study for row in rows})
    if len(studies) > 1:
        raise UserError(f"answers of {len(studies)} studies in one table; analyse one at a time")
    truths: dict[str, str] = {}
    seen: set[tuple[str, str, int]] = set()
    for row in rows:
        if not row.item2 and truths.setdefault(row.item, row.truth) != row.truth:
            raise UserError(f"item {row.item}: real in one row and synthetic in another")
        key = (row.reader, shown(row), row.presentation)
        if key in seen:
            raise UserError(f"reader {row.reader}, item {row.item}: the same answer stands twice")
        seen.add(key)
    _check_answers(rows)


def _check_answers(rows: Sequence[Row]) -> None:
    """Verdicts are needed, confidence by all or by none: no figure can do with half of them."""
    if len({bool(row.item2) for row in rows}) > 1:
        raise UserError("pairs and single images in one table; analyse one kind at a time")
    rated = any(row.confidence is not None for row in rows)
    for row in rows:
        where = f"reader {row.reader}, item {row.item}"
        if not (row.choice if row.item2 else row.verdict):
            needed = "choice (left or right)" if row.item2 else "verdict (real or synthetic)"
            raise UserError(f"{where}: no {needed}; leave out rows without an answer")
        if rated and row.confidence is None:
            raise UserError(f"{where}: no confidence; give it in every row, or in none")
