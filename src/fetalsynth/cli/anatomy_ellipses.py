"""``fetalsynth anatomy ellipses``: label maps of new heads to make ultrasound images for."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import tyro

from fetalsynth.errors import UserError, explaining

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Input, Licence
    from fetalsynth.datasets.new_heads import NewHead

_LARGEST = 4096
_SMALLEST = 16
_AGE = "gestational_age_weeks"


@dataclass(frozen=True, kw_only=True)
class Ellipses:
    """New fetal heads as label maps of known size: by the growth standard or like a data set's."""

    n: int
    """How many heads. The first k of a seed are the same, however many you ask for."""
    out: Path
    """Folder for the label maps, their table and a picture of the first."""
    weeks: tuple[float, float] = (14.0, 40.0)
    """Gestational ages, uniform between the two; INTERGROWTH-21st covers 14 to 40."""
    ages: Path | None = None
    """CSV file with a column gestational_age_weeks: draw ages from it instead."""
    centiles: tuple[float, float] = (0.0, 100.0)
    """Only heads whose circumference lies between these centiles for their age."""
    like: Path | None = None
    """Images artifact with head ellipses: draw size, shape, zoom and place as they occur there."""
    split: str | None = None
    """With --like: the split to take (default: train, or everything where nothing is split)."""
    size: int = 256
    """Width and height of the label maps, pixels."""
    pixel_spacing: float | None = None
    """Mm per pixel of all of them (default: so that heads fill what they fill in real images)."""
    aspect: float = 0.675
    """Height over width of the part of the square where heads lie (1: all of it)."""
    seed: int = 0
    """Other seeds give other heads."""


_STANDARD_ONLY = ("weeks", "ages", "centiles", "pixel_spacing", "aspect")


@dataclass(frozen=True, kw_only=True)
class _Law:
    """What heads are drawn from: ``head`` makes number k; ``facts`` say what it was fitted to."""

    inputs: tuple[Input, ...]
    licences: tuple[Licence, ...]
    configuration: dict[str, Any]
    head: Callable[[int], NewHead]
    facts: dict[str, Any]


