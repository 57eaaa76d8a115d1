"""Templates and static files: read once, everything escaped, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from jinja2 import Environment

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Content and media type of every static file by its name."""
    folder = resources.files("fetalsynth.reader.server") / "static"
    return {
        file.name: (file.read_bytes(), _TYPES[file.name.rpartition(".")[2]])
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.rpartition(".")[2] in _TYPES
    }


@cache
def static_version() -> str:
    """Digest of all static files; stands in their address, so that browsers may keep them."""
    digest = hashlib.sha256()
    for name, (content, _) in static_files().items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fetalsynth.reader.server"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = f"/static/{static_version()}"
    return environment


def page(
    template: str, *, title: str, context: Mapping[str, Any], status: int = 200
) -> HTMLResponse:
    """The filled template; everything in it is escaped."""
    text = _environment().get_template(template).render({"title": title, **context})
    return HTMLResponse(text, status_code=status)
