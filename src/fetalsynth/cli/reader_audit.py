"""``fetalsynth reader audit``: does anything but the pictures give the answer away?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fetalsynth.errors import UserError


@dataclass(frozen=True)
class AuditStudy:
    """Look for leaks in names, files and traces of handling; opens the key of the study."""

    study: Annotated[Path, tyro.conf.Positional]
    """Folder that reader new made."""
    table: Path | None = None
    """Write every cue with its AUC and p-value into this CSV file."""
    seed: int = 0
    """Names the permutations."""


def run(arguments: list[str]) -> int:
    """Run the command: 0 where no leak was found, else 1."""
    wanted = tyro.cli(AuditStudy, args=arguments, prog="fetalsynth reader audit")

    from fetalsynth.artifacts.manifest import is_artifact, read_manifest
    from fetalsynth.reader.audit import audit_study, said

    if is_artifact(wanted.study):
        read_manifest(wanted.study, kind="reader-study")
    if wanted.table is not None and wanted.table.exists():
        raise UserError(f"{wanted.table}: exists already; choose another name or move it away")
    audit = audit_study(wanted.study, seed=wanted.seed)
    if wanted.table is not None:
        _write(wanted.table, audit)
    print(said(audit))
    return 1 if audit.verdict == "leak" else 0


def _write(path: Path, audit: object) -> None:
    from fetalsynth.artifacts.files import write_text
    from fetalsynth.assessment.tables import csv_text
    from fetalsynth.reader.audit import Audit

    assert isinstance(audit, Audit)
    header = ("family", "cue", "auc", "p", "medians", "mend")
    rows = [(o.family, o.name, o.auc, o.p, o.told, o.mend) for o in audit.findings]
    rows += [(c.family, "classifier", c.auc, c.p, "", "") for c in audit.combined]
    write_text(path, csv_text(header, rows))
