"""Which measures an assessment runs, by name, and what each published choice is worth.

``small-n`` runs everything. The other two repeat what a published study measured, with its
definitions where the paper gives them, so that results can be set beside it; every such number
carries the caveats of that study in its ``meaning``. An alarm whose test a profile leaves out is
listed as not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fetalsynth.artifacts.scores import AlarmName, Metric
from fetalsynth.assessment.pairing import Pairing
from fetalsynth.errors import UserError

PartName = Literal[
    "distances", "coverage", "patterns", "intensity", "diversity", "copying", "full-reference"
]
ProfileName = Literal["small-n", "paper-ultrasound", "paper-mri"]
ALARMS_OF: dict[PartName, tuple[AlarmName, ...]] = {
    "distances": ("shift", "texture"),
    "intensity": ("intensity",),
    "diversity": ("collapse",),
    "copying": ("copying",),
}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Parts of the assessment that run, in this order.

    ``paired`` lists the metrics of image pairs that are kept (all where it is None) and
    ``needs_pairs`` says that the profile compares nothing but pairs. ``pairing`` is the rule for
    unpaired sets that the profile prescribes, None where the user chooses. ``caveats`` are
    sentences for metrics by the beginning of their names.
    """

    about: str
    parts: tuple[PartName, ...]
    pairing: Pairing | None = None
    paired: tuple[str, ...] | None = None
    needs_pairs: bool = False
    caveats: tuple[tuple[str, str], ...] = ()


_UNPAIRED = (
    "The study of 2022 computed it between images that are no pairs and does not say which image "
    "met which, nor the bins or the range; here every synthetic image meets every real one."
)
_FRECHET = (
    "The study of 2022 set 800 synthetic images against up to 999 real ones in 2048 dimensions, "
    "where most of the number is bias from too few images, compared sets of different sizes, and "
    "found it higher where the clinician was more pleased."
)
_VECTOR = (
    "The study of 2022 took raw counts against a reference of 800 real images that were not "
    "augmented, though its generators were trained on rotated and flipped ones: part of such a "
    "difference is the augmentation."
)
_CODES = (
    "The four codes were picked from 256 after seeing the readers' scores; by chance alone dozens "
    "of codes pass the threshold that was used."
)
_ADDED = "Not in the study of 2022; it is here because the warnings rest on it."
_FULL = (
    "The study of 2022 took the whole volume, of which most is empty: painting every tissue with "
    "its mean grey value already scores nearly as high. It names neither the window nor the range "
    "of its SSIM."
)

PROFILES: dict[ProfileName, Profile] = {
    "small-n": Profile(
        about="everything, for a few hundred images",
        parts=(
            "distances",
            "coverage",
            "patterns",
            "intensity",
            "diversity",
            "copying",
            "full-reference",
        ),
    ),
    "paper-ultrasound": Profile(
        about="mutual information, PSNR, Fréchet distance and LBP vectors, as in Bautista et al., "
        "MIUA 2022 (arXiv 2206.01731)",
        parts=("distances", "patterns", "full-reference"),
        pairing="all-pairs",
        caveats=(
            ("MI", _UNPAIRED),
            ("PSNR", _UNPAIRED),
            ("FD-", _FRECHET),
            ("FID", _FRECHET),
            ("KID-", _ADDED),
            ("LBPv-V", _CODES),
            ("LBPv-", _VECTOR),
        ),
    ),
    "paper-mri": Profile(
        about="MSE, SSIM, correlation and (2·SSIM + correlation)/3 over the full image, as in the "
        "SPADE study of fetal brain MRI of 2022",
        parts=(),
        paired=("MSE-full", "SSIM-full", "SSIM-uniform7-full", "correlation-full", "combined-full"),
        needs_pairs=True,
        caveats=(("", _FULL),),
    ),
}


def choose(name: str) -> Profile:
    """The profile of this name; raises UserError that lists the names there are."""
    for known, profile in PROFILES.items():
        if known == name:
            return profile
    raise UserError(
        f"--profile {name}: there is no such profile; give one of {', '.join(PROFILES)}"
    )


def for_sets(name: str, *, pairing: Pairing) -> Profile:
    """The profile for images that are no pairs; raises UserError where it does not fit."""
    profile = choose(name)
    if profile.needs_pairs:
        raise UserError(f"--profile {name} compares pairs of images: add --paired")
    if profile.pairing is not None and pairing != profile.pairing:
        raise UserError(
            f"--profile {name} prescribes --pairing {profile.pairing}, not {pairing}: leave "
            "--pairing out or take another profile"
        )
    return profile


def for_pairs(name: str) -> Profile:
    """The profile for pairs of images; raises UserError where it compares whole sets only."""
    profile = choose(name)
    if not profile.needs_pairs and profile.pairing is not None:
        raise UserError(f"--profile {name} compares sets of images: leave --paired out")
    return profile


def unjudged_by(name: str) -> dict[str, str]:
    """Alarms that this profile never tests, with the reason."""
    run = choose(name).parts
    return {
        alarm: f"the profile {name} leaves this test out"
        for part, alarms in ALARMS_OF.items()
        if part not in run
        for alarm in alarms
    }


def with_caveats(metrics: dict[str, Metric], profile: Profile) -> dict[str, Metric]:
    """The metrics with the profile's caveats after their meaning."""
    return {name: _with_caveats(name, metric, profile) for name, metric in metrics.items()}


def _with_caveats(name: str, metric: Metric, profile: Profile) -> Metric:
    said = [text for start, text in profile.caveats if name.startswith(start)]
    meaning = " ".join([metric.meaning, *said]).strip()
    return metric.model_copy(update={"meaning": meaning}) if said else metric


def kept_pairs(metrics: dict[str, Metric], profile: Profile) -> dict[str, Metric]:
    """Of the metrics of pairs, those that the profile keeps."""
    if profile.paired is None:
        return metrics
    return {name: metric for name, metric in metrics.items() if name in profile.paired}
