"""Drafts and answers, one presentation after the other.

An answer, its log entry and the start of the next presentation are one transaction: either all of
it is on disk when the reader's browser hears "accepted", or nothing is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import delete, insert, update

from fetalsynth.reader.database.log import append, canonical, lock_study, now
from fetalsynth.reader.database.showing import (
    Answer,
    Row,
    Shown,
    answer_of_row,
    current_row,
    row_of_token,
    shown_of_row,
)
from fetalsynth.reader.database.tables import answers, drafts, presentations, readers

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fetalsynth.reader.database.access import Reader
    from fetalsynth.reader.database.writing import Database

Outcome = Literal["accepted", "same", "revised"]


class AnsweredError(ValueError):
    """The presentation has another answer already, and the study allows no way back."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds since the image appeared: attended to, altogether, and with the page hidden."""

    active_seconds: float
    total_seconds: float
    hidden_seconds: float


def mark_shown(database: Database, *, shown: Shown) -> None:
    """Note when the presentation was first handed out."""
    if not shown.marked:
        database.write(lambda connection: _mark(connection, shown.id))


def _mark(connection: Connection, presentation_id: int) -> None:
    first = update(presentations).where(
        presentations.c.id == presentation_id, presentations.c.shown_at.is_(None)
    )
    connection.execute(first.values(shown_at=now()))


def save_draft(
    database: Database, *, reader: Reader, token: str, draft: dict[str, Any], allow_back: bool
) -> None:
    """Keep what the reader has put in so far; a draft that comes after its answer is dropped.

    Raises UnknownPresentationError.
    """

    def change(connection: Connection) -> None:
        row = row_of_token(connection, reader, token, answered=True)
        if row.answer_id is not None and not allow_back:
            return
        connection.execute(delete(drafts).where(drafts.c.presentation_id == row.id))
        values = {"presentation_id": row.id, "json": canonical(draft), "saved_at": now()}
        connection.execute(insert(drafts).values(values))
        connection.execute(update(readers).where(readers.c.id == reader.id).values(last_seen=now()))

    database.write(change)


def submit(
    database: Database,
    *,
    study_id: str,
    reader: Reader,
    token: str,
    answer: Answer,
    timing: Timing,
    allow_back: bool,
) -> tuple[Outcome, Shown | None]:
    """Store an answer for good; returns what happened, and the presentation that comes next.

    The same answer sent twice is stored once. Another answer to the same presentation is a
    revision where the study allows it, else AnsweredError. Raises UnknownPresentationError for a
    presentation that is not the reader's or not yet theirs to see.
    """

    def change(connection: Connection) -> tuple[Outcome, Shown | None]:
        lock_study(connection, study_id=study_id)
        row = row_of_token(connection, reader, token, answered=True)
        outcome: Outcome = "accepted"
        if row.answer_id is not None:
            outcome = "same" if answer_of_row(row) == answer else "revised"
        if outcome == "revised" and (not allow_back or reader.finished):
            raise AnsweredError(token)
        if outcome != "same":
            stored = _store(connection, row, answer, timing)
            append(
                connection,
                study_id=study_id,
                reader_id=reader.id,
                event="answered" if row.answer_id is None else "revised",
                payload=_event(row, stored, timing),
                at=stored["submitted_at"],
            )
            seen = update(readers).where(readers.c.id == reader.id)
            connection.execute(seen.values(last_seen=stored["submitted_at"]))
        following = current_row(connection, reader)
        if following is None:
            _finish(connection, study_id, reader)
        elif following.shown_at is None:
            _mark(connection, following.id)
        return outcome, None if following is None else shown_of_row(following)

    return database.write(change)


def _store(connection: Connection, row: Row, answer: Answer, timing: Timing) -> dict[str, Any]:
    """Write answer and time; returns the stored answer. A revision adds its time to the first's."""
    first = row.answer_id is None
    values: dict[str, Any] = {
        **asdict(answer),
        "tags": canonical(answer.tags),
        "submitted_at": now(),
        "revision": 0 if first else row.revision + 1,
    }
    if first:
        connection.execute(insert(answers).values(presentation_id=row.id, **values))
        spent: dict[str, Any] = asdict(timing)
    else:
        connection.execute(update(answers).where(answers.c.id == row.answer_id).values(values))
        spent = {name: presentations.c[name] + value for name, value in asdict(timing).items()}
    connection.execute(update(presentations).where(presentations.c.id == row.id).values(spent))
    connection.execute(delete(drafts).where(drafts.c.presentation_id == row.id))
    return values


def _event(row: Row, stored: dict[str, Any], timing: Timing) -> dict[str, Any]:
    return {
        "presentation_id": row.id,
        "position": row.position,
        "item_id": row.item_id,
        "item2_id": row.item2_id,
        "shown_at": row.shown_at,
        "answer": stored,
        "timing": asdict(timing),
    }


def _finish(connection: Connection, study_id: str, reader: Reader) -> None:
    """Note the end of the study, once; the end of the practice block is not the end."""
    ended = update(readers).where(
        readers.c.id == reader.id,
        readers.c.finished_at.is_(None),
        readers.c.practised_at.is_not(None),
    )
    if connection.execute(ended.values(finished_at=now())).rowcount:
        append(connection, study_id=study_id, reader_id=reader.id, event="finished", payload={})
