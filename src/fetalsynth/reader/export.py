"""Answers out of the database, truth out of the key: tidy, in MRMC layout, with a codebook.

The key is opened here for the first time: until now nobody who runs the study need have seen it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fetalsynth.artifacts.files import write_text
from fetalsynth.assessment.tables import csv_text
from fetalsynth.errors import UserError
from fetalsynth.reader.analysis_rows import ANSWERS, COLUMNS, Row, rows_csv
from fetalsynth.reader.study import KeyRow, Study

if TYPE_CHECKING:
    from fetalsynth.reader.database.reading import AnswerRow

MRMC, CODEBOOK = "mrmc.csv", "codebook.csv"

MEANINGS = {
    "study": "identifier of the study",
    "reader": "code of the reader",
    "group": "kind of reader, as entered on the consent page",
    "years_experience": "years of experience, as entered",
    "position": "place of the screen in this reader's order",
    "block": "practice or main",
    "presentation": "1 shown first, 2 hidden repeat",
    "item": "random identifier of the image (of a pair: the left one)",
    "item2": "of a pair: the right image",
    "truth": "real or synthetic (of a pair: the left image)",
    "set": "set that the image comes from (of a pair: the synthetic one)",
    "role": "main, catch (obvious trial) or practice",
    "stratum": "stratum of the choice of images",
    "verdict": "real or synthetic, as answered",
    "confidence": "1 surely synthetic, rising to surely real",
    "quality": "quality, 1 lowest",
    "tags": "reasons given, separated by semicolons",
    "choice": "side of the pair that was called real",
    "correct": "1 right, 0 wrong",
    "active_seconds": "seconds with signs of activity",
    "total_seconds": "seconds from showing to answering",
    "hidden_seconds": "seconds with the page out of sight",
    "shown_at": "when the screen was shown first (UTC)",
    "submitted_at": "when the answer was submitted (UTC)",
    "revision": "0 the first answer, more where the study allowed changes",
    "source_file": "file that the image was made from",
    "source_sha256": "SHA-256 of that file",
    "gestational_age_weeks": "gestational age, where known",
}


def rows_of(answers: Sequence[AnswerRow], key: dict[str, KeyRow]) -> list[Row]:
    """Answers about items of the key, joined with it; others in the database are left out.

    Raises UserError where the database holds none.
    """
    rows = [
        _joined(answer, key)
        for answer in answers
        if answer.item in key and (answer.item2 is None or answer.item2 in key)
    ]
    if not rows:
        raise UserError(
            "the database holds no answer to this study; check --database, or wait for readers"
        )
    return rows


def _joined(answer: AnswerRow, key: dict[str, KeyRow]) -> Row:
    known = key[answer.item]
    other = key[answer.item2] if answer.item2 else None
    fake = other if other is not None and known.truth == "real" else known
    return Row(
        study=answer.study,
        reader=answer.reader,
        group=answer.group,
        years_experience=answer.years_experience,
        position=answer.position,
        block=answer.block,
        presentation=answer.presentation,
        item=answer.item,
        item2=answer.item2 or "",
        truth=known.truth,
        set=fake.set,
        role=known.role,
        stratum=known.stratum,
        verdict=answer.verdict or "",
        confidence=answer.confidence,
        quality=answer.quality,
        tags=";".join(answer.tags),
        choice=answer.choice or "",
        correct=_correct(answer, known),
        active_seconds=answer.active_seconds,
        total_seconds=answer.total_seconds,
        hidden_seconds=answer.hidden_seconds,
        shown_at=answer.shown_at or "",
        submitted_at=answer.submitted_at,
        revision=answer.revision,
        source_file=fake.source_file,
        source_sha256=fake.source_sha256,
        gestational_age_weeks=known.gestational_age_weeks,
    )


def _correct(answer: AnswerRow, left: KeyRow) -> int | None:
    if answer.choice:
        return int((answer.choice == "left") == (left.truth == "real"))
    return int(answer.verdict == left.truth) if answer.verdict else None


def mrmc_csv(rows: Sequence[Row]) -> str | None:
    """The layout of iMRMC: readerID, caseID, modalityID, score, with rows of truth.

    Signal present (1) is a synthetic image; the score rises with how surely it was called one (the
    verdict as 0 or 1 where confidence was not asked). Main images shown first only, because iMRMC
    takes one score per reader, case and modality. Modalities are the sets of synthetic images; real
    images stand under each. None for pairs.
    """
    used = [
        row
        for row in rows
        if row.block == "main" and row.role == "main" and row.presentation == 1 and row.verdict
    ]
    if not used or any(row.item2 for row in used):
        return None
    sets = sorted({row.set for row in used if row.truth == "synthetic"})
    truth = {row.item: int(row.truth == "synthetic") for row in used}
    table: list[tuple[object, ...]] = [
        ("truth", item, "truth", signal) for item, signal in sorted(truth.items())
    ]
    rated = any(row.confidence is not None for row in used)
    top = 1 + max((row.confidence or 0) for row in used)
    for row in used:
        score = top - (row.confidence or 0) if rated else int(row.verdict == "synthetic")
        under = [row.set] if row.truth == "synthetic" else sets
        table.extend((row.reader, row.item, name or "synthetic", score) for name in under)
    return csv_text(("readerID", "caseID", "modalityID", "score"), table)


def codebook_csv(study: Study) -> str:
    """What every column of ``answers.csv`` means, and the scales of this study."""
    asked = study.questions
    scales = {
        "verdict": {"binary": "two answers", "choice": "not asked of pairs"}.get(
            asked.verdict, "confidence below the middle of the scale: synthetic"
        ),
        "confidence": f"1 to {asked.points}" if asked.verdict == "confidence" else "not asked",
        "quality": "; ".join(
            f"{place} {label}" for place, label in enumerate(asked.quality_labels, start=1)
        )
        if asked.quality
        else "not asked",
        "tags": "; ".join(asked.tags) or "not asked",
    }
    return csv_text(
        ("column", "meaning", "values"),
        [(name, MEANINGS[name], scales.get(name, "")) for name in COLUMNS],
    )


def write_export(folder: Path, rows: Sequence[Row], study: Study) -> list[str]:
    """Write answers.csv, mrmc.csv (not for pairs) and codebook.csv; returns their names."""
    files = {ANSWERS: rows_csv(rows), CODEBOOK: codebook_csv(study), MRMC: mrmc_csv(rows)}
    for name, text in files.items():
        if text is not None:
            write_text(folder / name, text)
    return [name for name, text in files.items() if text is not None]
