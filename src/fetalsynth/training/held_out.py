"""Images and volumes of patients that a training leaves out: what copying can be told by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from fetalsynth.artifacts.images import ImageRecord, read_table
from fetalsynth.artifacts.manifest import is_artifact
from fetalsynth.artifacts.volumes import VolumeRecord, read_participants
from fetalsynth.datasets.loading import ImageSet, load_images
from fetalsynth.datasets.splits import TEST
from fetalsynth.datasets.volumes.grid import Grid
from fetalsynth.datasets.volumes.loading import VolumeSet, load_volumes
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng
from fetalsynth.training.recipe import Recipe, SliceRecipe

LEAST_SUBJECTS = 20  # the copying screen wants no fewer
MOST_SUBJECTS = 256
MOST_VOLUMES = 10
LEAST_TRAINED = 2
ALL = "the recipe trains on all {} (split all)"


def load_held_out(
    folder: Path, *, recipe: Recipe, training: ImageSet, seed: int
) -> tuple[ImageSet | None, str]:
    """One image of each held-out patient of ``folder``, or None and why there are too few.

    Patients with an image in ``training`` do not count; of more than 256, as many are drawn.
    """
    if recipe.split == "all":
        return None, ALL.format("images")
    if not is_artifact(folder):
        return None, f"{folder} is a plain folder, which holds nothing out (import it)"
    seen = {patient(record) for record in training.records}
    there = len({patient(row) for row in read_table(folder) if row.split == TEST} - seen)
    if there < LEAST_SUBJECTS:
        return None, (
            f"{folder} holds out images of {there} patients, and {LEAST_SUBJECTS} are needed "
            "(import it with a larger held-out part)"
        )
    images = load_images(folder, role="held out", splits=(TEST,))
    chosen = _one_each(images, seen=seen, seed=seed)
    return replace(
        images,
        pixels=images.pixels[chosen],
        records=tuple(images.records[k] for k in chosen),
    ), ""


def load_held_out_volumes(
    folder: Path, *, recipe: SliceRecipe, training: VolumeSet, seed: int
) -> tuple[VolumeSet | None, str]:
    """A volume of each of up to ten held-out patients of ``folder``, or None and why not.

    Patients with a volume in ``training`` do not count, nor do volumes that cannot be used.
    """
    if recipe.split == "all":
        return None, ALL.format("volumes")
    seen = {record.subject for record in training.records}
    if len(seen) < LEAST_TRAINED:
        return None, "one patient alone is trained on, and copies show by what sets them apart"
    chosen = _one_volume_each(read_participants(folder), recipe=recipe, seen=seen, seed=seed)
    if not chosen:
        return None, f"{folder} holds out no volume of a patient that is not trained on"
    volumes, why = _usable(folder, chosen, recipe=recipe)
    if volumes is None:
        return None, f"no held-out volume can be used ({why})"
    highest = [int(labels.max()) for labels in volumes.labels]
    known = [k for k, label in enumerate(highest) if label < recipe.generator.labels]
    if not known:
        return None, (
            f"the held-out volumes of {folder} have label {min(highest)}, and the recipe knows 0 "
            f"to {recipe.generator.labels - 1}"
        )
    return volumes.only(known), ""


def _usable(folder: Path, names: set[str], *, recipe: SliceRecipe) -> tuple[VolumeSet | None, str]:
    """The volumes of these names, without those that cannot be read; or None and why."""
    load = partial(
        load_volumes,
        folder,
        role="held out",
        grid=Grid(size=recipe.generator.size, spacing_mm=recipe.spacing_mm),
        splits=(TEST,),
    )
    why, good = "", set[str]()
    try:
        return load(names=names), ""
    except UserError:
        for name in sorted(names):
            try:
                load(names={name})
            except UserError as error:
                why = str(error)
            else:
                good.add(name)
    return (load(names=good), "") if good else (None, why)


def _one_volume_each(
    rows: Sequence[VolumeRecord], *, recipe: SliceRecipe, seen: set[str], seed: int
) -> set[str]:
    """Names of volumes with labels, one of each of up to ten unseen patients."""
    first: dict[str, str] = {}
    rng = numpy_rng(seed=seed, stream="watch/held out")
    for k in rng.permutation(len(rows)).tolist():
        row = rows[k]
        whole = row.image is not None and row.labels is not None
        asked = recipe.reconstruction in (None, row.reconstruction)
        if row.split == TEST and row.subject not in seen and whole and asked:
            first.setdefault(row.subject, row.name)
    return set(list(first.values())[:MOST_VOLUMES])


def patient(record: ImageRecord) -> str:
    """Whose image it is; each its own where nothing is known."""
    return record.subject or record.file


def _one_each(images: ImageSet, *, seen: set[str], seed: int) -> list[int]:
    rng = numpy_rng(seed=seed, stream="watch/held out")
    first: dict[str, int] = {}
    for k in rng.permutation(len(images.records)).tolist():
        first.setdefault(patient(images.records[k]), k)
    drawn = sorted(name for name in first if name not in seen)
    if len(drawn) > MOST_SUBJECTS:
        places = rng.choice(len(drawn), MOST_SUBJECTS, replace=False)
        drawn = [drawn[k] for k in np.sort(places)]
    return sorted(first[name] for name in drawn)
