"""The outcome of a reader study in plain words, from ``analysis.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fetalsynth.reports.wording import plural

_HEADINGS: dict[str, tuple[Literal["alarm", "caution", "clear"], str]] = {
    "told": ("alarm", "Readers could tell synthetic from real"),
    "reversed": ("caution", "Readers took synthetic for real, and real for synthetic"),
    "at-chance": ("clear", "Readers could not tell synthetic from real"),
    "undecided": ("caution", "Undecided: neither an ability to tell was shown, nor its absence"),
    "unjudged": ("caution", "The answers cannot be judged"),
}
_PERCENT = "\u202f%"
_NOT_PROOF = (
    "That is a statement about these images, readers and this display. It does not show that the "
    "images are right in anatomy or safe to use."
)


@dataclass(frozen=True, kw_only=True)
class ReaderVerdict:
    """``level`` picks colour and sign; ``heading`` and ``sentence`` say the same in words."""

    level: Literal["alarm", "caution", "clear"]
    heading: str
    sentence: str


def judge_readers(record: Mapping[str, Any]) -> ReaderVerdict:
    """Put the outcome into words, with the figures it rests on."""
    name = record["outcome"]["name"]
    level, heading = _HEADINGS[name]
    sentences = [_main(record), _shares(record), _more(record, name)]
    return ReaderVerdict(
        level=level, heading=heading, sentence=" ".join(each for each in sentences if each)
    )


def percent(value: float | None) -> str:
    """A share in whole per cent, with one decimal where it is small or nearly all."""
    if value is None:
        return "–"
    shown = 100 * value
    near = 0 < shown < 1 or 99 < shown < 100
    return (f"{shown:.1f}" if near else f"{shown:.0f}") + _PERCENT


def between(ends: list[float] | None) -> str:
    """An interval of shares as "43 to 68 %"."""
    if not ends or None in ends:
        return "no interval"
    low, high = (percent(end) for end in ends)
    return f"{low.removesuffix(_PERCENT)} to {high}"


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals, a true minus sign, and no minus before zero."""
    text = f"{value:.{decimals}f}".replace("-", "−")
    return text.removeprefix("−") if not float(text.replace("−", "-")) else text


def _main(record: Mapping[str, Any]) -> str:
    measure = record["outcome"]["measure"]
    figure = record["together"]["figures"].get(measure)
    if figure is None:
        return "No reader judged at least two images of each kind."
    interval = f"95\u202f% interval {between(figure['ci95'])}; 50\u202f% is guessing"
    value = percent(figure["value"])
    if measure == "auc":
        return (
            f"Of a synthetic and a real image, the synthetic one was rated more surely synthetic "
            f"in {value} of cases ({interval})."
        )
    if measure == "correct":
        return f"The real image of a pair was found in {value} of cases ({interval})."
    return f"Balanced accuracy was {value} ({interval})."


def _shares(record: Mapping[str, Any]) -> str:
    figures = record["together"]["figures"]
    if "judged_real_synthetic" not in figures:
        return ""
    fake, real = figures["judged_real_synthetic"], figures["judged_real_real"]
    return (
        f"{percent(fake['value'])} of synthetic images were judged real, and so were "
        f"{percent(real['value'])} of real ones."
    )


def _more(record: Mapping[str, Any], name: str) -> str:
    equal = record["together"]["equivalence"] or {}
    points = round(100 * record["margin"])
    if name == "at-chance":
        return f"The 90\u202f% interval lies within ±{points} points of guessing. {_NOT_PROOF}"
    if name == "undecided":
        needed = equal.get("decisions_needed")
        return (
            "“Not better than chance” is not “no better than chance”: showing the latter within "
            f"±{points} points takes about {plural(needed, 'independent decision')}; this study "
            f"has {plural(record['together']['decisions'], 'decision')}."
            if needed
            else ""
        )
    if name == "reversed":
        return (
            "They see a difference but read it the wrong way round: the images are not "
            "indistinguishable."
        )
    if name == "unjudged":
        return "Readers who give one answer throughout show neither ability nor its absence."
    return ""
