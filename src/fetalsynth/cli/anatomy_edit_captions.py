"""What stands above each column of the figure: the edit, what it reached and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]
_SHORT = {
    "external CSF": "CSF",
    "grey matter": "grey",
    "white matter": "white",
    "deep grey matter": "deep grey",
}


def caption(word: str, report: Report) -> list[str]:
    """Lines, the first of which is the title; ``word`` "" is the original."""
    if not word:
        return ["original", *_size(report)]
    edit = report.get("edit")
    if edit == "ventriculomegaly" and report.get("method") == "dilation":
        return [f"dilated, {_steps(report['steps'])}", *_size(report), *_destroyed(report)]
    if edit == "ventriculomegaly":
        return [_target(report), *_size(report), *_kept(report)]
    if edit == "microcephaly":
        return [f"HC {report['hc_target_mm']:g} mm", f"{report['hc_mm']:.0f} mm", *_kept(report)]
    reached = f"{report['volume_ml']:.1f} of {report['volume_before_ml']:.1f} ml"
    share = report.get("share", report.get("times", 1))
    return [f"{edit}, × {share:g}".replace("-", " "), reached, *_kept(report)]


def _target(report: Report) -> str:
    width = report.get("atrial_width_target_mm")
    if width is None:
        return f"to {report['volume_target_ml']:g} ml"
    side = report.get("side", "both")
    return f"to {width:g} mm" + ("" if side == "both" else f", {side}")


def _size(report: Report) -> list[str]:
    found = report["atrial_width_mm"]
    sides = ", ".join(
        f"{name[0].upper()} {width:.1f}" for name, width in found.items() if width is not None
    )
    volume = report["volumes_ml"].get("ventricles", 0.0)
    return [f"atria {sides} mm" if sides else "no atria", f"ventricles {volume:.1f} ml"]


def _kept(report: Report) -> list[str]:
    lines = [f"{report['folded_voxels']} folded, J from {report['min_jacobian']:.2f}"]
    if report.get("reached") is False:
        lines.append("TARGET NOT REACHED")
    return lines + (["every part kept"] if report["parts_unchanged"] else _parts(report))


def _destroyed(report: Report) -> list[str]:
    taken = sorted(report["destroyed_ml"].items(), key=lambda pair: -pair[1])
    named = [f"{_SHORT.get(name, name)} {ml:.1f}" for name, ml in taken if ml >= 0.05]
    lines = [f"overwritten {sum(ml for _, ml in taken):.1f} ml:"]
    lines += [", ".join(named[k : k + 2]) for k in range(0, min(len(named), 4), 2)]
    return lines + _parts(report)


def _parts(report: Report) -> list[str]:
    """How many parts of which tissue there are now; at most two tissues."""
    lost = [f"{name} lost" for name in report["tissues_lost"]]
    changed = [
        f"{_SHORT.get(name, name)} {count} to {report['parts'][name]} parts"
        for name, count in report["parts_before"].items()
        if name in report["parts"] and report["parts"][name] != count
    ]
    return [*lost, *changed][:2]


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def longest(captions: Sequence[Sequence[str]]) -> int:
    """Lines of the longest one."""
    return max(map(len, captions))
