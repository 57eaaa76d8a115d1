"""A population model as a folder: velocities and poses, the donors' label maps, tables."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.tsv import read_tsv, write_tsv
from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from fetalsynth.anatomy.population.model import Population
    from fetalsynth.anatomy.population.space import Head

FAMILY = "population"
WEIGHTS, DONORS, MODES = "population.safetensors", "donors.tsv", "modes.tsv"
_FOLDER = "donors"
_COLUMNS = ("name", "gestational_age_weeks", "subject", "session", "reconstruction", "source")


@dataclass(frozen=True, kw_only=True)
class Donor:
    """One real head of the model: its ``name`` and what it is called in its source."""

    name: str
    weeks: float
    subject: str
    session: str
    reconstruction: str
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What its image is found by."""
        return self.subject, self.session, self.reconstruction


class FolderMemory(MutableMapping[str, "Tensor"]):
    """Tensors by name, a file each, whole or absent: what an interrupted fit goes on from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def __getitem__(self, name: str) -> Tensor:
        from fetalsynth.artifacts.model import read_weights

        if name not in self:
            raise KeyError(name)
        return read_weights(self._path(name))["velocity"]

    def __setitem__(self, name: str, value: Tensor) -> None:
        from fetalsynth.artifacts.model import write_weights

        write_weights(self._path(name), {"velocity": value}, metadata={})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._path(name).is_file()

    def __delitem__(self, name: str) -> None:
        self._path(name).unlink()

    def __iter__(self) -> Iterator[str]:
        return (path.name.removesuffix(".safetensors") for path in self.folder.iterdir())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def write_population(
    folder: Path, population: Population, *, heads: list[Head], donors: list[Donor]
) -> None:
    """Write the model: weights, the donors' label maps and the tables."""
    import torch

    from fetalsynth.artifacts.model import write_weights
    from fetalsynth.artifacts.nifti import nifti_bytes

    poses = population.poses
    tensors = {
        "velocities": torch.from_numpy(population.velocities),
        "weeks": torch.from_numpy(population.weeks),
        "centres": torch.from_numpy(np.stack([pose.centre for pose in poses])),
        "axes": torch.from_numpy(np.stack([pose.axes for pose in poses])),
        "scales": torch.tensor([pose.scale for pose in poses], dtype=torch.float64),
        "grid": torch.tensor(population.grid.shape),
        "spacing_mm": torch.tensor(population.grid.spacing_mm, dtype=torch.float64),
    }
    write_weights(folder / WEIGHTS, tensors, metadata={"family": FAMILY})
    (folder / _FOLDER).mkdir(exist_ok=True)
    for donor, head in zip(donors, heads, strict=True):
        data = nifti_bytes(head.labels, affine=head.affine)
        write_bytes(folder / _FOLDER / f"{donor.name}.nii.gz", data, sync=False)
    rows = [[d.name, d.weeks, d.subject, d.session, d.reconstruction, d.source] for d in donors]
    write_tsv(folder / DONORS, _COLUMNS, rows)
    variances = population.modes.variances
    total = float(variances.sum()) or 1.0
    write_tsv(
        folder / MODES,
        ("mode", "variance", "share"),
        [[str(k + 1), float(v), float(v) / total] for k, v in enumerate(variances)],
    )


def read_population(folder: Path) -> tuple[Population, list[Donor]]:
    """Read the model; its donors' label maps are read one by one with :func:`read_donor`.

    Raises UserError where the folder holds another kind of model or is damaged.
    """
    from fetalsynth.anatomy.population.model import Population
    from fetalsynth.anatomy.population.space import Grid, Pose
    from fetalsynth.artifacts.manifest import read_manifest
    from fetalsynth.artifacts.model import read_weights

    manifest = read_manifest(folder, kind="model")
    if manifest.configuration.get("family") != FAMILY:
        raise UserError(
            f"{folder}: is no population model; make one with fetalsynth anatomy population"
        )
    stored = {name: tensor.numpy() for name, tensor in read_weights(folder / WEIGHTS).items()}
    i, j, k = (int(n) for n in stored["grid"])
    poses = tuple(
        Pose(centre=centre, axes=axes, scale=float(scale))
        for centre, axes, scale in zip(
            stored["centres"], stored["axes"], stored["scales"], strict=True
        )
    )
    population = Population(
        grid=Grid(shape=(i, j, k), spacing_mm=float(stored["spacing_mm"])),
        weeks=stored["weeks"],
        poses=poses,
        velocities=stored["velocities"],
    )
    return population, _read_donors(folder)


def _read_donors(folder: Path) -> list[Donor]:
    return [
        Donor(
            name=row["name"],
            weeks=float(row["gestational_age_weeks"]),
            subject=row["subject"],
            session=row["session"],
            reconstruction=row["reconstruction"],
            source=row["source"],
        )
        for row, _ in read_tsv(folder / DONORS, needed=_COLUMNS)
    ]


def read_donor(folder: Path, donor: Donor) -> Head:
    """The label map of one donor of a model."""
    from fetalsynth.anatomy.population.space import Head
    from fetalsynth.datasets.volumes.nifti import read_nifti

    found = read_nifti(folder / _FOLDER / f"{donor.name}.nii.gz")
    labels = np.ascontiguousarray(found.voxels).astype(np.uint8)
    return Head(labels=labels, affine=found.affine, weeks=donor.weeks)
