"""What would spoil training or assessment: broken files, copies, leaks between splits, overlays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fetalsynth.artifacts.contents import verify_sums
from fetalsynth.artifacts.images import TABLE
from fetalsynth.artifacts.manifest import is_artifact, read_manifest
from fetalsynth.datasets.inspecting import Seen, StaticPixels, inspect_folder
from fetalsynth.datasets.leaks import copies, split_leaks
from fetalsynth.errors import UserError
from fetalsynth.progress import Progress

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found: what, in which files (or groups of them), and what to do."""

    severity: Severity
    name: str
    message: str
    advice: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """``facts`` are counts by name, ready for a table; ``findings`` the worst first."""

    facts: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether no error was found."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One line."""
        count = Counter(finding.severity for finding in self.findings)
        errors, warnings = _plural(count["error"], "error"), _plural(count["warning"], "warning")
        if not self.usable:
            return f"not usable as it is: {errors}, {warnings}"
        return f"usable, with {warnings}" if count["warning"] else "usable, nothing to object to"


def check_images(folder: Path) -> CheckResult:
    """Inspect an ``images`` artifact or a plain folder; nothing is changed.

    Errors: unreadable, missing or changed files; a subject or the same picture in two splits; no
    usable image. Warnings: copies within a split, constant images, several sizes, depths or
    channel counts, faint images, burned-in overlays. Raises UserError where there is no image set
    to check.
    """
    total, files = inspect_folder(folder)
    static = StaticPixels()
    seen: list[Seen] = []
    with Progress(label="check", total=total, unit="files") as progress:
        for images in files:
            static.update(images)
            seen += [replace(image, grey=None) for image in images]
            progress.advance()
    good = [image for image in seen if not image.problem]
    findings = [
        *(_record(folder) if is_artifact(folder) else []),
        *_files(seen, good),
        *_leaks(good),
        *_kinds(good),
        *_levels(good),
        *_overlays(good, static.compute()),
        *_subjects(good),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    ranked = tuple(sorted(findings, key=lambda finding: order[finding.severity]))
    return CheckResult(facts=_facts(seen, good), findings=ranked)


def _record(folder: Path) -> list[Finding]:
    """Whether the table is still the one that was written; images have a check of their own."""
    try:
        verify_sums(folder, content=read_manifest(folder).content, only=(TABLE,))
    except UserError as error:
        return [
            Finding(
                severity="error",
                name="record",
                message=str(error),
                advice="import the images again; an edited table would go unrecorded",
            )
        ]
    return []


def _files(seen: Sequence[Seen], good: Sequence[Seen]) -> list[Finding]:
    broken = [f"{image.file}: {image.problem}" for image in seen if image.problem]
    changed = [image.file for image in good if image.changed]
    found = []
    if broken:
        found.append(
            Finding(
                severity="error",
                name="unreadable",
                message=f"{_plural(len(broken), 'file')} cannot be read",
                advice="replace them, or take them out and import again",
                files=tuple(broken),
            )
        )
    if changed:
        found.append(
            Finding(
                severity="error",
                name="changed",
                message=f"{_plural(len(changed), 'file')} differ from the SHA-256 in the table",
                advice="import the images again; files of an artifact must not be edited",
                files=tuple(changed),
            )
        )
    return found


def _leaks(good: Sequence[Seen]) -> list[Finding]:
    found = []
    for name, groups in split_leaks(good).items():
        found.append(
            Finding(
                severity="error",
                name="leak",
                message=f"{name}: {len(groups)}",
                advice="what is trained on must not be tested on: give these images one subject "
                "in the table of subjects and import again",
                files=tuple(groups),
            )
        )
    for name, groups in copies(good).items():
        found.append(
            Finding(
                severity="warning",
                name="copies",
                message=f"{name}: {len(groups)}",
                advice="look at them: copies count twice in training and in every statistic",
                files=tuple(groups),
            )
        )
    return found


def _kinds(good: Sequence[Seen]) -> list[Finding]:
    found = []
    kinds = {
        "sizes": Counter(f"{image.shape[1]}×{image.shape[0]}" for image in good),
        "channel counts": Counter(str((*image.shape, 1)[2]) for image in good),
        "depths": Counter(f"{image.bits}-bit" for image in good),
    }
    advice = {
        "sizes": "bring them to one size: fetalsynth data import … --size",
        "channel counts": "bring them to one: fetalsynth data import … --channels 1",
        "depths": "save them all at the same depth",
    }
    for name, counts in kinds.items():
        if len(counts) > 1:
            found.append(
                Finding(
                    severity="warning",
                    name=name.replace(" ", "-"),
                    message=f"{len(counts)} different {name}: {_listed(counts)}",
                    advice=advice[name],
                )
            )
    return found


def _levels(good: Sequence[Seen]) -> list[Finding]:
    constant = [image.file for image in good if image.levels[0] == image.levels[1]]
    found = []
    if constant:
        found.append(
            Finding(
                severity="warning",
                name="constant",
                message=f"{_plural(len(constant), 'image')} of one grey level only",
                advice="they show nothing; take them out",
                files=tuple(constant),
            )
        )
    top = max((image.levels[1] / (2**image.bits - 1) for image in good), default=1.0)
    if 0 < top < 0.25:
        found.append(
            Finding(
                severity="warning",
                name="faint",
                message=f"the brightest pixel of all reaches {100 * top:.1f} % of the full scale",
                advice="stretch the grey levels of all images by the same factor before importing",
            )
        )
    return found


def _overlays(good: Sequence[Seen], static_pixels: int) -> list[Finding]:
    found = []
    advice = "a generator learns them: import the originals with --mask-overlays"
    for kind, name in (("bar", "grey-level bar"), ("box", "black box")):
        files = tuple(i.file for i in good if any(box.kind == kind for box in i.boxes))
        if files:
            message = f"{_plural(len(files), 'image')} with a burned-in {name}"
            found.append(
                Finding(
                    severity="warning", name="overlay", message=message, advice=advice, files=files
                )
            )
    if static_pixels >= 3 and not found:
        message = f"{static_pixels} bright pixels hardly change from image to image"
        found.append(Finding(severity="warning", name="overlay", message=message, advice=advice))
    burned = tuple(image.file for image in good if image.burned_in)
    if burned:
        found.append(
            Finding(
                severity="warning",
                name="burned-in",
                message=f"{_plural(len(burned), 'DICOM image')} declared to carry burned-in text",
                advice="it may name the patient: look at them before anything leaves the hospital",
                files=burned,
            )
        )
    return found


def _subjects(good: Sequence[Seen]) -> list[Finding]:
    if not any(image.own_subject for image in good):
        return []
    return [
        Finding(
            severity="note",
            name="subjects",
            message="no table of subjects: every file counts as its own subject",
            advice="import with --subjects CSV, so that a patient is on one side of the split",
        )
    ]


def _facts(seen: Sequence[Seen], good: Sequence[Seen]) -> dict[str, str]:
    splits = Counter(image.split or "not split" for image in seen)
    lowest = min((image.levels[0] for image in good), default=0)
    highest = max((image.levels[1] for image in good), default=0)
    return {
        "images": str(len(seen)),
        "subjects": str(len({image.subject for image in seen})),
        "splits": _listed(splits),
        "sizes": _listed(Counter(f"{image.shape[1]}×{image.shape[0]}" for image in good)),
        "channels": _listed(Counter(str((*image.shape, 1)[2]) for image in good)),
        "depths": _listed(Counter(f"{image.bits}-bit" for image in good)),
        "grey levels": f"{lowest} to {highest}",
    }


def _listed(counts: Counter[str], *, most: int = 5) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    parts = [f"{name} ({count})" for name, count in counts.most_common(most)]
    more = len(counts) - len(parts)
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")


def _plural(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
