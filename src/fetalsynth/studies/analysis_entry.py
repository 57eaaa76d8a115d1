"""One result of the analysis plan, and the words and numbers that all kinds share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fetalsynth.statistics.multiplicity import holm

UNIT = "training run (seed)"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A result as it stands in ``analysis.json``.

    ``method`` is a sentence for a methods section, with its source; ``effect`` has name, value and
    ci95; ``verdict`` is one plain sentence; ``table`` holds further rows. ``p_adjusted`` is after
    Holm over the results of one item of the plan, unless ``method`` says otherwise.
    """

    name: str
    kind: str
    method: str
    verdict: str
    arm: str | None = None
    metric: str | None = None
    factors: tuple[str, ...] = ()
    n: int = 0
    unit: str = UNIT
    statistic: str | None = None
    value: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    effect: dict[str, Any] | None = None
    caveats: tuple[str, ...] = ()
    table: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; what is not a finite number is null."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def adjusted(entries: Sequence[Entry]) -> list[Entry]:
    """Entries with Holm's p over all that have a p and no adjusted one yet."""
    open_ones = [entry.p_value is not None and entry.p_adjusted is None for entry in entries]
    p_values = [
        entry.p_value if wanted and entry.p_value is not None else math.nan
        for entry, wanted in zip(entries, open_ones, strict=True)
    ]
    return [
        replace(entry, p_adjusted=None if math.isnan(p) else float(p)) if wanted else entry
        for entry, wanted, p in zip(entries, open_ones, holm(p_values), strict=True)
    ]


def not_analysed(
    *, kind: str, name: str, why: str, arm: str | None = None, metric: str | None = None
) -> Entry:
    """An entry that says why there is no result."""
    return Entry(
        name=name, kind=kind, arm=arm, metric=metric, method="", verdict=f"Not analysed: {why}"
    )


def effect(name: str, value: float | None, interval: Sequence[float] | None) -> dict[str, Any]:
    """An effect size with its 95 % interval."""
    return {"name": name, "value": value, "ci95": None if interval is None else list(interval)}


def p_text(p: float | None) -> str:
    """ "p = 0.034" or "p < 0.001"."""
    if p is None or math.isnan(p):
        return "no p"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def number(value: float) -> str:
    """Three significant digits, for sentences."""
    return f"{value:.3g}"


def spoken(factor: str) -> str:
    """ "generator.generator_learning_rate" → "generator learning rate"."""
    return factor.rsplit(".", maxsplit=1)[-1].replace("_", " ")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
