"""The outcome in one word and the caveats that go with it: what a program can act on.

``told``: readers tell synthetic from real better than chance (the 95 % interval lies above a half);
``reversed``: they are wrong more often than chance; ``at-chance``: equivalent to guessing within
the stated margin; ``undecided``: neither could be shown, which is not a sign of equality.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fetalsynth.statistics.mrmc import FEW_READERS

Outcome = Literal["told", "reversed", "at-chance", "undecided", "unjudged"]
CATCH_FAILED = 0.25


def outcome(together: dict[str, Any], *, pairs: bool) -> tuple[Outcome, str]:
    """The outcome and the measure that it rests on.

    That is the area under the ROC curve where confidence was asked, because it does not depend on
    how readily a reader says "synthetic"; else balanced accuracy, or the share right of pairs.
    """
    figures = together["figures"]
    measure = "correct" if pairs else ("auc" if "auc" in figures else "balanced_accuracy")
    figure = figures.get(measure)
    if figure is None or figure["ci95"] is None:
        return "unjudged", measure
    low, high = figure["ci95"]
    equal = together["equivalence"] or {}
    if low > 0.5:
        return "told", measure
    if high < 0.5:
        return "reversed", measure
    return ("at-chance" if equal.get("shown") else "undecided"), measure


def caveats(record: dict[str, Any]) -> list[dict[str, str]]:
    """What limits the conclusions: each with a name and a sentence."""
    found: list[tuple[str, str]] = []
    together, study = record["together"], record["study"]
    readers = together["readers"]
    problems = record["log_problems"]
    if problems:
        found.append(
            (
                "log",
                f"The log of answers does not hold ({problems[0]}"
                f"{f' and {len(problems) - 1} more' if len(problems) > 1 else ''}): answers were "
                "changed behind the server's back. Find out how before believing anything here.",
            )
        )
    if readers < FEW_READERS:
        found.append(
            (
                "fixed-readers",
                f"{readers} reader{'s' if readers > 1 else ''}, fewer than {FEW_READERS}: fixed "
                "readers. Intervals hold for these readers and other images, not for others.",
            )
        )
    if together["one_answer"]:
        found.append(
            (
                "one-answer",
                f"{_names(together['one_answer'])} gave one answer throughout: accuracy is then "
                "the share of that class, κ is degenerate, and nothing is learnt about ability.",
            )
        )
    equal = together["equivalence"]
    if equal and together["decisions"] < equal["decisions_needed"]:
        found.append(
            (
                "too-few-decisions",
                f"{together['decisions']} decisions; to show equivalence to guessing within "
                f"±{round(100 * equal['margin'])} points takes about {equal['decisions_needed']} "
                "independent ones.",
            )
        )
    found += _conduct(record["conduct"], readers=readers)
    if not study["pairs"] and study["synthetic"] and study["real"]:
        ratio = study["synthetic"] / study["real"]
        if not 0.5 <= ratio <= 2:
            found.append(
                (
                    "unbalanced",
                    f"{study['synthetic']} synthetic and {study['real']} real images: plain "
                    "accuracy would be misleading; only balanced figures are given.",
                )
            )
    return [{"name": name, "reason": reason} for name, reason in found]


def _conduct(records: Sequence[dict[str, Any]], *, readers: int) -> list[tuple[str, str]]:
    found = []
    failed = [
        r["reader"]
        for r in records
        if r["catch"] and r["catch"]["value"] is not None and r["catch"]["value"] > CATCH_FAILED
    ]
    if failed:
        found.append(
            (
                "catch-trials",
                f"{_names(failed)} failed more than a quarter of the obvious trials; look at the "
                "answers before trusting them.",
            )
        )
    unfinished = [r["reader"] for r in records if r["answered"] < r["of"]]
    if unfinished:
        found.append(
            (
                "unfinished",
                f"{len(unfinished)} of {readers} readers did not answer every image "
                f"({_names(unfinished)}); figures use what there is.",
            )
        )
    hasty = [r["reader"] for r in records if r["hasty"] > 0.1 * max(r["answered"], 1)]
    if hasty:
        found.append(
            ("hasty", f"{_names(hasty)} answered more than a tenth in less than a second.")
        )
    return found


def _names(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
