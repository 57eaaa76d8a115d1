"""The append-only log: every event's hash covers the hash of the event before it.

``hash = SHA-256(canonical JSON of {study, seq, at, reader, event, payload, previous})``; a row that
is changed, removed or put in later breaks the chain from there on. What a chain alone cannot show
is a tail cut off; so the answers are checked against it too, and the last hash can be written down
elsewhere (the administrator's page and the export show it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from fetalsynth.reader.database.opening import open_database
from fetalsynth.reader.database.tables import answers, log, presentations, readers, studies

if TYPE_CHECKING:
    from sqlalchemy import Connection

GENESIS = "0" * 64
ANSWER_EVENTS = ("answered", "revised")
ANSWER_FIELDS = ("verdict", "confidence", "quality", "tags", "choice", "submitted_at", "revision")
SHOWN_FIELDS = ("reader_id", "position", "item_id", "item2_id", "shown_at")
TIMES = ("active_seconds", "total_seconds", "hidden_seconds")
_SAME_SECONDS = 1e-6  # sums of several revisions may differ in their last digits


@dataclass(frozen=True, kw_only=True)
class LogCheck:
    """What :func:`verify_log` found: number of entries, last hash per study, and every problem."""

    entries: int
    heads: Mapping[str, str]
    problems: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, removed or added outside the server."""
        return not self.problems


def now() -> str:
    """This moment as ISO 8601 text in UTC, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def canonical(value: Any) -> str:
    """The one JSON text of ``value``: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def lock_study(connection: Connection, *, study_id: str) -> None:
    """Make other writers of the study wait until this transaction ends (SQLite: they do anyway)."""
    chosen = select(studies.c.id).where(studies.c.id == study_id).with_for_update()
    if connection.execute(chosen).first() is None:
        raise LookupError(f"no study {study_id!r} in this database")


def append(
    connection: Connection,
    *,
    study_id: str,
    event: str,
    payload: Mapping[str, Any],
    reader_id: int | None = None,
    at: str | None = None,
) -> str:
    """Add one event inside the caller's transaction; returns its hash.

    The caller holds :func:`lock_study`, so that two events never get one number.
    """
    newest = (
        select(log.c.seq, log.c.hash)
        .where(log.c.study_id == study_id)
        .order_by(log.c.seq.desc())
        .limit(1)
    )
    last = connection.execute(newest).first()
    row = {
        "study_id": study_id,
        "seq": 1 if last is None else last.seq + 1,
        "at": at or now(),
        "reader_id": reader_id,
        "event": event,
        "payload": canonical(payload),
        "previous_hash": GENESIS if last is None else last.hash,
    }
    row["hash"] = _hash(row)
    connection.execute(insert(log).values(row))
    return str(row["hash"])


def _hash(row: Mapping[str, Any]) -> str:
    covered = {name: row[name] for name in row if name != "hash"}
    return hashlib.sha256(canonical(covered).encode()).hexdigest()


def verify_log(url: str) -> LogCheck:
    """Check every chain in the database, and against it every answer: what was said to which item,
    by whom and how fast.

    Raises UserError where the database cannot be opened.
    """
    database = open_database(url)
    with database.reading() as connection:
        if connection.dialect.name != "sqlite":  # there, a transaction sees one moment anyway
            connection.execution_options(isolation_level="REPEATABLE READ")
        rows = connection.execute(select(log).order_by(log.c.study_id, log.c.seq)).mappings().all()
        kept = {row["presentation_id"]: dict(row) for row in _answers(connection)}
    database.close()
    heads, problems = _check_chain(rows)
    return LogCheck(
        entries=len(rows), heads=heads, problems=(*problems, *_check_answers(rows, kept))
    )


def _answers(connection: Connection) -> Any:
    joined = answers.join(presentations).join(readers)
    fields = [answers.c[name] for name in ANSWER_FIELDS]
    fields += [presentations.c[name] for name in (*SHOWN_FIELDS, *TIMES)]
    chosen = select(readers.c.study_id, answers.c.presentation_id, *fields).select_from(joined)
    return connection.execute(chosen).mappings().all()


def _check_chain(rows: Any) -> tuple[dict[str, str], list[str]]:
    heads: dict[str, str] = {}
    counts: dict[str, int] = {}
    problems = []
    for row in rows:
        study = row["study_id"]
        where = f"{study}, entry {row['seq']}"
        counts[study] = counts.get(study, 0) + 1
        if row["seq"] != counts[study]:
            problems.append(f"{where}: entry {counts[study]} is missing")
            counts[study] = row["seq"]
        if row["previous_hash"] != heads.get(study, GENESIS):
            problems.append(f"{where}: does not follow the entry before it")
        if row["hash"] != _hash(row):
            problems.append(f"{where}: was changed after it was written")
        heads[study] = row["hash"]
    return heads, problems


def _check_answers(rows: Any, kept: dict[int, dict[str, Any]]) -> list[str]:
    """Answers that the log does not know, knows otherwise, or that are gone."""
    logged: dict[int, dict[str, Any]] = {}
    for row in rows:
        if row["event"] in ANSWER_EVENTS:
            payload = json.loads(row["payload"])
            number = payload["presentation_id"]
            before = logged.get(number, dict.fromkeys(TIMES, 0.0))
            times = {name: before[name] + payload["timing"][name] for name in TIMES}
            said = {**payload, **payload["answer"], "reader_id": row["reader_id"]}
            logged[number] = {**said, **times}
    problems = []
    for number in sorted(set(logged) | set(kept)):
        if number not in logged:
            problems.append(f"answer to presentation {number}: is not in the log")
        elif number not in kept:
            problems.append(f"answer to presentation {number}: was removed")
        elif not _agree(kept[number], logged[number]):
            problems.append(f"answer to presentation {number}: differs from the log")
    return problems


def _agree(kept: Mapping[str, Any], logged: Mapping[str, Any]) -> bool:
    said = all(kept[name] == logged[name] for name in (*ANSWER_FIELDS, *SHOWN_FIELDS))
    times = ((kept[name], logged[name]) for name in TIMES)
    return said and all(a is not None and abs(a - b) <= _SAME_SECONDS * (1 + b) for a, b in times)
