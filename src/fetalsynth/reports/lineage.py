"""From a manifest back along its inputs: which model made the images, from which data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from fetalsynth.artifacts.manifest import Input, Manifest
from fetalsynth.artifacts.model import epochs_run
from fetalsynth.reports.wording import count, duration, listing, plural


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The chain real data → model → synthetic images, as far as the records reach."""

    synthetic: Input | None
    model: Input | None
    data: Input | None


def trace(manifest: Manifest) -> Lineage:
    """Follow the inputs of a ``scores`` manifest: "synthetic", its "model", that one's data."""
    synthetic = _input(manifest, role="synthetic")
    model = _input(synthetic.manifest, role="model") if synthetic else None
    data = None
    if model is not None and model.manifest is not None:
        inputs = model.manifest.inputs
        data = _input(model.manifest, role="data") or (inputs[0] if inputs else None)
    return Lineage(synthetic=synthetic, model=model, data=data)


def _input(manifest: Manifest | None, *, role: str) -> Input | None:
    inputs = manifest.inputs if manifest is not None else ()
    return next((item for item in inputs if item.role == role), None)


def find(configuration: Mapping[str, Any], *names: str) -> Any:
    """The first setting of one of these names, outer levels first; None where there is none."""
    level: list[Mapping[str, Any]] = [configuration]
    while level:
        for name in names:
            for mapping in level:
                if mapping.get(name) is not None and not isinstance(mapping[name], Mapping):
                    return mapping[name]
        level = [v for mapping in level for v in mapping.values() if isinstance(v, Mapping)]
    return None


def model_name(lineage: Lineage) -> str | None:
    """Name of the recipe, or of the model's folder, or None where no model is recorded."""
    model = lineage.model
    if model is None:
        return None
    recipe = find(model.manifest.configuration, "name", "recipe") if model.manifest else None
    return str(recipe or PurePath(model.path).name)


def story(lineage: Lineage) -> str:
    """What was trained on what, in sentences."""
    name = model_name(lineage)
    if name is None:
        return (
            "The synthetic images carry no record of the model that made them, so this report "
            "cannot say what was trained on what."
        )
    model = lineage.model.manifest if lineage.model else None
    if model is None:
        return f"The images come from the model {name}, whose own record is missing."
    epochs = find(model.configuration, "epochs")
    parts = [f"The generator {name} was trained"]
    if isinstance(epochs, int):
        least, most = epochs_run(model.facts, planned=epochs)
        parts.append(f"for {'' if least == most else f'{least} to '}{plural(most, 'epoch')}")
    return " ".join([*parts, f"on {_data(lineage, model)}."]) + _made(lineage)


def _data(lineage: Lineage, model: Manifest) -> str:
    used = model.facts.get("images") or find(model.configuration, "images", "train_images")
    images = plural(used, "image") if isinstance(used, int) else "images"
    sources = [licence.source for licence in model.licences]
    origin = f" from {listing(sources)}" if sources else ""
    subjects = model.facts.get("subjects")
    people = f" of {plural(subjects, 'subject')}" if isinstance(subjects, int) else ""
    size = find(model.configuration, "size", "image_size")
    pixels = f", {size} × {size} pixels each" if isinstance(size, int) else ""
    simulated = lineage.data and lineage.data.manifest and lineage.data.manifest.synthetic
    return f"{images}{people}{origin}{pixels}{' (simulated, not real scans)' if simulated else ''}"


def _made(lineage: Lineage) -> str:
    made = lineage.synthetic.manifest if lineage.synthetic else None
    if made is None:
        return ""
    wanted = find(made.configuration, "n", "count")
    epoch = find(made.configuration, "epoch")
    when = f"After {plural(epoch, 'epoch')} it" if isinstance(epoch, int) else "It"
    return f" {when} made {plural(wanted, 'synthetic image')}." if isinstance(wanted, int) else ""


def training_table(lineage: Lineage) -> list[tuple[str, str]]:
    """Rows (what, value) about the training; empty where no model is recorded."""
    model = lineage.model.manifest if lineage.model else None
    if model is None:
        return []
    recorded = {**model.configuration, **model.facts}
    rows = [
        (label, _text(find(recorded, *names)))
        for label, names in _ROWS
        if find(recorded, *names) is not None
    ]
    seconds = find(recorded, "seconds", "training_seconds")
    if isinstance(seconds, int | float):
        rows.append(("Training time", duration(float(seconds))))
    networks = model.facts.get("networks", {"": model.facts})
    for name, facts in networks.items():
        chosen = facts.get("chosen")
        if isinstance(chosen, Mapping):
            epoch = "none" if chosen.get("epoch") is None else f"epoch {chosen['epoch']}"
            what = "Chosen snapshot" + (f" ({name})" if len(networks) > 1 else "")
            rows.append((what, f"{epoch}: {chosen.get('reason', '')}"))
    if model.seed is not None:
        rows.append(("Seed", str(model.seed)))
    return rows


_ROWS = (
    ("Recipe", ("name", "recipe")),
    ("Description", ("description",)),
    ("Kind of generator", ("family",)),
    ("Image size (pixels)", ("size", "image_size")),
    ("Epochs", ("epochs",)),
    ("Images per step", ("batch_size",)),
    ("Images seen", ("images_seen",)),
    ("Learning rate", ("learning_rate", "generator_learning_rate")),
    ("Parameters of the generator", ("generator_parameters", "generator")),
    ("Device", ("device",)),
)


def _text(value: Any) -> str:
    return count(value) if type(value) is int else str(value)
