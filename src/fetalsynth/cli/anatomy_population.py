"""``fetalsynth anatomy population``: a model of how brains grow and differ, from label maps."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.anatomy.population.model import Population
    from fetalsynth.anatomy.population.space import Head
    from fetalsynth.artifacts.manifest import Manifest
    from fetalsynth.cli.anatomy_heads import Heads
    from fetalsynth.cli.anatomy_population_store import Donor

FEWEST = 3
_TABLE = "registrations.tsv"


@dataclass(frozen=True)
class PopulationModel:
    """Learn from label maps with gestational ages how brains grow and how they differ.

    Every head is registered to the others near it in age, without folds; new brains come from
    `anatomy sample`. Not for clinical use.
    """

    labels: Annotated[Path, tyro.conf.Positional]
    """Volumes artifact, or folder of NIfTI label maps with a participants.tsv that has ages."""
    out: Path
    """New folder for the model."""
    labels_table: str | None = None
    """Scheme of a plain folder's labels: feta, spina-bifida-atlas, dhcp, or a CSV file."""
    split: str | None = None
    """Only this split of an artifact (train or test)."""
    without: tuple[str, ...] = ()
    """Subjects to leave out, to be compared with later."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(arguments: list[str]) -> int:
    """Run the command: 0, or 1 where label maps had to be left out."""
    wanted = tyro.cli(PopulationModel, args=arguments, prog="fetalsynth anatomy population")

    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import draft, read_manifest
    from fetalsynth.cli.anatomy_heads import find_heads

    if wanted.labels.is_dir() and wanted.out.resolve().is_relative_to(wanted.labels.resolve()):
        raise UserError(f"{wanted.out}: lies inside the folder of label maps; choose another")
    heads = find_heads(wanted.labels, labels_table=wanted.labels_table, split=wanted.split)
    manifest = draft(
        kind="model",
        configuration=_configuration(wanted),
        inputs=(heads.source,),
        synthetic=heads.source.manifest is not None and heads.source.manifest.synthetic,
    )
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return int(bool(read_manifest(wanted.out).facts.get("left_out")))
    volumes, donors, left_out = _read_all(heads, wanted)
    with building(wanted.out, manifest, resumable=True) as folder:
        population = _fit(volumes, folder, device=wanted.device)
        facts = _finish(folder, population, volumes, donors, manifest)
        record_facts(folder, {**facts, "left_out": left_out})
    print(
        f"{len(donors)} heads, {facts['modes']} modes in {wanted.out}; new brains: "
        f"fetalsynth anatomy sample {wanted.out} --n 50 --out DIR"
    )
    return int(bool(left_out))


def _configuration(wanted: PopulationModel) -> dict[str, Any]:
    from fetalsynth.anatomy.population.fitting import SPACING_MM
    from fetalsynth.anatomy.population.regression import RIDGE
    from fetalsynth.cli.anatomy_population_store import FAMILY

    return {
        "family": FAMILY,
        "spacing_mm": SPACING_MM,
        "ridge": RIDGE,
        "labels_table": wanted.labels_table,
        "split": wanted.split,
        "without": sorted(wanted.without),
    }


def _read_all(
    heads: Heads, wanted: PopulationModel
) -> tuple[list[Head], list[Donor], dict[str, str]]:
    """Label maps with ages, what they are called, and why others are left out."""
    from fetalsynth.anatomy.population.space import Head
    from fetalsynth.cli.anatomy_heads import read_head
    from fetalsynth.cli.anatomy_population_store import Donor

    known = {head.item.record.subject for head in heads.heads}
    unknown = [name for name in wanted.without if name.removeprefix("sub-") not in known]
    if unknown:
        raise UserError(f"--without {unknown[0]}: {wanted.labels} has no such subject")
    volumes, donors, left_out = [], [], {}
    names = _donor_names([head.name for head in heads.heads])
    for head, name in zip(heads.heads, names, strict=True):
        record = head.item.record
        if record.subject in {name.removeprefix("sub-") for name in wanted.without}:
            continue
        try:
            if head.weeks is None:
                raise UserError(f"{head.item.path}: its gestational age is not known")
            volume = read_head(head, table=heads.table)
        except UserError as error:
            left_out[head.name] = str(error)
            print(f"note: left out: {error}", file=sys.stderr)
            continue
        volumes.append(Head(labels=volume.labels, affine=volume.affine, weeks=head.weeks))
        donors.append(
            Donor(
                name=name,
                weeks=head.weeks,
                subject=record.subject,
                session=record.session,
                reconstruction=record.reconstruction,
                source=head.item.file,
            )
        )
    if len(volumes) < FEWEST:
        raise UserError(
            f"{wanted.labels}: a population needs at least {FEWEST} label maps with ages (column "
            f"gestational_age of participants.tsv), {len(volumes)} found"
        )
    return volumes, donors, left_out


def _donor_names(names: list[str]) -> list[str]:
    """Letters and digits of each, ``x2``, ``x3``… for those that become one name by that."""
    from fetalsynth.artifacts.volumes import bids_label

    found: list[str] = []
    for name in names:
        plain = bids_label(name) or "head"
        number, unique = 1, plain
        while unique.lower() in (other.lower() for other in found):
            number += 1
            unique = f"{plain}x{number}"
        found.append(unique)
    return found


def _fit(volumes: list[Head], folder: Path, *, device: str) -> Population:
    from fetalsynth.anatomy.population.fitting import ROUNDS, SPACING_MM, fit
    from fetalsynth.artifacts.building import STATE
    from fetalsynth.cli.anatomy_population_store import FolderMemory
    from fetalsynth.cli.computing import choose_device, set_threads
    from fetalsynth.progress import Progress

    where = choose_device(device)
    set_threads()
    total = len(ROUNDS) * len(volumes)
    with Progress(label="register", total=total, unit="registrations") as progress:
        return fit(
            volumes,
            spacing_mm=SPACING_MM,
            memory=FolderMemory(folder / STATE),
            device=where,
            advance=progress.advance,
        )


def _finish(
    folder: Path,
    population: Population,
    volumes: list[Head],
    donors: list[Donor],
    manifest: Manifest,
) -> dict[str, Any]:
    """Write the model; returns what is worth knowing of it."""
    from fetalsynth.anatomy.population.fitting import judge
    from fetalsynth.artifacts.files import write_bytes, write_text
    from fetalsynth.artifacts.images import encode_png
    from fetalsynth.artifacts.model import CARD
    from fetalsynth.artifacts.tsv import write_tsv
    from fetalsynth.cli.anatomy_population_picture import growth_picture
    from fetalsynth.cli.anatomy_population_store import write_population

    write_population(folder, population, heads=volumes, donors=donors)
    fits = judge(population, volumes)
    rows = [
        [d.name, d.weeks, one.size, one.min_jacobian, float(one.folded_voxels), one.dice]
        for d, one in zip(donors, fits, strict=True)
    ]
    columns = ("name", "gestational_age_weeks", "size", "min_jacobian", "folded_voxels", "dice")
    write_tsv(folder / _TABLE, columns, rows)
    write_bytes(folder / "growth.png", encode_png(growth_picture(population, volumes)))
    facts = {
        "volumes": len(donors),
        "youngest_weeks": min(d.weeks for d in donors),
        "oldest_weeks": max(d.weeks for d in donors),
        "modes": len(population.modes.variances),
        "min_jacobian": min(one.min_jacobian for one in fits),
        "folded_voxels": sum(one.folded_voxels for one in fits),
        "dice_with_others": sum(one.dice for one in fits) / len(fits),
    }
    write_text(folder / CARD, _card(facts, manifest))
    return facts


def _card(facts: dict[str, Any], manifest: Manifest) -> str:
    sources = "\n".join(
        f"- {licence.source} ({licence.licence}). {licence.citation}"
        for licence in manifest.licences
    )
    return f"""# Population model of fetal brains

Learnt from {facts["volumes"]} label maps of {facts["youngest_weeks"]:g} to \
{facts["oldest_weeks"]:g} weeks; {facts["modes"]} modes of shape.
Registered label maps agree with those near them in age with a mean Dice of \
{facts["dice_with_others"]:.3f}; the smallest Jacobian determinant of a registration is \
{facts["min_jacobian"]:.3f}, {facts["folded_voxels"]} voxels are folded.

`growth.png` shows the expected brain by age, `registrations.tsv` how each head was fitted,
`modes.tsv` how much each mode varies. The label maps of the donors lie in `donors/`: who gets the
model gets them.

New brains have the cortex of a real donor within three weeks of their age. The model knows no
disease that its donors lack, and no age outside theirs. Not for clinical use.

## Sources

{sources or "None recorded."}
"""
