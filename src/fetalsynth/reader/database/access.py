"""From a link to a session, and from a session to the person who reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from fetalsynth.reader.database.log import append, canonical, lock_study, now
from fetalsynth.reader.database.tables import administrators, readers, sessions
from fetalsynth.reader.database.tokens import new_token, token_hash

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fetalsynth.reader.database.writing import Database


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader whose session is open, and how far the study has come for them."""

    id: int
    code: str
    group: str
    consented: bool
    displayed: bool
    practised: bool
    finished: bool


def enter(database: Database, *, study_id: str, token: str, administrator: bool) -> str | None:
    """Open a session with a link's secret; returns the session's secret, None where it opens none.

    A reader's link opens no administrator's session, and the other way round.
    """
    hashed = token_hash(token, study_id=study_id)
    with database.reading() as connection:  # guesses must not hold up those who write answers
        if _holder(connection, study_id, hashed, administrator=administrator) is None:
            return None
    session = new_token()

    def change(connection: Connection) -> str | None:
        lock_study(connection, study_id=study_id)
        # once more, because the link may have been renewed or revoked in between
        holder = _holder(connection, study_id, hashed, administrator=administrator)
        if holder is None:
            return None
        row = {
            "token_hash": token_hash(session, study_id=study_id),
            "study_id": study_id,
            "reader_id": holder.reader_id,
            "administrator": administrator,
            "created": now(),
        }
        connection.execute(insert(sessions).values(row))
        event = "administrator entered" if administrator else "entered"
        append(connection, study_id=study_id, reader_id=holder.reader_id, event=event, payload={})
        return session

    return database.write(change)


@dataclass(frozen=True, kw_only=True)
class _Holder:
    """Whose link it is; an administrator is no reader."""

    reader_id: int | None


def _holder(
    connection: Connection, study_id: str, hashed: str, *, administrator: bool
) -> _Holder | None:
    if administrator:
        found = select(administrators.c.token_hash).where(
            administrators.c.token_hash == hashed, administrators.c.study_id == study_id
        )
        known = connection.execute(found).first() is not None
        return _Holder(reader_id=None) if known else None
    found = select(readers.c.id).where(
        readers.c.token_hash == hashed,
        readers.c.study_id == study_id,
        readers.c.revoked.is_(None),
    )
    reader_id = connection.execute(found).scalar()
    return None if reader_id is None else _Holder(reader_id=reader_id)


_READER = (
    select(
        readers.c.id,
        readers.c.code,
        readers.c.group,
        readers.c.consented_at,
        readers.c.display,
        readers.c.practised_at,
        readers.c.finished_at,
    )
    .select_from(sessions.join(readers, sessions.c.reader_id == readers.c.id))
    .where(
        sessions.c.administrator.is_(False),
        readers.c.revoked.is_(None),
        sessions.c.token_hash == bindparam("hashed"),
        sessions.c.study_id == bindparam("study"),
    )
)


def reader_of(connection: Connection, *, study_id: str, session: str) -> Reader | None:
    """The reader whose session this secret opens, None where it opens none."""
    hashed = token_hash(session, study_id=study_id)
    row = connection.execute(_READER, {"hashed": hashed, "study": study_id}).first()
    if row is None:
        return None
    return Reader(
        id=row.id,
        code=row.code,
        group=row.group,
        consented=row.consented_at is not None,
        displayed=row.display is not None,
        practised=row.practised_at is not None,
        finished=row.finished_at is not None,
    )


def is_administrator(connection: Connection, *, study_id: str, session: str) -> bool:
    """Whether this secret opens an administrator's session of the study."""
    chosen = select(sessions.c.administrator).where(
        sessions.c.token_hash == token_hash(session, study_id=study_id),
        sessions.c.study_id == study_id,
    )
    return connection.execute(chosen).scalar() is True


def consent(
    database: Database,
    *,
    study_id: str,
    reader_id: int,
    group: str,
    years_experience: float | None,
    expertise: Mapping[str, Any],
) -> None:
    """Note that and when the reader agreed, and what they told of themselves; the first counts."""
    changed = {
        "consented_at": now(),
        "group": group,
        "years_experience": years_experience,
        "expertise": canonical(expertise),
    }
    logged = {"group": group, "years_experience": years_experience, "expertise": dict(expertise)}
    _note(database, study_id, reader_id, "consented_at", changed, event="consented", logged=logged)


def note_display(
    database: Database, *, study_id: str, reader_id: int, display: Mapping[str, Any]
) -> None:
    """Note the result of the display check; one made again replaces it, and the log has both."""
    changed = {"display": canonical(display)}
    _note(database, study_id, reader_id, None, changed, event="display", logged=dict(display))


def begin_main(database: Database, *, study_id: str, reader_id: int) -> None:
    """Note that the reader left the practice for the study itself."""
    changed = {"practised_at": now()}
    _note(database, study_id, reader_id, "practised_at", changed, event="practised", logged={})


def _note(
    database: Database,
    study_id: str,
    reader_id: int,
    once: str | None,
    changed: dict[str, Any],
    *,
    event: str,
    logged: dict[str, Any],
) -> None:
    def change(connection: Connection) -> None:
        lock_study(connection, study_id=study_id)
        kept = select(readers).where(readers.c.id == reader_id)
        if once is not None and connection.execute(kept).mappings().one()[once] is not None:
            return
        values = {**changed, "last_seen": now()}
        connection.execute(update(readers).where(readers.c.id == reader_id).values(values))
        append(connection, study_id=study_id, reader_id=reader_id, event=event, payload=logged)

    database.write(change)


def display_of(connection: Connection, *, reader_id: int) -> dict[str, Any]:
    """The result of the reader's last display check; empty where there was none."""
    text = connection.execute(select(readers.c.display).where(readers.c.id == reader_id)).scalar()
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def leave(database: Database, *, study_id: str, session: str) -> None:
    """End one session; the link opens another."""
    hashed = token_hash(session, study_id=study_id)
    ended = delete(sessions).where(sessions.c.token_hash == hashed)
    database.write(lambda connection: connection.execute(ended) and None)
