"""What every image source yields, whatever its format: pixels, subject, geometry, licence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.ellipse import Ellipse
from fetalsynth.artifacts.manifest import Licence


@dataclass(frozen=True, kw_only=True)
class SourceImage:
    """One image as its source has it.

    ``pixels`` is (H, W) or (H, W, 3), uint8 or uint16. ``name`` is unique within the source and
    safe as a file stem. ``mask`` is (H, W) uint8, 0 or 255. ``ellipse`` is the head outline in
    pixels of ``pixels``. ``pixel_spacing_mm`` is (y, x).
    ``extra`` holds whatever else the source knows, as text by column name, with the unit in the
    name (``bpd_mm``).
    """

    name: str
    subject: str
    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    mask: NDArray[np.uint8] | None = None
    ellipse: Ellipse | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    gestational_age_weeks: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A set of images that can be read one after the other.

    ``digest`` identifies the content (or, for a simulator, its settings); ``synthetic`` tells
    whether the images are simulated. ``notes`` are sentences about the whole set that its user
    should read.
    """

    name: str
    digest: str
    count: int
    images: Callable[[], Iterator[SourceImage]]
    licences: tuple[Licence, ...] = ()
    synthetic: bool = False
    notes: tuple[str, ...] = ()
