"""One presentation after the other: what is shown now, drafts, answers.

An answer, its log entry and the start of the next presentation are one transaction: either all of
it is on disk when the reader's browser hears "accepted", or nothing is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import bindparam, delete, insert, select, update

from fetalsynth.reader.database.log import append, canonical, lock_study, now
from fetalsynth.reader.database.tables import answers, drafts, presentations, readers

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fetalsynth.reader.database.access import Reader
    from fetalsynth.reader.database.writing import Database

Outcome = Literal["accepted", "same", "revised"]
_Row = Any  # a row of _SHOWN; its type differs between versions of SQLAlchemy


class UnknownPresentationError(LookupError):
    """The reader has no such presentation, or it is not their turn to see it."""


class AnsweredError(ValueError):
    """The presentation has another answer already, and the study allows no way back."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a reader said about one presentation; None where it was not asked."""

    verdict: Literal["real", "synthetic"] | None = None
    confidence: int | None = None
    quality: int | None = None
    tags: tuple[str, ...] = ()
    choice: Literal["left", "right"] | None = None


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds since the image appeared: attended to, altogether, and with the page hidden."""

    active_seconds: float
    total_seconds: float
    hidden_seconds: float


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One presentation as its reader may know it, and what they have put in so far."""

    id: int
    token: str
    position: int
    block: str
    item_id: str
    item2_id: str | None
    marked: bool
    answered: bool
    draft: dict[str, Any] | None


_SHOWN = select(
    presentations.c.id,
    presentations.c.stimulus_token,
    presentations.c.position,
    presentations.c.block,
    presentations.c.item_id,
    presentations.c.item2_id,
    presentations.c.shown_at,
    answers.c.id.label("answer_id"),
    answers.c.verdict,
    answers.c.confidence,
    answers.c.quality,
    answers.c.tags,
    answers.c.choice,
    answers.c.revision,
    drafts.c.json.label("draft"),
).select_from(presentations.outerjoin(answers).outerjoin(drafts))


_CURRENT = (
    _SHOWN.where(presentations.c.reader_id == bindparam("reader"), answers.c.id.is_(None))
    .order_by(presentations.c.position)
    .limit(1)
)
_NAMED = _SHOWN.where(
    presentations.c.reader_id == bindparam("reader"),
    presentations.c.stimulus_token == bindparam("token"),
)


def current(connection: Connection, *, reader: Reader) -> Shown | None:
    """The first presentation without an answer; None at the end of the block or of the study."""
    row = _current_row(connection, reader)
    return None if row is None else _shown(row)


def _current_row(connection: Connection, reader: Reader) -> _Row | None:
    row = connection.execute(_CURRENT, {"reader": reader.id}).first()
    if row is None or (row.block == "main" and not reader.practised):
        return None
    return row


def find(connection: Connection, *, reader: Reader, token: str, allow_back: bool) -> Shown:
    """The reader's presentation of that name: the current one, or one that may be seen again.

    Raises UnknownPresentationError for any other, without telling whether it exists.
    """
    return _shown(_found(connection, reader, token, answered=allow_back))


def at_position(connection: Connection, *, reader: Reader, position: int) -> Shown:
    """The answered presentation at ``position``, for a study that lets readers go back.

    Raises UnknownPresentationError where there is none.
    """
    chosen = _SHOWN.where(
        presentations.c.reader_id == reader.id,
        presentations.c.position == position,
        answers.c.id.is_not(None),
    )
    row = connection.execute(chosen).first()
    if row is None or reader.finished or (row.block == "practice" and reader.practised):
        raise UnknownPresentationError(position)
    return _shown(row)


def _found(connection: Connection, reader: Reader, token: str, *, answered: bool) -> _Row:
    turn = _current_row(connection, reader)
    if turn is not None and turn.stimulus_token == token:
        return turn
    row = connection.execute(_NAMED, {"reader": reader.id, "token": token}).first()
    if row is None or row.answer_id is None or not answered:
        raise UnknownPresentationError(token)
    return row


def _shown(row: _Row) -> Shown:
    answered = row.answer_id is not None
    kept = asdict(_answer(row)) if answered else None
    return Shown(
        id=row.id,
        token=row.stimulus_token,
        position=row.position,
        block=row.block,
        item_id=row.item_id,
        item2_id=row.item2_id,
        marked=row.shown_at is not None,
        answered=answered,
        draft=json.loads(row.draft) if row.draft else kept,
    )


def _answer(row: _Row) -> Answer:
    return Answer(
        verdict=row.verdict,
        confidence=row.confidence,
        quality=row.quality,
        tags=tuple(json.loads(row.tags)),
        choice=row.choice,
    )


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
        row = _found(connection, reader, token, answered=True)
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
        row = _found(connection, reader, token, answered=True)
        outcome: Outcome = "accepted"
        if row.answer_id is not None:
            outcome = "same" if _answer(row) == answer else "revised"
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
        following = _current_row(connection, reader)
        if following is None:
            _finish(connection, study_id, reader)
        elif following.shown_at is None:
            _mark(connection, following.id)
        return outcome, None if following is None else _shown(following)

    return database.write(change)


def _store(connection: Connection, row: _Row, answer: Answer, timing: Timing) -> dict[str, Any]:
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


def _event(row: _Row, stored: dict[str, Any], timing: Timing) -> dict[str, Any]:
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
