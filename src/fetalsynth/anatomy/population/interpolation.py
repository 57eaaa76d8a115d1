"""Ages between two scans: each carried part of the way to the other by a symmetric registration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from fetalsynth.anatomy.deformation import exponentiate, smallest_jacobian
from fetalsynth.anatomy.measure.fields import Affine, crop
from fetalsynth.anatomy.population.alignment import align
from fetalsynth.anatomy.population.carrying import Target, Way, way_from
from fetalsynth.anatomy.population.fitting import SPACING_MM
from fetalsynth.anatomy.population.registration import COARSE, FINE, Settings, register
from fetalsynth.anatomy.population.space import Grid, Head, Pose, grid_around, own_poses, soft_maps

Method = Literal["auto", "donor", "blend"]

FARTHEST_WEEKS = 3.0  # beyond, sulci must appear, which no invertible map can do
SETTINGS = Settings(levels=(*COARSE, FINE[-1]))
_MARGIN_MM = 6.0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two heads, younger first, with their poses and ``velocity`` (3, …): young ∘ exp(v) ≈ old."""

    young: Head
    old: Head
    poses: tuple[Pose, Pose]
    grid: Grid
    velocity: Tensor


@dataclass(frozen=True, kw_only=True)
class Between:
    """(I, J, K) FeTA ``labels`` with an ``affine`` in mm, at ``weeks``.

    ``donor`` is "young", "old" or, of blended ones, "both"; the head lies as the nearer scan's.
    ``way`` carries the nearer scan's image.
    """

    labels: NDArray[np.uint8]
    affine: Affine
    weeks: float
    donor: Literal["young", "old", "both"]
    min_jacobian: float
    folded_voxels: int
    way: Way


def match(
    one: Head,
    other: Head,
    *,
    spacing_mm: float = SPACING_MM,
    settings: Settings = SETTINGS,
    device: torch.device | None = None,
) -> Pair:
    """Align and register two heads of different age. Raises ValueError for equal ages."""
    if one.weeks == other.weeks:
        raise ValueError("both heads have the same age")
    young, old = sorted((one, other), key=lambda head: head.weeks)
    rough = own_poses([young, old])
    grid = grid_around([young, old], rough, spacing_mm=spacing_mm)
    poses = align([young, old], rough, grid=grid)
    first, second = (
        soft_maps(head, pose, grid).to(device)
        for head, pose in zip((young, old), poses, strict=True)
    )
    velocity = register(second, first, grid=grid, settings=settings, symmetric=True)
    return Pair(young=young, old=old, poses=(poses[0], poses[1]), grid=grid, velocity=velocity)


def between(pair: Pair, *, weeks: float, method: Method = "auto") -> Between:
    """The head at an age between the two, the ends included.

    The scan nearer in age is carried its share t of the way, exp(t v); the size goes
    geometrically. "blend" carries both and takes the tissue whose signed distance, averaged with
    weights 1 − t and t, is largest; "auto" blends scans that are over three weeks apart. Raises
    ValueError for an age outside.
    """
    young, old = pair.young, pair.old
    if not young.weeks <= weeks <= old.weeks:
        raise ValueError(f"{weeks:g} weeks is not between {young.weeks:g} and {old.weeks:g}")
    share = (weeks - young.weeks) / (old.weeks - young.weeks)
    apart = old.weeks - young.weeks
    blend = method == "blend" or (method == "auto" and apart > FARTHEST_WEEKS)
    near = 0 if share <= 0.5 else 1
    sizes = [pose.scale for pose in pair.poses]
    displacements = [_share_of(pair, share), _share_of(pair, share - 1)]
    target = _target(
        (young, old)[near],
        pair.poses[near],
        displacements[near],
        scale=sizes[0] ** (1 - share) * sizes[1] ** share,
    )
    ways = [
        way_from(head.affine, pose, u, grid=pair.grid.thin(2), target=target)
        for head, pose, u in zip((young, old), pair.poses, displacements, strict=True)
    ]
    folds = [smallest_jacobian(u, spacing_mm=pair.grid.thin(2).spacing) for u in displacements]
    ends = share in (0.0, 1.0)
    if blend and not ends:
        both = ways[0].labels(young.labels), ways[1].labels(old.labels)
        labels = blended(both, weights=(1 - share, share), affine=target.affine)
        smallest, folded = min(f[0] for f in folds), sum(f[1] for f in folds)
    else:
        labels = ways[near].labels((young, old)[near].labels)
        smallest, folded = folds[near]
    return Between(
        labels=labels,
        affine=target.affine,
        weeks=weeks,
        donor="both" if blend and not ends else ("young", "old")[near],
        min_jacobian=smallest,
        folded_voxels=folded,
        way=ways[near],
    )


def _share_of(pair: Pair, share: float) -> Tensor:
    return exponentiate(share * pair.velocity, spacing_mm=pair.grid.thin(2).spacing)


def _target(head: Head, pose: Pose, displacement: Tensor, *, scale: float) -> Target:
    """The head's own voxels, with more of them around where the new head needs them."""
    times = scale / pose.scale
    labels, affine = crop(head.labels, head.affine)
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in labels.shape], indexing="ij"))
    world = corners.reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    grown = pose.centre + times * (world - pose.centre)
    inverse = np.linalg.inv(head.affine)
    voxels = grown @ inverse[:3, :3].T + inverse[:3, 3]
    still = times == 1 and not bool(displacement.any())
    room = 0.0 if still else scale * float(displacement.abs().max()) + _MARGIN_MM
    reach = room / np.linalg.norm(head.affine[:3, :3], axis=0)
    low = np.minimum(0, np.floor(voxels.min(axis=0) - reach)).astype(int)
    high = np.maximum(np.array(head.labels.shape) - 1, np.ceil(voxels.max(axis=0) + reach))
    low, high = (low * 0, np.array(head.labels.shape) - 1) if still else (low, high.astype(int))
    own = head.affine.copy()
    own[:3, 3] += head.affine[:3, :3] @ low
    i, j, k = (int(n) for n in high - low + 1)
    return Target(
        shape=(i, j, k),
        affine=own,
        pose=Pose(centre=pose.centre, axes=pose.axes, scale=scale),
    )


def blended(
    maps: Sequence[NDArray[np.uint8]], *, weights: Sequence[float], affine: Affine
) -> NDArray[np.uint8]:
    """At every voxel the label with the largest weighted mean of signed distances, mm.

    Distances are positive inside a label's region. A label that one map lacks is left out.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    kinds = set(np.unique(maps[0]))
    for other in maps[1:]:
        kinds &= set(np.unique(other))
    held = np.logical_or.reduce([one > 0 for one in maps])
    box = tuple(
        slice(max(0, s.start - 2), s.stop + 2)
        for s in ndimage.find_objects(held.astype(np.uint8))[0]
    )
    found = np.zeros(maps[0].shape, np.uint8)
    best = np.full(found[box].shape, -np.inf, np.float32)
    for label in sorted(kinds):
        total = np.zeros(best.shape, np.float32)
        for weight, one in zip(weights, maps, strict=True):
            total += np.float32(weight) * _signed(one[box] == label, spacing)
        better = total > best
        best = np.where(better, total, best)
        found[box][better] = label
    return found


def _signed(mask: NDArray[np.bool_], spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    inside = ndimage.distance_transform_edt(mask, spacing)
    outside = ndimage.distance_transform_edt(~mask, spacing)
    return np.asarray(inside - outside, np.float32)
