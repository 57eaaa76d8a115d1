"""Which volumes of two folders are compared: held-out ones, one reconstruction, one description.

Every choice that leaves volumes out comes with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fetalsynth.artifacts.manifest import is_artifact, read_manifest
from fetalsynth.artifacts.volumes import VolumeRecord, read_participants
from fetalsynth.assessment.paired.nifti import VolumeFiles, key
from fetalsynth.assessment.paired.partners import stem_of
from fetalsynth.errors import UserError

FUSED = "synth"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is left of both folders, sentences about it, and which split the real ones are of."""

    real: VolumeFiles
    synthetic: VolumeFiles
    notes: tuple[str, ...]
    splits: tuple[str, ...] | None


def entity(path: Path, name: str) -> str:
    """The value of a BIDS entity in a file's name ("mial" of ``rec-mial``), "" where absent."""
    start = f"{name}-"
    parts = stem_of(path.name).split("_")
    return next((part.removeprefix(start) for part in parts if part.startswith(start)), "")


def by_description(files: VolumeFiles) -> dict[str, VolumeFiles]:
    """Apart by their ``desc-`` where one volume has several; {"": all} where none has.

    So single planes that lie beside the fused volumes become sets of their own.
    """
    descriptions = sorted({entity(path, "desc") for path in files.images})
    if len({key(path) for path in files.images}) == len(files.images) or len(descriptions) == 1:
        return {"": files}
    apart = {}
    for description in descriptions:
        images = tuple(path for path in files.images if entity(path, "desc") == description)
        name = "" if description == FUSED else description or "plain"
        apart[name] = replace(files, images=images)
    return apart


def select(
    *, real: VolumeFiles, synthetic: VolumeFiles, reconstruction: str | None = None
) -> Selection:
    """Keep what is to be compared.

    ``reconstruction`` keeps the real volumes made by that method, and their synthetic partners. Of
    a ``volumes`` artifact, held-out volumes (split test) are taken where any of them has a partner,
    and real volumes without a synthetic partner are left out; plain folders must match one to one,
    which pairing checks. Raises UserError where nothing is left.
    """
    records = _records(real)
    notes: list[str] = []
    if reconstruction is not None:
        real = _of_reconstruction(real, records, reconstruction)
        alike = _kept(synthetic, lambda path: entity(path, "rec") in ("", reconstruction))
        synthetic = _among(alike, real)
        notes.append(f"volumes reconstructed by {reconstruction}")
    if not records:
        return Selection(real=real, synthetic=synthetic, notes=tuple(notes), splits=None)
    real, synthetic, splits = _held_out(real, synthetic, records, notes)
    paired = _among(real, synthetic)
    alone = len(real.images) - len(paired.images)
    if alone:
        notes.append(f"{alone} have no synthetic partner and are left out")
    if not paired.images:
        raise UserError(
            f"{real.folder} and {synthetic.folder}: no volume of one has a partner in the other; "
            "both must name their subjects alike (sub-…)"
        )
    return Selection(real=paired, synthetic=synthetic, notes=tuple(notes), splits=splits)


def _held_out(
    real: VolumeFiles,
    synthetic: VolumeFiles,
    records: Mapping[Path, VolumeRecord],
    notes: list[str],
) -> tuple[VolumeFiles, VolumeFiles, tuple[str, ...] | None]:
    """Split test, where it is known and has synthetic partners; sentences go to ``notes``."""
    test = _kept(real, lambda path: path in records and records[path].split == "test")
    theirs = _among(synthetic, test)
    if not theirs.images:
        if test.images:
            notes.append(
                "none of the held-out volumes has a synthetic partner: if the generator was "
                "trained on these, every number flatters it"
            )
        return real, synthetic, None
    notes.append("held-out volumes (split test)")
    seen = len(_among(synthetic, real).images) - len(theirs.images)
    if seen:
        notes.append(f"{seen} synthetic volumes of other splits are left out")
    unknown = set(synthetic.images) - set(_among(synthetic, real).images)
    kept = set(theirs.images) | unknown
    return test, _kept(synthetic, lambda path: path in kept), ("test",)


def _records(files: VolumeFiles) -> dict[Path, VolumeRecord]:
    """What the artifact's tables say of every image; empty for a plain folder."""
    if not is_artifact(files.folder) or read_manifest(files.folder).kind != "volumes":
        return {}
    rows = read_participants(files.folder)
    return {files.folder / row.image: row for row in rows if row.image is not None}


def _of_reconstruction(
    files: VolumeFiles, records: Mapping[Path, VolumeRecord], wanted: str
) -> VolumeFiles:
    def method(path: Path) -> str:
        return records[path].reconstruction if path in records else entity(path, "rec")

    kept = _kept(files, lambda path: method(path) == wanted)
    if not kept.images:
        there = ", ".join(sorted({method(path) or "(none)" for path in files.images}))
        raise UserError(
            f"{files.folder}: no volume is reconstructed by {wanted}; there are: {there}"
        )
    return kept


def _kept(files: VolumeFiles, keep: Callable[[Path], bool]) -> VolumeFiles:
    return replace(files, images=tuple(path for path in files.images if keep(path)))


def _among(files: VolumeFiles, others: VolumeFiles) -> VolumeFiles:
    """Those whose subject (else name) ``others`` has too."""
    known = set(_names(others).values())
    names = _names(files)
    return _kept(files, lambda path: names[path] in known)


def _names(files: VolumeFiles) -> dict[Path, str]:
    items = zip(files.images, files.items(), strict=True)
    return {path: item.subject or item.stem for path, item in items}
