"""``fetalsynth anatomy check``: are label maps plausible brains, and new ones?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.anatomy.validity import Validity
    from fetalsynth.cli.anatomy_heads import Heads


@dataclass(frozen=True)
class Check:
    """Check label maps: parts, contacts, volumes by age, symmetry, smoothness, novelty."""

    labels: Annotated[Path, tyro.conf.Positional]
    """Volumes artifact, folder of NIfTI label maps, or one such file."""
    train: Path | None = None
    """The label maps that these must not copy."""
    table: Path | None = None
    """Write every value with its limits into this CSV file."""
    labels_table: str | None = None
    """Scheme of a plain folder's labels: feta, spina-bifida-atlas, dhcp, or a CSV file."""
    split: str | None = None
    """Only this split of an artifact (train or test)."""
    weeks: float | None = None
    """Gestational age of the volumes for which none is recorded."""


def run(arguments: list[str]) -> int:
    """Run the command: 0 where every label map passes every check, else 1."""
    wanted = tyro.cli(Check, args=arguments, prog="fetalsynth anatomy check")

    from fetalsynth.cli.anatomy_heads import find_heads

    if wanted.table is not None and wanted.table.exists():
        raise UserError(f"{wanted.table}: exists already; choose another name or move it away")
    heads = find_heads(
        wanted.labels, labels_table=wanted.labels_table, split=wanted.split, weeks=wanted.weeks
    )
    training = [] if wanted.train is None else _training(wanted.train, wanted)
    found, broken = _check_all(heads, training)
    if not found:
        raise UserError(next(iter(broken.values())))
    if wanted.table is not None:
        _write(wanted.table, found)
    _print(found)
    bad = sum(not validity.valid for validity in found.values())
    print(f"{len(found) - bad} of {len(found)} label maps pass; {len(broken)} could not be read")
    return 1 if bad or broken else 0


def _training(folder: Path, wanted: Check) -> list[Any]:
    from fetalsynth.anatomy.validity_novelty import stand_upright
    from fetalsynth.artifacts.manifest import is_artifact
    from fetalsynth.cli.anatomy_heads import find_heads, read_head
    from fetalsynth.progress import track

    table = None if is_artifact(folder) else wanted.labels_table
    heads = find_heads(folder, labels_table=table)
    upright = []
    for head in track(heads.heads, label="training maps", total=len(heads.heads), unit="volumes"):
        volume = read_head(head, table=heads.table)
        upright.append(stand_upright(volume.labels, volume.affine))
    return upright


def _check_all(heads: Heads, training: list[Any]) -> tuple[dict[str, Validity], dict[str, str]]:
    from fetalsynth.anatomy.validity import check
    from fetalsynth.cli.anatomy_heads import read_head
    from fetalsynth.progress import Progress

    found, broken = {}, {}
    with Progress(label="check", total=len(heads.heads), unit="volumes") as progress:
        for head in heads.heads:
            try:
                volume = read_head(head, table=heads.table)
                found[head.name] = check(
                    volume.labels,
                    volume.affine,
                    gestational_age_weeks=head.weeks,
                    training=training,
                )
            except UserError as error:
                broken[head.name] = str(error)
                print(f"note: left out: {error}", file=sys.stderr)
            progress.advance(note=head.name)
    return found, broken


def _print(found: dict[str, Validity]) -> None:
    for name, validity in found.items():
        unjudged = sum(one.verdict == "unjudged" for one in validity.checks)
        judged = len(validity.checks) - unjudged
        print(f"{'pass' if validity.valid else 'FAIL'}  {name} ({judged} checks)")
        for one in validity.failed:
            print(f"      {one.name}: {one.value:.3g}, {_limits(one)} ({one.meaning})")


def _limits(one: Any) -> str:
    low = "" if one.low is None else f"at least {one.low:g}"
    high = "" if one.high is None else f"at most {one.high:g}"
    return " and ".join(text for text in (low, high) if text)


def _write(path: Path, found: dict[str, Validity]) -> None:
    from fetalsynth.artifacts.files import write_text
    from fetalsynth.assessment.tables import csv_text

    header = ("volume", "check", "value", "low", "high", "verdict", "meaning")
    rows = [
        (name, one.name, one.value, one.low, one.high, one.verdict, one.meaning)
        for name, validity in found.items()
        for one in validity.checks
    ]
    write_text(path, csv_text(header, rows))
