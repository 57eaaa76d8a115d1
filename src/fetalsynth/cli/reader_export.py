"""``fetalsynth reader export``: answers with the truth beside them, as tables."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Manifest
    from fetalsynth.reader.database.reading import AnswerRow

_COMMAND = "fetalsynth reader export"


@dataclass(frozen=True)
class Export:
    """Join the answers with the key: tidy table, MRMC layout (iMRMC) and codebook.

    This opens the key. Readers who have not finished should not see the result.
    """

    study: Annotated[Path, tyro.conf.Positional]
    """Folder of the study, with its key."""
    out: Path
    """Folder for answers.csv, mrmc.csv and codebook.csv."""
    database: str | None = None
    """Where the answers are: an SQLAlchemy URL (default: SQLite beside the study)."""


def run(arguments: list[str]) -> int:
    """Run the command: 0. Raises UserError without answers, or where things do not fit."""
    wanted = tyro.cli(Export, args=arguments, prog=_COMMAND)

    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.reader.analysis_rows import rows_csv
    from fetalsynth.reader.export import rows_of, write_export
    from fetalsynth.reader.study import KEY, read_key, read_study
    from fetalsynth.reports.wording import plural

    if wanted.out.resolve().is_relative_to(wanted.study.resolve()):
        raise UserError(
            f"{wanted.out}: lies inside the study, which must not change; choose another"
        )
    study = read_study(wanted.study)
    if not (wanted.study / KEY).is_file():
        raise UserError(f"{wanted.study / KEY}: missing; export where the whole study is kept")
    rows = rows_of(_answers(wanted), read_key(wanted.study))
    manifest = _draft(wanted, rows_csv(rows))
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out} (no answer has come since)")
        return 0
    readers = sorted({row.reader for row in rows})
    with building(wanted.out, manifest) as folder:
        names = write_export(folder, rows, study)
        checked = _log(wanted)
        record_facts(folder, {"answers": len(rows), "readers": len(readers), "log": checked})
    print(f"{plural(len(rows), 'answer')} of {plural(len(readers), 'reader')}: {', '.join(names)}")
    for problem in checked["problems"]:
        print(f"note: the log of answers does not hold: {problem}", file=sys.stderr)
    print(f"next: fetalsynth reader analyse {wanted.out} --out DIR")
    return 0


def _answers(wanted: Export) -> list[AnswerRow]:
    from fetalsynth.reader.database.opening import default_url
    from fetalsynth.reader.database.reading import read_answers

    return read_answers(wanted.database or default_url(wanted.study))


def _log(wanted: Export) -> dict[str, Any]:
    """What the hash chain says: number of entries, last hashes, and every problem."""
    from fetalsynth.reader.database.log import verify_log
    from fetalsynth.reader.database.opening import default_url

    found = verify_log(wanted.database or default_url(wanted.study))
    return {
        "entries": found.entries,
        "heads": dict(found.heads),
        "problems": list(found.problems[:20]),
    }


def _draft(wanted: Export, answers: str) -> Manifest:
    """The request holds the answers' digest, so that more answers make another export."""
    from fetalsynth.artifacts.digest import digest_bytes
    from fetalsynth.artifacts.manifest import draft, input_from

    return draft(
        kind="scores",
        configuration={"reader_export": 1, "answers": digest_bytes(answers.encode("utf-8"))},
        inputs=(input_from(wanted.study, role="study", kind="reader-study"),),
        synthetic=True,
    )
