"""Copying: are synthetic images nearer to training images than unseen real images are?

Distances are Euclidean between standardised pixels (mean 0, norm 1, at most 64 pixels a side), the
nearest over the four flips that augmentation makes. A blurred image is near to everything, so
an image counts as suspicious only by two measures at once: its distance to the nearest training
image, and its isolation (that distance over the median of the next ten). For each, the threshold
is the 1st percentile of held-out images against the same training images, and the number of
synthetic images below it is tested by its exact law (``metrics/copying.py``). Both must reach
p < 0.001. An exact copy (up to brightness and contrast) is an alarm by itself.
This is a screen, not a guarantee of privacy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Alarm, Metric, Pair
from fetalsynth.assessment.metrics.copying import SHARE, excess_p_value, low_values
from fetalsynth.assessment.metrics.nearest import Neighbours, flips, nearest, standardised
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.samples import Index, Samples

SIDE = 64
P_ALARM = 1e-3
LEAST_HELD_OUT = 20
CLOSEST = 12
EXACT = 1e-6


def copying(samples: Samples) -> Part:
    """Nearest training (or real) image of each synthetic one, the alarm, the closest pairs."""
    role = "train" if samples.count("train") else "real"
    references = standardised(images=samples.images[role], side=SIDE)
    synthetic = _against(samples.images["synthetic"], references, samples.subjects[role])
    held_out = _calibration(samples, role, references)
    usual = float(np.median(held_out.distance))
    relative = synthetic.distance / (usual or 1.0)
    metrics = {"nearest-distance": _distance_metric(relative, held_out, usual, samples, role)}
    pairs = _closest(samples, role, synthetic, relative)
    if role == "real":
        why = "needs the images that the generator saw: give --train DIR"
        return Part(metrics=metrics, unjudged={"copying": why}, closest_pairs=pairs)
    if len(held_out.distance) < LEAST_HELD_OUT:
        why = f"needs held-out images of at least {LEAST_HELD_OUT} subjects as --real"
        return Part(metrics=metrics, unjudged={"copying": why}, closest_pairs=pairs)
    share, p_value, exact = _screen(synthetic, held_out, samples.images["synthetic"])
    metrics["copy-share"] = _share_metric(share, p_value, exact, held_out, samples)
    alarms = _alarms(share, p_value, exact)
    return Part(metrics=metrics, alarms=alarms, closest_pairs=pairs)


def _against(
    images: NDArray[np.uint8],
    references: NDArray[np.float64],
    subjects: Index,
    query_subjects: Index | None = None,
) -> Neighbours:
    return nearest(
        queries=[standardised(images=flipped, side=SIDE) for flipped in flips(images=images)],
        references=references,
        reference_subjects=subjects,
        query_subjects=query_subjects,
    )


def _calibration(samples: Samples, role: str, references: NDArray[np.float64]) -> Neighbours:
    """Held-out images, one per subject, against the references; never their own subject."""
    chosen = samples.one_per_subject("real")
    own = samples.subjects["real"][chosen] if role == "real" else None
    return _against(samples.images["real"][chosen], references, samples.subjects[role], own)


def _screen(
    synthetic: Neighbours, held_out: Neighbours, images: NDArray[np.uint8]
) -> tuple[float, float, int]:
    """Share of suspicious images, the larger of the two p-values, number of exact copies."""
    suspicious = np.ones(len(synthetic.distance), bool)
    p_values = []
    for ours, theirs in (
        (synthetic.distance, held_out.distance),
        (synthetic.isolation, held_out.isolation),
    ):
        suspicious &= low_values(values=ours, calibration=theirs)
        p_values.append(excess_p_value(values=ours, calibration=theirs))
    flat = np.ptp(images.reshape(len(images), -1), axis=1) == 0
    exact = int((~flat & (synthetic.distance < EXACT)).sum())
    return float(suspicious.mean()), max(p_values), exact


def _distance_metric(
    relative: NDArray[np.float64],
    held_out: Neighbours,
    usual: float,
    samples: Samples,
    role: str,
) -> Metric:
    low, high = np.percentile(held_out.distance, [2.5, 97.5]) / (usual or 1.0)
    return Metric(
        value=float(np.median(relative)),
        direction="none",
        n_real=len(held_out.distance),
        n_synthetic=samples.count("synthetic"),
        settings={
            "references": "training images" if role == "train" else "real images",
            "reference_images": samples.count(role),
            "side": SIDE,
            "flips": 4,
            "usual_distance": usual,
            "held_out_middle_95": [float(low), float(high)],
        },
        floor=1.0,
        meaning="Median distance of a synthetic image to the nearest "
        f"{'training' if role == 'train' else 'real'} image, divided by the same for unseen real "
        "images: 1 is usual, well below 1 may be copying or blur.",
    )


def _share_metric(
    share: float, p_value: float, exact: int, held_out: Neighbours, samples: Samples
) -> Metric:
    return Metric(
        value=share,
        p_value=p_value,
        direction="lower",
        n_real=len(held_out.distance),
        n_synthetic=samples.count("synthetic"),
        settings={
            "threshold": "1st percentile of held-out images, in distance and in isolation",
            "exact_copies": exact,
            "training_images": samples.count("train"),
        },
        floor=SHARE,
        meaning="Share of synthetic images that lie nearer to one training image, and more apart "
        "from the others, than 99 % of unseen real images do; at most 1 % is expected. A "
        "screen, not a guarantee of privacy.",
    )


def _alarms(share: float, p_value: float, exact: int) -> tuple[Alarm, ...]:
    reasons = []
    if exact:
        reasons.append(f"{exact} synthetic images are training images up to brightness")
    if p_value < P_ALARM:
        reasons.append(
            f"{100 * share:.1f} % of the synthetic images are nearer to a training image than "
            f"99 % of unseen real images are (p = {p_value:.1g}, expected at most 1 %)"
        )
    return (Alarm(name="copying", reason="; ".join(reasons)),) if reasons else ()


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
