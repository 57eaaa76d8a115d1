"""What a study's analysis found, in groups as planned: sentences first, then every number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from fetalsynth.reports.reader_plots import Line, Mark, interval_chart
from fetalsynth.reports.wording import listing, number, p_value, plural

ALPHA = 0.05
MOST_DETAILS = 24
KINDS = {
    "factorial": "Analysis of variance",
    "kruskal": "Rank tests",
    "trend": "Trends",
    "equivalence": "Equivalence",
    "power": "Seeds that would be needed",
    "readers": "Metrics against readers’ scores",
    "metric-versus-reader": "Metrics against readers’ scores",
    "published-ultrasound": "As published in 2022",
}
_SHOWN = {
    "factorial": "an effect",
    "kruskal": "a difference",
    "trend": "a trend",
    "equivalence": "equivalence",
    "readers": "a relation with the readers’ scores",
    "metric-versus-reader": "a relation with the readers’ scores",
}
_SHARES = {0.0: "0", 0.25: "25 %", 0.5: "50 %", 0.75: "75 %", 1.0: "100 %"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One result. ``shown`` is None where nothing was tested; ``details`` has its header first."""

    metric: str
    about: str
    effect: str
    interval: str
    statistic: str
    p: str
    shown: bool | None
    verdict: str
    n: str
    caveats: tuple[str, ...]
    details: tuple[tuple[str, ...], ...]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """The results of one item of the plan.

    ``summary`` are sentences for the head of the report, ``caveats`` what holds for all results,
    ``missing`` why others are not there.
    """

    title: str
    kind: str
    words: str
    arm: str
    summary: tuple[str, ...]
    methods: tuple[str, ...]
    caveats: tuple[str, ...]
    findings: tuple[Finding, ...]
    missing: tuple[tuple[str, str], ...]
    chart: Markup | None
    tested: int
    held: int


def groups_of(
    entries: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]]
) -> tuple[Group, ...]:
    """Entries of ``analysis.json`` by the items of the recipe's analysis plan, in their order."""
    named: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    alphas = {str(item.get("name", "")): float(item.get("alpha", ALPHA)) for item in items}
    titles = [name for name in alphas if name]
    for entry in entries:
        title = next(
            (t for t in titles if entry["name"] == t or entry["name"].startswith(f"{t}: ")), ""
        )
        named.setdefault((title, entry["kind"], entry["arm"] or ""), []).append(entry)
    return tuple(
        _group(title, kind, arm, own, alphas.get(title, ALPHA))
        for (title, kind, arm), own in named.items()
    )


def _group(
    title: str, kind: str, arm: str, entries: Sequence[Mapping[str, Any]], alpha: float
) -> Group:
    done = [entry for entry in entries if entry["method"]]
    findings = tuple(_finding(entry, alpha) for entry in done)
    shared = [
        caveat
        for caveat in dict.fromkeys(c for entry in done for c in entry["caveats"])
        if sum(caveat in entry["caveats"] for entry in done) * 2 > len(done)
    ]
    findings = tuple(_without(finding, shared) for finding in findings)
    tested = [finding for finding in findings if finding.shown is not None]
    words = KINDS.get(kind, kind)
    return Group(
        title=title or words,
        kind=kind,
        words=words,
        arm=arm,
        summary=tuple(_summary(kind, done, findings)),
        methods=tuple(dict.fromkeys(entry["method"] for entry in done)),
        caveats=tuple(shared),
        findings=findings,
        missing=_missing(entries),
        chart=_chart(done),
        tested=len(tested),
        held=sum(bool(finding.shown) for finding in tested),
    )


