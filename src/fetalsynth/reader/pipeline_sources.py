"""Sets of images or volumes as they come: what may enter a study, and how to read one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_file
from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input, is_artifact
from fetalsynth.artifacts.volumes import VolumeRecord, read_participants
from fetalsynth.assessment.paired.nifti import VolumeFiles, find_volumes, holds_volumes, key
from fetalsynth.assessment.roles import assign_roles
from fetalsynth.datasets.loading import load_images
from fetalsynth.errors import UserError
from fetalsynth.reader.choosing import Candidate, without_copies
from fetalsynth.reader.pipeline import Grey, grey
from fetalsynth.reader.pipeline_volumes import VolumeFile
from fetalsynth.reader.study import Truth

BY_AGE = "gestational_age_weeks"
_SAMPLE = 200  # images of a set that are looked at for its margins


@dataclass(frozen=True, kw_only=True)
class Source:
    """One set: its candidates, and either grey images (N, H, W) or the files of volumes."""

    name: str
    truth: Truth
    candidates: tuple[Candidate, ...]
    source: Input
    images: NDArray[Any] | None = None
    volumes: tuple[VolumeFile, ...] = ()
    window: tuple[float, float] | None = None

    def image(self, place: int) -> Grey:
        """(H, W) grey values from 0 to 1 of the image at ``place``."""
        assert self.images is not None
        return grey(self.images[place], window=self.window)

    def sample(self) -> Grey:
        """(n, H, W) grey values of images evenly spread over the set."""
        assert self.images is not None
        step = max(1, len(self.images) // _SAMPLE)
        return grey(np.asarray(self.images[::step]), window=self.window)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Real and synthetic sets of one kind, and what is to be said about the choice of them."""

    real: Source
    synthetic: tuple[Source, ...]
    obvious: Source | None
    volumes: bool
    notes: tuple[str, ...]

    @property
    def all(self) -> tuple[Source, ...]:
        """Every set, the real ones first."""
        return (self.real, *([self.obvious] if self.obvious else []), *self.synthetic)

    def of(self, name: str) -> Source:
        """The set of that name."""
        return next(one for one in self.all if one.name == name)


def open_sources(
    *,
    real: Path,
    synthetic: Mapping[str, Path],
    obvious: Path | None = None,
    window: tuple[float, float] | None = None,
    stratify: str = BY_AGE,
) -> Sources:
    """Open the folders of a study: artifacts or plain folders, of images or of NIfTI volumes.

    Of a real artifact with a held-out split only that is used. ``obvious`` holds real images that
    nobody should take for synthetic. ``window`` are the stored values of black and white of all
    images. ``stratify`` is a column of the real set's table.

    Raises UserError where the folders are not of one kind, or not of one depth under ``window``.
    """
    folders = [real, *synthetic.values(), *([obvious] if obvious else [])]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: is no folder; check the path")
    kinds = [holds_volumes(folder) for folder in folders]
    if len(set(kinds)) > 1:
        odd = folders[kinds.index(not kinds[0])]
        raise UserError(f"{odd}: {real} holds {_kind(kinds[0])}, this does not; give one kind")
    if window is not None and (kinds[0] or not window[1] > window[0]):
        raise UserError("--window: takes stored values of images, black below white; mend it")
    read: Callable[..., Source] = _volumes if kinds[0] else _images
    splits, notes = _held_out(real, synthetic, volumes=kinds[0])
    chosen = {"window": window, "stratify": stratify}
    made = tuple(
        read(folder, name=name, truth="synthetic", splits=None, **chosen)
        for name, folder in synthetic.items()
    )
    sources = Sources(
        real=read(real, name="real", truth="real", splits=splits, **chosen),
        synthetic=made,
        obvious=None
        if obvious is None
        else read(obvious, name="obvious-real", truth="real", splits=None, **chosen),
        volumes=kinds[0],
        notes=notes,
    )
    if (
        window is not None
        and len({one.images.dtype for one in sources.all if one.images is not None}) > 1
    ):
        raise UserError("--window: the sets are of different depth; bring them to one, or leave it")
    return _no_copies(sources)


