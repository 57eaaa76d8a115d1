"""A picture of one measured head: three planes with the lines where they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.measure.centiles import ventriculomegaly_grade
from fetalsynth.anatomy.measure.fields import Affine, Line, Points, few_voxels_mm
from fetalsynth.anatomy.measure.measuring import Measurements

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

PANEL = 460
_MARGIN_MM, _GAP, _FOOT = 4.0, 8, 78
_RIGHT, _FRONT, _UP = 0, 1, 2
_COLOURS = np.array(
    [
        [12, 12, 14],
        [38, 70, 110],
        [120, 120, 126],
        [196, 196, 198],
        [176, 62, 66],
        [64, 130, 88],
        [170, 132, 58],
        [112, 78, 132],
    ],
    np.uint8,
)
_LINE, _OUTLINE, _LEVEL, _TEXT = (255, 235, 80), (90, 220, 255), (255, 255, 255), (235, 235, 235)


@dataclass(frozen=True, kw_only=True)
class _View:
    """One plane of the head's frame: ``axis`` is across it at ``level`` mm.

    ``columns`` and ``rows`` are the frame's axes along them, rows from the larger coordinate down.
    """

    name: str
    axis: int
    level: float
    columns: int
    rows: int


def annotated_picture(
    labels: NDArray[np.uint8],
    affine: Affine,
    measured: Measurements,
    *,
    title: str,
    image: NDArray[Any] | None = None,
) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: axial planes of the atria and the thalami, coronal and midsagittal plane.

    Planes are those of the head, not of the volume; the left of the fetus is on the left.
    ``labels`` and ``image`` (I, J, K) lie on the same voxels with a (4, 4) ``affine`` in mm; with
    an image, its grey levels are shown instead of the tissues.
    """
    from PIL import Image, ImageDraw

    frame = measured.frame
    head = frame.inside(few_voxels_mm(labels > 0, affine))
    low, high = head.min(axis=0) - _MARGIN_MM, head.max(axis=0) + _MARGIN_MM
    scale = PANEL / float((high - low).max())
    width, height = 2 * PANEL + 3 * _GAP, 2 * PANEL + 3 * _GAP + _FOOT
    sheet = Image.new("RGB", (width, height), (24, 24, 27))
    window = None if image is None else _window(image, labels)
    for index, view in enumerate(_views(measured)):
        pixels = _sampled(labels if image is None else image, affine, measured, view, (low, high))
        grey = window and np.clip((pixels - window[0]) / (window[1] - window[0]), 0, 1) * 255
        colours = _COLOURS[pixels.astype(int)] if grey is None else np.dstack([grey] * 3)
        panel = Image.fromarray(colours.astype(np.uint8))
        _annotate(ImageDraw.Draw(panel), view, measured, low=low, high=high, scale=scale)
        row, column = divmod(index, 2)
        sheet.paste(panel, (_GAP + column * (PANEL + _GAP), _GAP + row * (PANEL + _GAP)))
    draw = ImageDraw.Draw(sheet)
    for line, text in enumerate(_summary(measured, title)):
        at = (_GAP + 2, 2 * PANEL + 3 * _GAP + 24 * line)
        draw.text(at, text, fill=_TEXT, font=_font(16))
    return np.asarray(sheet)


def _views(measured: Measurements) -> Sequence[_View]:
    def level(lines: Sequence[Line | None], axis: int, otherwise: float) -> float:
        ends = [end for line in lines if line for end in (line.start, line.end)]
        return float(measured.frame.inside(np.array(ends))[:, axis].mean()) if ends else otherwise

    thalami = level([measured.head.biparietal], _UP, 0.0)
    atria = level([measured.atrium_left, measured.atrium_right], _UP, thalami)
    cerebellum = level([measured.transcerebellar], _FRONT, 0.0)
    return (
        _View(name="axial, atria", axis=_UP, level=atria, columns=_RIGHT, rows=_FRONT),
        _View(name="axial, thalami", axis=_UP, level=thalami, columns=_RIGHT, rows=_FRONT),
        _View(name="coronal", axis=_FRONT, level=cerebellum, columns=_RIGHT, rows=_UP),
        _View(name="midsagittal", axis=_RIGHT, level=0.0, columns=_FRONT, rows=_UP),
    )


def _sampled(
    volume: NDArray[Any],
    affine: Affine,
    measured: Measurements,
    view: _View,
    box: tuple[Points, Points],
) -> NDArray[np.float64]:
    """(PANEL, PANEL) values in the plane, the middle of the head in its middle."""
    low, high = box
    scale = PANEL / float((high - low).max())
    steps = (np.arange(PANEL) + 0.5 - PANEL / 2) / scale
    middle = (low + high) / 2
    points = np.empty((PANEL, PANEL, 3))
    points[..., view.axis] = view.level
    points[..., view.columns] = middle[view.columns] + steps
    points[..., view.rows] = middle[view.rows] - steps[:, None]
    inverse = np.linalg.inv(affine)
    voxels = measured.frame.world(points).reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
    order = 0 if volume.dtype == np.uint8 else 1
    found = ndimage.map_coordinates(volume, voxels.T, order=order, output=np.float64)
    return np.asarray(found.reshape(PANEL, PANEL))


