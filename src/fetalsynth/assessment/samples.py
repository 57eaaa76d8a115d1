"""The images under assessment, brought to one form, with their subjects."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_bytes
from fetalsynth.assessment.features.policy import to_grey8
from fetalsynth.assessment.subjects import subject_numbers
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.datasets.scratch import gathered
from fetalsynth.errors import DataWarning, UserError
from fetalsynth.randomness import numpy_rng

Index = NDArray[np.int64]
ROLES = ("real", "synthetic", "train")
LEAST_IMAGES = 8
LEAST_SUBJECTS = 4


@dataclass(frozen=True, kw_only=True)
class Samples:
    """8-bit grey images (N, H, W) by role, with an integer per subject and the file names.

    Roles are "real" (held out where that is known), "synthetic" and, where given, "train" (what
    the generator saw). Pooled arrays are in the order of ``ROLES``. Every synthetic image is its
    own subject, because generators draw them independently. ``repeated`` counts, by role, the
    images that repeat an earlier one pixel by pixel.
    """

    images: dict[str, NDArray[np.uint8]]
    subjects: dict[str, Index]
    files: dict[str, tuple[str, ...]]
    seed: int
    repeated: dict[str, int] = field(default_factory=dict)

    def count(self, role: str) -> int:
        """Images of the role; 0 where it was not given."""
        return len(self.images.get(role, ()))

    def pooled(self, role: str) -> Index:
        """Positions of the role's images in pooled arrays."""
        before = sum(self.count(other) for other in ROLES[: ROLES.index(role)])
        return before + np.arange(self.count(role))

    def at(self, positions: Index) -> NDArray[np.uint8]:
        """Images (N, H, W) at ``positions`` in pooled arrays, which must be of one role.

        Raises ValueError where they are of several roles.
        """
        for role in self.images:
            start, stop = self.pooled(role)[0], self.pooled(role)[-1] + 1
            if ((positions >= start) & (positions < stop)).all():
                return gathered(self.images[role], positions - start)
        raise ValueError("the positions are of several roles")

    def one_per_subject(self, role: str) -> Index:
        """Positions within the role of one image of each subject, drawn at random.

        Frames of one examination resemble each other; tests that need independent images use
        these.
        """
        rng = numpy_rng(seed=self.seed, stream=f"assess/one-per-subject/{role}")
        order = rng.permutation(self.count(role))
        _, first = np.unique(self.subjects[role][order], return_index=True)
        return np.sort(order[first])

    def limited(self, most: int) -> Samples:
        """At most ``most`` images of each role, drawn at random; the same object if none is cut."""
        if all(len(images) <= most for images in self.images.values()):
            return self
        kept = {role: self._draw(role, most) for role in self.images}
        return replace(
            self,
            images={role: gathered(self.images[role], index) for role, index in kept.items()},
            subjects={role: self.subjects[role][index] for role, index in kept.items()},
            files={role: tuple(self.files[role][i] for i in kept[role]) for role in kept},
        )

    def _draw(self, role: str, most: int) -> Index:
        rng = numpy_rng(seed=self.seed, stream=f"assess/limit/{role}")
        return np.sort(rng.permutation(self.count(role))[:most])


