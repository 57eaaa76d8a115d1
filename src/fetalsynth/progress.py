"""Progress with an estimate of the time left: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

PLAIN_LINE_SECONDS = 15.0


class Progress:
    """Counts finished units of one long job; use as a context manager.

    A terminal gets a bar that redraws in place; a log file or a SLURM job gets a line every
    ``PLAIN_LINE_SECONDS`` and one at the end. Everything goes to standard error; ``silent`` is for
    all but one of the processes of a distributed run.
    """

    def __init__(
        self,
        *,
        label: str,
        total: int,
        start: int = 0,
        unit: str = "images",
        silent: bool = False,
    ) -> None:
        self.label, self.total, self.done, self.unit = label, total, start, unit
        self._first, self._silent = start, silent
        self._note = ""
        self._began = self._spoke = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and not self._silent:
            self._open_bar()
        return self

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task(
            self.label, total=self.total, completed=self.done, unit=self.unit, note=""
        )

    def advance(self, count: int = 1, *, note: str | None = None) -> None:
        """Report ``count`` more finished units; ``note`` is shown at the end of the line."""
        self.done += count
        self._note = self._note if note is None else note
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=self._note)
        elif time.monotonic() - self._spoke >= PLAIN_LINE_SECONDS:
            self._say()

    def _say(self) -> None:
        if self._silent:
            return
        now = time.monotonic()
        self._spoke = now
        rate = (self.done - self._first) / max(now - self._began, 1e-9)
        left = (self.total - self.done) / rate if rate > 0 else float("nan")
        print(
            f"{self.label}: {self.done}/{self.total} {self.unit}, {rate:.1f}/s, "
            f"{_clock(left)} left {self._note}".rstrip(),
            file=sys.stderr,
            flush=True,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and not self._silent:
            took = _clock(time.monotonic() - self._began)
            print(f"{self.label}: {self.done} {self.unit} in {took}", file=sys.stderr, flush=True)


def track(items: Iterable[T], *, label: str, total: int, unit: str = "images") -> Iterator[T]:
    """Yield ``items`` while showing progress towards ``total``."""
    with Progress(label=label, total=total, unit=unit) as progress:
        for item in items:
            yield item
            progress.advance()


def _clock(seconds: float) -> str:
    if math.isnan(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
