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
from fetalsynth.assessment.parts.duplicates import duplicates
from fetalsynth.assessment.parts.full_reference import full_reference
from fetalsynth.assessment.parts.intensity import intensity
from fetalsynth.assessment.parts.likeness import likeness
from fetalsynth.assessment.parts.maps import feature_maps
from fetalsynth.assessment.parts.part import Part, together
from fetalsynth.assessment.parts.patterns import patterns
from fetalsynth.assessment.profiles import (
    PartName,
    Profile,
    ProfileName,
    for_sets,
    unjudged_by,
    with_caveats,
)
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
    feature_models: tuple[Path, ...] = (),
    cache: Path | None = None,
    seed: int = 0,
    pairing: Pairing = "all-pairs",
    resizing: str = "clean",
    window: tuple[float, float] | None = None,
    exclude_outside_fan: bool = False,
    most_images: int = MOST,
    profile: ProfileName = "small-n",
) -> Scores:
    """The metrics of a profile with their floors, and the alarms (see docs/metrics.md).

    ``real`` should be images that the generator did not see; ``train`` those that it did, for the
    copying screen and the floors. Images are used as 8-bit grey, ``window`` being the range of
    stored values that becomes 0 … 255. Distances use at most ``most_images`` images of each role,
    drawn at random; the copying screen uses all. ``feature_models`` are further networks
    (TorchScript or ONNX) and ``cache`` is a folder that keeps features for other runs. The same
    arguments give the same scores.
    Raises UserError for sets that cannot be compared, unfit weights and a profile for pairs.
    """
    chosen = for_sets(profile, pairing=pairing)
    samples = collect(real=real, synthetic=synthetic, train=train, seed=seed, window=window)
    options = Options(
        inception_weights=inception_weights,
        resizing=resizing,
        exclude_outside_fan=exclude_outside_fan,
        models=feature_models,
        cache=cache,
    )
    # One BLAS thread: rounding does not depend on the machine's cores, and the many small
    # decompositions ran a hundred times slower on two threads when another job held a core.
    with threadpool_limits(limits=1, user_api="blas"):
        found = together([_few(samples), _measure(samples, options, pairing, most_images, chosen)])
    sets = {"real": real, "synthetic": synthetic}
    if train is not None:
        sets["train"] = train
    return Scores(
        metrics=with_caveats(found.metrics, chosen),
        inputs={role: _input(images, samples, role, window) for role, images in sets.items()},
        alarms=found.alarms,
        unjudged=unjudged_by(profile) | found.unjudged,
        closest_pairs=found.closest_pairs,
        duplicate_clusters=found.duplicate_clusters,
        profile=profile,
        tables=found.tables,
    )


def _measure(
    samples: Samples, options: Options, pairing: Pairing, most_images: int, profile: Profile
) -> Part:
    """The parts of the profile; their order is that of the report."""
    limited = samples.limited(most_images)
    design = make_design(limited)
    spaces = feature_spaces(limited, options)
    steps: dict[PartName, Callable[[], Part]] = {
        "distances": lambda: distances(limited, design, spaces),
        "coverage": lambda: coverage(limited, design, spaces),
        "patterns": lambda: patterns(limited, design, options),
        "intensity": lambda: intensity(limited, design),
        "diversity": lambda: together([diversity(limited), likeness(limited), duplicates(limited)]),
        "copying": lambda: copying(samples, limited, spaces),
        "full-reference": lambda: full_reference(limited, design, pairing=pairing),
    }
    parts = [feature_maps(limited, spaces)]
    own_bar = ("full-reference",)
    quick = [name for name in profile.parts if name not in own_bar]
    with Progress(label="measures", total=len(quick), unit="parts") as progress:
        for name in quick:
            parts.append(steps[name]())
            progress.advance()
    parts += [steps[name]() for name in profile.parts if name in own_bar]
    return together(parts)


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


def _repeats(count: int) -> dict[str, Any]:
    """Said of a set only where it holds repeated images."""
    note = "count as one subject with the image that they repeat"
    return {"repeated_images": count, "repeated_images_note": note} if count else {}


def _input(
    images: ImageSet, samples: Samples, role: str, window: tuple[float, float] | None
) -> dict[str, Any]:
    height, width, channels = images.pixels.shape[1:]
    return {
        "path": images.source.path,
        "digest": images.source.digest,
        "count": len(images.records),
        "subjects": len(set(samples.subjects[role].tolist())),
        **_repeats(samples.repeated.get(role, 0)),
        "size": f"{width} × {height}",
        "channels": channels,
        "bits": 8 * images.pixels.dtype.itemsize,
        "window": list(full_window(images.pixels) if window is None else window),
        "splits": sorted({record.split for record in images.records if record.split}),
    }
