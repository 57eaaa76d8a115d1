"""Designs of reader studies, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fetalsynth.errors import UserError
from fetalsynth.reader.study import Mode, Questions

CONSENT = (
    "You will see medical images, some real and some made by a computer, and say which you take "
    "each for. There is no feedback while you read. Your answers and the time you take are kept "
    "under your name or code and are used for research on image quality only. You may stop at any "
    "time and go on later with the same link. These images are not for clinical use."
)


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a study asks and how much: ``n`` main screens, half of them (or of each pair) real.

    The shares of repeats and catch trials are of ``n`` and come on top of it, as does practice.
    """

    title: str
    mode: Mode
    questions: Questions
    n: int
    practice: int
    repeats: float
    catch: float
    note: str = ""


PRESETS = {
    "standard": Design(
        title="Real or synthetic?",
        mode="single",
        questions=Questions(),
        n=60,
        practice=6,
        repeats=0.12,
        catch=0.05,
    ),
    "pairs": Design(
        title="Which of the two is real?",
        mode="pair",
        questions=Questions(verdict="choice", points=2, quality=0, quality_labels=()),
        n=40,
        practice=4,
        repeats=0.12,
        catch=0.05,
    ),
    "ultrasound-2022": Design(
        title="Real or synthetic fetal head ultrasound?",
        mode="single",
        questions=Questions(
            verdict="binary",
            points=2,
            tags=(),
        ),
        n=68,
        practice=0,
        repeats=0.0,
        catch=0.0,
        note=(
            "after Bautista et al. 2022: 68 images, real or fake, quality from 1 to 5. How many of "
            "their images were real is not published; here it is half of them, because with few "
            "real images a reader who calls everything synthetic seems to be good"
        ),
    ),
}


def design(
    preset: str,
    *,
    n: int | None = None,
    practice: int | None = None,
    repeats: float | None = None,
    catch: float | None = None,
) -> Design:
    """The preset with what is given put in its place.

    Raises UserError for an unknown preset, an odd number of images and shares beyond 0 to 0.5.
    """
    if preset not in PRESETS:
        raise UserError(f"there is no preset {preset!r}; there are: {', '.join(PRESETS)}")
    given = {"n": n, "practice": practice, "repeats": repeats, "catch": catch}
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    wanted = replace(PRESETS[preset], **known)
    _check(wanted)
    return wanted


def _check(wanted: Design) -> None:
    single = wanted.mode == "single"
    if wanted.n < 2 or (single and wanted.n % 2):
        raise UserError(f"--n {wanted.n}: half of the images are real, so give an even number")
    if wanted.practice < 0 or (single and wanted.practice % 2):
        raise UserError(f"--practice {wanted.practice}: half of these are real; give an even one")
    for option, share in (("--repeats", wanted.repeats), ("--catch", wanted.catch)):
        if not 0 <= share <= 0.5:
            raise UserError(f"{option} {share:g}: is a share of the images, from 0 to 0.5")
