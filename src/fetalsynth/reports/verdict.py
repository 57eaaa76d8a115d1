"""The verdict in plain words, made from the alarms and from what could not be judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fetalsynth.artifacts.scores import Scores
from fetalsynth.reports.wording import listing, plural

ALARM_WORDS = {
    "shift": "The synthetic images as a whole differ from the real ones",
    "texture": "The fine texture differs from that of real images",
    "intensity": "Brightness or contrast differ from those of real images",
    "collapse": "The synthetic images vary less than real ones",
    "copying": "Some synthetic images are too close to training images",
    "too-few-images": "There are too few images for firm conclusions",
}
QUESTION_WORDS = {
    "shift": "overall difference",
    "texture": "fine texture",
    "intensity": "brightness and contrast",
    "collapse": "variety",
    "copying": "copying of training images",
    "too-few-images": "number of images",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the verdict: the program's name of it, its words and the recorded reason."""

    name: str
    words: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """``level`` picks colour and sign; ``heading`` and ``sentence`` say the same in words."""

    level: Literal["alarm", "caution", "clear"]
    heading: str
    sentence: str
    alarms: tuple[Finding, ...]
    unjudged: tuple[Finding, ...]


def judge(scores: Scores) -> Verdict:
    """Put the alarms into words; without any, say what the silence does and does not mean."""
    alarms = tuple(
        Finding(name=alarm.name, words=ALARM_WORDS[alarm.name], reason=alarm.reason)
        for alarm in scores.alarms
    )
    unjudged = tuple(
        Finding(name=name, words=question(name).capitalize(), reason=reason)
        for name, reason in scores.unjudged.items()
    )
    level, heading, sentence = _words(alarms, unjudged, empty=not scores.metrics)
    return Verdict(
        level=level, heading=heading, sentence=sentence, alarms=alarms, unjudged=unjudged
    )


def question(name: str) -> str:
    """What an alarm asks about, as words in a sentence."""
    return QUESTION_WORDS.get(name, name)


def _words(
    alarms: tuple[Finding, ...], unjudged: tuple[Finding, ...], *, empty: bool
) -> tuple[Literal["alarm", "caution", "clear"], str, str]:
    missing = f" Not judged: {listing([question(f.name) for f in unjudged])}." if unjudged else ""
    if alarms:
        return (
            "alarm",
            f"{plural(len(alarms), 'warning')}: do not use these images without reading on",
            f"{listing([_inside(f.words) for f in alarms]).capitalize()}.{missing}",
        )
    if empty:
        return "caution", "Nothing was measured", f"There are no scores to judge by.{missing}"
    if unjudged:
        return (
            "caution",
            "No warning, but not everything was judged",
            f"The tests that ran found no sign of trouble.{missing}",
        )
    return (
        "clear",
        "No warning",
        "The tests found no sign of trouble. That is not proof that the images are realistic "
        "or safe to use: it says only that these tests, at these numbers of images, saw nothing.",
    )


def _inside(words: str) -> str:
    return words[0].lower() + words[1:]
