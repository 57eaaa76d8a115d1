"""What each kind of analysis in a study's plan may say, validated before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fetalsynth.errors import UserError
from fetalsynth.studies.recipe import Analysis, Arm

Level = bool | int | float | str
CELL = "cell"


class Item(BaseModel):
    """What all kinds have.

    ``metrics`` are names, with ``*`` for any ending; by default all that say which way is better.
    ``where`` keeps the cells with these levels of factors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    name: str = ""
    arm: str | None = None
    metrics: tuple[str, ...] = ()
    where: dict[str, Level] = {}
    alpha: float = Field(0.05, gt=0, lt=0.5)


class Factorial(Item):
    """Analysis of variance over all factors of the arm, with trends over numeric ones."""

    kind: Literal["factorial"]


class ByFactor(Item):
    """A comparison of the levels of one factor; of each factor of the arm where none is named.

    The factor "cell" stands for all that an arm varies together, as the rows of its ``zip``.
    """

    factor: str | None = None


class Kruskal(ByFactor):
    """Rank tests: Kruskal–Wallis with Dunn's pairs, Friedman's within trainings."""

    kind: Literal["kruskal"]


class Trend(ByFactor):
    """Change per doubling of a numeric factor.

    ``expected`` "better" makes the test one-sided in the direction that each metric calls better.
    """

    kind: Literal["trend"]
    expected: Literal["better", "either"] = "either"


class Equivalence(ByFactor):
    """Whether all levels are within ± ``margin`` of each other.

    ``unit`` "metric" takes the margin as it is, "floor" as a multiple of what real images score
    against real images.
    """

    kind: Literal["equivalence"]
    margin: float = Field(gt=0)
    unit: Literal["metric", "floor"] = "metric"


class Power(ByFactor):
    """Seeds that would be needed: for ``difference``, or for the largest one observed."""

    kind: Literal["power"]
    difference: float | None = Field(None, gt=0)
    power: float = Field(0.8, gt=0, lt=1)


class Readers(Item):
    """Correlation of every metric, and of all 256 LBP elements, with readers' scores.

    ``scores`` is a CSV file with columns set and score, optionally reader. ``exchange`` says what
    permutations exchange: single sets, or the trainings that sets are snapshots of and the epochs
    within them; "auto" takes trainings where at least eight have equally many sets.
    """

    kind: Literal["metric-versus-reader", "readers"]
    exchange: Literal["auto", "sets", "trainings"] = "auto"
    scores: Path | None = None
    method: Literal["spearman", "kendall", "pearson"] = "spearman"
    permutations: int = Field(19_999, ge=999, le=10_000_000)


class Published(Item):
    """The analysis of Bautista et al. 2022, with its caveats beside it."""

    kind: Literal["published-ultrasound"]
    scores: Path | None = None
    threshold: float = Field(0.2, gt=0, lt=1)


AnyItem = Factorial | Kruskal | Trend | Equivalence | Power | Readers | Published
KINDS: dict[str, type[AnyItem]] = {
    "factorial": Factorial,
    "kruskal": Kruskal,
    "trend": Trend,
    "equivalence": Equivalence,
    "power": Power,
    "metric-versus-reader": Readers,
    "readers": Readers,
    "published-ultrasound": Published,
}


def parse_items(plan: Sequence[Analysis], *, where: str = "analysis") -> tuple[AnyItem, ...]:
    """Validate the items of an analysis plan; UserError names the faulty setting."""
    return tuple(_parse(item, f"{where}.{number}") for number, item in enumerate(plan))


def check_factors(items: Sequence[BaseModel], *, arms: Sequence[Arm], where: str) -> None:
    """Raise UserError where an item, or a figure, names a factor that its arms do not have."""
    for number, item in enumerate(items):
        chosen = getattr(item, "arm", None)
        own = {name for arm in arms if chosen in (None, arm.name) for name in arm.factors()}
        own |= {CELL, "fusion"}
        factor: str | None = getattr(item, "factor", None)
        where_named: set[str] = set(getattr(item, "where", {}))
        unknown = (set() if factor is None else {factor} - own) | where_named - own - _COLUMNS
        if unknown:
            raise UserError(
                f"{where}.{number} ({getattr(item, 'kind', '')}): there is no factor "
                f"{', '.join(sorted(unknown))} in {f'arm {chosen}' if chosen else 'any arm'}; "
                f"there are {', '.join(sorted(own))}"
            )


_COLUMNS = {"arm", "seed", "set"}  # of results.csv that `where` may name as well


def _parse(item: Analysis, where: str) -> AnyItem:
    if item.kind not in KINDS:
        raise UserError(f"{where}: there is no kind {item.kind!r}; kinds are {', '.join(KINDS)}")
    try:
        return KINDS[item.kind].model_validate(item.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"])
        said = "is no setting" if first["type"] == "extra_forbidden" else first["msg"]
        known = ", ".join(KINDS[item.kind].model_fields)
        raise UserError(f"{where} ({item.kind}): {setting}: {said}; it takes {known}") from error
