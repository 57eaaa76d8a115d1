"""Which images play which role: held-out real ones, and those that the generator saw.

An ``images`` artifact knows its held-out rows, and synthetic images know through their model what
it was trained on. Nothing is assumed silently: every choice comes with a sentence that says it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.images import read_table
from fetalsynth.artifacts.manifest import Input, Manifest, is_artifact, read_manifest

Splits = tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What to read for "real" and "train", with a sentence about each choice.

    ``train`` None means that nothing is known to have been seen by the generator, or that nothing
    was held out; ``notes`` says which, by role.
    """

    real_splits: Splits
    train: Path | None = None
    train_splits: Splits = None
    notes: dict[str, str] = field(default_factory=dict)
    not_held_out: str | None = None


def assign_roles(*, real: Path, synthetic: Path, train: Path | None = None) -> Roles:
    """Choose the rows of each role from what the folders' own records say."""
    splits = _splits(real)
    real_splits: Splits = ("test",) if "test" in splits else None
    notes = {"real": "held-out rows (split test)"} if real_splits else {}
    if train is not None:
        chosen: Splits = ("train",) if "train" in _splits(train) else None
        notes["train"] = f"rows of split train in {train}" if chosen else f"all images in {train}"
        return Roles(real_splits=real_splits, train=train, train_splits=chosen, notes=notes)
    data, model = _training_data(synthetic)
    if data is None:
        return _from_real(real, splits, real_splits, notes)
    return _from_lineage(data, model, real=real, real_splits=real_splits, notes=notes)


def _from_real(real: Path, splits: set[str], real_splits: Splits, notes: dict[str, str]) -> Roles:
    """The synthetic images do not say what was seen: take the other rows of the real set."""
    if not {"train", "test"} <= splits:
        return Roles(real_splits=real_splits, notes=notes)
    said = f"rows of split train in {real}; what the generator really saw is not recorded"
    return Roles(
        real_splits=real_splits, train=real, train_splits=("train",), notes={**notes, "train": said}
    )


def _from_lineage(
    data: Input, model: Manifest, *, real: Path, real_splits: Splits, notes: dict[str, str]
) -> Roles:
    saw_all = _recipe(model).get("split") == "all"
    same = is_artifact(real) and read_manifest(real).content == data.digest
    if same and (saw_all or real_splits is None):
        seen = (
            "the generator was trained on these very images, so nothing is held out and every "
            "number flatters it"
        )
        return Roles(real_splits=real_splits, notes={**notes, "real": seen}, not_held_out=seen)
    place = real if same else Path(data.path)
    if not same and not _is_still(place, data.digest):
        gone = f"the images it was trained on are no longer in {data.path}: give --train DIR"
        return Roles(real_splits=real_splits, notes={**notes, "synthetic": gone})
    chosen: Splits = ("train",) if "train" in _splits(place) and not saw_all else None
    which = "rows of split train" if chosen else "all images"
    said = f"{which} in {place}, as the record of the synthetic images says"
    subset = _recipe(model).get("images")
    if isinstance(subset, int):
        said += f" (the generator saw {subset} of them)"
    return Roles(
        real_splits=real_splits, train=place, train_splits=chosen, notes={**notes, "train": said}
    )


def _training_data(synthetic: Path) -> tuple[Input | None, Manifest]:
    """The data that the model of these images was trained on, and the model's record."""
    made = read_manifest(synthetic) if is_artifact(synthetic) else None
    for item in made.inputs if made else ():
        if item.role == "model" and item.manifest is not None:
            data = next((one for one in item.manifest.inputs if one.role == "data"), None)
            return data, item.manifest
    return None, Manifest(kind="model", configuration={}, synthetic=True)


def _recipe(model: Manifest) -> dict[str, Any]:
    recipe = model.configuration.get("recipe", {})
    return recipe if isinstance(recipe, dict) else {}


def _is_still(folder: Path, digest: str) -> bool:
    return is_artifact(folder) and read_manifest(folder).content == digest


def _splits(folder: Path) -> set[str]:
    if not is_artifact(folder):
        return set()
    read_manifest(folder, kind="images")
    return {record.split for record in read_table(folder)}
