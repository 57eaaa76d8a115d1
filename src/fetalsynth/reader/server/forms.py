"""What browsers may send, checked before anything is stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fetalsynth.reader.database.answering import Timing
from fetalsynth.reader.database.showing import Answer
from fetalsynth.reader.study import Questions

Seconds_ = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Point = Annotated[int, Field(strict=True, ge=1, le=100)]  # else true would be 1, and "3" be 3

GROUPS = {
    "clinician": "Doctor (obstetrics, radiology, paediatrics)",
    "sonographer": "Sonographer, midwife or radiographer",
    "engineer": "Engineer, physicist or data scientist",
    "student": "Student",
    "other": "Other",
}
READING = {
    "daily": "Every day",
    "weekly": "Every week",
    "monthly": "Every month",
    "rarely": "Rarely",
    "never": "Never",
}
SYNTHETIC = {"never": "Never", "few": "A few", "often": "Often"}
ROOMS = {"dark": "Dark", "normal": "Normal", "bright": "Bright"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Seconds(_Strict):
    """Time since the image appeared; see :class:`Timing`."""

    active: Seconds_ = 0.0
    total: Seconds_ = 0.0
    hidden: Seconds_ = 0.0


class Given(_Strict):
    """A draft or an answer: ``confidence`` is the point on the verdict scale, of either kind."""

    presentation: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    confidence: Point | None = None
    quality: Point | None = None
    tags: Annotated[tuple[Annotated[str, Field(max_length=80)], ...], Field(max_length=20)] = ()
    choice: Literal["left", "right"] | None = None
    seconds: Seconds = Seconds()

    def draft(self) -> dict[str, Any]:
        """What is kept until the answer is submitted."""
        return self.model_dump(mode="json", exclude={"presentation"})

    def timing(self) -> Timing:
        """Times as the database stores them."""
        spent = self.seconds
        return Timing(
            active_seconds=min(spent.active, spent.total),
            total_seconds=spent.total,
            hidden_seconds=min(spent.hidden, spent.total),
        )


def answer_of(given: Given, questions: Questions) -> Answer:
    """The answer that was given; raises ValueError where it is not one to these questions."""
    choosing = questions.verdict == "choice"
    _check_point("verdict", given.confidence, 0 if choosing else questions.points)
    _check_point("quality", given.quality, questions.quality)
    if (given.choice is not None) != choosing:
        raise ValueError("choice: asked for pairs, and only for them")
    if set(given.tags) - set(questions.tags) or len(set(given.tags)) != len(given.tags):
        raise ValueError("tags: not those of this study")
    if questions.tags and not questions.tags_optional and not given.tags:
        raise ValueError("tags: at least one is asked for")
    return Answer(
        verdict=_verdict(given.confidence, questions.points),
        confidence=given.confidence if questions.verdict == "confidence" else None,
        quality=given.quality,
        tags=tuple(tag for tag in questions.tags if tag in given.tags),
        choice=given.choice,
    )


def _check_point(name: str, point: int | None, points: int) -> None:
    if (point is not None) != (points > 0) or (point is not None and point > points):
        raise ValueError(f"{name}: asked for as a number from 1 to {points}")


def _verdict(point: int | None, points: int) -> Literal["real", "synthetic"] | None:
    """The upper half of the scale says real (a middle point would lean to synthetic)."""
    if point is None:
        return None
    return "real" if 2 * point > points + 1 else "synthetic"


def draft_of(kept: dict[str, Any] | None, questions: Questions) -> dict[str, Any] | None:
    """A draft, or a stored answer, as the page fills itself in with it."""
    if kept is None:
        return None
    point = kept.get("confidence")
    if questions.verdict == "binary" and kept.get("verdict"):
        point = 2 if kept["verdict"] == "real" else 1
    return {
        "confidence": point,
        "quality": kept.get("quality"),
        "tags": list(kept.get("tags") or ()),
        "choice": kept.get("choice"),
        "seconds": kept.get("seconds"),
    }
