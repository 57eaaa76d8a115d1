"""``fetalsynth.json``: what a directory holds, how and from what it was made, and its licences."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fetalsynth import __version__
from fetalsynth.artifacts.contents import verify_sums
from fetalsynth.artifacts.digest import digest_json
from fetalsynth.errors import UserError, explaining

FILENAME = "fetalsynth.json"
SCHEMA_VERSION = 1
NOT_FOR_CLINICAL_USE = "Not for clinical use."

Kind = Literal["images", "volumes", "model", "scores", "study", "reader-study"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(_Strict):
    """Licence and citation of one source; carried along to everything made from it."""

    source: str
    licence: str
    citation: str
    url: str = ""


class Input(_Strict):
    """One directory or file that went into an artifact, with the digest of its content."""

    role: str
    path: str
    digest: str
    manifest: Manifest | None = None


class Manifest(_Strict):
    """Content of ``fetalsynth.json``.

    ``request`` identifies the command that made the artifact (kind, configuration, seed and input
    digests); ``content`` is the digest of every other file in the directory.
    """

    kind: Kind
    schema_version: int = SCHEMA_VERSION
    package_version: str = __version__
    created: str = ""
    configuration: dict[str, Any]
    seed: int | None = None
    inputs: tuple[Input, ...] = ()
    licences: tuple[Licence, ...] = ()
    synthetic: bool
    notice: str = NOT_FOR_CLINICAL_USE
    facts: dict[str, Any] = {}
    request: str = ""
    content: str = ""


def draft(
    *,
    kind: Kind,
    configuration: dict[str, Any],
    synthetic: bool,
    seed: int | None = None,
    inputs: tuple[Input, ...] = (),
    licences: tuple[Licence, ...] = (),
) -> Manifest:
    """Manifest of an artifact about to be made; licences of the inputs are carried along."""
    carried = [lic for item in inputs if item.manifest for lic in item.manifest.licences]
    unique = tuple(dict.fromkeys([*licences, *carried]))
    request = digest_json(
        {
            "kind": kind,
            "configuration": configuration,
            "seed": seed,
            "inputs": [[item.role, item.digest] for item in inputs],
        }
    )
    return Manifest(
        kind=kind,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        configuration=configuration,
        seed=seed,
        inputs=inputs,
        licences=unique,
        synthetic=synthetic,
        request=request,
    )


def read_manifest(folder: Path, *, kind: Kind | None = None) -> Manifest:
    """Read and check ``folder/fetalsynth.json``.

    Raises UserError where it is missing, unreadable, of a newer schema or not of ``kind``.
    """
    path = folder / FILENAME
    if not folder.exists():
        raise UserError(f"{folder}: it does not exist; check the path")
    if not path.is_file():
        raise UserError(f"{folder}: no {FILENAME} in it, so it was not made by fetalsynth")
    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        raw = json.loads(text)
        if int(raw.get("schema_version", 0)) > SCHEMA_VERSION:
            raise UserError(f"{path}: written by a newer fetalsynth; update this installation")
        manifest = Manifest.model_validate(raw)
    except (ValueError, AttributeError, TypeError, ValidationError) as error:
        raise UserError(f"{path}: not a readable manifest ({_first_line(error)})") from error
    if kind is not None and manifest.kind != kind:
        raise UserError(f"{folder}: holds {manifest.kind}, but {kind} are needed here")
    return manifest


def is_artifact(folder: Path) -> bool:
    """Whether ``folder`` is a finished directory of this package."""
    return (folder / FILENAME).is_file()


def input_from(folder: Path, *, role: str, kind: Kind | None = None) -> Input:
    """Describe an artifact as input of another: its path, digest and whole manifest.

    Raises UserError where a file of it was changed after it was written.
    """
    manifest = read_manifest(folder, kind=kind)
    verify_sums(folder, content=manifest.content)
    return Input(role=role, path=str(folder), digest=manifest.content, manifest=manifest)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
