"""Copying: are synthetic images nearer to training images than unseen real images are?

Distances are Euclidean between standardised pixels (mean 0, norm 1, at most 32 pixels a side), the
nearest over 20 mirrored and slightly turned variants of the training images
(``metrics/variants.py``), and once more between the features of every space. A blurred image is
near to everything, so an image counts as suspicious only by two measures at once: its distance to
the nearest training image, and its isolation (that distance over the median of the next ten). For
each, the threshold is the k-th least of n held-out images against the same training images, k =
n/100 and at least 1, and the number of synthetic images below it is tested by its exact law
(``metrics/copying.py``). Both must reach p < 0.0008 in pixels, or together p < 0.0002 shared out
among the other spaces, so that all tests together raise a false alarm in fewer than 1 of 1000 sets.
An exact copy (up to brightness, contrast and mirroring) of a training image is an alarm by itself,
and so is one of a real image, whoever saw it: either it was copied, or two folders were mixed up.
This is a screen, not a guarantee of privacy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_bytes
from fetalsynth.artifacts.scores import Alarm, Pair
from fetalsynth.assessment.metrics.copying import Screened, expected_share, screened
from fetalsynth.assessment.metrics.nearest import (
    Neighbours,
    flips,
    nearest,
    nearest_variant,
    standardised,
)
from fetalsynth.assessment.metrics.variants import plain_rows, variant_rows
from fetalsynth.assessment.parts import copying_measures as measures
from fetalsynth.assessment.parts.nearest_table import nearest_table
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.samples import Index, Samples
from fetalsynth.assessment.spaces import Space

SIDE = 32
EXACT_SIDE = 64
EXACT = 1e-6
P_PIXELS = 8e-4
P_SPACES = 2e-4
LEAST_HELD_OUT = 20
CLOSEST = 12
_IMAGES_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class Search:
    """Nearest training (else real) images of all synthetic and of independent held-out ones.

    ``own`` is each training image's distance to its nearest one of another subject; empty where
    no training images were given.
    """

    synthetic: Neighbours
    held_out: Neighbours
    own: NDArray[np.float64]


def copying(samples: Samples, limited: Samples, spaces: tuple[Space, ...]) -> Part:
    """The screen over all ``samples`` in pixels and over the ``limited`` ones in every space."""
    role = "train" if samples.count("train") else "real"
    search = _in_pixels(samples, role)
    usual = float(np.median(search.held_out.distance))
    relative = search.synthetic.distance / (usual or 1.0)
    metrics = {
        "nearest-distance": measures.distance(
            search.synthetic, search.held_out, samples=samples, role=role, side=SIDE
        )
    }
    pairs = _closest(samples, role, search.synthetic, relative)
    tables = nearest_table(
        samples=samples, role=role, synthetic=search.synthetic, held_out=search.held_out
    )
    leaked = _copies_of_real(samples, search.synthetic.index, role)
    why = _unfit(role, len(search.held_out.distance))
    if why is not None:
        return Part(
            metrics=metrics,
            alarms=_alarms({}, exact=0, leaked=leaked, held_out=0),
            unjudged={} if leaked else {"copying": why},
            closest_pairs=pairs,
            tables=tables,
        )
    exact = _exact_copies(samples, search.synthetic.index, role)
    screens = {"": screened(synthetic=search.synthetic, held_out=search.held_out)}
    for space in spaces:
        found = _in_space(space, limited)
        screens[space.name] = screened(synthetic=found.synthetic, held_out=found.held_out)
    metrics |= measures.shares(
        screens, samples=samples, held_out=len(search.held_out.distance), exact=exact
    )
    metrics |= measures.summaries(
        search.synthetic, search.held_out, own=search.own, samples=samples
    )
    return Part(
        metrics=metrics,
        alarms=_alarms(screens, exact=exact, leaked=leaked, held_out=len(search.held_out.distance)),
        closest_pairs=pairs,
        tables=tables,
    )


def _unfit(role: str, held_out: int) -> str | None:
    if role == "real":
        return "needs the images that the generator saw: give --train DIR"
    if held_out < LEAST_HELD_OUT:
        return f"needs held-out images of at least {LEAST_HELD_OUT} subjects as --real"
    return None


def _in_pixels(samples: Samples, role: str) -> Search:
    """Held-out images are one per subject; where they are the references, never their own."""
    references = variant_rows(images=samples.images[role], side=SIDE)
    subjects = samples.subjects[role]
    chosen = samples.one_per_subject("real")
    held_out = nearest_variant(
        queries=plain_rows(images=samples.images["real"], side=SIDE)[chosen],
        references=references,
        reference_subjects=subjects,
        query_subjects=samples.subjects["real"][chosen] if role == "real" else None,
    )
    synthetic = nearest_variant(
        queries=plain_rows(images=samples.images["synthetic"], side=SIDE),
        references=references,
        reference_subjects=subjects,
    )
    own = np.empty(0)
    if role == "train":
        own = nearest_variant(
            queries=references[0],
            references=references,
            reference_subjects=subjects,
            query_subjects=subjects,
        ).distance
    return Search(synthetic=synthetic, held_out=held_out, own=own)


def _in_space(space: Space, samples: Samples) -> Search:
    references = space.pooled[samples.pooled("train")]
    chosen = samples.pooled("real")[samples.one_per_subject("real")]
    synthetic, held_out = (
        nearest(
            queries=[space.pooled[rows]],
            references=references,
            reference_subjects=samples.subjects["train"],
        )
        for rows in (samples.pooled("synthetic"), chosen)
    )
    return Search(synthetic=synthetic, held_out=held_out, own=np.empty(0))


def _copies_of_real(samples: Samples, index: Index, role: str) -> int:
    """Synthetic images that are real ones; with training images only if the pixels are the same."""
    if role == "real":
        return _exact_copies(samples, index, role)
    known = {digest_bytes(image.tobytes()) for image in samples.images["real"]}
    ours = samples.images["synthetic"]
    return sum(bool(np.ptp(image)) and digest_bytes(image.tobytes()) in known for image in ours)


def _exact_copies(samples: Samples, index: Index, role: str) -> int:
    """Synthetic images that equal their nearest one of ``role`` after mirroring and rescaling."""
    ours, theirs = samples.images["synthetic"], samples.images[role]
    starts = range(0, len(ours), _IMAGES_AT_ONCE)
    parts = [slice(start, start + _IMAGES_AT_ONCE) for start in starts]
    return sum(_equal(ours[part], theirs[index[part]]) for part in parts)


def _equal(images: NDArray[np.uint8], partners: NDArray[np.uint8]) -> int:
    references = standardised(images=partners, side=EXACT_SIDE)
    gaps = [
        np.linalg.norm(standardised(images=mirrored, side=EXACT_SIDE) - references, axis=1)
        for mirrored in flips(images=images)
    ]
    flat = np.ptp(images.reshape(len(images), -1), axis=1) == 0
    return int((~flat & (np.min(gaps, axis=0) < EXACT)).sum())


def _alarms(
    screens: dict[str, Screened], *, exact: int, leaked: int, held_out: int
) -> tuple[Alarm, ...]:
    reasons = []
    if leaked:
        reasons.append(
            f"{leaked} synthetic images are the very real images that they are compared with: they "
            "were copied, or folders were mixed up; every other number flatters them"
        )
    if exact:
        reasons.append(f"{exact} synthetic images are training images up to brightness")
    for name, screen in screens.items():
        level = P_SPACES / max(len(screens) - 1, 1) if name else P_PIXELS
        if screen.p_value < level:
            reasons.append(
                f"{100 * screen.suspicious.mean():.1f} % of the synthetic images are nearer to a "
                f"training image{f' in {name}' if name else ''} than "
                f"{measures.most_unseen(held_out)} are (p {_p_words(screen.p_value)}, expected at "
                f"most {100 * expected_share(held_out):.2g} %)"
            )
    return (Alarm(name="copying", reason="; ".join(reasons)),) if reasons else ()


def _p_words(p_value: float) -> str:
    return f"= {p_value:.1g}" if p_value > 1e-10 else "< 1e-10"


def _closest(
    samples: Samples, role: str, found: Neighbours, relative: NDArray[np.float64]
) -> tuple[Pair, ...]:
    order = np.argsort(relative, kind="stable")[:CLOSEST]
    return tuple(
        Pair(
            synthetic_file=samples.files["synthetic"][i],
            real_file=samples.files[role][found.index[i]],
            distance=float(relative[i]),
            picture_synthetic=f"closest/{rank:02d}-synthetic.png",
            picture_real=f"closest/{rank:02d}-{role}.png",
        )
        for rank, i in enumerate(order, start=1)
    )
