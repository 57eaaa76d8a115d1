"""From arms to cells: which trainings they need, and which snapshot of which training each is.

Cells that differ in nothing but ``epochs`` are snapshots of one training to the largest of them,
where the learning rate is constant; so a grid of 5 sizes by 4 numbers of epochs is 5 trainings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from fetalsynth.errors import UserError
from fetalsynth.studies.data import DataFacts
from fetalsynth.studies.recipe import RECIPE, Arm, Value
from fetalsynth.training.recipe import Recipe, Run, SliceRecipe, load_recipe, parse_recipe


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of factors with one seed.

    ``factors`` are values as resolved, ``training`` the recipe with every setting, ``base`` the
    name or path that it came from, ``data`` what it trains on.
    """

    arm: str
    factors: Mapping[str, Value]
    seed: int
    base: str
    training: Recipe | SliceRecipe
    data: DataFacts

    @property
    def name(self) -> str:
        """Arm and factors in one line; the same for every seed."""
        said = " ".join(f"{key.rsplit('.')[-1]}={text(v)}" for key, v in self.factors.items())
        return said or self.arm


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The cells that can be run, and sentences about those that were changed or left out."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


_LEFT_OUT = ": left out, "


def cells_of(arms: Sequence[Arm], *, data: Sequence[DataFacts]) -> Cells:
    """Every cell of every arm that the data allow.

    A cell that asks for more images or volumes than there are to train on is trained on all of
    them, once, and a note says so; a cell for which there are no data at all is left out with a
    note. Raises UserError for settings that no recipe has and where no cell is left.
    """
    cells: dict[str, Cell] = {}
    notes: dict[str, None] = {}
    for arm in arms:
        for factors in combinations(arm):
            fitted = _fit(arm, factors, data=data)
            if isinstance(fitted, str):
                notes[fitted] = None
                continue
            training, chosen, note, base = fitted
            if note:
                notes[note] = None
            for seed in arm.seeds:
                cell = Cell(
                    arm=arm.name,
                    factors=_resolved(factors, training, chosen),
                    seed=seed,
                    base=base,
                    training=training,
                    data=chosen,
                )
                cells.setdefault(f"{arm.name}/{cell.name}/{seed}", cell)
    if not cells:
        reasons = dict.fromkeys(note.partition(_LEFT_OUT)[2] for note in notes)
        raise UserError(f"nothing to run: {'; '.join(reasons)}")
    return Cells(cells=tuple(cells.values()), notes=tuple(notes))


def combinations(arm: Arm) -> Iterator[dict[str, Value]]:
    """Every combination of the grid's values with every row of ``zip``."""
    rows = [dict(zip(arm.zip, row, strict=True)) for row in zip(*arm.zip.values(), strict=True)]
    for values in product(*arm.grid.values()):
        for row in rows or [{}]:
            yield {**dict(zip(arm.grid, values, strict=True)), **row}


def with_settings(base: str, settings: Mapping[str, Value], *, where: str) -> Recipe | SliceRecipe:
    """The training recipe ``base`` with ``settings`` (names with dots) in place of its own."""
    raw = load_recipe(base).model_dump()
    for name, value in settings.items():
        *parents, last = name.split(".")
        place = raw
        for parent in parents:
            if not isinstance(place.get(parent), dict):
                raise UserError(f"{where}: {name}: recipe {base} has no such setting")
            place = place[parent]
        if last not in place:
            raise UserError(f"{where}: {name}: recipe {base} has no such setting")
        place[last] = value
    return parse_recipe(raw, where=where)


def text(value: Any) -> str:
    """A value as it stands in the name of a cell and in tables; None is "all"."""
    if value is None:
        return "all"
    if isinstance(value, float):
        return f"{value:g}"
    return "+".join(map(text, value)) if isinstance(value, tuple) else str(value)


def _fit(
    arm: Arm, factors: Mapping[str, Value], *, data: Sequence[DataFacts]
) -> tuple[Recipe | SliceRecipe, DataFacts, str, str] | str:
    """The cell's recipe fitted to the data with a note on what was changed, or why there is none"""
    settings = {**arm.settings, **factors}
    base = str(settings.pop(RECIPE, arm.recipe))
    training = with_settings(base, settings, where=f"arm {arm.name}")
    said = f"arm {arm.name}: " + ", ".join(f"{k} {text(v)}" for k, v in factors.items())
    chosen = _data_for(training, data)
    if isinstance(chosen, str):
        return f"{said}{_LEFT_OUT}{chosen}"
    wanted = training.images if isinstance(training, Recipe) else training.volumes
    there = _there(training, chosen)
    if wanted is None or wanted <= there:
        return training, chosen, "", base
    name = "images" if isinstance(training, Recipe) else "volumes"
    note = (
        f"{name} {wanted} are not there, {chosen.path} has {there} to train on; "
        f"trained on all {there} instead, once (import with a smaller --held-out for more, which "
        "leaves fewer to assess with)"
    )
    return training.model_copy(update={name: None}), chosen, note, base


def _data_for(training: Run, data: Sequence[DataFacts]) -> DataFacts | str:
    if isinstance(training, SliceRecipe):
        one = data[0]
        wanted = training.reconstruction
        if wanted is not None and not one.reconstructions.get(wanted):
            return f"{one.path} has no volumes of reconstruction {wanted} to train on"
        return one
    size, channels = training.generator.size, training.generator.channels
    for one in data:
        if one.size == size and one.channels == channels:
            return one
    return (
        f"no --data of {size}×{size} pixels with {channels} channel(s); import the images with "
        f"--size {size} and give that folder too"
    )


def _there(training: Run, data: DataFacts) -> int:
    if isinstance(training, SliceRecipe) and training.reconstruction is not None:
        return data.reconstructions.get(training.reconstruction, 0)
    return data.to_train_on(training.split)


def _resolved(
    factors: Mapping[str, Value], training: Recipe | SliceRecipe, data: DataFacts
) -> dict[str, Value]:
    """The factors with the values that count: all images become their number."""
    values = dict(factors)
    dumped = training.model_dump()
    for name in factors:
        if name == RECIPE:
            continue
        place: Any = dumped
        for part in name.split("."):
            place = place[part]
        values[name] = _there(training, data) if place is None and name in _COUNTS else place
    return values


_COUNTS = ("images", "volumes")
