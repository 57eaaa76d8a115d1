"""From shapes to tissues: the label volume of one head, and the distances the image needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy import labels as tissue
from fetalsynth.datasets.phantoms.brain_core import Core, Inside, arch_level, inside
from fetalsynth.datasets.phantoms.brain_folding import Folding, sulci, sylvian
from fetalsynth.datasets.phantoms.brain_head import Skull, cavity, cerebrum
from fetalsynth.datasets.phantoms.brain_noise import smooth_fields
from fetalsynth.datasets.phantoms.brain_shapes import Field, Space, cut, ellipsoid, join
from fetalsynth.datasets.phantoms.brain_topology import tidy


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """One brain without its picture; ``warp`` (3, 4, 4, 4) bends it within the skull, mm."""

    skull: Skull
    core: Core
    folding: Folding
    gap_mm: float
    fissure_mm: float
    cortex_mm: float
    warp: NDArray[np.float64]
    gap_waves: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Tissues:
    """Signed distances (mm, negative inside) that tell every tissue apart, and the labels.

    ``depth`` is the depth below the pial surface, ``white`` the white matter's border.
    """

    labels: NDArray[np.uint8]
    cavity: Field
    pial: Field
    depth: Field
    white: Field
    deep: Field
    ventricles: Field
    lateral: Field
    inside: Inside
    stem: Field
    cerebellum: Field
    arch: Field
    root: tuple[float, float]
    space: Space


def head_space(skull: Skull, *, spacing_mm: float) -> Space:
    """Grid that holds the head with a margin; the origin lies at its centre."""
    margin = 5.0
    low = np.array([-skull.a, -skull.b, -1.18 * skull.c]) - margin
    high = np.array([skull.a, skull.b, skull.c]) + margin
    count = np.ceil((high - low) / spacing_mm).astype(int) + 1
    first = (low + high) / 2 - (count - 1) / 2 * spacing_mm
    axes = [first[k] + spacing_mm * np.arange(count[k]) for k in range(3)]
    x, y, z = np.meshgrid(*(axis.astype(np.float32) for axis in axes), indexing="ij")
    return Space(x=x, y=y, z=z, spacing_mm=spacing_mm)


def build(space: Space, anatomy: Anatomy) -> Tissues:
    """All tissues of ``anatomy`` on the grid of ``space``."""
    skull = anatomy.skull
    bent = _bent(space, anatomy.warp)
    whole, vault, middle = cavity(space, skull, cerebellum_mm=anatomy.core.cerebellum_mm)
    (waves,) = smooth_fields(anatomy.gap_waves[None], shape=space.x.shape)
    gap = anatomy.gap_mm * np.exp(waves)
    outline = cerebrum(vault, middle, space, skull, gap_mm=np.asarray(gap, np.float32))
    parts = inside(bent, skull, anatomy.core)
    outline = _hollowed(outline, bent, skull, parts)
    hull = _halved(outline, bent, parts, skull, anatomy.fissure_mm)
    # A film of fluid keeps brain and skull apart on every grid.
    film = np.asarray(whole + 1.1 * space.spacing_mm, np.float32)
    pial = np.maximum(_folded(hull, bent, anatomy, parts), film)
    depth = _depth(pial, spacing_mm=space.spacing_mm)
    return _tissues(bent, anatomy, parts, whole=whole, outline=outline, pial=pial, depth=depth)


def _bent(space: Space, warp: NDArray[np.float64]) -> Space:
    dx, dy, dz = smooth_fields(warp, shape=space.x.shape)
    return Space(x=space.x + dx, y=space.y + dy, z=space.z + dz, spacing_mm=space.spacing_mm)


def _hollowed(outline: Field, space: Space, skull: Skull, parts: Inside) -> Field:
    """The outline without the cisterns around brainstem, chiasm and tectum."""
    a, b, c = skull.a, skull.b, skull.c
    lower = np.maximum(parts.stem, space.z + 0.20 * c)
    cistern = ellipsoid(
        space.x,
        space.y,
        space.z,
        centre=(0, 0.12 * b, -0.62 * c),
        radii=(0.20 * a, 0.20 * b, 0.32 * c),
    )
    tectum = ellipsoid(
        space.x,
        space.y,
        space.z,
        centre=(0, -0.42 * b, -0.22 * c),
        radii=(0.22 * a, 0.10 * b, 0.20 * c),
    )
    hollow = np.minimum(np.minimum(lower - 0.07 * a, cistern), tectum)
    below = np.minimum(hollow, parts.cerebellum - 0.05 * a)
    return cut(outline, -below, blend=1.5)


def _halved(outline: Field, space: Space, parts: Inside, skull: Skull, fissure_mm: float) -> Field:
    """Two hemispheres: the longitudinal fissure runs wherever the callosal arch does not."""
    fissure = np.maximum(space.side - fissure_mm - 0.8 * np.exp(outline / 4), -parts.arch)
    return cut(outline, -np.asarray(fissure, np.float32), blend=2.0)


def _folded(hull: Field, space: Space, anatomy: Anatomy, parts: Inside) -> Field:
    skull, folding = anatomy.skull, anatomy.folding
    clefts = sulci(space, skull, folding, below=-hull)
    insula = sylvian(space, skull, folding)
    room = anatomy.cortex_mm + 2.0
    core = np.minimum(np.minimum(parts.lateral, parts.midline), parts.deep)
    clefts = np.maximum(clefts, room - core)
    callosum = np.minimum(1.5 - parts.arch, 0.30 * skull.a - space.side)
    clefts = np.maximum(clefts, callosum)
    insula = np.maximum(insula, anatomy.cortex_mm + 1.0 - core)
    return cut(cut(hull, -clefts, blend=0.8), -insula, blend=2.0)


def _depth(pial: Field, *, spacing_mm: float) -> Field:
    """Depth below the pial surface, mm: distance transform with sub-voxel borders.

    The distance to the nearest voxel outside, less how far outside that voxel's centre lies.
    """
    from scipy.ndimage import distance_transform_edt

    within = pial < 0
    far, nearest = distance_transform_edt(within, sampling=spacing_mm, return_indices=True)
    outside = np.clip(pial[tuple(nearest)], 0, spacing_mm)
    return np.asarray(np.where(within, far - outside, -pial), np.float32)


def _tissues(
    space: Space,
    anatomy: Anatomy,
    parts: Inside,
    *,
    whole: Field,
    outline: Field,
    pial: Field,
    depth: Field,
) -> Tissues:
    # On a coarse grid a thinner sheet would have holes.
    film = whole + 1.1 * space.spacing_mm
    skull, cortex = anatomy.skull, max(anatomy.cortex_mm, 1.2 * space.spacing_mm)
    bare = _bare(space, skull, parts)
    white = np.where(bare < 0, pial, np.maximum(pial, cortex - depth))
    safe = np.minimum(depth, 8)
    lateral = np.maximum(parts.lateral, cortex + 1.2 - safe)
    ventricles = join(lateral, np.maximum(parts.midline, parts.arch + 1.8), blend=0.8)
    deep = np.maximum(parts.deep, 0.6 - depth)
    stem = parts.stem
    cerebellum = np.maximum(parts.cerebellum, np.maximum(0.9 - outline, film))
    labels = np.zeros(space.x.shape, np.uint8)
    labels[whole < 0] = tissue.EXTERNAL_CSF
    labels[pial < 0] = tissue.GREY_MATTER
    labels[white < 0] = tissue.WHITE_MATTER
    labels[(stem < 0) & (deep >= 0)] = tissue.BRAINSTEM
    labels[deep < 0] = tissue.DEEP_GREY_MATTER
    labels[(cerebellum < 0) & (stem >= 0)] = tissue.CEREBELLUM
    labels[ventricles < 0] = tissue.VENTRICLES
    labels[parts.fourth < 0] = tissue.VENTRICLES
    labels[whole >= 0] = tissue.BACKGROUND
    return Tissues(
        labels=tidy(labels),
        cavity=whole,
        pial=pial,
        depth=depth,
        white=np.asarray(white, np.float32),
        deep=np.asarray(deep, np.float32),
        ventricles=np.minimum(ventricles, parts.fourth),
        lateral=np.asarray(lateral, np.float32),
        inside=parts,
        stem=stem,
        cerebellum=np.asarray(cerebellum, np.float32),
        arch=parts.arch,
        root=(-0.34 * skull.b, -0.60 * skull.c),
        space=space,
    )


def _bare(space: Space, skull: Skull, parts: Inside) -> Field:
    """Where no cortex lies on the surface: corpus callosum, diencephalon, brainstem."""
    callosum = np.maximum(space.side - 0.10 * skull.a, np.abs(arch_level(space, skull) - 0.9) - 0.2)
    callosum = np.maximum(callosum, -space.z - 0.1 * skull.c)
    floor = ellipsoid(
        space.x,
        space.y,
        space.z,
        centre=(0, -0.05 * skull.b, -0.18 * skull.c),
        radii=(0.24 * skull.a, 0.26 * skull.b, 0.30 * skull.c),
    )
    return np.asarray(np.minimum(np.minimum(callosum, floor), parts.stem - 1.5), np.float32)
