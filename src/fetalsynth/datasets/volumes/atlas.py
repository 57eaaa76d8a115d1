"""The spatio-temporal atlas of the fetal brain with spina bifida (Fidon et al. 2021)."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from fetalsynth.anatomy.labels import SPINA_BIFIDA_ATLAS
from fetalsynth.artifacts.digest import digest_files
from fetalsynth.artifacts.manifest import Licence
from fetalsynth.datasets.volumes.label_table import LabelTable
from fetalsynth.datasets.volumes.pair import read_pair
from fetalsynth.datasets.volumes.source import SourceVolume, VolumeItem, VolumeSource
from fetalsynth.errors import UserError, explaining

LICENCE = Licence(
    source="Spina bifida atlas",
    licence="CC0 1.0",
    citation=(
        "Fidon L, Viola E, Mufti N, et al. A spatio-temporal atlas of the developing fetal brain "
        "with spina bifida aperta. Open Research Europe 2021;1:123. doi:10.5281/zenodo.5524312"
    ),
    url="https://zenodo.org/records/5524312",
)
_FOLDER = re.compile(r"fetal_SB_atlas_GA(\d+)_(operated|notoperated)")
_IMAGE, _LABELS = "srr.nii.gz", "parcellation.nii.gz"
_TABLE = LabelTable(name="spina-bifida-atlas", table=SPINA_BIFIDA_ATLAS)
_NOTE = (
    "the volumes are averages over fetuses, neighbouring ages share some of them: smooth, and not "
    "independent of each other"
)


def open_source(folder: Path) -> VolumeSource:
    """The atlas as a source: ``fetal_SB_atlas_GA<weeks>_[not]operated`` folders.

    The subject is the age (``GA25``) and the session says whether the fetuses were operated on, so
    that both averages of one age fall on one side of the split. The corpus callosum counts as white
    matter. Raises UserError where there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; get it from {LICENCE.url}")
    with explaining(folder):
        found = sorted(p for p in folder.iterdir() if p.is_dir() and _FOLDER.fullmatch(p.name))
    if not found:
        raise UserError(
            f"{folder}: holds no folder such as fetal_SB_atlas_GA25_operated; get the atlas from "
            f"{LICENCE.url}"
        )
    files = [p / name for p in found for name in (_IMAGE, _LABELS) if (p / name).is_file()]
    return VolumeSource(
        name="atlas",
        digest=digest_files(folder, files),
        items=tuple(
            VolumeItem(name=str(path), subject=_subject(path), read=partial(_read, path))
            for path in found
        ),
        licences=(LICENCE,),
        notes=(_NOTE,),
    )


def _parts(path: Path) -> tuple[str, str]:
    match = _FOLDER.fullmatch(path.name)
    assert match is not None
    return match[1], match[2]


def _subject(path: Path) -> str:
    return f"GA{_parts(path)[0]}"


def _read(path: Path) -> SourceVolume:
    for name in (_IMAGE, _LABELS):
        if not (path / name).is_file():
            raise UserError(f"{path / name}: is missing; unpack the atlas again")
    pair = read_pair(image=path / _IMAGE, labels=path / _LABELS, table=_TABLE)
    weeks, operated = _parts(path)
    return SourceVolume(
        subject=_subject(path),
        session=operated,
        image=pair.image,
        labels=pair.labels,
        affine=pair.affine,
        header=pair.header,
        gestational_age_weeks=float(weeks),
        pathology="spina bifida aperta",
        extra={"operated": "yes" if operated == "operated" else "no"},
        sidecar={
            "SourceFiles": [f"{path.name}/{_IMAGE}", f"{path.name}/{_LABELS}"],
            "SourceLabels": _TABLE.name,
        },
        notes=pair.notes,
    )
