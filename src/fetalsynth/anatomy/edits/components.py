"""Parts of every tissue: counted, and kept in number where voxels are too coarse for the map.

An invertible map neither cuts nor joins anything, but a sheet that it thins to less than a voxel
shows holes and breaks on the voxels of the result. Only such voxels are mended here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.labels import FETA

Labels = NDArray[np.uint8]
_TOUCHING = np.ones((3, 3, 3))  # by faces, edges or corners
_LONGEST_BRIDGE = 4.0  # voxels
_NEAR = 3.0  # voxels around where a lost part belongs
_PASSES = 5


def component_counts(labels: Labels) -> dict[str, int]:
    """Parts of every tissue that hang together by faces, edges or corners, by tissue name."""
    return {
        name: int(ndimage.label(labels == label, _TOUCHING)[1])
        for label, name in enumerate(FETA)
        if label and (labels == label).any()
    }


def keep_components(
    before: Labels, after: Labels, source: NDArray[np.float32]
) -> tuple[Labels, int]:
    """(``after`` with as many parts of every tissue as ``before``, number of voxels changed).

    ``source`` (3, I, J, K) says from which voxel of ``before`` each one of ``after`` comes. A part
    that was cut off is joined again by the shortest line, as long as that is at most four voxels,
    and one that nothing joins falls to its surroundings; a part that was lost gets back the voxel
    nearest to where it belongs. Several passes; what cannot be mended stays, and the counts tell.
    """
    mended = after.copy()
    for _ in range(_PASSES):
        changed = False
        for label in range(1, len(FETA)):
            parts, count = ndimage.label(before == label, _TOUCHING)
            if count:
                changed |= _mend(mended, label, parts, count, source)
        if not changed:
            break
    return mended, int((mended != after).sum())


def _mend(
    labels: Labels, label: int, parts: NDArray[Any], count: int, source: NDArray[np.float32]
) -> bool:
    pieces, found = ndimage.label(labels == label, _TOUCHING)
    if found == count:
        return False
    origin = _origins(pieces, found, parts, source)
    sizes = np.bincount(pieces.ravel(), minlength=found + 1)
    changed = False
    for part in range(1, count + 1):
        own = np.flatnonzero(origin == part)
        if not len(own):
            changed |= _restore(labels, label, parts == part, source)
            continue
        main = own[sizes[own].argmax()]
        others = [piece for piece in own if piece != main]
        if others:
            _join(labels, label, pieces, int(main), [int(piece) for piece in others])
            changed = True
    for piece in np.flatnonzero(origin[1:] == 0) + 1:
        _give_away(labels, pieces == piece)
        changed = True
    return changed


def _origins(
    pieces: NDArray[Any], found: int, parts: NDArray[Any], source: NDArray[np.float32]
) -> NDArray[np.int64]:
    """(found + 1,) from which part each piece comes, 0 where none."""
    held = np.nonzero(pieces)
    there = np.rint(np.stack([along[held] for along in source])).astype(np.int64)
    for axis, length in enumerate(parts.shape):
        np.clip(there[axis], 0, length - 1, out=there[axis])
    from_part = parts[tuple(there)]
    votes = np.zeros((found + 1, int(parts.max()) + 1), np.int64)
    np.add.at(votes, (pieces[held], from_part), 1)
    votes[:, 0] = 0
    return np.asarray(votes.argmax(axis=1))


def _join(labels: Labels, label: int, pieces: NDArray[Any], main: int, others: list[int]) -> None:
    distance, nearest = ndimage.distance_transform_edt(pieces != main, return_indices=True)
    for piece in others:
        inside = np.argwhere(pieces == piece)
        far = distance[tuple(inside.T)]
        if far.min() > _LONGEST_BRIDGE and len(inside) < far.min() ** 3:
            _give_away(labels, pieces == piece)
            continue
        start = inside[far.argmin()]
        end = nearest[(slice(None), *start)]
        steps = int(np.abs(end - start).max())
        for k in range(1, steps):
            labels[tuple(np.rint(start + (end - start) * k / steps).astype(int))] = label


def _give_away(labels: Labels, piece: NDArray[np.bool_]) -> None:
    """Label a piece as most of the voxels around it are."""
    box = ndimage.find_objects(piece.astype(np.uint8))[0]
    wide = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    around = ndimage.binary_dilation(piece[wide], _TOUCHING) & ~piece[wide]
    values = np.bincount(labels[wide][around])
    labels[wide][piece[wide]] = values.argmax()


def _restore(
    labels: Labels, label: int, part: NDArray[np.bool_], source: NDArray[np.float32]
) -> bool:
    """Give a lost part one voxel that touches no other of its label; whether there was one."""
    middle = np.argwhere(part).mean(axis=0).astype(np.float32)
    apart = sum((source[axis] - middle[axis]) ** 2 for axis in range(3))
    free: NDArray[np.bool_] = ~ndimage.binary_dilation(labels == label, _TOUCHING)
    apart = np.where(free, apart, np.inf)
    place = np.unravel_index(int(np.argmin(apart)), part.shape)
    reach = _NEAR + float(part.sum()) ** (1 / 3)
    if apart[place] > reach**2:
        return False
    labels[place] = label
    return True
