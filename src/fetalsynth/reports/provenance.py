"""Where a result comes from, to be shown in full: records, inputs of inputs, licences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fetalsynth.artifacts.manifest import Input, Manifest


@dataclass(frozen=True, kw_only=True)
class Record:
    """One artifact of the chain. ``rows`` are (what, value); ``inputs`` what it was made from."""

    title: str
    rows: tuple[tuple[str, str], ...]
    configuration: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    inputs: tuple[Record, ...]


def records(manifest: Manifest) -> Record:
    """The record of a result with those of everything that went into it."""
    return _record("This report", manifest, rows=())


def _record(title: str, manifest: Manifest | None, *, rows: tuple[tuple[str, str], ...]) -> Record:
    if manifest is None:
        return Record(title=title, rows=rows, configuration=(), facts=(), inputs=())
    own = (
        ("Kind", manifest.kind),
        ("Synthetic content", "yes" if manifest.synthetic else "no"),
        ("Made", manifest.created or "not recorded"),
        ("fetalsynth version", manifest.package_version),
        ("Schema version", str(manifest.schema_version)),
        ("Seed", "none" if manifest.seed is None else str(manifest.seed)),
        ("Request digest", manifest.request or "not recorded"),
    )
    return Record(
        title=title,
        rows=(*rows, *own),
        configuration=flat(manifest.configuration),
        facts=flat(manifest.facts),
        inputs=tuple(_input(item) for item in manifest.inputs),
    )


def _input(item: Input) -> Record:
    known = ("Path", item.path), ("Content digest (SHA-256)", item.digest)
    return _record(f"Input: {item.role}", item.manifest, rows=known)


def flat(settings: Mapping[str, Any], *, under: str = "") -> tuple[tuple[str, str], ...]:
    """Nested settings as (dotted name, value) pairs; lists stay in one line."""
    pairs: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            pairs.extend(flat(value, under=f"{under}{name}."))
        else:
            pairs.append((f"{under}{name}", _text(value)))
    return tuple(pairs)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "none"
    return json.dumps(value, ensure_ascii=False, default=str)
