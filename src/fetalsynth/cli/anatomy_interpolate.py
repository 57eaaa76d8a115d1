"""``fetalsynth anatomy interpolate``: one brain at ages between two scans of it."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.anatomy.population.interpolation import Between, Pair
    from fetalsynth.anatomy.population.space import Head
    from fetalsynth.artifacts.manifest import Input

VALIDITY = "validity.tsv"
_PICTURE = "ages.png"


@dataclass(frozen=True)
class Interpolate:
    """Make the brain between two label maps of different gestational age.

    The scan nearer in age is carried its share of the way to the other, without folds; scans more
    than three weeks apart are blended. Not for clinical use.
    """

    first: Annotated[Path, tyro.conf.Positional]
    """A label map, or a folder or volumes artifact that holds one."""
    second: Annotated[Path, tyro.conf.Positional]
    """Another label map of the same brain, or of one like it."""
    weeks: tuple[float, ...]
    """The ages to make."""
    out: Path
    """New folder for the label maps."""
    ages: tuple[float, float] | None = None
    """Ages of the two; those recorded in their artifact or participants.tsv if not given."""
    method: Literal["auto", "donor", "blend"] = "auto"
    """donor carries the nearer scan, blend averages the signed distances of both."""
    labels_table: str | None = None
    """Scheme of plain label maps: feta, spina-bifida-atlas, dhcp, or a CSV file."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(arguments: list[str]) -> int:
    """Run the command: 0, or 1 where a label map fails the checks."""
    wanted = tyro.cli(Interpolate, args=arguments, prog="fetalsynth anatomy interpolate")

    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import draft, read_manifest

    if wanted.ages and not all(0 < age < math.inf for age in wanted.ages):
        raise UserError("--ages: give two gestational ages in weeks, above 0")
    heads, names, sources = _read_both(wanted)
    if not wanted.weeks:
        raise UserError("--weeks: give one or more ages")
    low, high = sorted(head.weeks for head in heads)
    if low == high:
        raise UserError(f"both label maps have {low:g} weeks; there is no age between")
    outside = [age for age in wanted.weeks if not low <= age <= high]
    if outside:
        raise UserError(f"--weeks {outside[0]:g}: is not between {low:g} and {high:g} weeks")
    manifest = draft(
        kind="volumes",
        configuration={
            "source": "interpolation",
            "weeks": sorted(set(wanted.weeks)),
            "ages": [head.weeks for head in heads],
            "method": wanted.method,
            "labels_table": wanted.labels_table,
        },
        seed=0,
        inputs=sources,
        synthetic=True,
    )
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return int(bool(read_manifest(wanted.out).facts.get("failed_checks")))
    with building(wanted.out, manifest) as folder:
        facts = _make_all(wanted, heads, names, folder, manifest.licences)
        record_facts(folder, facts)
    for name, reasons in facts["failed_checks"].items():
        print(f"fails checks: {name}: {reasons}", file=sys.stderr)
    print(f"{facts['volumes']} label maps in {wanted.out} (look at {wanted.out / _PICTURE})")
    return int(bool(facts["failed_checks"]))


def _read_both(wanted: Interpolate) -> tuple[list[Head], list[str], tuple[Input, ...]]:
    """The two heads in the order given, their names, and what they come from."""
    from fetalsynth.anatomy.population.space import Head
    from fetalsynth.cli.anatomy_heads import find_heads, read_head

    heads, names, sources = [], [], []
    for place, path in enumerate((wanted.first, wanted.second)):
        found = find_heads(path, labels_table=wanted.labels_table)
        if len(found.heads) != 1:
            raise UserError(f"{path}: holds {len(found.heads)} label maps; give the file of one")
        (head,) = found.heads
        weeks = wanted.ages[place] if wanted.ages else head.weeks or _recorded(path)
        if weeks is None:
            raise UserError(f"{path}: its gestational age is not known; give --ages A B")
        volume = read_head(head, table=found.table)
        heads.append(Head(labels=volume.labels, affine=volume.affine, weeks=weeks))
        names.append(head.name)
        sources.append(found.source.model_copy(update={"role": ("first", "second")[place]}))
    return heads, names, tuple(sources)


