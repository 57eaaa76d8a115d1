"""Label volumes → synthetic volumes in the labels' own space, one artifact per fusion rule."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_file
from fetalsynth.artifacts.manifest import Input
from fetalsynth.artifacts.volumes import WHITE, VolumesWriter
from fetalsynth.datasets.volumes.pair import Pair
from fetalsynth.errors import UserError
from fetalsynth.progress import Progress
from fetalsynth.synthesis.background import REACH_MM
from fetalsynth.synthesis.fusion import Rule
from fetalsynth.synthesis.label_volumes import LabelItem, LabelSet, read_labels, refuse_equal_names
from fetalsynth.synthesis.one_volume import synthesise
from fetalsynth.synthesis.sampled import Sampled, own_sampling
from fetalsynth.synthesis.volume_model import VolumeModel
from fetalsynth.synthesis.volume_preview import write_preview

PREVIEW = "preview.png"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What decides the voxels, beside the model and the labels.

    ``mask_background`` sets voxels to black that are further than ``REACH_MM`` from any tissue.
    ``sampled`` is for flow models; None leaves it to their own settings.
    """

    seed: int = 0
    mask_background: bool = True
    sampled: Sampled | None = None


def write_volumes(
    model: VolumeModel,
    labels: LabelSet,
    *,
    wanted: Wanted,
    folders: Mapping[Rule, Path],
    models: Sequence[Input] = (),
) -> dict[str, Any]:
    """Write the synthetic volumes of every label map, for each rule into its folder.

    Nothing about a volume depends on which others are made, or by which rules. A label map that is
    broken is reported and left out. Volumes that an interrupted call left in the folders are kept.
    ``models`` are the model folders, for sidecars and licences. Returns facts for the manifests:
    how many volumes, and which were left out and why.

    Raises UserError where two volumes would have one name or no label map at all is usable.
    """
    refuse_equal_names(labels.items)
    wanted = replace(wanted, sampled=wanted.sampled or own_sampling(model))
    sources = [item.manifest for item in (*models, labels.source) if item.manifest]
    licences = tuple(dict.fromkeys(licence for m in sources for licence in m.licences))
    writers = {
        rule: VolumesWriter(
            folder, synthetic=True, label_names=labels.label_names, licences=licences
        )
        for rule, folder in folders.items()
    }
    said = {rule: _said(model, wanted, models, rule=rule) for rule in folders}
    left_out: list[dict[str, str]] = []
    work = 1 if wanted.sampled is None else wanted.sampled.work(list(folders))
    with Progress(
        label="synthesising",
        total=work * len(labels.items),
        unit="volumes" if wanted.sampled is None else "passes",
    ) as progress:
        for number, item in enumerate(labels.items, start=1):
            progress.advance(0, note=item.record.name)
            lacking = {r: writer for r, writer in writers.items() if not _adopt(writer, item)}
            try:
                made = _make(
                    model, labels, item, wanted=wanted, rules=list(lacking), tick=progress.advance
                )
            except UserError as error:
                left_out.append({"volume": item.file, "reason": str(error)})
                print(f"left out: {error}", file=sys.stderr)
            else:
                for rule, writer in lacking.items():
                    _add(writer, item, made, rule=rule, said=said[rule], synthetic=labels.synthetic)
            progress.advance(work * number - progress.done)
    if len(left_out) == len(labels.items):
        raise UserError(f"{labels.source.path}: none of its label maps is usable; see above")
    for writer in writers.values():
        writer.close()
        write_preview(writer.folder / PREVIEW, records=writer.records, labels=labels)
    return {"volumes": len(labels.items) - len(left_out), "left_out": left_out}


def _adopt(writer: VolumesWriter, item: LabelItem) -> bool:
    row = item.record
    return writer.adopt(
        subject=row.subject,
        session=row.session,
        reconstruction=row.reconstruction,
        desc=row.description,
        split=row.split,
        gestational_age_weeks=row.gestational_age_weeks,
        pathology=row.pathology,
        extra=row.extra,
    )


@dataclass(frozen=True, kw_only=True)
class _Made:
    read: Pair | None = None
    images: Mapping[Rule, NDArray[np.int16]] = field(default_factory=dict)


def _make(
    model: VolumeModel,
    labels: LabelSet,
    item: LabelItem,
    *,
    wanted: Wanted,
    rules: Sequence[Rule],
    tick: Callable[[], None],
) -> _Made:
    """What ``rules`` still lack of one volume; raises UserError for a broken one."""
    if not rules:
        return _Made()
    read = read_labels(item, table=labels.table, known=model.label_count)
    images = synthesise(
        model,
        read,
        rules=rules,
        seed=wanted.seed,
        name=item.record.name,
        mask_background=wanted.mask_background,
        where=str(item.path),
        weeks=item.record.gestational_age_weeks,
        sampled=wanted.sampled,
        tick=tick,
    )
    return _Made(read=read, images=images)


def _add(
    writer: VolumesWriter,
    item: LabelItem,
    made: _Made,
    *,
    rule: Rule,
    said: Mapping[str, Any],
    synthetic: bool,
) -> None:
    row, read = item.record, made.read
    assert read is not None
    origin = {"Labels": {"File": item.file, "SHA256": digest_file(item.path)}}
    told = {"WeeksTold": row.gestational_age_weeks} if "Sampling" in said else {}
    writer.add(
        subject=row.subject,
        image=made.images[rule],
        labels=read.labels,
        affine=read.affine,
        header=read.header,
        sidecar={**said, **told, **origin},
        labels_sidecar={"Synthetic": synthetic, **origin},
        session=row.session,
        reconstruction=row.reconstruction,
        desc=row.description,
        split=row.split,
        gestational_age_weeks=row.gestational_age_weeks,
        pathology=row.pathology,
        extra=row.extra,
    )


def _said(
    model: VolumeModel, wanted: Wanted, models: Sequence[Input], *, rule: Rule
) -> dict[str, Any]:
    """What the sidecars of all synthetic volumes of one rule have in common."""
    digests = {Path(item.path): item.digest for item in models}
    return {
        "Seed": wanted.seed,
        "Fusion": rule.describe(),
        "Networks": {
            plane: {
                "ModelDigest": digests.get(network.folder, ""),
                "Epoch": network.epoch,
                "Weights": network.weights,
                "EmptySlices": "from the network" if network.knows_empty else "black",
            }
            for plane, network in model.networks.items()
            if plane in rule.planes
        },
        "Grid": {"Size": model.grid.size, "SpacingMm": model.grid.spacing_mm},
        "BlackBeyondMm": REACH_MM if wanted.mask_background else None,
        "GreyLevels": f"0 black, {WHITE} white",
        **({} if wanted.sampled is None else {"Sampling": wanted.sampled.describe()}),
    }
