"""What all edits of anatomy share: label maps in, a ``volumes`` artifact and a picture out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.anatomy.edits.result import EditResult
    from fetalsynth.artifacts.manifest import Input, Manifest
    from fetalsynth.artifacts.volumes import VolumeRecord, VolumesWriter
    from fetalsynth.cli.anatomy_edit_space import Space
    from fetalsynth.synthesis.label_volumes import LabelItem, LabelSet

Edit = Callable[[NDArray[np.uint8], NDArray[np.float64]], "EditResult"]
TABLE, PICTURES = "edits.tsv", "pictures"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One command: ``edits`` by the word that goes into the names of their volumes.

    ``moves_images`` is False where the edits have no map to move images by.
    """

    labels: Path
    out: Path
    images: Path | None
    labels_table: str | None
    edits: Mapping[str, Edit]
    configuration: Mapping[str, Any]
    moves_images: bool = True


def edit_volumes(asked: Asked) -> int:
    """Edit every label map in every way asked for; 1 where something was left out or not reached.

    Volumes that an interrupted call wrote are kept. Raises UserError where nothing can be done.
    """
    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import draft, read_manifest
    from fetalsynth.cli.computing import set_threads
    from fetalsynth.synthesis.label_volumes import find_labels

    if asked.out.resolve().is_relative_to(asked.labels.resolve()):
        raise UserError(f"{asked.out}: lies inside the folder of label maps; choose another")
    found = find_labels(asked.labels, labels_table=asked.labels_table)
    images, source = _images(asked.images, found)
    manifest = draft(
        kind="volumes",
        configuration={**asked.configuration, "labels_table": asked.labels_table},
        seed=0,
        inputs=(found.source, *source),
        synthetic=True,
    )
    if is_done(asked.out, manifest):
        print(f"already done: {asked.out}")
        return _code(read_manifest(asked.out).facts)
    set_threads()
    with building(asked.out, manifest, resumable=True) as folder:
        facts = _edit_all(asked, found, images, manifest=manifest, folder=folder)
        record_facts(folder, facts)
    print(f"{facts['volumes']} volumes in {asked.out} (look at {asked.out / PICTURES})")
    return _code(facts)


def _code(facts: Mapping[str, Any]) -> int:
    for item in facts.get("not_reached", ()):
        print(f"not reached: {item}", file=sys.stderr)
    return int(bool(facts.get("left_out") or facts.get("not_reached")))


def _images(folder: Path | None, labels: LabelSet) -> tuple[dict[str, Path], tuple[Input, ...]]:
    """Images by the name of their label map, and the folder they come from as an input."""
    from fetalsynth.artifacts.digest import digest_files
    from fetalsynth.artifacts.manifest import Input, input_from, is_artifact
    from fetalsynth.artifacts.volumes import read_participants
    from fetalsynth.datasets.volumes.finding import find_partners

    if folder is None:
        return {}, ()
    own = {_key(item.record): item.record.name for item in labels.items}
    if is_artifact(folder):
        source = input_from(folder, role="images", kind="volumes")
        there = {_key(row): folder / row.image for row in read_participants(folder) if row.image}
    else:
        pairs = [p for p in find_partners(folder) if p.image is not None]
        there = {_key(p): p.image for p in pairs if p.image is not None}
        files = [p.image for p in pairs if p.image is not None]
        source = Input(role="images", path=str(folder), digest=digest_files(folder, files))
    matched = {name: there[key] for key, name in own.items() if key in there}
    if not matched:
        raise UserError(f"{folder}: no image has the name of a label map of {labels.source.path}")
    return matched, (source,)


def _key(row: Any) -> tuple[str, str, str]:
    return row.subject, row.session, row.reconstruction


def _edit_all(
    asked: Asked,
    found: LabelSet,
    images: Mapping[str, Path],
    *,
    manifest: Manifest,
    folder: Path,
) -> dict[str, Any]:
    from fetalsynth.anatomy.labels import FETA
    from fetalsynth.artifacts.volumes import VolumesWriter
    from fetalsynth.progress import Progress

    licences = tuple(dict.fromkeys(licence for licence in manifest.licences))
    writer = VolumesWriter(folder, synthetic=True, label_names=FETA, licences=licences)
    rows: list[tuple[str, dict[str, Any]]] = []
    left_out: list[dict[str, str]] = []
    total = len(found.items) * len(asked.edits)
    with Progress(label="editing", total=total, unit="volumes") as progress:
        for item in found.items:
            try:
                rows += _edit_one(
                    asked,
                    found,
                    item,
                    image=images.get(item.record.name),
                    writer=writer,
                    advance=progress.advance,
                )
            except (UserError, ValueError) as error:
                left_out.append({"volume": item.file, "reason": str(error)})
                print(f"left out: {item.file}: {error}", file=sys.stderr)
    if not rows:
        raise UserError(f"{asked.labels}: none of its label maps could be edited; see above")
    writer.close()
    _write_table(folder, rows)
    missed = [name for name, report in rows if report.get("reached") is False]
    return {"volumes": len(rows), "left_out": left_out, "not_reached": missed}


