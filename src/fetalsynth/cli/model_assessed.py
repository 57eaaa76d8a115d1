"""The assessment that a packed model carries: of images by its own weights, and what it says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.manifest import Input, Licence, Manifest, input_from
from fetalsynth.artifacts.portable import places, text_without_places
from fetalsynth.artifacts.scores import Scores, read_scores
from fetalsynth.errors import UserError
from fetalsynth.reports.lineage import Lineage, trace
from fetalsynth.reports.model_assessment import (
    assessment_facts,
    assessment_section,
    copying_alarm,
)


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """Lines for the card, facts for the record, and the scores as an input without its own.

    ``sampling`` is how a flow made the images, None where something else did.
    """

    section: tuple[str, ...]
    sampling: dict[str, Any] | None
    facts: dict[str, Any]
    source: Input
    licences: tuple[Licence, ...]


def read_assessment(
    folder: Path, *, model: Input, epoch: int, storage: str, despite_copying: str | None
) -> Assessed:
    """Read the ``scores`` artifact of images that ``model`` made after ``epoch``.

    The images may be those of the model as it was trained or as it was packed before with the same
    ``storage``. Raises UserError for scores of other images, and for the copying alarm where
    nobody says why the model may ship all the same.
    """
    source = input_from(folder, role="assessment", kind="scores")
    assert source.manifest is not None
    scores, lineage = read_scores(folder), trace(source.manifest)
    _check_lineage(folder, lineage, model=model, epoch=epoch, storage=storage)
    _check_copying(folder, scores, despite_copying)
    known = places(source.manifest)
    scores = _portable(scores, known)
    section = assessment_section(
        scores, lineage=lineage, storage=storage, despite_copying=despite_copying
    )
    return Assessed(
        section=tuple(section),
        sampling=_sampling(lineage),
        facts=assessment_facts(scores, source.manifest),
        source=Input(role=source.role, path=folder.resolve().name, digest=source.digest),
        licences=source.manifest.licences,
    )


def _sampling(lineage: Lineage) -> dict[str, Any] | None:
    made = lineage.synthetic.manifest if lineage.synthetic else None
    found = made.configuration.get("sampling") if made else None
    return found if isinstance(found, dict) else None


def _check_lineage(
    folder: Path, lineage: Lineage, *, model: Input, epoch: int, storage: str
) -> None:
    made = lineage.synthetic.manifest if lineage.synthetic else None
    if made is None or lineage.model is None:
        raise UserError(f"{folder}: its images do not say which model made them; generate anew")
    if not _is_of(lineage.model, model=model, storage=storage):
        raise UserError(
            f"{folder}: its images were made by another model ({Path(lineage.model.path).name}); "
            "give the assessment of this one"
        )
    settings = made.configuration
    weights = (settings.get("epoch"), settings.get("weights"))
    if weights != (epoch, "averaged"):
        raise UserError(
            f"{folder}: its images were made with the {weights[1]} weights after epoch "
            f"{weights[0]}, and the averaged ones after epoch {epoch} are packed"
        )


def _is_of(made_by: Input, *, model: Input, storage: str) -> bool:
    """Whether the images' model is ``model``, or was packed from it with the same storage."""
    packed = _packed(made_by.manifest)
    from_it = (packed.get("model"), packed.get("storage")) == (model.digest, storage)
    return made_by.digest == model.digest or from_it


def _packed(manifest: Manifest | None) -> dict[str, Any]:
    found = manifest.configuration.get("packed") if manifest else None
    return found if isinstance(found, dict) else {}


def _check_copying(folder: Path, scores: Scores, despite: str | None) -> None:
    reason = copying_alarm(scores)
    if reason is not None and not (despite or "").strip():
        raise UserError(
            f"{folder}: raised the copying alarm ({reason}), and patients may be recognised in "
            "what the model makes; do not ship it, or give --despite-copying with the reason"
        )
    if reason is None and despite is not None:
        raise UserError(f"--despite-copying: {folder} raised no copying alarm; leave it out")


def _portable(scores: Scores, known: Collection[str]) -> Scores:
    """The scores with no path of this machine in their reasons."""
    alarms = [
        alarm.model_copy(update={"reason": text_without_places(alarm.reason, known)})
        for alarm in scores.alarms
    ]
    unjudged = {name: text_without_places(why, known) for name, why in scores.unjudged.items()}
    return scores.model_copy(update={"alarms": tuple(alarms), "unjudged": unjudged})
