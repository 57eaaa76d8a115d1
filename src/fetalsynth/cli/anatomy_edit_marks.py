"""Words and marks on the figure of an edit: text, directions, a ruler and the legend of tissues."""

from __future__ import annotations

from PIL import ImageDraw, ImageFont

from fetalsynth.anatomy.labels import FETA
from fetalsynth.datasets.volumes.pictures import COLOURS

LINE = 17  # pixels from one line of text to the next
TAKEN = {"white matter": (225, 30, 45), "other tissue": (130, 0, 75)}  # what was overwritten
_ENDS = {"axial": ("L", "R"), "coronal": ("L", "R"), "sagittal": ("P", "A")}
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    *,
    size: int,
    fill: tuple[int, int, int] = _BLACK,
) -> None:
    """Text in the figure's one font, ``size`` in pixels."""
    pen.text(at, text, fill=fill, font=ImageFont.load_default(size))


def ends(pen: ImageDraw.ImageDraw, *, left: int, right: int, bottom: int, plane: str) -> None:
    """Which way the slice of the first column runs."""
    first, last = _ENDS[plane]
    write(pen, (left + 5, bottom - 20), first, size=14, fill=_WHITE)
    write(pen, (right - 15, bottom - 20), last, size=14, fill=_WHITE)


def ruler(pen: ImageDraw.ImageDraw, at: tuple[int, int], scale: float) -> None:
    """A line of 20 mm at ``scale`` pixels per mm."""
    x, y = at
    pen.line((x, y, x + round(20 * scale), y), fill=_WHITE, width=3)
    write(pen, (x, y + 4), "20 mm", size=12, fill=_WHITE)


def legend(pen: ImageDraw.ImageDraw, at: tuple[int, int], *, right: int, lost: bool) -> None:
    """The colours of the tissues, of what was overwritten if any was ``lost``, and the notice."""
    x, y = at
    named = list(zip(FETA[1:], COLOURS[1:], strict=True))
    if lost:
        named += [(f"overwritten {name}", colour) for name, colour in TAKEN.items()]
    for name, colour in named:
        wide = 26 + round(pen.textlength(name, font=ImageFont.load_default(13)))
        if x + wide > right:
            x, y = at[0], y + LINE
        pen.rectangle((x, y + 2, x + 12, y + 14), fill=colour, outline=(90, 90, 90))
        write(pen, (x + 17, y), name, size=13)
        x += wide + 8
    write(pen, (at[0], y + round(1.2 * LINE)), "Not for clinical use.", size=13)