def _edit_one(
    asked: Asked,
    found: LabelSet,
    item: LabelItem,
    *,
    image: Path | None,
    writer: VolumesWriter,
    advance: Callable[[], None],
) -> list[tuple[str, dict[str, Any]]]:
    """Every edit of one label map, with its picture."""
    from fetalsynth.anatomy.labels import FETA
    from fetalsynth.artifacts.digest import digest_file
    from fetalsynth.artifacts.volumes import WHITE
    from fetalsynth.cli.anatomy_edit_figure import Shown, write_figure
    from fetalsynth.cli.anatomy_edit_space import open_space

    read, space = open_space(item, table=found.table, known=len(FETA), image=image)
    shown = [Shown(title="original", labels=space.labels, image=space.image)]
    rows: list[tuple[str, dict[str, Any]]] = []
    origin = {"Labels": {"File": item.file, "SHA256": digest_file(item.path)}}
    for word, edit in asked.edits.items():
        before = item.record.description.removesuffix("synth")
        record = replace(item.record, description=before + word, extra={"edit": word})
        kept = _kept(writer, record, space, image=space.image is not None and asked.moves_images)
        if kept is not None:
            shown.append(Shown(title=word, labels=kept.labels, image=kept.image))
            rows.append((record.name, kept.report))
            advance()
            continue
        result = edit(space.labels, space.affine)
        moved = None
        if space.image is not None and result.warp is not None:
            moved = np.rint(result.warp.image(space.image)).clip(0, WHITE).astype(np.int16)
        said = {**origin, "Edit": result.report}
        writer.add(
            image=None if moved is None else space.own(moved),
            labels=space.own(result.labels),
            affine=read.affine,
            header=read.header,
            sidecar={**said, **space.grey, "Image": "real, moved with the labels"},
            labels_sidecar=said,
            subject=record.subject,
            session=record.session,
            reconstruction=record.reconstruction,
            desc=record.description,
            split=record.split,
            gestational_age_weeks=record.gestational_age_weeks,
            pathology=record.pathology,
            extra=record.extra,
        )
        rows.append((record.name, result.report))
        shown.append(Shown(title=word, labels=result.labels, image=moved))
        advance()
    path = writer.folder / PICTURES / f"{item.record.name}.png"
    write_figure(path, shown=shown, affine=space.affine, title=item.record.name)
    return rows


@dataclass(frozen=True, kw_only=True)
class _Kept:
    labels: NDArray[np.uint8]
    image: NDArray[np.int16] | None
    report: dict[str, Any]


def _kept(
    writer: VolumesWriter, record: VolumeRecord, space: Space, *, image: bool
) -> _Kept | None:
    """What an interrupted call wrote of one edit, in RAS+ order; None where it is not whole."""
    from fetalsynth.datasets.volumes.nifti import read_nifti

    there = writer.adopt(
        subject=record.subject,
        image=image,
        session=record.session,
        reconstruction=record.reconstruction,
        desc=record.description,
        split=record.split,
        gestational_age_weeks=record.gestational_age_weeks,
        pathology=record.pathology,
        extra=record.extra,
    )
    if not there:
        return None
    start = writer.folder / record.folder / record.name
    said = json.loads(start.with_name(f"{record.name}_dseg.json").read_text())
    labels = read_nifti(start.with_name(f"{record.name}_dseg.nii.gz")).voxels
    moved = read_nifti(start.with_name(f"{record.name}_T2w.nii.gz")).voxels if image else None
    return _Kept(
        labels=space.ras(labels),
        image=None if moved is None else space.ras(moved),
        report=said["Edit"],
    )


def _write_table(folder: Path, rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """One row per edited volume: what was asked for, what was reached, at which price."""
    from fetalsynth.artifacts.tsv import write_tsv

    flat = [{"volume": name, **_flat(report)} for name, report in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    write_tsv(folder / TABLE, columns, [[row.get(key) for key in columns] for row in flat])


def _flat(report: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in report.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}:{name}".replace(" ", "_"): inner for name, inner in value.items()}
        elif isinstance(value, bool):
            flat[key] = str(value).lower()
        else:
            flat[key] = json.dumps(value) if isinstance(value, list) else value
    return flat