def _kind(volumes: bool) -> str:
    return "volumes" if volumes else "images"


def _no_copies(sources: Sources) -> Sources:
    """Without synthetic files that are byte for byte a real one."""
    real = {one.sha256 for one in sources.real.candidates}
    made, notes = [], list(sources.notes)
    for source in sources.synthetic:
        left = tuple(one for one in source.candidates if one.sha256 not in real)
        if len(left) < len(source.candidates):
            lost = len(source.candidates) - len(left)
            notes.append(f"set {source.name}: left out {lost} files that are copies of real ones")
        made.append(replace(source, candidates=left))
    return replace(sources, synthetic=tuple(made), notes=tuple(notes))


def _held_out(
    real: Path, synthetic: Mapping[str, Path], *, volumes: bool
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    if volumes:
        rows = read_participants(real) if is_artifact(real) else []
        if any(row.split == "test" for row in rows):
            return ("test",), ("real: held-out rows (split test)",)
        return None, (_NOT_HELD_OUT,)
    roles = [assign_roles(real=real, synthetic=folder) for folder in synthetic.values()]
    said = dict.fromkeys(role.notes["real"] for role in roles if "real" in role.notes)
    notes = [f"real: {text}" for text in said] or [_NOT_HELD_OUT]
    return roles[0].real_splits, tuple(notes)


_NOT_HELD_OUT = (
    "real: no held-out part is recorded; make sure that the generator never saw these, or readers "
    "may meet what it copied"
)


def _images(
    folder: Path,
    *,
    name: str,
    truth: Truth,
    splits: Sequence[str] | None,
    window: tuple[float, float] | None,
    stratify: str,
) -> Source:
    loaded = load_images(folder, role=truth, splits=splits, channels=1)
    found = [
        Candidate(
            set=name,
            place=place,
            truth=truth,
            file=record.file,
            subject=record.subject,
            sha256=record.sha256,
            weeks=record.gestational_age_weeks,
            value=_value(record, stratify),
        )
        for place, record in enumerate(loaded.records)
    ]
    return Source(
        name=name,
        truth=truth,
        candidates=tuple(without_copies(found)),
        source=loaded.source.model_copy(update={"role": name}),
        images=loaded.pixels[..., 0],
        window=window,
    )


def _value(record: ImageRecord | VolumeRecord, column: str) -> float | None:
    if column == BY_AGE:
        return record.gestational_age_weeks
    try:
        return float(record.extra.get(column, ""))
    except ValueError:
        return None


def _volumes(
    folder: Path,
    *,
    name: str,
    truth: Truth,
    splits: Sequence[str] | None,
    window: tuple[float, float] | None,
    stratify: str,
) -> Source:
    del window
    files = find_volumes(folder, role=name)
    known = {row.image: row for row in read_participants(folder)} if is_artifact(folder) else {}
    found = list[Candidate]()
    volumes = list[VolumeFile]()
    for path, item in zip(files.images, files.items(), strict=True):
        row = known.get(item.file)
        if splits is not None and (row is None or row.split not in splits):
            continue
        found.append(
            Candidate(
                set=name,
                place=len(volumes),
                truth=truth,
                file=item.file,
                subject=row.subject if row else item.subject or item.stem,
                sha256=digest_file(path),
                weeks=row.gestational_age_weeks if row else None,
                value=_value(row, stratify) if row else None,
            )
        )
        volumes.append(VolumeFile(image=path, mask=_mask(files, path)))
    return Source(
        name=name,
        truth=truth,
        candidates=tuple(without_copies(found)),
        source=files.source,
        volumes=tuple(volumes),
    )


def _mask(files: VolumeFiles, path: Path) -> Path | None:
    return files.masks.get(key(path)) or files.labels.get(key(path))
