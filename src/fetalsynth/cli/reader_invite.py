"""``fetalsynth reader invite``: links for readers and for whoever watches the progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fetalsynth.cli.reader_serve import need_the_optional_part
from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.reader.database.writing import Database
    from fetalsynth.reader.server.folder import ServedStudy


@dataclass(frozen=True)
class Invite:
    """Make a secret link per reader. It is shown once: only its hash is stored."""

    study: Annotated[Path, tyro.conf.Positional]
    """Folder made by: fetalsynth reader new."""
    codes: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Codes of the readers, such as R01 R02 (better than names: answers are kept under them)."""
    group: str = ""
    """Group of these readers (clinician, sonographer, engineer, …), which they may correct."""
    administrator: bool = False
    """A link to the page that shows how far the readers are, and nothing else."""
    renew: bool = False
    """New links for these readers, who are invited already; the old ones end."""
    revoke: bool = False
    """End the access of these readers; their answers stay."""
    address: str = "http://127.0.0.1:8000"
    """Where the readers reach the server; stands in front of every link."""
    database: str | None = None
    """SQLAlchemy URL of the answers, as given to serve."""


def run(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    wanted = tyro.cli(Invite, args=arguments, prog="fetalsynth reader invite")
    if bool(wanted.codes) == wanted.administrator or (wanted.renew and wanted.revoke):
        raise UserError("name readers (R01 R02 …) or give --administrator; --renew or --revoke")
    need_the_optional_part()

    from fetalsynth.reader.database.inviting import register_study
    from fetalsynth.reader.database.opening import default_url, open_database
    from fetalsynth.reader.server.folder import load_study

    served = load_study(wanted.study)
    database = open_database(wanted.database or default_url(wanted.study), create=True)
    register_study(database, study_id=served.id, digest=served.digest, title=served.study.title)
    try:
        print("\n".join(_lines(wanted, served, database)))
    finally:
        database.close()
    return 0


def _lines(wanted: Invite, served: ServedStudy, database: Database) -> list[str]:
    from fetalsynth.reader.database.inviting import invite, invite_administrator, renew, revoke

    address = wanted.address.rstrip("/")
    if wanted.administrator:
        return [f"progress  {address}/a/{invite_administrator(database, study_id=served.id)}"]
    if wanted.revoke:
        for code in wanted.codes:
            revoke(database, study_id=served.id, code=code)
        return [f"{code}: access ended; answers stay" for code in wanted.codes]
    if wanted.renew:
        made = [renew(database, study_id=served.id, code=code) for code in wanted.codes]
    else:
        made = invite(
            database,
            study_id=served.id,
            codes=wanted.codes,
            group=wanted.group,
            orders=served.orders,
        )
    return [
        *(f"{invitation.code}  {address}/r/{invitation.token}" for invitation in made),
        "Send each link to its reader only; it is not shown again (--renew makes another).",
    ]
