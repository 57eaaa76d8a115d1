"""Opening the database: SQLite beside the study by default, any SQLAlchemy URL on request.

SQLite runs in write-ahead mode with ``synchronous=FULL``: a committed answer survives the death of
the process and of the machine. Writers of several processes wait for each other's transactions
(30 seconds at most); those of one process share them, see :mod:`.writing`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.errors import UserError, explaining
from fetalsynth.reader.database.writing import Database

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

_WAIT_SECONDS = 30


def default_url(folder: Path) -> str:
    """SQLite beside the study folder: ``STUDY.answers.sqlite``."""
    path = folder.resolve()
    return f"sqlite:///{path.with_name(path.name + '.answers.sqlite')}"


def open_database(url: str, *, create: bool = False) -> Database:
    """Open the database at ``url``; ``create`` makes file and tables where they are missing.

    Raises UserError where there is none, where it is not of this package or version, or where its
    driver is missing.
    """
    try:
        from sqlalchemy import create_engine, event
        from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
    except ModuleNotFoundError as error:
        raise UserError(
            "reader studies need the optional part 'reader': pip install 'fetalsynth[reader]'"
        ) from error
    try:
        address = _normalised(url)
        _sqlite_file(address, create=create)
        engine = create_engine(address, **_pool(address))
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(f"--database: not a database address that can be used ({error})") from error
    except ModuleNotFoundError as error:
        raise UserError(
            f"--database: the driver {error.name!r} is missing; for PostgreSQL: "
            "pip install 'fetalsynth[postgresql]'"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        _check_version(engine, create=create)
    except DBAPIError as error:
        engine.dispose()
        raise UserError(f"{_shown(address)}: cannot be opened ({error.orig})") from error
    return Database(engine)


def _normalised(url: str) -> URL:
    """The parsed address; PostgreSQL means psycopg 3 unless it names another driver."""
    from sqlalchemy import make_url

    address = make_url(url)
    if address.drivername in ("postgresql", "postgres"):
        return address.set(drivername="postgresql+psycopg")
    return address


def _shown(address: URL) -> str:
    return address.render_as_string(hide_password=True)


def _sqlite_file(address: URL, *, create: bool) -> None:
    """Make the file so that only its owner can read it; answers are personal data."""
    if address.get_backend_name() != "sqlite":
        return
    if not address.database or address.database == ":memory:":
        raise UserError("--database: answers must outlive the server; name a SQLite file")
    path = Path(address.database)
    if path.exists():
        return
    if not create:
        raise UserError(
            f"{path}: there are no answers yet; serve the study or invite a reader first, or "
            "name another --database"
        )
    with explaining(path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _pool(address: URL) -> dict[str, Any]:
    if address.get_backend_name() == "sqlite":
        return {"pool_size": 16, "max_overflow": 48, "connect_args": {"timeout": _WAIT_SECONDS}}
    return {"pool_size": 8, "max_overflow": 8, "pool_pre_ping": True}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _check_version(engine: Engine, *, create: bool) -> None:
    from sqlalchemy import insert, inspect, select

    from fetalsynth.reader.database.tables import VERSION, metadata, versions

    with engine.execution_options(immediate=create).begin() as connection:
        names = set(inspect(connection).get_table_names())
        if not names and create:
            metadata.create_all(connection)
            connection.execute(insert(versions).values(version=VERSION))
            return
        missing = set(metadata.tables) - names
        if "versions" in missing or (
            connection.execute(select(versions.c.version)).scalar() != VERSION
        ):
            raise UserError(
                f"{_shown(engine.url)}: is not a database of reader studies of this version; "
                "name another --database"
            )