def run(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    wanted = tyro.cli(Ellipses, args=arguments, prog="fetalsynth anatomy ellipses")

    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import draft
    from fetalsynth.datasets.new_heads import check_sizes, write_heads

    _check(wanted)
    law = _standard(wanted) if wanted.like is None else _like(wanted, wanted.like)
    manifest = draft(
        kind="images",
        configuration={"makes": "head ellipses", "n": wanted.n, "size": wanted.size}
        | law.configuration,
        seed=wanted.seed,
        inputs=law.inputs,
        licences=law.licences,
        synthetic=True,
    )
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return 0
    heads = [law.head(number) for number in range(wanted.n)]
    check_sizes(heads, size=wanted.size)
    with building(wanted.out, manifest, resumable=True) as folder:
        facts = {**write_heads(folder, heads, seed=wanted.seed), **law.facts, **_novelty(heads)}
        record_facts(folder, facts)
    _print(wanted.out, heads, facts)
    return 0


def _check(wanted: Ellipses) -> None:
    if wanted.n < 1:
        raise UserError(f"--n {wanted.n}: ask for at least one head")
    if not _SMALLEST <= wanted.size <= _LARGEST:
        raise UserError(f"--size {wanted.size}: give {_SMALLEST} to {_LARGEST} pixels")
    if wanted.like is not None:
        for field in fields(wanted):
            if field.name in _STANDARD_ONLY and getattr(wanted, field.name) != field.default:
                option = field.name.replace("_", "-")
                raise UserError(f"--{option}: --like takes it from the data; leave one of them out")
        if wanted.out.resolve().is_relative_to(wanted.like.resolve()):
            raise UserError(f"{wanted.out}: lies inside the data set; choose another")
    elif wanted.split is not None:
        raise UserError("--split: means nothing without --like; leave it out")
    if wanted.pixel_spacing is not None and not 0 < wanted.pixel_spacing < math.inf:
        raise UserError(f"--pixel-spacing {wanted.pixel_spacing:g}: give mm per pixel, above 0")
    if not 0.1 <= wanted.aspect <= 1:
        raise UserError(f"--aspect {wanted.aspect:g}: give height over width from 0.1 to 1")


def _standard(wanted: Ellipses) -> _Law:
    from fetalsynth.anatomy.heads2d.growth import check_centiles
    from fetalsynth.artifacts.digest import digest_file
    from fetalsynth.artifacts.manifest import Input, Licence
    from fetalsynth.datasets.new_heads import Standard, standard_head
    from fetalsynth.datasets.phantoms.ultrasound_sampling import check_ages

    check_centiles(wanted.centiles)
    if wanted.ages is not None and wanted.weeks != Ellipses.weeks:
        raise UserError("--weeks: --ages gives the ages already; leave one of them out")
    check_ages(wanted.weeks)
    ages = () if wanted.ages is None else _read_ages(wanted.ages)
    law = Standard(
        weeks=wanted.weeks,
        ages_weeks=ages,
        centiles=wanted.centiles,
        aspect=wanted.aspect,
        pixel_spacing_mm=wanted.pixel_spacing,
    )
    inputs: tuple[Input, ...] = ()
    if wanted.ages is not None:
        inputs = (Input(role="ages", path=str(wanted.ages), digest=digest_file(wanted.ages)),)
    licence = Licence(
        source="fetalsynth head ellipses",
        licence="Apache-2.0",
        citation="Head size after Papageorghiou et al. 2014, International standards for fetal "
        "growth based on serial ultrasound measurements: the Fetal Growth Longitudinal Study of "
        "the INTERGROWTH-21st Project, Lancet 384:869-879",
    )
    return _Law(
        inputs=inputs,
        licences=(licence,),
        configuration={
            "law": "INTERGROWTH-21st",
            "weeks": None if wanted.ages else list(wanted.weeks),
            "centiles": list(wanted.centiles),
            "aspect": wanted.aspect,
            "pixel_spacing_mm": wanted.pixel_spacing,
        },
        head=partial(_numbered, standard_head, law, seed=wanted.seed, size=wanted.size),
        facts={"ages": len(ages)} if ages else {},
    )


def _numbered(
    make: Callable[..., NewHead], law: Any, number: int, *, seed: int, size: int
) -> NewHead:
    return make(law, number=number, seed=seed, size=size)


def _read_ages(path: Path) -> tuple[float, ...]:
    """The ages in a CSV file. Raises UserError for one that is no number or beyond 14 to 40."""
    from fetalsynth.anatomy.biometry import AGE_RANGE_WEEKS

    low, high = AGE_RANGE_WEEKS
    with explaining(path), path.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        if _AGE not in (rows.fieldnames or ()):
            raise UserError(f"{path}: lacks the column {_AGE}")
        texts = [(row[_AGE], rows.line_num) for row in rows if row[_AGE]]
    ages = []
    for text, line in texts:
        try:
            age = float(text)
        except ValueError:
            age = math.nan
        if not low <= age <= high:
            raise UserError(
                f"{path}, line {line}: {_AGE} {text!r} is not from {low:g} to {high:g}, the ages "
                "that the growth standard covers; take the row out"
            )
        ages.append(age)
    if not ages:
        raise UserError(f"{path}: has no ages in the column {_AGE}")
    return tuple(ages)


def _like(wanted: Ellipses, folder: Path) -> _Law:
    from fetalsynth.anatomy.heads2d.head import lies_in_picture
    from fetalsynth.anatomy.heads2d.likeness import fit_likeness
    from fetalsynth.anatomy.heads2d.novelty import nearest_apart
    from fetalsynth.datasets.heads import read_heads
    from fetalsynth.datasets.new_heads import like_head

    known = read_heads(folder, split=wanted.split)
    pairs = zip(known.heads, known.subjects, strict=True)
    whole = [(head, subject) for head, subject in pairs if lies_in_picture(head)]
    subjects = [subject for _, subject in whole]
    try:
        likeness = fit_likeness([head for head, _ in whole], subjects=subjects)
    except ValueError as error:
        raise UserError(f"{folder}: {error} to draw others like them; give more images") from error
    apart = nearest_apart(likeness.outlines, groups=subjects)
    return _Law(
        inputs=(known.source,),
        licences=(),
        configuration={"law": "like", "split": wanted.split},
        head=partial(_numbered, like_head, likeness, seed=wanted.seed, size=wanted.size),
        facts={
            "heads": len(whole),
            "subjects": len(set(subjects)),
            "images_without_ellipse_or_spacing": known.lacking,
            "heads_cut_by_the_picture": len(known.heads) - len(whole),
            "nearest_distance_between_subjects_median": round(float(median(apart)), 6),
        },
    )


def _novelty(heads: list[NewHead]) -> dict[str, Any]:
    """How far the heads are from the data set's, in picture sizes; nothing for the standard's."""
    found = [float(one.columns["nearest_distance"]) for one in heads if "redrawn" in one.columns]
    if not found:
        return {}
    return {
        "nearest_distance_median": round(median(found), 6),
        "nearest_distance_least": min(found),
    }


def _print(out: Path, heads: list[NewHead], facts: dict[str, Any]) -> None:
    sizes = sorted(one.head.head_circumference_mm for one in heads)
    ages = [one.head.gestational_age_weeks for one in heads if one.head.gestational_age_weeks]
    print(f"{len(heads)} label maps of heads in {out} (look at {out / 'preview.png'})")
    print(
        f"  circumference {sizes[0]:.0f} to {sizes[-1]:.0f} mm, median {median(sizes):.0f}; the "
        f"maps tell it within {100 * facts['worst_circumference_error']:.2g} %"
    )
    if ages:
        print(f"  age {min(ages):.1f} to {max(ages):.1f} weeks")
    if len(ages) < len(heads):
        print(f"  {len(heads) - len(ages)} heads are beyond 14 to 40 weeks and have no age")
    if "nearest_distance_median" in facts:
        print(
            f"  nearest known head: {100 * facts['nearest_distance_median']:.2g} % of the picture "
            f"away (median; between subjects of the data "
            f"{100 * facts['nearest_distance_between_subjects_median']:.2g} %)"
        )
