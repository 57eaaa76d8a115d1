"""The whole assessment of a set of synthetic images against real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fetalsynth.artifacts.scores import Alarm, Scores
from fetalsynth.assessment.features.extractors import Options
from fetalsynth.assessment.features.policy import full_window
from fetalsynth.assessment.floors import make_design
from fetalsynth.assessment.pairing import Pairing
from fetalsynth.assessment.parts.copying import copying
from fetalsynth.assessment.parts.coverage import coverage
from fetalsynth.assessment.parts.distances import distances
from fetalsynth.assessment.parts.diversity import diversity
from fetalsynth.assessment.parts.full_reference import full_reference
from fetalsynth.assessment.parts.intensity import intensity
from fetalsynth.assessment.parts.part import Part, together
from fetalsynth.assessment.parts.patterns import patterns
from fetalsynth.assessment.samples import Samples, collect
from fetalsynth.assessment.spaces import feature_spaces
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.progress import Progress

FEW = 50
MOST = 2000


def assess_images(
    *,
    real: ImageSet,
    synthetic: ImageSet,
    train: ImageSet | None = None,
    inception_weights: Path | None = None,
    seed: int = 0,
    pairing: Pairing = "all-pairs",
    resizing: str = "clean",
    window: tuple[float, float] | None = None,
    exclude_outside_fan: bool = False,
    most_images: int = MOST,
) -> Scores:
    """Every metric with its floor, and the alarms (definitions in docs/metrics.md).

    ``real`` should be images that the generator did not see; ``train`` those that it did, for the
    copying screen and the floors. Images are used as 8-bit grey, ``window`` being the range of
    stored values that becomes 0 … 255. Distances use at most ``most_images`` images of each role,
    drawn at random; the copying screen uses all. The same arguments give the same scores.
    Raises UserError for sets that cannot be compared and for unfit weights.
    """
    samples = collect(real=real, synthetic=synthetic, train=train, seed=seed, window=window)
    options = Options(
        inception_weights=inception_weights,
        resizing=resizing,
        exclude_outside_fan=exclude_outside_fan,
    )
    # One BLAS thread: rounding does not depend on the machine's cores, and the many small
    # decompositions ran a hundred times slower on two threads when another job held a core.
    with threadpool_limits(limits=1, user_api="blas"):
        found = together([_few(samples), _measure(samples, options, pairing, most_images)])
    sets = {"real": real, "synthetic": synthetic}
    if train is not None:
        sets["train"] = train
    return Scores(
        metrics=found.metrics,
        inputs={role: _input(images, samples, role, window) for role, images in sets.items()},
        alarms=found.alarms,
        unjudged=found.unjudged,
        closest_pairs=found.closest_pairs,
    )


def _measure(samples: Samples, options: Options, pairing: Pairing, most_images: int) -> Part:
    """All parts; the order is that of the report."""
    limited = samples.limited(most_images)
    design = make_design(limited)
    spaces = feature_spaces(limited, options)
    parts = [distances(limited, design, options, spaces)]
    steps: tuple[Callable[[], Part], ...] = (
        lambda: coverage(limited, design, spaces),
        lambda: patterns(limited, design, options),
        lambda: intensity(limited, design),
        lambda: diversity(limited),
        lambda: copying(samples),
    )
    with Progress(label="other measures", total=len(steps), unit="steps") as progress:
        for step in steps:
            parts.append(step())
            progress.advance()
    return together([*parts, full_reference(limited, design, pairing=pairing)])


def _few(samples: Samples) -> Part:
    counts = {role: samples.count(role) for role in ("real", "synthetic")}
    short = [f"{count} {role}" for role, count in counts.items() if count < FEW]
    if not short:
        return Part()
    reason = (
        f"only {' and '.join(short)} images, fewer than {FEW}: a silent test proves nothing, the "
        "intervals and the Fréchet distances cannot be trusted, and small differences go unseen; "
        "p-values stay valid"
    )
    return Part(alarms=(Alarm(name="too-few-images", reason=reason),))


def _input(
    images: ImageSet, samples: Samples, role: str, window: tuple[float, float] | None
) -> dict[str, Any]:
    height, width, channels = images.pixels.shape[1:]
    return {
        "path": images.source.path,
        "digest": images.source.digest,
        "count": len(images.records),
        "subjects": len(set(samples.subjects[role].tolist())),
        "size": f"{width} × {height}",
        "channels": channels,
        "bits": 8 * images.pixels.dtype.itemsize,
        "window": list(full_window(images.pixels) if window is None else window),
        "splits": sorted({record.split for record in images.records if record.split}),
    }
