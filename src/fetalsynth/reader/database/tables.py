"""The tables of a reader study. None of them says which item is real: the key stays in its file.

Times are ISO 8601 text in UTC with microseconds, so that they sort, and read the same, in every
database. ``log`` is only ever added to; every row carries the hash of the one before it.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 1

metadata = MetaData()

versions = Table("versions", metadata, Column("version", Integer, primary_key=True))

studies = Table(
    "studies",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("created", String(32), nullable=False),
)

administrators = Table(
    "administrators",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("created", String(32), nullable=False),
)

readers = Table(
    "readers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("code", String(80), nullable=False),
    Column("group", String(40), nullable=False),
    Column("years_experience", Float),
    Column("order_index", Integer, nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("consented_at", String(32)),
    Column("expertise", Text),
    Column("display", Text),
    Column("practised_at", String(32)),
    Column("finished_at", String(32)),
    Column("last_seen", String(32)),
    Column("created", String(32), nullable=False),
    Column("revoked", String(32)),
    UniqueConstraint("study_id", "code"),
    UniqueConstraint("study_id", "order_index"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("reader_id", ForeignKey("readers.id")),
    Column("administrator", Boolean, nullable=False),
    Column("created", String(32), nullable=False),
)

presentations = Table(
    "presentations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("reader_id", ForeignKey("readers.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("block", String(20), nullable=False),
    Column("item_id", String(64), nullable=False),
    Column("item2_id", String(64)),
    Column("presentation", Integer, nullable=False),
    Column("stimulus_token", String(64), nullable=False, unique=True),
    Column("shown_at", String(32)),
    Column("active_seconds", Float),
    Column("total_seconds", Float),
    Column("hidden_seconds", Float),
    UniqueConstraint("reader_id", "position"),
)

answers = Table(
    "answers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("presentation_id", ForeignKey("presentations.id"), nullable=False, unique=True),
    Column("verdict", String(20)),
    Column("confidence", Integer),
    Column("quality", Integer),
    Column("tags", Text, nullable=False),
    Column("choice", String(10)),
    Column("submitted_at", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
)

drafts = Table(
    "drafts",
    metadata,
    Column("presentation_id", ForeignKey("presentations.id"), primary_key=True),
    Column("json", Text, nullable=False),
    Column("saved_at", String(32), nullable=False),
)

log = Table(
    "log",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("reader_id", Integer),
    Column("event", String(40), nullable=False),
    Column("payload", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

Index("log_by_reader", log.c.study_id, log.c.reader_id)
