"""Inside the hemispheres and below them: ventricles, deep grey matter, brainstem, cerebellum.

Positions are fractions of the cavity's half width a, half length b and height c; the ventricles'
calibre is the atrial width, which does not grow with age.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fetalsynth.datasets.phantoms.brain_head import Skull
from fetalsynth.datasets.phantoms.brain_shapes import (
    Field,
    Point,
    Space,
    ellipsoid,
    join,
    tube,
)


@dataclass(frozen=True, kw_only=True)
class Core:
    """Sizes of the inner structures, mm unless relative.

    ``horn`` scales the frontal and occipital horns, ``septum_mm`` is the width of the cavum septi
    pellucidi, ``deep`` scales the deep grey matter, ``stem`` the brainstem.
    """

    atrium_left_mm: float
    atrium_right_mm: float
    tallness: float
    horn: float
    septum_mm: float
    third_mm: float
    deep: float
    stem: float
    cerebellum_mm: float
    vermis: float


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Signed distances (mm) of the inner structures."""

    lateral: Field
    midline: Field
    fourth: Field
    thalamus: Field
    striatum: Field
    caudate: Field
    stem: Field
    cerebellum: Field
    arch: Field
    choroid: Field

    @property
    def deep(self) -> Field:
        """Thalamus, lentiform and caudate nucleus as one."""
        return join(join(self.thalamus, self.striatum, blend=2.0), self.caudate, blend=2.0)


def inside(space: Space, skull: Skull, core: Core) -> Inside:
    """All inner structures of one head."""
    lateral, choroid = _lateral(space, skull, core)
    thalamus, striatum, caudate = _deep_grey(space, skull, core)
    stem = _brainstem(space, skull, core)
    return Inside(
        lateral=lateral,
        midline=_midline(space, skull, core),
        fourth=_fourth(space, skull),
        thalamus=thalamus,
        striatum=striatum,
        caudate=caudate,
        stem=stem,
        cerebellum=_cerebellum(space, skull, core),
        arch=_arch(space, skull),
        choroid=choroid,
    )


def arch_level(space: Space, skull: Skull) -> Field:
    """1 on the upper border of the corpus callosum's arch, less inside it."""
    y = (space.y + 0.05 * skull.b) / (0.42 * skull.b)
    z = (space.z + 0.02 * skull.c) / (0.42 * skull.c)
    return np.asarray(np.sqrt(y * y + z * z), np.float32)


def _arch(space: Space, skull: Skull) -> Field:
    """Distance from the upper border of the corpus callosum, negative under it."""
    return np.asarray((arch_level(space, skull) - 1) * 0.42 * skull.c, np.float32)


def _scaled(skull: Skull, points: Iterable[Point]) -> tuple[Point, ...]:
    return tuple((x * skull.a, y * skull.b, z * skull.c) for x, y, z in points)


def _lateral(space: Space, skull: Skull, core: Core) -> tuple[Field, Field]:
    """Both lateral ventricles, C-shaped, taller than wide, and the choroid plexus in them."""
    side, y, tall = space.side, space.y, core.tallness
    z = space.z / tall
    half = np.where(space.x < 0, core.atrium_left_mm, core.atrium_right_mm) / 2
    half = np.asarray(half, np.float32)
    # Long parts lengthen with the head and widen a little; the atrium does not.
    horn = core.horn * (skull.a / 27) ** 0.25
    horns = (
        core.septum_mm / 2 + 0.8 + 0.39 * horn * (core.atrium_left_mm + core.atrium_right_mm) / 2
    ) / skull.a
    line = (
        ((horns + 0.07, 0.45, 0.05), 0.48 * horn),
        ((horns, 0.28, 0.15), 0.78 * horn),
        ((horns, -0.02, 0.23), 0.78 * horn),
        ((0.27, -0.28, 0.20), 1.0),
        ((0.38, -0.43, 0.04), 1.0),
    )
    back = (line[4], ((0.34, -0.72, -0.01), 0.55 * horn))
    down = (line[4], ((0.49, -0.22, -0.26), 0.60 * horn), ((0.52, 0.10, -0.40), 0.40 * horn))
    body, rear, temporal = (
        tube(
            side,
            y,
            z,
            points=tuple((p[0], p[1], p[2] / tall) for p in _scaled(skull, [q[0] for q in part])),
            radii=tuple(half * q[1] for q in part),
        )
        for part in (line, back, down)
    )
    whole = join(join(body, rear, blend=0.8), temporal, blend=0.8)
    atrium = _scaled(skull, ((0.20, -0.10, 0.19), (0.33, -0.38, 0.08), (0.46, -0.25, -0.2)))
    plexus = tube(
        side,
        y,
        z,
        points=tuple((p[0], p[1], p[2] / tall) for p in atrium),
        radii=(0.5, 1.9, 0.6),
    )
    return whole, np.maximum(plexus, whole + 0.7)


