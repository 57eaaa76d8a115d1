"""The questions as keys and labels, the same on the instructions and on the reading page."""

from __future__ import annotations

from dataclasses import dataclass

from fetalsynth.reader.study import Questions

_QUALITY_KEYS = "qwertyuiop"
_TAG_KEYS = "asdfghjkl"
_SURENESS = {6: ("surely", "probably", "perhaps"), 4: ("surely", "perhaps"), 2: ("",)}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One button: what is stored, which key presses it, what stands on it."""

    value: str
    key: str
    label: str


def verdict_points(questions: Questions) -> list[Choice]:
    """The verdict scale from synthetic to real, or the two sides of a pair."""
    if questions.verdict == "choice":
        sides = (("left", "left is real"), ("right", "right is real"))
        return [Choice(value=v, key=str(k), label=label) for k, (v, label) in enumerate(sides, 1)]
    sureness = _SURENESS.get(questions.points, ("",) * (questions.points // 2))
    labels = [f"{word} synthetic".strip() for word in sureness]
    if questions.points % 2:
        labels.append("undecided")
    labels += [f"{word} real".strip() for word in reversed(sureness)]
    return [Choice(value=str(k), key=str(k), label=label) for k, label in enumerate(labels, 1)]


def quality_keys(questions: Questions) -> list[Choice]:
    """The quality scale, from worst to best; empty where it is not asked."""
    labels = [*questions.quality_labels, *[""] * questions.quality][: questions.quality]
    return [
        Choice(value=str(k), key=key, label=label)
        for k, (key, label) in enumerate(zip(_QUALITY_KEYS, labels, strict=False), 1)
    ]


def tag_keys(questions: Questions) -> list[Choice]:
    """The reasons that may be named."""
    keys = [*_TAG_KEYS, *[""] * len(questions.tags)]
    return [
        Choice(value=tag, key=key, label=tag)
        for tag, key in zip(questions.tags, keys, strict=False)
    ]
