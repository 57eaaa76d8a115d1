"""One label map edited in every way asked for: files written, images moved or synthesised."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.edits.result import EditResult, volumes_ml
from fetalsynth.anatomy.edits.ventriculomegaly import widths
from fetalsynth.anatomy.labels import FETA
from fetalsynth.artifacts.digest import digest_file
from fetalsynth.artifacts.volumes import WHITE, VolumeRecord, VolumesWriter
from fetalsynth.cli.anatomy_edit import PICTURES, Asked
from fetalsynth.cli.anatomy_edit_figure import Shown, write_figure
from fetalsynth.cli.anatomy_edit_space import Space, open_space
from fetalsynth.cli.anatomy_edit_synthesis import Painter
from fetalsynth.datasets.volumes.label_table import LabelTable
from fetalsynth.datasets.volumes.nifti import read_nifti
from fetalsynth.datasets.volumes.pair import Pair
from fetalsynth.errors import UserError
from fetalsynth.synthesis.label_volumes import SYNTH, LabelItem

Labels = NDArray[np.uint8]
Levels = NDArray[np.int16]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What the heads of one command have in common; failures are added to ``left_out``."""

    asked: Asked
    writer: VolumesWriter
    table: LabelTable | None
    painter: Painter | None
    advance: Callable[[], None]
    left_out: list[dict[str, str]]

    def leave_out(self, item: LabelItem, word: str, reason: Exception) -> None:
        """Say and note what could not be done; the others go on."""
        what = f"{item.file}, {word}" if word else item.file
        self.left_out.append({"volume": item.file, "edit": word, "reason": str(reason)})
        print(f"left out: {what}: {reason}", file=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class Made:
    """One edited volume in RAS+ order; ``image`` is the real one, moved."""

    word: str
    name: str
    labels: Labels
    image: Levels | None
    report: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Head:
    item: LabelItem
    read: Pair
    space: Space
    origin: Mapping[str, Any]

    def record(self, word: str) -> VolumeRecord:
        """How the volume of one edit is called."""
        before = self.item.record.description.removesuffix(SYNTH)
        edit = {"edit": word.removesuffix(SYNTH) or "none"}
        return replace(self.item.record, description=before + word, extra=edit)


def edit_head(bench: Bench, item: LabelItem, *, image: Path | None) -> list[Made]:
    """Every edit of one label map, its synthetic images, and the figure of all.

    What cannot be read or edited is noted in ``bench``; what cannot be written is a UserError.
    """
    try:
        read, space = open_space(item, table=bench.table, known=len(FETA), image=image)
    except UserError as error:
        bench.leave_out(item, "", error)
        return []
    origin = {"Labels": {"File": item.file, "SHA256": digest_file(item.path)}}
    head = _Head(item=item, read=read, space=space, origin=origin)
    made: list[Made] = []
    for word in bench.asked.words:
        try:
            one = _made(bench, head, word, before=made)
        except ValueError as error:
            bench.leave_out(item, word, error)
            one = None
        if one is not None:
            made.append(one)
        bench.advance()
    if made:
        _draw(bench, head, made)
    return made


def _made(bench: Bench, head: _Head, word: str, *, before: list[Made]) -> Made | None:
    """One edit, read back where an interrupted call wrote it; None where there is none."""
    asked, record, space = bench.asked, head.record(word), head.space
    with_image = space.image is not None and word not in asked.overwriting
    kept = _kept(bench.writer, record, space, word=word, image=with_image)
    if kept is not None:
        return kept
    result = _edited(asked, space, word, before=before)
    if result is None:
        return None
    moved = None
    if space.image is not None and result.warp is not None:
        moved = np.rint(result.warp.image(space.image)).clip(0, WHITE).astype(np.int16)
    said = {**head.origin, "Edit": result.report}
    _write(
        bench.writer,
        head,
        record,
        labels=result.labels,
        image=moved,
        sidecar={**said, **space.grey, "Image": "real, moved with the labels"},
        labels_sidecar=said,
    )
    return Made(
        word=word, name=record.name, labels=result.labels, image=moved, report=result.report
    )


def _edited(asked: Asked, space: Space, word: str, *, before: list[Made]) -> EditResult | None:
    if word in asked.edits:
        return asked.edits[word](space.labels, space.affine)
    assert asked.beside is not None
    if not before:
        return None
    largest = max(float(one.report["volumes_ml"].get("ventricles", 0)) for one in before)
    return asked.beside[1](space.labels, space.affine, largest)


def _write(
    writer: VolumesWriter,
    head: _Head,
    record: VolumeRecord,
    *,
    labels: Labels,
    image: Levels | None,
    sidecar: Mapping[str, Any],
    labels_sidecar: Mapping[str, Any],
) -> None:
    """``labels`` and ``image`` are in RAS+ order, their files in that of the source."""
    writer.add(
        image=None if image is None else head.space.own(image),
        labels=head.space.own(labels),
        affine=head.read.affine,
        header=head.read.header,
        sidecar=sidecar,
        labels_sidecar=labels_sidecar,
        subject=record.subject,
        session=record.session,
        reconstruction=record.reconstruction,
        desc=record.description,
        split=record.split,
        gestational_age_weeks=record.gestational_age_weeks,
        pathology=record.pathology,
        extra=record.extra,
    )


def _adopted(writer: VolumesWriter, record: VolumeRecord, *, image: bool) -> bool:
    return writer.adopt(
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


def _kept(
    writer: VolumesWriter, record: VolumeRecord, space: Space, *, word: str, image: bool
) -> Made | None:
    """What an interrupted call wrote of one edit; None where it is not whole."""
    if not _adopted(writer, record, image=image):
        return None
    start = writer.folder / record.folder / record.name
    said = json.loads(start.with_name(f"{record.name}_dseg.json").read_text())
    labels = read_nifti(start.with_name(f"{record.name}_dseg.nii.gz")).voxels
    moved = read_nifti(start.with_name(f"{record.name}_T2w.nii.gz")).voxels if image else None
    return Made(
        word=word,
        name=record.name,
        labels=space.ras(labels),
        image=None if moved is None else space.ras(moved),
        report=said["Edit"],
    )


def _synthetic(bench: Bench, head: _Head, word: str, labels: Labels) -> Levels | None:
    """The synthetic image of ``labels``, written or read back; RAS+ order."""
    painter = bench.painter
    if painter is None:
        return None
    record, space = head.record(word + SYNTH), head.space
    weeks = head.item.record.gestational_age_weeks
    image: Levels | None = None
    if _adopted(bench.writer, record, image=True):
        start = bench.writer.folder / record.folder / record.name
        image = space.ras(read_nifti(start.with_name(f"{record.name}_T2w.nii.gz")).voxels)
    else:
        try:
            own = painter.paint(
                head.read,
                space.own(labels),
                name=head.item.record.name,
                where=head.item.file,
                weeks=weeks,
            )
        except UserError as error:
            bench.leave_out(head.item, word + SYNTH, error)
        else:
            image = space.ras(own)
            _write(
                bench.writer,
                head,
                record,
                labels=labels,
                image=image,
                sidecar={**head.origin, **painter.sidecar(weeks=weeks)},
                labels_sidecar=head.origin,
            )
    bench.advance()
    return image


def _draw(bench: Bench, head: _Head, made: list[Made]) -> None:
    space = head.space
    spacing = np.linalg.norm(space.affine[:3, :3], axis=0)
    left, right = widths(space.labels, space.affine)
    report = {
        "atrial_width_mm": {"left": left, "right": right},
        "volumes_ml": volumes_ml(space.labels, spacing_mm=spacing),
    }
    name = head.record("").name
    original = Made(word="", name=name, labels=space.labels, image=space.image, report=report)
    shown = [
        Shown(
            word=one.word,
            labels=one.labels,
            image=one.image,
            synthetic=_synthetic(bench, head, one.word, one.labels),
            report=one.report,
        )
        for one in (original, *made)
    ]
    path = bench.writer.folder / PICTURES / f"{name}.png"
    write_figure(path, shown=shown, original=space.labels, affine=space.affine, name=name)
