"""Reading and writing: changes that are asked for at the same time are committed together.

Every change is a function of a connection, and one thread runs them all. What has queued up while
the disk was busy becomes one transaction, so that fifty readers who submit at once wait for a few
flushes and not for fifty. A change that raises is undone alone; nobody hears of success before the
transaction they share is on disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_T = TypeVar("_T")
_MOST_TOGETHER = 64
_Job = tuple[Callable[["Connection"], Any], Future[Any]]


class Database:
    """An engine whose tables exist, and the one thread that writes to it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database."""
        with self.engine.connect() as connection:
            yield connection

    def write(self, change: Callable[[Connection], _T]) -> _T:
        """Run ``change`` in a transaction; returns its result once that is on disk.

        Raises what ``change`` raises, having undone it.
        """
        self._start()
        done: Future[_T] = Future()
        self._queue.put((change, done))
        return done.result()

    def close(self) -> None:
        """Finish what is queued and give all connections back; the next write starts anew."""
        with self._starting:
            if self._thread is not None:
                self._queue.put(None)
                self._thread.join()
                self._thread = None
        self.engine.dispose()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="writer")
                self._thread.start()

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            if job is None:
                return
            jobs, last = [job], False
            while len(jobs) < _MOST_TOGETHER and not last:
                try:
                    job = self._queue.get_nowait()
                except Empty:
                    break
                last = job is None
                jobs += [] if job is None else [job]
            _run(self.engine, jobs)
            if last:
                return


def _run(engine: Engine, jobs: list[_Job]) -> None:
    """All changes in one transaction; a failed one is rolled back to its own beginning."""
    outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
    try:
        with engine.execution_options(immediate=True).begin() as connection:
            for change, done in jobs:
                try:
                    with connection.begin_nested():
                        outcomes.append((done, change(connection), None))
                except Exception as error:
                    outcomes.append((done, None, error))
    except Exception as error:
        outcomes = [(done, None, error) for _, done in jobs]
    for done, result, failure in outcomes:
        if failure is None:
            done.set_result(result)
        else:
            done.set_exception(failure)
