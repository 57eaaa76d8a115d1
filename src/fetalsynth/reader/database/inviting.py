"""Studies, readers and administrators enter the database; links are made, renewed and taken back.

A reader gets the next free order of the study, and every presentation its own random name, which
no other reader and no repeat shares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from fetalsynth.errors import UserError
from fetalsynth.reader.database.log import append, lock_study, now
from fetalsynth.reader.database.tables import (
    administrators,
    presentations,
    readers,
    sessions,
    studies,
)
from fetalsynth.reader.database.tokens import new_stimulus_token, new_token, token_hash

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fetalsynth.reader.database.writing import Database
    from fetalsynth.reader.study import Orders, Presentation

_CODE_LENGTH = 80


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """A reader's code and the secret of the link, which is shown once and never stored."""

    code: str
    token: str


def register_study(database: Database, *, study_id: str, digest: str, title: str) -> None:
    """Note the study where it is not noted yet."""

    def change(connection: Connection) -> None:
        if connection.execute(select(studies.c.id).where(studies.c.id == study_id)).first():
            return
        row = {"id": study_id, "digest": digest, "title": title, "created": now()}
        connection.execute(insert(studies).values(row))
        append(connection, study_id=study_id, event="study", payload={"digest": digest})

    database.write(change)


def invite(
    database: Database, *, study_id: str, codes: Iterable[str], group: str, orders: Orders
) -> list[Invitation]:
    """Add readers under these codes, all or none.

    Raises UserError where a code is taken or odd, or where the study has no order left.
    """

    def change(connection: Connection) -> list[Invitation]:
        lock_study(connection, study_id=study_id)
        return [_invite(connection, study_id, code, group, orders) for code in codes]

    return database.write(change)


def _invite(
    connection: Connection, study_id: str, code: str, group: str, orders: Orders
) -> Invitation:
    if not code.strip() or len(code) > _CODE_LENGTH or not code.isprintable():
        raise UserError(f"{code!r}: not usable as a reader's code; use up to 80 letters or digits")
    if _reader_id(connection, study_id, code) is not None:
        raise UserError(
            f"{code}: this reader has been invited already; --renew makes a new link for a lost one"
        )
    newest = select(func.max(readers.c.order_index)).where(readers.c.study_id == study_id)
    last = connection.execute(newest).scalar()
    index = 0 if last is None else last + 1
    if index >= len(orders):
        raise UserError(
            f"the study was made for {len(orders)} readers and all are invited; make it anew with "
            "a larger --readers"
        )
    token = new_token()
    row: dict[str, Any] = {
        "study_id": study_id,
        "code": code,
        "group": group,
        "order_index": index,
        "token_hash": token_hash(token, study_id=study_id),
        "created": now(),
    }
    reader_id = connection.execute(insert(readers).values(row).returning(readers.c.id)).scalar_one()
    shown = [_presentation(reader_id, k, screen) for k, screen in enumerate(orders[index], 1)]
    connection.execute(insert(presentations), shown)
    payload = {"code": code, "group": group, "order_index": index, "presentations": len(shown)}
    append(connection, study_id=study_id, reader_id=reader_id, event="invited", payload=payload)
    return Invitation(code=code, token=token)


def _presentation(reader_id: int, position: int, screen: Presentation) -> dict[str, Any]:
    return {
        "reader_id": reader_id,
        "position": position,
        "block": screen.block,
        "item_id": screen.item,
        "item2_id": screen.item2,
        "presentation": screen.presentation,
        "stimulus_token": new_stimulus_token(),
    }


def renew(database: Database, *, study_id: str, code: str) -> Invitation:
    """A new link for an invited reader; the old one and its sessions end. Answers stay.

    Raises UserError where there is no such reader.
    """
    token = new_token()
    changed = {"token_hash": token_hash(token, study_id=study_id), "revoked": None}
    _change(database, study_id, code, changed, event="renewed")
    return Invitation(code=code, token=token)


def revoke(database: Database, *, study_id: str, code: str) -> None:
    """End a reader's access; answers stay. Raises UserError where there is no such reader."""
    _change(database, study_id, code, {"revoked": now()}, event="revoked")


def _change(
    database: Database, study_id: str, code: str, changed: dict[str, Any], *, event: str
) -> None:
    def change(connection: Connection) -> None:
        lock_study(connection, study_id=study_id)
        reader_id = _reader_id(connection, study_id, code)
        if reader_id is None:
            raise UserError(f"{code}: no reader of this study has this code")
        connection.execute(update(readers).where(readers.c.id == reader_id).values(changed))
        connection.execute(delete(sessions).where(sessions.c.reader_id == reader_id))
        append(connection, study_id=study_id, reader_id=reader_id, event=event, payload={})

    database.write(change)


def invite_administrator(database: Database, *, study_id: str) -> str:
    """The secret of a new administrator's link; links made before go on working."""
    token = new_token()

    def change(connection: Connection) -> None:
        lock_study(connection, study_id=study_id)
        row = {
            "token_hash": token_hash(token, study_id=study_id),
            "study_id": study_id,
            "created": now(),
        }
        connection.execute(insert(administrators).values(row))
        append(connection, study_id=study_id, event="administrator", payload={})

    database.write(change)
    return token


def _reader_id(connection: Connection, study_id: str, code: str) -> int | None:
    chosen = select(readers.c.id).where(readers.c.study_id == study_id, readers.c.code == code)
    return connection.execute(chosen).scalar()
