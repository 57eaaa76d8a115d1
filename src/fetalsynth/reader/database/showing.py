"""What a reader is shown: the screen that is next, or an earlier one where that is allowed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import bindparam, select

from fetalsynth.reader.database.tables import answers, drafts, presentations

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fetalsynth.reader.database.access import Reader

Row = Any  # a row of _SHOWN; its type differs between versions of SQLAlchemy


class UnknownPresentationError(LookupError):
    """The reader has no such presentation, or it is not their turn to see it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a reader said about one presentation; None where it was not asked."""

    verdict: Literal["real", "synthetic"] | None = None
    confidence: int | None = None
    quality: int | None = None
    tags: tuple[str, ...] = ()
    choice: Literal["left", "right"] | None = None


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
    row = current_row(connection, reader)
    return None if row is None else shown_of_row(row)


def current_row(connection: Connection, reader: Reader) -> Row | None:
    """The row of :func:`current`."""
    row = connection.execute(_CURRENT, {"reader": reader.id}).first()
    if row is None or (row.block == "main" and not reader.practised):
        return None
    return row


def find(connection: Connection, *, reader: Reader, token: str, allow_back: bool) -> Shown:
    """The reader's presentation of that name: the current one, or one that may be seen again.

    Raises UnknownPresentationError for any other, without telling whether it exists.
    """
    return shown_of_row(row_of_token(connection, reader, token, answered=allow_back))


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
    return shown_of_row(row)


def row_of_token(connection: Connection, reader: Reader, token: str, *, answered: bool) -> Row:
    """The row of :func:`find`; ``answered`` lets it be one that has an answer."""
    turn = current_row(connection, reader)
    if turn is not None and turn.stimulus_token == token:
        return turn
    row = connection.execute(_NAMED, {"reader": reader.id, "token": token}).first()
    if row is None or row.answer_id is None or not answered:
        raise UnknownPresentationError(token)
    return row


def shown_of_row(row: Row) -> Shown:
    """The presentation with its draft, or with its answer where it has one and no draft."""
    answered = row.answer_id is not None
    kept = asdict(answer_of_row(row)) if answered else None
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


def answer_of_row(row: Row) -> Answer:
    """The stored answer of a row that has one."""
    return Answer(
        verdict=row.verdict,
        confidence=row.confidence,
        quality=row.quality,
        tags=tuple(json.loads(row.tags)),
        choice=row.choice,
    )
