"""What a study has to know of its data before anything runs; no pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fetalsynth.artifacts.images import read_table
from fetalsynth.artifacts.manifest import Input, input_from, is_artifact
from fetalsynth.artifacts.volume_table import read_participants
from fetalsynth.errors import UserError, explaining


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """An artifact of images or volumes: ``path`` is absolute, ``source`` its record as an input.

    ``counts`` has the number of images or labelled volumes by split ("train", "test", "");
    ``subjects`` those of subjects. ``size`` is the side of square images in pixels, None for
    others and for volumes; ``channels`` theirs. ``reconstructions`` counts volumes to train on by
    method.
    """

    path: Path
    source: Input
    counts: Mapping[str, int]
    subjects: Mapping[str, int]
    size: int | None = None
    channels: int = 1
    reconstructions: Mapping[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """ "images" or "volumes"."""
        assert self.source.manifest is not None
        return self.source.manifest.kind

    def to_train_on(self, split: str) -> int:
        """How many a recipe with this ``split`` trains on, as training itself chooses them."""
        if split == "all":
            return sum(self.counts.values())
        if self.kind == "images":
            return self.counts.get("train", 0) or sum(self.counts.values())
        return self.counts.get("train", 0) + self.counts.get("", 0)


def data_facts(folder: Path) -> DataFacts:
    """Read the tables of an artifact; UserError where it is none or was changed."""
    if folder.is_dir() and not is_artifact(folder):
        raise UserError(
            f"{folder}: a study needs data that `fetalsynth data` made, so that every run can name "
            "them; use: fetalsynth data import folder"
        )
    path = folder.resolve()
    source = input_from(path, role="data")
    assert source.manifest is not None
    if source.manifest.kind == "images":
        return _images(path, source)
    if source.manifest.kind == "volumes":
        return _volumes(path, source)
    raise UserError(f"{folder}: holds {source.manifest.kind}, but images or volumes are needed")


def check_modality(data: Sequence[DataFacts], *, modality: str) -> None:
    """Raise UserError where data are not of the study's kind, or two are of one size."""
    wanted = "images" if modality == "ultrasound" else "volumes"
    for one in data:
        if one.kind != wanted:
            raise UserError(f"--data {one.path}: holds {one.kind}, the study needs {wanted}")
    sizes = Counter(one.size for one in data)
    if len(data) > 1 and (wanted == "volumes" or max(sizes.values()) > 1):
        raise UserError("--data: give one folder, or several of images of different size")


def _images(path: Path, source: Input) -> DataFacts:
    records = read_table(path)
    if not records:
        raise UserError(f"{path}: holds no images")
    width, height, channels = _shape(path / records[0].file)
    return DataFacts(
        path=path,
        source=source,
        counts=Counter(record.split for record in records),
        subjects=_distinct((record.split, record.subject) for record in records),
        size=width if width == height else None,
        channels=channels,
    )


def _volumes(path: Path, source: Input) -> DataFacts:
    records = [one for one in read_participants(path) if one.labels is not None and one.image]
    return DataFacts(
        path=path,
        source=source,
        counts=Counter(record.split for record in records),
        subjects=_distinct((record.split, record.subject) for record in records),
        reconstructions=Counter(one.reconstruction for one in records if one.split != "test"),
    )


def _distinct(pairs: Iterable[tuple[str, str]]) -> Mapping[str, int]:
    return Counter(split for split, _ in set(pairs))


def _shape(path: Path) -> tuple[int, int, int]:
    from PIL import Image

    with explaining(path), Image.open(path) as image:
        return image.width, image.height, len(image.getbands())
