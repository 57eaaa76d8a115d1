"""The shell of every report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth import __version__
from fetalsynth.artifacts.manifest import NOT_FOR_CLINICAL_USE
from fetalsynth.reports import wording

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_PICTURE_WIDTH = 1152
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture inside the page. ``problem`` says why there is none (``data`` is empty then).

    ``width`` and ``height`` are those of the file in pixels; ``shrunk`` tells that a smaller copy
    was embedded.
    """

    file: str
    data: str = ""
    width: int = 0
    height: int = 0
    shrunk: bool = False
    problem: str = ""


def render(template: str, *, title: str, context: Mapping[str, Any]) -> str:
    """Fill the named template of this package; everything that is not marked safe is escaped."""
    page = _environment().get_template(template)
    shell = {"title": title, "version": __version__, "notice": NOT_FOR_CLINICAL_USE}
    return page.render({**shell, **context})


def web_address(text: str) -> str | None:
    """``text`` if it is one http(s) address, so that nothing else ever becomes a link."""
    return text if _WEB_ADDRESS.fullmatch(text) else None


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fetalsynth.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=wording.count, plural=wording.plural, number=wording.number, web_address=web_address
    )
    return environment


def embed(folder: Path, file: str) -> Picture:
    """Read ``folder/file`` (PNG) for embedding; never fails, the reason stands in ``problem``.

    Pictures wider than ``MAX_PICTURE_WIDTH`` are embedded smaller, by an integer factor.
    """
    from PIL import Image

    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        return Picture(file=file, problem="it lies outside the folder of this report")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
            factor = -(-image.width // MAX_PICTURE_WIDTH)
            data = path.read_bytes() if factor == 1 else _reduced(image, factor)
            size = image.size
    except FileNotFoundError:
        return Picture(file=file, problem="the file is missing")
    except (OSError, SyntaxError, ValueError) as error:
        return Picture(file=file, problem=f"it cannot be read as PNG ({type(error).__name__})")
    return Picture(
        file=file,
        data="data:image/png;base64," + base64.b64encode(data).decode("ascii"),
        width=size[0],
        height=size[1],
        shrunk=factor > 1,
    )


def _reduced(image: Any, factor: int) -> bytes:
    """PNG of the 8-bit image, averaged over ``factor`` × ``factor`` pixels."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda v: v / 257).convert("L")
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    stream = io.BytesIO()
    image.reduce(factor).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
