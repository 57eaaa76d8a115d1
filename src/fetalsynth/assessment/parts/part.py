"""What every part of an assessment gives back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fetalsynth.artifacts.scores import Alarm, Cluster, Metric, Pair

PERMUTATIONS = 999
ALPHA = 0.01


@dataclass(frozen=True, kw_only=True)
class Part:
    """Metrics by name, alarms raised, and alarms that could not be judged with the reason.

    ``tables`` are CSV texts by file name: what the plots of a report are drawn from.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()
    unjudged: dict[str, str] = field(default_factory=dict)
    closest_pairs: tuple[Pair, ...] = ()
    duplicate_clusters: tuple[Cluster, ...] = ()
    tables: dict[str, str] = field(default_factory=dict)


def together(parts: Iterable[Part]) -> Part:
    """All parts as one."""
    parts = list(parts)
    return Part(
        metrics={name: metric for part in parts for name, metric in part.metrics.items()},
        alarms=tuple(alarm for part in parts for alarm in part.alarms),
        unjudged={name: why for part in parts for name, why in part.unjudged.items()},
        closest_pairs=tuple(pair for part in parts for pair in part.closest_pairs),
        duplicate_clusters=tuple(one for part in parts for one in part.duplicate_clusters),
        tables={name: text for part in parts for name, text in part.tables.items()},
    )
