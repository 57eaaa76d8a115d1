"""Velocity fields that keep the volume of what cannot be compressed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.deformation import smooth

_ROUNDS = 2
_SOFT_MM = 1.2  # over which a voxel's compressibility is blurred
_RAMP_MM = 3.0  # over which the velocity dies out towards what is fixed
_SMOOTHING_MM = 1.5
_PADDING = 16  # voxels

Field = NDArray[np.float32]


def keep_volume(
    velocity: Field,
    tissue: NDArray[np.bool_],
    fixed: NDArray[np.bool_],
    *,
    spacing_mm: Sequence[float],
) -> Field:
    """(3, I, J, K) ``velocity`` with what would swell or shrink ``tissue`` taken out of it.

    The part of a field that changes volume is a gradient (Helmholtz): with m the share of
    ``tissue``, Δφ = m·div v and v ← v − ∇φ. Then v is held still again where it is ``fixed``, which
    brings a little of the divergence back; done twice. What lies between a wall that moves and a
    skull that does not has to give way somewhere: this leaves it to the fluid and to the background
    around the head. Without it tissue near the wall of a tube that widens is stretched around it
    faster than it is thinned, and gains volume.
    """
    share = ndimage.gaussian_filter(
        tissue.astype(np.float32), [_SOFT_MM / step for step in spacing_mm]
    )
    room = ndimage.distance_transform_edt(~fixed, sampling=spacing_mm)
    held = np.clip(room / _RAMP_MM, 0, 1).astype(np.float32)
    held = ndimage.gaussian_filter(held, [1.0 / step for step in spacing_mm])
    found = velocity
    for _ in range(_ROUNDS):
        swelling = sum(np.gradient(found[axis], spacing_mm[axis], axis=axis) for axis in range(3))
        potential = _potential(np.asarray(share * swelling, np.float32), spacing_mm)
        slopes = [np.gradient(potential, spacing_mm[axis], axis=axis) for axis in range(3)]
        found = (found - np.stack(slopes)) * held
    ready = torch.from_numpy(np.ascontiguousarray(found, np.float32))
    return np.asarray(smooth(ready, sigma_mm=_SMOOTHING_MM, spacing_mm=spacing_mm).numpy())


def _potential(source: Field, spacing_mm: Sequence[float]) -> Field:
    """φ with Δφ = ``source`` and no source on the whole, zero padding around; by FFT."""
    import scipy.fft

    padded = [scipy.fft.next_fast_len(n + _PADDING, real=True) for n in source.shape]
    total = np.zeros([1, 1, 1], np.float32)
    for axis, (length, step) in enumerate(zip(padded, spacing_mm, strict=True)):
        make = np.fft.rfftfreq if axis == 2 else np.fft.fftfreq
        # of the difference of neighbours, twice: never more than the true one, so that nothing is
        # overcorrected at the finest scale
        along = (2 - 2 * np.cos(2 * np.pi * make(length))) / step**2
        total = total + along.astype(np.float32).reshape([-1 if axis == a else 1 for a in range(3)])
    total[0, 0, 0] = 1
    spectrum = scipy.fft.rfftn(source, s=padded)
    spectrum[0, 0, 0] = 0
    spectrum /= -total
    whole = scipy.fft.irfftn(spectrum, s=padded, overwrite_x=True)
    return np.asarray(whole[tuple(slice(n) for n in source.shape)], np.float32)