def _midline(space: Space, skull: Skull, core: Core) -> Field:
    """Cavum septi pellucidi, third ventricle and the foramina into the lateral ventricles."""
    a, b, c = skull.a, skull.b, skull.c
    thin = max(core.third_mm / 2, 0.75 * space.spacing_mm)
    third = ellipsoid(
        space.x, space.y, space.z, centre=(0, 0, -0.12 * c), radii=(9 * thin, 0.20 * b, 0.19 * c)
    )
    adhesion = ellipsoid(
        space.x, space.y, space.z, centre=(0, -0.03 * b, -0.08 * c), radii=(a, 0.06 * b, 0.06 * c)
    )
    third = np.maximum(np.maximum(third, space.side - thin), -adhesion)
    wide = core.septum_mm / 2
    septum = ellipsoid(
        space.x,
        space.y,
        space.z,
        centre=(0, 0.12 * b, 0.18 * c),
        radii=(wide, 0.25 * b, 0.19 * c),
    )
    foramen = tube(
        space.side,
        space.y,
        space.z,
        points=_scaled(skull, ((0.0, 0.08, 0.02), (0.17, 0.14, 0.18))),
        radii=(max(1.0, 0.9 * space.spacing_mm), max(1.0, 0.9 * space.spacing_mm)),
    )
    return np.minimum(join(third, septum, blend=1.0), foramen)


def _deep_grey(space: Space, skull: Skull, core: Core) -> tuple[Field, Field, Field]:
    a, b, c = skull.a, skull.b, skull.c
    k = core.deep
    side, y, z = space.side, space.y, space.z
    thalamus = ellipsoid(
        side,
        y,
        z,
        centre=(0.16 * a, -0.12 * b, -0.03 * c),
        radii=(0.17 * a * k, 0.22 * b * k, 0.19 * c * k),
    )
    # The lentiform nucleus slants outwards and back.
    slant = side - 0.18 * a * (-y / b)
    striatum = ellipsoid(
        slant,
        y,
        z,
        centre=(0.41 * a, 0.12 * b, -0.02 * c),
        radii=(0.125 * a * k, 0.26 * b * k, 0.22 * c * k),
    )
    head = ellipsoid(
        side,
        y,
        z,
        centre=(0.28 * a, 0.30 * b, 0.09 * c),
        radii=(0.11 * a * k, 0.14 * b * k, 0.17 * c * k),
    )
    tail = tube(
        side,
        y,
        z,
        points=_scaled(skull, ((0.28, 0.28, 0.14), (0.30, 0.05, 0.22), (0.35, -0.18, 0.20))),
        radii=(0.09 * a * k, 0.065 * a * k, 0.05 * a * k),
    )
    return thalamus, striatum, join(head, tail, blend=0.05 * a)


def _brainstem(space: Space, skull: Skull, core: Core) -> Field:
    a, b, c = skull.a, skull.b, skull.c
    k = a * core.stem
    stem = tube(
        space.x,
        space.y,
        space.z,
        points=((0, -0.14 * b, -0.25 * c), (0, -0.17 * b, -0.48 * c), (0, -0.35 * b, -1.15 * c)),
        radii=(0.16 * k, 0.14 * k, 0.09 * k),
    )
    peduncles = tube(
        space.side,
        space.y,
        space.z,
        points=((0.18 * a, -0.06 * b, -0.22 * c), (0.09 * a, -0.09 * b, -0.42 * c)),
        radii=(0.08 * k, 0.09 * k),
    )
    pons = ellipsoid(
        space.x,
        space.y,
        space.z,
        centre=(0, -0.10 * b, -0.52 * c),
        radii=(0.22 * k, 0.11 * b * core.stem, 0.15 * c * core.stem),
    )
    return join(join(stem, peduncles, blend=0.05 * a), pons, blend=0.07 * a)


def _fourth(space: Space, skull: Skull) -> Field:
    """Fourth ventricle: a tent behind the pons."""
    return ellipsoid(
        space.x,
        space.y,
        space.z,
        centre=(0, -0.32 * skull.b, -0.60 * skull.c),
        radii=(0.14 * skull.a, 0.06 * skull.b, 0.15 * skull.c),
    )


def _cerebellum(space: Space, skull: Skull, core: Core) -> Field:
    half, b, c = core.cerebellum_mm / 2, skull.b, skull.c
    # The hemispheres' outer borders lie at half the transverse diameter.
    lobes = ellipsoid(
        space.side,
        space.y,
        space.z,
        centre=(0.48 * half, -0.47 * b, -0.60 * c),
        radii=(0.52 * half, 0.59 * half, 0.51 * half),
    )
    vermis = ellipsoid(
        space.x,
        space.y,
        space.z,
        centre=(0, -0.44 * b, -0.58 * c),
        radii=(0.30 * half, 0.50 * half * core.vermis, 0.58 * half * core.vermis),
    )
    return join(lobes, vermis, blend=0.16 * half)