def _missing(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Metrics without a result, by reason."""
    found: dict[str, dict[str, None]] = {}
    for entry in (entry for entry in entries if not entry["method"]):
        found.setdefault(entry["verdict"], {})[entry["metric"] or "all"] = None
    return tuple((listing(list(metrics)), reason) for reason, metrics in found.items())


def _without(finding: Finding, shared: Sequence[str]) -> Finding:
    own = tuple(caveat for caveat in finding.caveats if caveat not in shared)
    return replace(finding, caveats=own)


def _finding(entry: Mapping[str, Any], alpha: float) -> Finding:
    effect = entry["effect"] or {}
    ends = next((effect[key] for key in effect if key.startswith("ci")), None)
    level = next((key.removeprefix("ci") for key in effect if key.startswith("ci")), "95")
    adjusted = entry["p_adjusted"]
    p = "" if adjusted is None else p_value(adjusted)
    if adjusted is None and entry["p_value"] is not None:
        p = f"{p_value(entry['p_value'])}, not adjusted"  # the column is headed "adjusted"
    rows = entry["table"]
    header = list(dict.fromkeys(key for row in rows for key in row))
    details = [tuple(_words(key) for key in header)] if rows else []
    details += [tuple(_value(row.get(key), key) for key in header) for row in rows[:MOST_DETAILS]]
    known = effect.get("value") is not None
    return Finding(
        metric=entry["metric"] or "all",
        about=" × ".join(_words(factor) for factor in entry["factors"]),
        effect=f"{effect['name']} {number(effect['value'])}" if known else "",
        interval=_interval(effect.get("value"), ends, level),
        statistic=_statistic(entry),
        p=p,
        shown=None if adjusted is None or entry["kind"] not in _SHOWN else adjusted < alpha,
        verdict=entry["verdict"],
        n=f"{entry['n']} × {entry['unit']}" if entry["n"] else "",
        caveats=tuple(entry["caveats"]),
        details=tuple(details),
        left_out=max(0, len(rows) - MOST_DETAILS),
    )


def _statistic(entry: Mapping[str, Any]) -> str:
    if entry["statistic"] is None or entry["value"] is None:
        return ""
    return f"{entry['statistic']} = {number(entry['value'])}"


def _interval(value: float | None, ends: Sequence[float | None] | None, level: str) -> str:
    if value is None or not ends or ends[0] is None or ends[1] is None:
        return ""
    beside = (value, ends[0], ends[1])
    said = " to ".join(number(end, beside=beside) for end in (ends[0], ends[1]))
    return said if level == "95" else f"{said} ({level} %)"


def _words(key: str) -> str:
    return key.rsplit(".", maxsplit=1)[-1].replace("_", " ")


def _value(value: Any, key: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return p_value(value) if key.startswith("p_") else number(value)
    return str(value)


def _summary(
    kind: str, entries: Sequence[Mapping[str, Any]], findings: Sequence[Finding]
) -> Iterator[str]:
    """A sentence for each factor: for how many metrics something was shown, and which."""
    if kind == "power":
        yield from _needed(entries)
        return
    if kind not in _SHOWN:
        yield from (finding.verdict for finding in findings)
        return
    tested = [finding for finding in findings if finding.shown is not None]
    for about in dict.fromkeys(finding.about for finding in tested):
        own = [finding for finding in tested if finding.about == about]
        held = [finding.metric for finding in own if finding.shown]
        where = f"{about}: " if about else ""
        if len(own) == 1:
            yield own[0].verdict
        elif held:
            yield (
                f"{where}{_SHOWN[kind]} was shown for {len(held)} of "
                f"{plural(len(own), 'metric')} ({listing(held)})."
            )
        else:
            yield f"{where}{_SHOWN[kind]} was shown for none of {plural(len(own), 'metric')}."


def _needed(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How many seeds the metrics would need, from least to most."""
    for about in dict.fromkeys(tuple(entry["factors"]) for entry in entries):
        own = [entry for entry in entries if tuple(entry["factors"]) == about]
        known = sorted((e["value"], e["metric"]) for e in own if e["value"] is not None)
        name = " × ".join(map(_words, about))
        if known:
            (least, first), (most, last) = known[0], known[-1]
            said = f"{least:g}" if least == most else f"{least:g} ({first}) to {most:g} ({last})"
            yield (
                f"{name}: {said} seeds per level would show the largest difference seen, or the "
                "one that was asked for."
            )


def _chart(entries: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Shares of variance with their intervals, a row for each metric; None for other effects."""
    shares = [
        entry
        for entry in entries
        if (entry["effect"] or {}).get("name") == "partial omega squared"
        and entry["effect"].get("ci95")
        and entry["effect"].get("value") is not None
    ]
    if len(shares) < 2:
        return None
    abouts = list(dict.fromkeys(" × ".join(map(_words, entry["factors"])) for entry in shares))
    metrics = dict.fromkeys(entry["metric"] for entry in shares)
    lines = [
        Line(
            label=metric,
            marks=tuple(
                Mark(
                    value=max(0.0, entry["effect"]["value"]),
                    ends=(entry["effect"]["ci95"][0], entry["effect"]["ci95"][1]),
                    series=abouts.index(" × ".join(map(_words, entry["factors"]))) % 6,
                )
                for entry in shares
                if entry["metric"] == metric
            ),
        )
        for metric in metrics
    ]
    return interval_chart(
        lines,
        low=0.0,
        high=1.0,
        ticks=_SHARES,
        series=abouts,
        description="Share of the variance that each factor explains, with 95 % intervals",
    )
