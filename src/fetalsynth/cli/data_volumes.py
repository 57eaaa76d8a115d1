"""``fetalsynth data import feta|atlas|pairs`` and ``data phantom brain``: volumes with labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.datasets.volumes.source import VolumeSource

VolumeKind = Literal["feta", "atlas", "pairs"]
VOLUME_KINDS: tuple[str, ...] = get_args(VolumeKind)


def holds_volumes(folder: Path) -> bool:
    """Whether it is a ``volumes`` artifact, or a plain folder with NIfTI files."""
    from fetalsynth.artifacts.manifest import is_artifact, read_manifest
    from fetalsynth.datasets.volumes.nifti import is_nifti

    if is_artifact(folder):
        return read_manifest(folder).kind == "volumes"
    return folder.is_dir() and any(is_nifti(path) for path in folder.rglob("*.nii*"))


def open_volumes(
    kind: str,
    folder: Path,
    *,
    labels_table: str | None,
    subjects: Path | None,
    reconstruction: str | None,
) -> VolumeSource:
    """The source of that kind; raises UserError for options that it does not take."""
    from fetalsynth.datasets.volumes import atlas, feta, pairs

    if kind == "pairs":
        return pairs.open_source(
            folder, labels_table=labels_table, subjects=subjects, reconstruction=reconstruction
        )
    for option, given in (("--labels-table", labels_table), ("--subjects", subjects)):
        if given is not None:
            raise UserError(f"{option}: {kind} brings its own; leave the option out")
    if kind == "feta":
        return feta.open_source(folder, reconstruction=reconstruction)
    if reconstruction is not None:
        raise UserError("--reconstruction: the atlas has one only; leave the option out")
    return atlas.open_source(folder)


def open_brain_phantoms(
    *, count: int, seed: int, spacing_mm: float | None, out: Path, held_out: float
) -> int:
    """Simulate ``count`` fetal brains into ``out``; returns the exit code."""
    from fetalsynth.datasets.phantoms import brain

    spacing = 1.0 if spacing_mm is None else spacing_mm
    source = brain.open_source(count=count, seed=seed, spacing_mm=spacing)
    return write_volumes(source, out, held_out=held_out, seed=seed)


def write_volumes(
    source: VolumeSource,
    out: Path,
    *,
    path: Path | None = None,
    held_out: float,
    test_subjects: Sequence[str] = (),
    seed: int,
) -> int:
    """Write the artifact; returns 0, or 1 where a volume was left out."""
    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import Input, draft, read_manifest
    from fetalsynth.datasets.volumes.importing import import_volumes

    chosen = sorted(test_subjects) or None
    manifest = draft(
        kind="volumes",
        configuration={"source": source.name, "held_out": held_out, "test_subjects": chosen},
        seed=seed,
        inputs=(Input(role="source", path=str(path or source.name), digest=source.digest),),
        licences=source.licences,
        synthetic=source.synthetic,
    )
    if is_done(out, manifest):
        print(f"already done: {out}")
        return 1 if read_manifest(out).facts.get("left_out") else 0
    with building(out, manifest) as partial:
        facts = import_volumes(
            source, folder=partial, held_out=held_out, test_subjects=chosen, seed=seed
        )
        record_facts(partial, facts)
    print(_summary(facts, out))
    return 1 if facts["left_out"] else 0


def _summary(facts: dict[str, Any], out: Path) -> str:
    lines = [
        f"{facts['volumes']} volumes of {facts['subjects']} subjects in {out}",
        f"  train {facts['train_volumes']} volumes ({facts['train_subjects']} subjects), "
        f"test {facts['test_volumes']} ({facts['test_subjects']})",
    ]
    lost = facts["left_out"]
    if lost:
        lines.append(f"  left out {len(lost)}, listed in {out / 'fetalsynth.json'}:")
        lines += [f"    {item['reason']}" for item in lost]
    lines.append(f"  look at {out / 'preview.png'}; then: fetalsynth data check {out}")
    return "\n".join(lines)
