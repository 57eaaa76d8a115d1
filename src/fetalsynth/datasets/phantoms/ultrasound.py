"""The ultrasound phantom as an image source: fetal heads of known size, from a seed.

Image ``k`` depends on (seed, k, size) alone, not on how many are asked for nor on how many
processes make them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import current_process, get_context

from fetalsynth.artifacts.digest import digest_json
from fetalsynth.artifacts.manifest import Licence
from fetalsynth.datasets.phantoms.ultrasound_sampling import (
    AGE_WEEKS,
    PhantomParams,
    check_ages,
    sample_params,
)
from fetalsynth.datasets.phantoms.ultrasound_simulator import (
    SMALLEST_SIZE,
    PhantomImage,
    simulate,
)
from fetalsynth.datasets.source import Source, SourceImage
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng
from fetalsynth.threads import free_cores

__all__ = ["PhantomImage", "PhantomParams", "open_source", "sample_params", "simulate"]

NAME = "phantom-ultrasound"
SIMULATOR_VERSION = 1
LICENCE = Licence(
    source="fetalsynth ultrasound phantom",
    licence="Apache-2.0",
    citation="Head size after Papageorghiou et al. 2014, International standards for fetal growth "
    "based on serial ultrasound measurements: the Fetal Growth Longitudinal Study of the "
    "INTERGROWTH-21st Project, Lancet 384:869-879",
)

_POOL_SECONDS = 5.0
_CHUNK_SECONDS = 0.5


def open_source(
    *,
    count: int,
    seed: int,
    size: int,
    age_range_weeks: tuple[float, float] = AGE_WEEKS,
    workers: int | None = None,
) -> Source:
    """``count`` phantoms of ``size`` × ``size`` pixels, gestational ages uniform over the range.

    Longer runs are made by ``workers`` processes (default: the free cores), short ones in this
    process; the images and their order are the same. Raises UserError for a count below 1, a size
    below 16 or ages outside 14 to 40 weeks.
    """
    if count < 1:
        raise UserError(f"--n {count}: ask for at least one phantom")
    if size < SMALLEST_SIZE:
        raise UserError(f"size {size} is too small for a phantom; give {SMALLEST_SIZE} or more")
    check_ages(age_range_weeks)
    make = partial(_phantom, seed=seed, size=size, age_range_weeks=age_range_weeks)
    settings = {
        "source": NAME,
        "simulator_version": SIMULATOR_VERSION,
        "count": count,
        "seed": seed,
        "size": size,
        "age_range_weeks": list(age_range_weeks),
    }
    return Source(
        name=NAME,
        digest=digest_json(settings),
        count=count,
        images=partial(_images, make, count, size, workers),
        licences=(LICENCE,),
        synthetic=True,
    )


def _phantom(
    number: int, *, seed: int, size: int, age_range_weeks: tuple[float, float]
) -> SourceImage:
    rng = numpy_rng(seed=seed, stream=NAME, counter=number)
    made = simulate(sample_params(rng, age_range_weeks=age_range_weeks), size=size)
    name = f"phantom-{number:05d}"
    return SourceImage(
        name=name,
        subject=name,
        pixels=made.pixels,
        mask=made.mask,
        ellipse=made.ellipse,
        pixel_spacing_mm=(made.pixel_spacing_mm, made.pixel_spacing_mm),
        gestational_age_weeks=made.gestational_age_weeks,
        extra={
            "head_circumference_mm": f"{made.head_circumference_mm:.4f}",
            "biparietal_diameter_mm": f"{made.biparietal_diameter_mm:.4f}",
            "occipitofrontal_diameter_mm": f"{made.occipitofrontal_diameter_mm:.4f}",
        },
    )


def _images(
    make: partial[SourceImage], count: int, size: int, workers: int | None
) -> Iterator[SourceImage]:
    if workers is None:
        workers = free_cores() if count * _seconds(size) > _POOL_SECONDS else 1
    if current_process().daemon:
        workers = 1
    done = 0
    if workers > 1:
        try:
            for image in _pooled(make, count, size, workers):
                yield image
                done += 1
        except BrokenProcessPool:
            # A script without a main guard cannot spawn, and a worker can be killed for memory.
            pass
    for number in range(done, count):
        yield make(number)


def _pooled(
    make: partial[SourceImage], count: int, size: int, workers: int
) -> Iterator[SourceImage]:
    """Images in order from a process pool that runs only a few chunks ahead of the reader."""
    chunk = max(1, int(_CHUNK_SECONDS / _seconds(size)))
    starts = iter(range(0, count, chunk))
    pending: deque[Future[list[SourceImage]]] = deque()
    with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as pool:
        try:
            while True:
                while len(pending) < 2 * workers and (start := next(starts, None)) is not None:
                    stop = min(start + chunk, count)
                    pending.append(pool.submit(_many, make, start, stop))
                if not pending:
                    return
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _seconds(size: int) -> float:
    """About what one image costs on one core."""
    return 0.02 + 2e-7 * size**2


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def _many(make: partial[SourceImage], start: int, stop: int) -> list[SourceImage]:
    return [make(number) for number in range(start, stop)]
