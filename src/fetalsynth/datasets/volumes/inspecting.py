"""One pass over all volumes of a set: what each is, without stopping at those that are broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fetalsynth.artifacts.digest import digest_bytes
from fetalsynth.artifacts.manifest import is_artifact, read_manifest
from fetalsynth.artifacts.volumes import VolumeRecord, read_label_names, read_participants
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.datasets.volumes.finding import Partners, find_partners
from fetalsynth.datasets.volumes.label_table import FETA_TABLE, LabelTable, open_label_table
from fetalsynth.datasets.volumes.nifti import spacing_of
from fetalsynth.datasets.volumes.pair import Pair, read_pair
from fetalsynth.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SeenVolume:
    """What one volume is. ``problem`` says why it cannot be used; the rest is empty then.

    ``missing`` is "image" or "labels" where a folder has only the other. ``tissues_ml`` has the
    volume of every label that occurs, ``black`` the share of labelled voxels where the image is 0.
    ``axes`` are the anatomical directions of the file's axes, such as "RAS".
    """

    name: str
    subject: str
    split: str = ""
    reconstruction: str = ""
    gestational_age_weeks: float | None = None
    problem: str = ""
    missing: str = ""
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    axes: str = ""
    fingerprint: str = ""
    tissues_ml: Mapping[int, float] = field(default_factory=dict)
    black: float = 0.0
    notes: tuple[str, ...] = ()


def inspect_volumes(folder: Path, *, labels_table: str | None) -> tuple[int, Iterator[SeenVolume]]:
    """(number of volumes, what each is in order) of an artifact or a plain folder.

    ``labels_table`` is for plain folders. Raises UserError only where there is nothing to inspect.
    """
    if is_artifact(folder):
        read_manifest(folder, kind="volumes")
        rows = read_participants(folder)
        if not rows:
            raise UserError(f"{folder}: its table lists no volume; import the volumes again")
        names = read_label_names(folder)
        own = LabelTable(name="dseg.tsv", table={label: label for label in range(len(names))})
        table = own if names else FETA_TABLE
        return len(rows), ordered_map(partial(_row, folder, table), rows, ahead_per_core=1)
    found = find_partners(folder)
    table = open_label_table(labels_table)
    return len(found), ordered_map(partial(_file, folder, table), found, ahead_per_core=1)


def _row(folder: Path, table: LabelTable, row: VolumeRecord) -> SeenVolume:
    return _seen(
        SeenVolume(
            name=row.name,
            subject=row.subject,
            split=row.split,
            reconstruction=row.reconstruction,
            gestational_age_weeks=row.gestational_age_weeks,
        ),
        image=None if row.image is None else folder / row.image,
        labels=None if row.labels is None else folder / row.labels,
        table=table,
    )


def _file(folder: Path, table: LabelTable, found: Partners) -> SeenVolume:
    path = found.image or found.labels
    assert path is not None
    bare = SeenVolume(
        name=path.relative_to(folder).as_posix(),
        subject=found.subject,
        reconstruction=found.reconstruction,
        missing="image" if found.image is None else "labels" if found.labels is None else "",
    )
    return _seen(bare, image=found.image, labels=found.labels, table=table)


def _seen(
    bare: SeenVolume, *, image: Path | None, labels: Path | None, table: LabelTable
) -> SeenVolume:
    known: dict[str, Any] = dict(vars(bare))
    try:
        pair = read_pair(image=image, labels=labels, table=table)
    except UserError as error:
        return SeenVolume(**{**known, "problem": str(error)})
    return SeenVolume(**{**known, **_measured(pair)})


def _measured(pair: Pair) -> dict[str, Any]:
    import nibabel

    untyped: Any = nibabel
    shown: Any = pair.labels if pair.image is None else pair.image
    tissues: dict[int, float] = {}
    black = 0.0
    if pair.labels is not None:
        counts = np.bincount(pair.labels.ravel())
        ml = abs(float(np.linalg.det(pair.affine[:3, :3]))) / 1000
        tissues = {int(k): float(counts[k] * ml) for k in np.flatnonzero(counts) if k > 0}
        if pair.image is not None:
            black = float((pair.image[pair.labels > 0] <= 0).mean())
    return {
        "shape": shown.shape,
        "spacing_mm": tuple(float(mm) for mm in spacing_of(pair.affine)),
        "axes": "".join(untyped.aff2axcodes(pair.affine)),
        "fingerprint": digest_bytes(np.ascontiguousarray(shown).tobytes()),
        "tissues_ml": tissues,
        "black": black,
        "notes": pair.notes,
    }
