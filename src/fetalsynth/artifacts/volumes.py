"""The ``volumes`` artifact: T2-weighted volumes and their label maps as a BIDS derivative.

``participants.tsv`` has a row per subject, ``volumes.tsv`` one per volume, ``dseg.tsv`` one per
label. Every volume stays in its own space. Image values are int16 from 0 (black) to ``WHITE``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth import __version__
from fetalsynth.artifacts.files import write_bytes, write_text
from fetalsynth.artifacts.manifest import NOT_FOR_CLINICAL_USE, Licence
from fetalsynth.artifacts.nifti import Affine, Header, nifti_bytes
from fetalsynth.artifacts.tsv import write_tsv
from fetalsynth.artifacts.volume_table import (
    LABELS,
    OF_SUBJECT,
    OF_VOLUME,
    PARTICIPANTS,
    VOLUMES,
    VolumeRecord,
    bids_label,
    read_label_names,
    read_participants,
)
from fetalsynth.errors import UserError, explaining

__all__ = [
    "LABELS",
    "PARTICIPANTS",
    "VOLUMES",
    "WHITE",
    "VolumeRecord",
    "VolumesWriter",
    "bids_label",
    "read_label_names",
    "read_participants",
]

WHITE = 4095
_BIDS = "1.9.0"
_IGNORED = ("fetalsynth.json", "SHA256SUMS", VOLUMES, "*.png")


class VolumesWriter:
    """Writes volumes one by one into a growing artifact and the tables at the end.

    ``synthetic`` goes into every sidecar; ``label_names`` (index = label) into ``dseg.tsv``;
    ``licences`` of the sources into ``dataset_description.json``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        synthetic: bool = False,
        label_names: Sequence[str] = (),
        licences: Sequence[Licence] = (),
    ) -> None:
        self.folder, self.synthetic = folder, synthetic
        self.label_names, self.licences = tuple(label_names), tuple(licences)
        self.records: list[VolumeRecord] = []
        self._names: set[str] = set()

    def add(
        self,
        *,
        subject: str,
        image: NDArray[np.int16] | None,
        labels: NDArray[np.uint8] | None,
        affine: Affine,
        header: Header | None = None,
        sidecar: Mapping[str, Any] | None = None,
        labels_sidecar: Mapping[str, Any] | None = None,
        session: str = "",
        reconstruction: str = "",
        desc: str = "",
        split: str = "",
        gestational_age_weeks: float | None = None,
        pathology: str = "",
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Write ``image`` and ``labels`` (I, J, K) with their sidecars, the image last.

        ``affine`` (4, 4) and ``header`` are those of the source file.
        Raises UserError where a volume of that name was added before or a name is not BIDS'.
        """
        bare = VolumeRecord(
            subject=subject,
            image=None,
            labels=None,
            session=session,
            reconstruction=reconstruction,
            description=desc,
            split=split,
            gestational_age_weeks=gestational_age_weeks,
            pathology=pathology,
            extra=dict(extra or {}),
        )
        record = self._claimed(bare, image=image is not None, labels=labels is not None)
        with explaining(self.folder):
            (self.folder / record.folder).mkdir(parents=True, exist_ok=True)
        for file, voxels, known in (
            (record.labels, labels, labels_sidecar),
            (record.image, image, sidecar),
        ):
            if file is not None and voxels is not None:
                _check(voxels, file=file)
                self._write(file, nifti_bytes(voxels, affine=affine, header=header), known)
        self.records.append(record)

    def adopt(
        self,
        *,
        subject: str,
        image: bool = True,
        labels: bool = True,
        session: str = "",
        reconstruction: str = "",
        desc: str = "",
        split: str = "",
        gestational_age_weeks: float | None = None,
        pathology: str = "",
        extra: Mapping[str, str] | None = None,
    ) -> bool:
        """Take over a volume that an interrupted call wrote; False where a file of it is missing.

        ``image`` and ``labels`` say which of the two belong to it.
        """
        bare = VolumeRecord(
            subject=subject,
            image=None,
            labels=None,
            session=session,
            reconstruction=reconstruction,
            description=desc,
            split=split,
            gestational_age_weeks=gestational_age_weeks,
            pathology=pathology,
            extra=dict(extra or {}),
        )
        record = self._claimed(bare, image=image, labels=labels)
        files = [file for file in (record.image, record.labels) if file is not None]
        if not all((self.folder / file).is_file() for file in files):
            self._names.remove(record.name)
            return False
        self.records.append(record)
        return True

    def _claimed(self, bare: VolumeRecord, *, image: bool, labels: bool) -> VolumeRecord:
        if not (image or labels):
            raise ValueError("a volume needs an image or labels")
        for part in (bare.subject, bare.session, bare.reconstruction, bare.description):
            if part != bids_label(part) or not bare.subject:
                raise UserError(f"{part!r}: names of volumes hold letters and digits only")
        if bare.name in self._names:
            raise UserError(f"two volumes would be called {bare.name}; rename one of them")
        self._names.add(bare.name)
        start = f"{bare.folder}/{bare.name}"
        return replace(
            bare,
            image=f"{start}_T2w.nii.gz" if image else None,
            labels=f"{start}_dseg.nii.gz" if labels else None,
        )

    def _write(self, file: str, data: bytes, sidecar: Mapping[str, Any] | None) -> None:
        """The sidecar first, so that a volume which is there is whole."""
        said = {"Synthetic": self.synthetic, "Notice": NOT_FOR_CLINICAL_USE, **(sidecar or {})}
        path = self.folder / file
        beside = path.with_name(path.name.replace(".nii.gz", ".json"))
        write_text(beside, json.dumps(said, indent=2, allow_nan=False) + "\n")
        write_bytes(path, data, sync=False)

    def close(self) -> None:
        """Write the tables and ``dataset_description.json``."""
        extra = list(dict.fromkeys(key for record in self.records for key in record.extra))
        write_tsv(
            self.folder / VOLUMES,
            ("participant_id", *OF_VOLUME, *extra),
            [
                [f"sub-{r.subject}", *(getattr(r, column) for column in OF_VOLUME)]
                + [r.extra.get(key, "") for key in extra]
                for r in self.records
            ],
        )
        subjects = {record.subject: record for record in self.records}
        write_tsv(
            self.folder / PARTICIPANTS,
            ("participant_id", *OF_SUBJECT),
            [[f"sub-{s}", *(getattr(r, c) for c in OF_SUBJECT)] for s, r in subjects.items()],
        )
        if self.label_names:
            rows = [[str(index), name] for index, name in enumerate(self.label_names)]
            write_tsv(self.folder / LABELS, ("index", "name"), rows)
        write_text(self.folder / "dataset_description.json", self._description())
        write_text(self.folder / ".bidsignore", "".join(f"{name}\n" for name in _IGNORED))

    def _description(self) -> str:
        said: dict[str, Any] = {
            "Name": "Fetal brain MRI" + (", synthetic" if self.synthetic else ""),
            "BIDSVersion": _BIDS,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "fetalsynth", "Version": __version__}],
            "SourceDatasets": [{"URL": lic.url} for lic in self.licences if lic.url],
            "License": "; ".join(f"{lic.source}: {lic.licence}" for lic in self.licences),
            "ReferencesAndLinks": [lic.citation for lic in self.licences],
            "Synthetic": self.synthetic,
            "Notice": NOT_FOR_CLINICAL_USE,
        }
        return json.dumps(said, indent=2) + "\n"


def _check(voxels: NDArray[Any], *, file: str) -> None:
    dtype = np.uint8 if file.endswith("_dseg.nii.gz") else np.int16
    if voxels.dtype != dtype or voxels.ndim != 3:
        raise ValueError(f"{file} needs (I, J, K) {dtype.__name__}, not {voxels.dtype}")
    if dtype is np.int16 and (voxels.min() < 0 or voxels.max() > WHITE):
        raise ValueError(f"{file} needs values from 0 to {WHITE}")