def collect(
    *,
    real: ImageSet,
    synthetic: ImageSet,
    train: ImageSet | None,
    seed: int,
    window: tuple[float, float] | None = None,
) -> Samples:
    """Bring the sets to 8-bit grey and check that they can be compared.

    ``window`` is the range of stored values that becomes 0 … 255 (default: that of each set's
    pixel type, with a DataWarning where 16-bit images use a quarter of it or less). Raises
    UserError for sets of differing size, with too few images or subjects, and where real images are
    also training images.
    """
    sets = {"real": real, "synthetic": synthetic}
    if train is not None:
        sets["train"] = train
    for role, images in sets.items():
        _check_size(images, like=real)
        if role != "train":
            _check_enough(images, role)
    if train is not None:
        _check_disjoint(real, train)
    if window is None:
        for images in sets.values():
            _warn_of_dark(images)
    grey = {role: to_grey8(pixels=s.pixels, window=window) for role, s in sets.items()}
    subjects = {"synthetic": np.arange(len(synthetic.records))}
    repeated = {}
    for role in sets.keys() & {"real", "train"}:
        names = _names(sets[role])
        subjects[role], repeated[role] = subject_numbers(names=names, images=grey[role])
    different = len(set(subjects["real"].tolist()))
    if different < LEAST_SUBJECTS:
        raise UserError(
            f"{real.source.path}: different real images of only {different} subjects (the same "
            f"pixels count once); at least {LEAST_SUBJECTS} are needed"
        )
    return Samples(
        images=grey,
        subjects=subjects,
        files={role: tuple(record.file for record in s.records) for role, s in sets.items()},
        seed=seed,
        repeated=repeated,
    )


def _names(images: ImageSet) -> list[str]:
    return [record.subject or record.file for record in images.records]


def _check_size(images: ImageSet, *, like: ImageSet) -> None:
    here, there = images.pixels.shape[1:3], like.pixels.shape[1:3]
    if here == there:
        return
    hint = f"--size {there[0]}" if there[0] == there[1] else "the same --size for both"
    raise UserError(
        f"{images.source.path}: images are {here[1]}×{here[0]} pixels, those in "
        f"{like.source.path} {there[1]}×{there[0]}; bring them to one size "
        f"(fetalsynth data import folder … {hint})"
    )


def _check_enough(images: ImageSet, role: str) -> None:
    path = images.source.path
    if len(images.records) < LEAST_IMAGES:
        raise UserError(
            f"{path}: {len(images.records)} {role} images; an assessment needs at least "
            f"{LEAST_IMAGES}, and 50 before its numbers mean much"
        )
    subjects = len(set(_names(images)))
    if role == "real" and subjects < LEAST_SUBJECTS:
        raise UserError(
            f"{path}: real images of only {subjects} subjects; at least {LEAST_SUBJECTS} are "
            "needed to tell how much real images differ among themselves"
        )


def _warn_of_dark(images: ImageSet) -> None:
    """12 bits in a file of 16 become sixteen grey levels, and every measure sees only those."""
    whole = int(np.iinfo(images.pixels.dtype).max)
    brightest = int(images.pixels.max())
    if images.pixels.dtype == np.uint16 and brightest <= whole // 4:
        levels = round(255 * brightest / whole) + 1
        warnings.warn(
            f"{images.source.path}: the brightest pixel is {brightest} of {whole}, so that only "
            f"{levels} of 256 grey levels are left; give the values of black and white: --window "
            f"0 {brightest}",
            DataWarning,
            stacklevel=2,
        )


def _check_disjoint(real: ImageSet, train: ImageSet) -> None:
    seen = {digest_bytes(np.ascontiguousarray(image).tobytes()) for image in train.pixels}
    shared = [
        record.file
        for record, image in zip(real.records, real.pixels, strict=True)
        if digest_bytes(np.ascontiguousarray(image).tobytes()) in seen
    ]
    if shared:
        raise UserError(
            f"{Path(real.source.path) / shared[0]}: is also a training image ({len(shared)} of "
            f"{len(real.records)} real images are in {train.source.path}); give held-out images "
            "as --real, or leave --train out"
        )
    _check_subjects(real, train)


def _check_subjects(real: ImageSet, train: ImageSet) -> None:
    """Two imports of one source may split its subjects differently."""
    if not _origins(real) & _origins(train):
        return
    shared = set(_names(real)) & set(_names(train))
    if shared:
        raise UserError(
            f"{real.source.path}: {len(shared)} of its {len(set(_names(real)))} subjects, such as "
            f"{min(shared)}, are training subjects in {train.source.path}, which was imported from "
            "the same source; assess against the held-out rows of that import"
        )


def _origins(images: ImageSet) -> set[str]:
    made = images.source.manifest
    return {item.digest for item in made.inputs if item.role == "source"} if made else set()