def _window(image: NDArray[Any], labels: NDArray[np.uint8]) -> tuple[float, float]:
    low, high = np.percentile(image[labels > 0], [0.5, 99.5])
    return float(low), max(float(high), float(low) + 1e-6)


def _annotate(
    draw: ImageDraw,
    view: _View,
    measured: Measurements,
    *,
    low: Points,
    high: Points,
    scale: float,
) -> None:
    def place(points: Points) -> list[tuple[float, float]]:
        inside = measured.frame.inside(points)
        middle = (low + high) / 2
        x = PANEL / 2 + (inside[:, view.columns] - middle[view.columns]) * scale
        y = PANEL / 2 - (inside[:, view.rows] - middle[view.rows]) * scale
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def caliper(line: Line | None, text: str, *, shift: tuple[int, int]) -> None:
        if line is None:
            return
        start, end = place(np.stack([line.start, line.end]))
        draw.line([start, end], fill=_LINE, width=2)
        for x, y in (start, end):
            draw.line([(x - 4, y - 4), (x + 4, y + 4)], fill=_LINE, width=2)
            draw.line([(x - 4, y + 4), (x + 4, y - 4)], fill=_LINE, width=2)
        where = ((start[0] + end[0]) / 2 + shift[0], (start[1] + end[1]) / 2 + shift[1])
        _label(draw, where, f"{text}{line.length_mm:.1f} mm")

    draw.text((6, 4), view.name, fill=_TEXT, font=_font(15))
    if view.name == "axial, atria":
        caliper(measured.atrium_left, "", shift=(0, 22))
        caliper(measured.atrium_right, "", shift=(0, 22))
    elif view.name == "axial, thalami":
        ring = place(measured.head.outline)
        draw.line([*ring, ring[0]], fill=_OUTLINE, width=2)
        caliper(measured.head.biparietal, "BPD ", shift=(-70, -16))
        caliper(measured.head.occipitofrontal, "OFD ", shift=(58, 66))
        _label(draw, (PANEL - 56, 16), f"HC {measured.hc_mm:.0f} mm")
    elif view.name == "coronal":
        caliper(measured.transcerebellar, "TCD ", shift=(0, 22))
    else:
        _levels(draw, measured, low=low, high=high, scale=scale)
    if view.axis != _RIGHT:
        draw.text((6, PANEL / 2 - 10), "L", fill=_TEXT, font=_font(18))
        draw.text((PANEL - 18, PANEL / 2 - 10), "R", fill=_TEXT, font=_font(18))
    _scale_bar(draw, scale)


def _levels(
    draw: ImageDraw, measured: Measurements, *, low: Points, high: Points, scale: float
) -> None:
    """Where the other planes cut the midsagittal one."""
    middle = (low + high) / 2
    for view in _views(measured)[:3]:
        at = PANEL / 2 + (view.level - middle[view.axis]) * (-scale if view.axis == _UP else scale)
        ends = [(0.0, at), (PANEL, at)] if view.axis == _UP else [(at, 0.0), (at, PANEL)]
        draw.line(ends, fill=_LEVEL, width=1)
        above = 12 if view.name == "axial, thalami" else -12
        where = (56.0, at + above) if view.axis == _UP else (at, PANEL - 44)
        _label(draw, where, view.name)


def _label(draw: ImageDraw, at: tuple[float, float], text: str) -> None:
    font = _font(16)
    box = draw.textbbox(at, text, font=font, anchor="mm")
    draw.rectangle((box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2), fill=(0, 0, 0))
    draw.text(at, text, fill=_LINE, font=font, anchor="mm")


def _scale_bar(draw: ImageDraw, scale: float) -> None:
    end = PANEL - 10
    draw.line([(end - 20 * scale, PANEL - 8), (end, PANEL - 8)], fill=_TEXT, width=3)
    draw.text((end, PANEL - 14), "20 mm", fill=_TEXT, font=_font(13), anchor="rb")


def _summary(measured: Measurements, title: str) -> tuple[str, str, str]:
    age = measured.gestational_age_weeks
    widths = [
        f"{side} {width:.1f} mm ({ventriculomegaly_grade(atrial_width_mm=width)})"
        for side, width in zip(("left", "right"), measured.atrial_width_mm, strict=True)
        if width is not None
    ]
    thickness = measured.cortical_thickness_mm
    return (
        title + ("" if age is None else f", {age:.4g} weeks"),
        "Atrial width " + (", ".join(widths) or "not measured"),
        f"Ventricles {measured.volumes_ml['ventricles']:.1f} ml"
        + ("" if thickness is None else f"; cortex {thickness:.1f} mm thick (median)")
        + ". Not for clinical use.",
    )


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
