"""Label maps that a command line names: an artifact, a folder or one file, read one by one."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import FETA
from fetalsynth.artifacts.digest import digest_files
from fetalsynth.artifacts.manifest import Input, is_artifact
from fetalsynth.artifacts.volumes import VolumeRecord, bids_label
from fetalsynth.datasets.volumes.finding import LABEL_NAMES
from fetalsynth.datasets.volumes.label_table import FETA_TABLE, LabelTable, open_label_table
from fetalsynth.datasets.volumes.nifti import is_nifti, stem_of
from fetalsynth.datasets.volumes.pair import read_pair
from fetalsynth.datasets.volumes.pairs import PARTICIPANTS
from fetalsynth.datasets.volumes.participants import Participants, read_subject_table
from fetalsynth.errors import UserError
from fetalsynth.synthesis.label_volumes import LabelItem, LabelSet, find_labels

if TYPE_CHECKING:
    from fetalsynth.artifacts.nifti import Affine

_ENDINGS = tuple(f"{mark}{name}" for name in LABEL_NAMES for mark in "_/")


@dataclass(frozen=True, kw_only=True)
class Head:
    """One label map to be read; ``name`` is unique among those of one command."""

    name: str
    item: LabelItem
    weeks: float | None


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The label maps of one command and where they come from."""

    heads: tuple[Head, ...]
    source: Input
    table: LabelTable | None


@dataclass(frozen=True, kw_only=True)
class Volume:
    """(I, J, K) FeTA ``labels`` and, where asked for and there, the image on the same voxels."""

    labels: NDArray[np.uint8]
    image: NDArray[Any] | None
    affine: Affine


def find_heads(
    path: Path,
    *,
    labels_table: str | None = None,
    split: str | None = None,
    weeks: float | None = None,
) -> Heads:
    """List the label maps of ``path``: a ``volumes`` artifact, a folder or one NIfTI file.

    Ages come from the artifact or from a ``participants.tsv`` in the folder; ``weeks`` is that of
    all that have none. Raises UserError where there is nothing to read, an artifact was changed,
    its labels are not FeTA's or ``weeks`` is no age.
    """
    if weeks is not None and not 0 < weeks < math.inf:
        raise UserError(f"--weeks {weeks:g}: give a gestational age in weeks, above 0")
    if path.is_file():
        found = _one_file(path, labels_table)
    else:
        found = find_labels(path, split=split, labels_table=labels_table)
    if found.label_names and found.label_names != FETA:
        raise UserError(f"{path}: its labels are not FeTA's; import it with a --labels-table")
    known = _known(path)
    names = _names(found)
    return Heads(
        heads=tuple(
            Head(name=name, item=item, weeks=_age(item, known) or weeks)
            for name, item in zip(names, found.items, strict=True)
        ),
        source=found.source,
        table=found.table,
    )


def _one_file(path: Path, labels_table: str | None) -> LabelSet:
    if not is_nifti(path):
        raise UserError(f"{path}: is no NIfTI file; give a .nii.gz or .nii file, or a folder")
    record = VolumeRecord(subject=bids_label(stem_of(path)) or "1", image=None, labels=None)
    digest = digest_files(path.parent, [path])
    return LabelSet(
        items=(LabelItem(path=path, file=path.name, image=None, record=record),),
        source=Input(role="labels", path=str(path), digest=digest),
        table=None if labels_table is None else open_label_table(labels_table),
    )


def _known(path: Path) -> Participants:
    table = path / PARTICIPANTS
    if not path.is_dir() or is_artifact(path) or not table.is_file():
        return Participants()
    return read_subject_table(table)


def _age(item: LabelItem, known: Participants) -> float | None:
    if item.record.gestational_age_weeks is not None:
        return item.record.gestational_age_weeks
    found = known.find(file=item.file, subject=item.record.subject)
    return found.gestational_age_weeks


def _names(found: LabelSet) -> list[str]:
    """What tells the files apart: the name alone where that does, else the folders too."""
    short = [_trimmed(stem_of(Path(item.file))) for item in found.items]
    long = [
        _trimmed(str(Path(item.file).with_name(stem_of(Path(item.file))))) for item in found.items
    ]
    count = Counter(short)
    chosen = [s if count[s] == 1 else n.replace("/", "_") for s, n in zip(short, long, strict=True)]
    twice = [name for name, times in Counter(chosen).items() if times > 1]
    if twice:
        raise UserError(f"two label maps would both be called {twice[0]}; rename one of them")
    return chosen


def _trimmed(name: str) -> str:
    """Without what only says that it is a label map."""
    for ending in _ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def read_head(head: Head, *, table: LabelTable | None, image: bool = False) -> Volume:
    """Read one label map, with its image where ``image`` asks for it and there is one.

    Raises UserError for a file that is damaged, labels that are not FeTA's after the table, all
    background, and an image on other voxels.
    """
    seen = head.item.image if image else None
    read = read_pair(image=seen, labels=head.item.path, table=table or FETA_TABLE)
    assert read.labels is not None
    return Volume(labels=read.labels, image=read.image, affine=read.affine)
