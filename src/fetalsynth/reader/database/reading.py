"""Reading what the database holds: answers (without truth, which it does not know) and progress."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from fetalsynth.reader.database.log import GENESIS
from fetalsynth.reader.database.opening import open_database
from fetalsynth.reader.database.tables import (
    answers,
    drafts,
    log,
    presentations,
    readers,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """One answer, as it stands after its last revision.

    ``verdict`` is "real", "synthetic" or None (pairs); ``confidence`` counts from 1 (surely
    synthetic) up, None for a plain verdict; ``choice`` is the side of a pair that was called real.
    ``item`` is on the left of a pair, ``item2`` on the right. Times are seconds and ISO 8601 (UTC).
    """

    study: str
    reader: str
    group: str
    years_experience: float | None
    position: int
    block: str
    presentation: int
    item: str
    item2: str | None
    verdict: str | None
    confidence: int | None
    quality: int | None
    tags: tuple[str, ...]
    choice: str | None
    active_seconds: float | None
    total_seconds: float | None
    hidden_seconds: float | None
    shown_at: str | None
    submitted_at: str
    revision: int


@dataclass(frozen=True, kw_only=True)
class ReaderProgress:
    """How far one reader has come; says nothing about what was answered."""

    code: str
    group: str
    consented: bool
    answered: int
    total: int
    last_seen: str | None
    finished: bool
    revoked: bool


def read_answers(url: str, *, study_id: str | None = None) -> list[AnswerRow]:
    """All answers of one study (of all in the database by default), by reader and position.

    Raises UserError where there is no database of this package.
    """
    joined = answers.join(presentations).join(readers)
    chosen = (
        select(
            readers.c.study_id,
            readers.c.code,
            readers.c.group,
            readers.c.years_experience,
            presentations,
            answers.c.verdict,
            answers.c.confidence,
            answers.c.quality,
            answers.c.tags,
            answers.c.choice,
            answers.c.submitted_at,
            answers.c.revision,
        )
        .select_from(joined)
        .order_by(readers.c.study_id, readers.c.order_index, presentations.c.position)
    )
    if study_id is not None:
        chosen = chosen.where(readers.c.study_id == study_id)
    database = open_database(url)
    with database.reading() as connection:
        rows = [_answer_row(row) for row in connection.execute(chosen).mappings()]
    database.close()
    return rows


def _answer_row(row: Any) -> AnswerRow:
    return AnswerRow(
        study=row["study_id"],
        reader=row["code"],
        group=row["group"],
        years_experience=row["years_experience"],
        position=row["position"],
        block=row["block"],
        presentation=row["presentation"],
        item=row["item_id"],
        item2=row["item2_id"],
        verdict=row["verdict"],
        confidence=row["confidence"],
        quality=row["quality"],
        tags=tuple(json.loads(row["tags"])),
        choice=row["choice"],
        active_seconds=row["active_seconds"],
        total_seconds=row["total_seconds"],
        hidden_seconds=row["hidden_seconds"],
        shown_at=row["shown_at"],
        submitted_at=row["submitted_at"],
        revision=row["revision"],
    )


def counts(connection: Connection, *, reader_id: int, block: str) -> tuple[int, int]:
    """How many screens of the block the reader has answered, and how many there are."""
    chosen = (
        select(func.count(answers.c.id), func.count(presentations.c.id))
        .select_from(presentations.outerjoin(answers))
        .where(presentations.c.reader_id == reader_id, presentations.c.block == block)
    )
    row = connection.execute(chosen).one()
    return int(row[0]), int(row[1])


def has_begun(connection: Connection, *, reader_id: int) -> bool:
    """Whether the reader has put in anything at all."""
    chosen = (
        select(presentations.c.id)
        .select_from(presentations.outerjoin(answers).outerjoin(drafts))
        .where(presentations.c.reader_id == reader_id)
        .where(answers.c.id.is_not(None) | drafts.c.presentation_id.is_not(None))
        .limit(1)
    )
    return connection.execute(chosen).first() is not None


def progress(connection: Connection, *, study_id: str) -> list[ReaderProgress]:
    """Every reader's progress through the main block, in the order of invitation."""
    joined = readers.join(presentations).outerjoin(answers)
    chosen = (
        select(
            readers,
            func.count(answers.c.id).label("answered"),
            func.count(presentations.c.id).label("total"),
        )
        .select_from(joined)
        .where(readers.c.study_id == study_id, presentations.c.block == "main")
        .group_by(readers.c.id)
        .order_by(readers.c.order_index)
    )
    return [
        ReaderProgress(
            code=row["code"],
            group=row["group"],
            consented=row["consented_at"] is not None,
            answered=row["answered"],
            total=row["total"],
            last_seen=row["last_seen"],
            finished=row["finished_at"] is not None,
            revoked=row["revoked"] is not None,
        )
        for row in connection.execute(chosen).mappings()
    ]


def log_head(connection: Connection, *, study_id: str) -> tuple[int, str]:
    """Number of log entries and the last one's hash, to be written down elsewhere."""
    chosen = select(log.c.seq, log.c.hash).where(log.c.study_id == study_id)
    last = connection.execute(chosen.order_by(log.c.seq.desc()).limit(1)).first()
    return (0, GENESIS) if last is None else (last.seq, last.hash)
