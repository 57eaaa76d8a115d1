"""What would spoil training on volumes: broken pairs, unknown labels, leaks, wrong spacings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fetalsynth.anatomy.labels import FETA
from fetalsynth.artifacts.contents import verify_sums
from fetalsynth.artifacts.manifest import is_artifact, read_manifest
from fetalsynth.artifacts.volumes import read_label_names
from fetalsynth.datasets.check import CheckResult, Finding, Severity
from fetalsynth.datasets.duplicates import equal_groups
from fetalsynth.datasets.volumes.inspecting import SeenVolume, inspect_volumes
from fetalsynth.datasets.volumes.odd_sizes import odd_sizes
from fetalsynth.errors import UserError
from fetalsynth.progress import Progress

# Intracranial volumes of fetuses from 18 weeks to term lie well inside; spacings that are wrong by
# a factor of two change a volume by eight.
PLAUSIBLE_ML = (15.0, 900.0)
_BLACK = 0.05  # share of labelled voxels without signal: labels 4 mm off, or flipped, have more
_SPACING_OFF = 1.25
_ANISOTROPIC = 1.5


def check_volumes(folder: Path, *, labels_table: str | None = None) -> CheckResult:
    """Inspect a ``volumes`` artifact or a plain folder of NIfTI pairs; nothing is changed.

    Errors: files that cannot be used (unreadable, other than three axes, values that are not
    finite, labels that the scheme lacks, image and labels on different voxels, all background), a
    missing partner, changed files, the same volume in two splits. Warnings: copies, implausible
    sizes, odd spacings, tissues that a volume lacks, labels where the image is black, an unknown
    orientation. Raises UserError where there is nothing to check.
    """
    total, volumes = inspect_volumes(folder, labels_table=labels_table)
    seen: list[SeenVolume] = []
    with Progress(label="check", total=total, unit="volumes") as progress:
        for volume in volumes:
            seen.append(volume)
            progress.advance()
    good = [volume for volume in seen if not volume.problem]
    names = (read_label_names(folder) if is_artifact(folder) else ()) or FETA
    findings = [
        *(_record(folder) if is_artifact(folder) else []),
        *_broken(seen),
        *_copies(good),
        *_space(good),
        *_tissues(good, names),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    ranked = tuple(sorted(findings, key=lambda finding: order[finding.severity]))
    return CheckResult(facts=_facts(seen, good, names), findings=ranked)


def _found(
    severity: Severity, name: str, what: str, advice: str, files: Sequence[str]
) -> list[Finding]:
    """One finding about these files, none where there are none."""
    if not files:
        return []
    many = "1 volume" if len(files) == 1 else f"{len(files)} volumes"
    return [
        Finding(
            severity=severity,
            name=name,
            message=f"{many} {what}",
            advice=advice,
            files=tuple(files),
        )
    ]


def _record(folder: Path) -> list[Finding]:
    try:
        verify_sums(folder, content=read_manifest(folder).content)
    except UserError as error:
        advice = "import the volumes again; files of an artifact must not be edited"
        return [Finding(severity="error", name="changed", message=str(error), advice=advice)]
    return []


def _broken(seen: Sequence[SeenVolume]) -> list[Finding]:
    found = _found(
        "error",
        "unusable",
        "cannot be used",
        "mend or replace them, or take them out",
        [f"{volume.name}: {volume.problem}" for volume in seen if volume.problem],
    )
    for missing in ("image", "labels"):
        found += _found(
            "error",
            "missing",
            f"without {missing}",
            "add the missing file, or take the other one out",
            [volume.name for volume in seen if volume.missing == missing],
        )
    return found


def _copies(good: Sequence[SeenVolume]) -> list[Finding]:
    groups = equal_groups([volume.fingerprint for volume in good])
    named = [
        (" = ".join(good[i].name for i in group), len({good[i].split for i in group}) > 1)
        for group in groups
    ]
    return [
        *_found(
            "error",
            "leak",
            "or more, the same ones, in two splits",
            "what is trained on must not be tested on: give them one subject and import again",
            [text for text, crossing in named if crossing],
        ),
        *_found(
            "warning",
            "copies",
            "that occur more than once",
            "copies count twice in training and in every statistic",
            [text for text, crossing in named if not crossing],
        ),
    ]


def _space(good: Sequence[SeenVolume]) -> list[Finding]:
    means = np.array([float(np.prod(v.spacing_mm)) ** (1 / 3) for v in good])
    ratio = means / np.median(means) if len(means) else means
    off = (ratio > _SPACING_OFF) | (ratio < 1 / _SPACING_OFF)
    return [
        *_found(
            "warning",
            "spacing",
            "with another spacing than most",
            "see whether their headers are right; training with spacing_mm brings all to one",
            [f"{v.name}: {_mm(v)}" for v, odd in zip(good, off, strict=True) if odd],
        ),
        *_found(
            "note",
            "anisotropic",
            "with voxels of unequal sides",
            "two of three planes will look coarse; reconstruct them to isotropic voxels",
            [
                f"{v.name}: {_mm(v)}"
                for v in good
                if max(v.spacing_mm) > _ANISOTROPIC * min(v.spacing_mm)
            ],
        ),
        *_found(
            "warning",
            "header",
            "with remarks",
            "look at them in a viewer",
            [note for volume in good for note in volume.notes],
        ),
    ]


def _tissues(good: Sequence[SeenVolume], names: Sequence[str]) -> list[Finding]:
    labelled = [volume for volume in good if volume.tissues_ml]
    low, high = PLAUSIBLE_ML
    sizes = [(v, sum(v.tissues_ml.values())) for v in labelled]
    common = Counter(label for v in labelled for label in v.tissues_ml)
    usual = [label for label, count in common.items() if 2 * count > len(labelled)]
    lacking = [(v, [k for k in usual if k not in v.tissues_ml]) for v in labelled]
    return [
        *_found(
            "warning",
            "size",
            f"whose labelled brain is not between {low:g} and {high:g} ml",
            "see whether the spacing in the header is right",
            [f"{v.name}: {ml:.1f} ml" for v, ml in sizes if not low <= ml <= high],
        ),
        *_found(
            "warning",
            "tissues",
            "without a tissue that most others have",
            "see whether the label map is whole",
            [f"{v.name}: {', '.join(names[k] for k in ks)}" for v, ks in lacking if ks],
        ),
        *_found(
            "warning",
            "odd-size",
            "with a tissue of a size far from the others' (for their age, where known)",
            "look at their label maps",
            odd_sizes(labelled, names=names, labels=usual),
        ),
        *_found(
            "warning",
            "black",
            "with labels where the image is black",
            "see whether image and labels lie on each other",
            [f"{v.name}: {100 * v.black:.0f} %" for v in labelled if v.black > _BLACK],
        ),
    ]


def _facts(
    seen: Sequence[SeenVolume], good: Sequence[SeenVolume], names: Sequence[str]
) -> dict[str, str]:
    ages = [v.gestational_age_weeks for v in seen if v.gestational_age_weeks is not None]
    facts = {
        "volumes": str(len(seen)),
        "subjects": str(len({volume.subject for volume in seen})),
        "splits": _listed([volume.split or "not split" for volume in seen]),
        "reconstructions": _listed([volume.reconstruction or "not named" for volume in seen]),
        "gestational age": f"{min(ages):.1f} to {max(ages):.1f} weeks" if ages else "not known",
        "sizes": _listed(["×".join(map(str, volume.shape)) for volume in good]),
        "spacings": _listed([_mm(volume) for volume in good]),
        "axes": _listed([volume.axes for volume in good]),
    }
    for label in sorted({label for volume in good for label in volume.tissues_ml}):
        sizes = [v.tissues_ml[label] for v in good if label in v.tissues_ml]
        facts[names[label]] = f"{min(sizes):.1f} to {max(sizes):.1f} ml, in {len(sizes)} volumes"
    return facts


def _mm(volume: SeenVolume) -> str:
    return "×".join(f"{mm:.3g}" for mm in volume.spacing_mm) + " mm"


def _listed(values: Sequence[str]) -> str:
    counts = Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    parts = [f"{name} ({count})" for name, count in counts.most_common(5)]
    return ", ".join(parts) + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")
