"""Work on many files at once, results in order, with a bounded number of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fetalsynth.threads import allowed_cores

A = TypeVar("A")
B = TypeVar("B")


def ordered_map(
    function: Callable[[A], B], items: Iterable[A], *, ahead_per_core: int = 4
) -> Iterator[B]:
    """Yield ``function(item)`` for every item, in order, computed in threads.

    Decoding, resampling and hashing release the interpreter lock, so threads use all cores. At
    most ``ahead_per_core`` results per core wait in memory. An exception in ``function`` is raised
    where its result would have been yielded; what was not begun by then is not done at all.
    """
    cores = allowed_cores()
    waiting: deque[Future[B]] = deque()
    pool = ThreadPoolExecutor(cores)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead_per_core * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
