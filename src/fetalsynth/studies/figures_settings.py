"""What each kind of figure in a study's recipe may say, and what is drawn where it says none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fetalsynth.errors import UserError
from fetalsynth.studies.recipe import Figure, StudyRecipe


class Drawn(BaseModel):
    """What all kinds have.

    ``metrics`` are names, with ``*`` for any ending; by default those of the arm's analysis.
    ``arm`` not given means a figure for every arm.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: str | None = None
    metrics: tuple[str, ...] = ()


class Boxes(Drawn):
    """Box plots by ``factor`` ("fusion" for rules of fusion); for each factor if not given."""

    kind: Literal["boxes"] = "boxes"
    factor: str | None = None


class Heat(Drawn):
    """Metrics over the first two factors that vary."""

    kind: Literal["heat"] = "heat"


class Samples(Drawn):
    """The first images of every set, ``per_side`` squared of them for each cell."""

    kind: Literal["samples"] = "samples"
    per_side: Annotated[int, Field(ge=1, le=6)] = 2


class Curves(Drawn):
    """Losses and accuracies of all trainings."""

    kind: Literal["curves"] = "curves"


class AgainstReaders(Drawn):
    """Metrics against readers' scores with logarithmic lines; nothing where there are no scores."""

    kind: Literal["readers"] = "readers"


AnyFigure = Boxes | Heat | Samples | Curves | AgainstReaders
KINDS: dict[str, type[AnyFigure]] = {
    "boxes": Boxes,
    "heat": Heat,
    "samples": Samples,
    "curves": Curves,
    "readers": AgainstReaders,
}
BY_DEFAULT: tuple[AnyFigure, ...] = (Samples(), AgainstReaders(), Heat(), Boxes(), Curves())


def figures_of(study: StudyRecipe) -> tuple[AnyFigure, ...]:
    """The figures that the recipe names, or the default ones; UserError for a faulty setting."""
    return parse_figures(study.figures) or BY_DEFAULT


def parse_figures(asked: Sequence[Figure]) -> tuple[AnyFigure, ...]:
    """Validate the figures of a recipe; UserError names the faulty setting."""
    return tuple(_parse(figure, f"figures.{number}") for number, figure in enumerate(asked))


def _parse(figure: Figure, where: str) -> AnyFigure:
    if figure.kind not in KINDS:
        raise UserError(f"{where}: there is no kind {figure.kind!r}; kinds are {', '.join(KINDS)}")
    try:
        return KINDS[figure.kind].model_validate(figure.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"])
        said = "is no setting" if first["type"] == "extra_forbidden" else first["msg"]
        known = ", ".join(KINDS[figure.kind].model_fields)
        raise UserError(f"{where} ({figure.kind}): {setting}: {said}; it takes {known}") from error
