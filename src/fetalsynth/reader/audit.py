"""Does anything but the content of the pictures tell which items are real?

The chance of a false alarm is at most ``LEVEL``, whatever the images: see
:func:`fetalsynth.reader.audit_statistics.tell_apart`. It is divided evenly among the families of
cues: names (ids, orders), files, and traces of handling in the pixels.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fetalsynth.artifacts.files import write_text
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng
from fetalsynth.reader.audit_cues import GATED, Cue, Family, cues_of, describe
from fetalsynth.reader.audit_pixels import TRACES
from fetalsynth.reader.audit_statistics import detectable, least_p, tell_apart
from fetalsynth.reader.study import read_key, read_orders, read_study

LEVEL = 0.01
AUDIT = "audit.json"
_STRONG = 0.85  # a leak below this AUC may be missed: then the audit says that items are few

Verdict = Literal["passed", "leak", "too few items"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One cue: ``auc`` above 0.5 where it is larger in real items; ``p`` adjusted in its family."""

    name: str
    family: Family
    auc: float
    p: float
    told: str
    mend: str


@dataclass(frozen=True, kw_only=True)
class Combined:
    """The cross-validated classifier on all cues of a family."""

    family: Family
    auc: float
    p: float


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit found; ``detectable`` is the AUC that it finds with a chance of 80 %."""

    verdict: Verdict
    real: int
    synthetic: int
    leaks: tuple[Finding, ...]
    combinations: tuple[Combined, ...]
    findings: tuple[Finding, ...]
    combined: tuple[Combined, ...]
    detectable: float


def audit_study(folder: Path, *, seed: int = 0) -> Audit:
    """Audit the study in ``folder``: main and practice items, without catch trials.

    Raises UserError where files of it are missing or broken, or items have no row in the key.
    """
    study, orders, key = read_study(folder), read_orders(folder), read_key(folder)
    lost = [item.id for item in study.items if item.id not in key]
    if lost:
        raise UserError(f"{folder}: the key has no row for {lost[0]}; restore key.csv")
    items = [item for item in study.items if key[item.id].role != "catch"]
    real = np.array([key[item.id].truth == "real" for item in items], bool)
    if real.all() or not real.any():
        raise UserError(f"{folder}: all items are of one class; there is nothing to audit")
    cues = cues_of(folder, study, orders=orders, items=items)
    return judge(cues, real, seed=seed)


def judge(cues: tuple[Cue, ...], real: np.ndarray, *, seed: int = 0) -> Audit:
    """The verdict on these cues of items of which ``real`` (n,) are real."""
    findings, combined = list[Finding](), list[Combined]()
    for family in (*GATED, "content"):
        mine = [cue for cue in cues if cue.family == family]
        if not mine:
            continue
        told = tell_apart(
            np.column_stack([cue.values for cue in mine]),
            real,
            rng=numpy_rng(seed=seed, stream=f"reader-audit-{family}"),
            classifier=family != "names",
        )
        for cue, auc, p in zip(mine, told.auc, told.p, strict=True):
            findings.append(
                Finding(
                    name=cue.name,
                    family=cue.family,
                    auc=float(auc),
                    p=float(p),
                    told=describe(cue.values, real),
                    mend=cue.mend,
                )
            )
        if told.combined is not None and told.combined_p is not None:
            combined.append(Combined(family=family, auc=told.combined, p=told.combined_p))
    leaks = tuple(one for one in findings if _leaks(one))
    combinations = tuple(one for one in combined if _leaks(one))
    reach = detectable(real, level=_level("traces"), columns=len(TRACES))
    few = least_p(real) > _level("traces") or reach > _STRONG
    verdict: Verdict = "leak" if leaks or combinations else "too few items" if few else "passed"
    return Audit(
        verdict=verdict,
        real=int(real.sum()),
        synthetic=int((~real).sum()),
        leaks=leaks,
        combinations=combinations,
        findings=tuple(findings),
        combined=tuple(combined),
        detectable=reach,
    )


def _level(family: Family) -> float:
    return LEVEL / len(GATED) if family in GATED else LEVEL


def _leaks(one: Finding | Combined) -> bool:
    return one.family in GATED and one.p < _level(one.family)


def write_audit(folder: Path, audit: Audit) -> None:
    """Write ``audit.json``: what was found, without a word about single items."""
    text = json.dumps(asdict(audit), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / AUDIT, text + "\n")


def said(audit: Audit) -> str:
    """The audit in lines of text: verdict, leaks with what mends them, and notable content."""
    items = f"{audit.real} real and {audit.synthetic} synthetic items"
    lines = [f"audit: {_VERDICTS[audit.verdict]} ({items}, false alarms at most {LEVEL:.0%})"]
    for leak in sorted(audit.leaks, key=lambda one: one.p):
        lines.append(f"  LEAK {leak.name}: {_auc(leak.auc)}, {leak.told}, p = {leak.p:.2g}")
        lines.append(f"       mend: {leak.mend}")
    for both in audit.combinations:
        lines.append(
            f"  LEAK {both.family} together: AUC {both.auc:.2f} cross-validated, p = {both.p:.2g}"
        )
    reach = f"{audit.detectable:.2f}"
    lines.append(f"  a trace that tells them apart with AUC {reach} is found 4 times in 5")
    for one in audit.findings:
        if one.family == "content" and one.p < LEVEL:
            lines.append(f"  not a leak by itself: {one.name}: {_auc(one.auc)}, {one.told}")
            lines.append(f"       {one.mend}")
    return "\n".join(lines)


_VERDICTS = {
    "passed": "passed, nothing but the pictures tells real from synthetic",
    "leak": "LEAK, something else than the pictures tells real from synthetic",
    "too few items": "no leak found, but the items are too few to be sure",
}


def _auc(auc: float) -> str:
    return f"AUC {max(auc, 1 - auc):.2f} ({'higher' if auc > 0.5 else 'lower'} in real ones)"