def _recorded(path: Path) -> float | None:
    """The age of a file of a volumes artifact, as its tables have it."""
    from fetalsynth.artifacts.manifest import is_artifact
    from fetalsynth.artifacts.volumes import read_participants

    for folder in path.resolve().parents:
        if is_artifact(folder):
            file = path.resolve().relative_to(folder).as_posix()
            ages = {row.labels: row.gestational_age_weeks for row in read_participants(folder)}
            return ages.get(file)
    return None


def _make_all(
    wanted: Interpolate,
    heads: list[Head],
    names: list[str],
    folder: Path,
    licences: tuple[Any, ...],
) -> dict[str, Any]:
    from fetalsynth.anatomy.labels import FETA
    from fetalsynth.anatomy.population.fitting import SPACING_MM
    from fetalsynth.anatomy.population.interpolation import between, match
    from fetalsynth.artifacts.volumes import VolumesWriter, bids_label
    from fetalsynth.cli.computing import choose_device, set_threads
    from fetalsynth.progress import Progress

    device = choose_device(wanted.device)
    set_threads()
    writer = VolumesWriter(folder, synthetic=True, label_names=FETA, licences=licences)
    ages = sorted(set(wanted.weeks))
    made: list[tuple[str, Between]] = []
    with Progress(label="interpolate", total=1 + len(ages), unit="steps") as progress:
        pair = match(*heads, spacing_mm=SPACING_MM, device=device)
        progress.advance()
        for age in ages:
            one = between(pair, weeks=age, method=wanted.method)
            subject = "age" + bids_label(f"{age:g}".replace(".", "p"))
            _write(writer, one, subject=subject, names=names)
            made.append((subject, one))
            progress.advance()
    writer.close()
    failed = _judge(folder, made)
    _draw(folder, pair, made)
    return {"volumes": len(made), "failed_checks": failed}


def _write(writer: Any, one: Between, *, subject: str, names: list[str]) -> None:
    said = {
        "Between": names,
        "GestationalAgeWeeks": one.weeks,
        "Donor": one.donor,
        "MinJacobian": round(one.min_jacobian, 5),
        "FoldedVoxels": one.folded_voxels,
    }
    writer.add(
        image=None,
        labels=one.labels,
        affine=one.affine,
        labels_sidecar=said,
        subject=subject,
        desc="synth",
        gestational_age_weeks=one.weeks,
        extra={"donor": one.donor},
    )


def _judge(folder: Path, made: list[tuple[str, Between]]) -> dict[str, str]:
    """Write the table of checks; returns what failed, by volume."""
    from fetalsynth.anatomy.validity import check
    from fetalsynth.artifacts.tsv import write_tsv

    rows, failed = [], {}
    for name, one in made:
        validity = check(
            one.labels,
            one.affine,
            gestational_age_weeks=one.weeks,
            min_jacobian=one.min_jacobian,
        )
        rows += [
            [name, one.weeks, c.name, c.value, c.low, c.high, c.verdict] for c in validity.checks
        ]
        if not validity.valid:
            failed[name] = "; ".join(f"{c.name} {c.value:.3g}" for c in validity.failed)
    columns = ("volume", "gestational_age_weeks", "check", "value", "low", "high", "verdict")
    write_tsv(folder / VALIDITY, columns, rows)
    return failed


def _draw(folder: Path, pair: Pair, made: list[tuple[str, Between]]) -> None:
    """Every age beside the two scans, all upright and at one scale."""
    from fetalsynth.anatomy.validity_novelty import SPACING_MM, stand_upright
    from fetalsynth.artifacts.files import write_bytes
    from fetalsynth.artifacts.images import encode_png
    from fetalsynth.cli.anatomy_population_picture import Brain, brains_picture

    shown = [(f"{pair.young.weeks:g} weeks, scan", pair.young.labels, pair.young.affine)]
    shown += [(f"{one.weeks:g} weeks", one.labels, one.affine) for _, one in made]
    shown += [(f"{pair.old.weeks:g} weeks, scan", pair.old.labels, pair.old.affine)]
    brains = [
        Brain(title=title, labels=stand_upright(labels, affine), spacing_mm=SPACING_MM)
        for title, labels, affine in shown
    ]
    picture = brains_picture(brains, columns=min(4, len(brains)), cell=130)
    write_bytes(folder / _PICTURE, encode_png(picture))
