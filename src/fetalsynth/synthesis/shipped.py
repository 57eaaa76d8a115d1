"""Trained models that ship with the package: found by name, described in a line; free of torch."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.manifest import Manifest, is_artifact, read_manifest
from fetalsynth.errors import UserError

MODELS = Path(__file__).parents[1] / "models"
LARGEST_BYTES = 16_000_000

_MAKERS = {"dcgan": "a DCGAN", "flow": "flow matching"}


def shipped_models() -> dict[str, Path]:
    """The folder of every shipped model, by name."""
    folders = sorted(MODELS.iterdir()) if MODELS.is_dir() else []
    return {
        folder.name: folder
        for folder in folders
        if is_artifact(folder) and folder.suffix != ".partial"
    }


def resolve_model(name_or_path: str | Path) -> Path:
    """The folder of a model: one that exists, else the shipped model of that name.

    Raises UserError, with the names that there are, for a bare name that is neither; a longer path
    is returned as it is.
    """
    path = Path(name_or_path)
    if path.is_dir() or len(path.parts) != 1:
        return path
    shipped = shipped_models()
    if path.name in shipped:
        return shipped[path.name]
    if path.exists():
        return path
    close = get_close_matches(path.name, shipped, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ";"
    have = f"shipped are {', '.join(shipped)}" if shipped else "none ships with this version"
    raise UserError(
        f"{path}: it does not exist, and no shipped model has that name{hint} {have}; your own "
        "model is the path of its folder"
    )


def which_model(name_or_path: str | Path) -> str | None:
    """What to tell of the choice between a shipped model and a folder of the same name.

    None where no shipped model has that name.
    """
    path = Path(name_or_path)
    shipped = shipped_models()
    if len(path.parts) != 1 or path.name not in shipped:
        return None
    if path.is_dir():
        return f"{path} is the folder here, not the shipped model of that name"
    return f"{path} is the shipped model: {description(shipped[path.name])}"


def description(folder: Path) -> str:
    """Size, what it makes, data and licence of a model, in one line."""
    megabytes = folder_bytes(folder) / 1e6
    try:
        manifest = read_manifest(folder, kind="model")
    except UserError as error:
        return f"damaged: {error}"
    return f"{megabytes:.1f} MB, {_makes(manifest)}, trained on {_data(manifest)}"


def listing() -> list[str]:
    """One line per shipped model; one that says so where there are none."""
    shipped = shipped_models()
    width = max(map(len, shipped), default=0)
    lines = [f"{name:<{width}}  {description(folder)}" for name, folder in shipped.items()]
    return lines or ["none with this version"]


def quickest_model() -> tuple[str, Path] | None:
    """Name and folder of the shipped model of the smallest images; None where none ships."""
    shipped = shipped_models()
    if not shipped:
        return None
    return min(shipped.items(), key=lambda item: (_size(read_manifest(item[1])), item[0]))


def folder_bytes(folder: Path) -> int:
    """Size of all files of a folder together."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _generator(manifest: Manifest) -> dict[str, Any]:
    recipe = manifest.configuration.get("recipe", {})
    generator = recipe.get("generator", {}) if isinstance(recipe, dict) else {}
    return generator if isinstance(generator, dict) else {}


def _size(manifest: Manifest) -> int:
    return int(_generator(manifest).get("size", 0))


def _makes(manifest: Manifest) -> str:
    generator, size = _generator(manifest), _size(manifest)
    colour = "grey" if generator.get("channels", 1) == 1 else "RGB"
    family = str(generator.get("family", "unknown"))
    heads = ", also of heads that you ask for" if generator.get("condition") == "head" else ""
    return f"{size} × {size} {colour} images by {_MAKERS.get(family, family)}{heads}"


def _data(manifest: Manifest) -> str:
    known = [f"{item.source} ({item.licence})" for item in manifest.licences]
    return " and ".join(dict.fromkeys(known)) or "data without a licence line"
