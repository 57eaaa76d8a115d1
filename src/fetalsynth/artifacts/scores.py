"""``scores.json``: every number with its uncertainty, its floor and its settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fetalsynth.artifacts.files import write_text
from fetalsynth.errors import UserError, explaining

FILENAME = "scores.json"

AlarmName = Literal["shift", "texture", "intensity", "collapse", "copying", "too-few-images"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Strict):
    """One metric: ``floor`` is what real images score against real images at the same counts.

    ``direction`` says which way is better ("lower", "higher") or that neither is ("none").
    ``meaning`` is one sentence for a reader who is not a statistician.
    """

    value: float
    ci95: tuple[float, float] | None = None
    p_value: float | None = None
    direction: Literal["lower", "higher", "none"]
    n_real: int
    n_synthetic: int
    settings: dict[str, Any] = {}
    floor: float | None = None
    unit: str | None = None
    meaning: str = ""


class Alarm(_Strict):
    """A verdict that a program can act on."""

    name: AlarmName
    reason: str


class Pair(_Strict):
    """A synthetic image and the real one nearest to it.

    ``distance`` is relative to what is usual between held-out and training images (1 = usual).
    Paths of pictures are relative to the scores directory.
    """

    synthetic_file: str
    real_file: str
    distance: float
    picture_synthetic: str
    picture_real: str


class Cluster(_Strict):
    """Synthetic images that are nearly one picture.

    ``distance`` is the smallest between two of them, relative to the usual distance of a real image
    to its nearest of another subject (1 = usual). ``pictures`` shows the first few ``files``.
    """

    files: tuple[str, ...]
    distance: float
    pictures: tuple[str, ...]


class Scores(_Strict):
    """Content of ``scores.json``.

    ``inputs`` maps a role ("real", "synthetic", "train") to what was read: path, digest, count,
    size. ``pictures`` maps a name to a PNG in the scores directory. ``unjudged`` lists alarms
    and measures that this run could not judge, with the reason. ``duplicate_clusters`` are the
    largest groups of nearly equal synthetic images. ``profile`` names the choice of measures.
    ``tables`` holds CSV texts by file name while the scores are made; they are written beside
    ``scores.json``, not into it.
    """

    metrics: dict[str, Metric]
    inputs: dict[str, dict[str, Any]]
    alarms: tuple[Alarm, ...] = ()
    unjudged: dict[str, str] = {}
    closest_pairs: tuple[Pair, ...] = ()
    duplicate_clusters: tuple[Cluster, ...] = ()
    pictures: dict[str, str] = {}
    profile: str | None = None
    tables: dict[str, str] = Field(default={}, exclude=True, repr=False)


def write_scores(folder: Path, scores: Scores) -> None:
    """Write ``folder/scores.json``."""
    text = json.dumps(scores.model_dump(), indent=2, allow_nan=False, ensure_ascii=False)
    write_text(folder / FILENAME, text + "\n")


def read_scores(folder: Path) -> Scores:
    """Read ``folder/scores.json``; raises UserError where it is missing or malformed."""
    path = folder / FILENAME
    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        return Scores.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{path}: not a readable scores file ({error.errors()[0]})") from error
