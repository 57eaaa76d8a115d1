"""Band-limited random fields and smooth random deformations, from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.phantoms.brain_shapes import Field


def band_noise(
    rng: np.random.Generator, *, shape: tuple[int, int, int], period: float, bandwidth: float
) -> Field:
    """Periodic Gaussian field of unit variance with spatial periods near ``period`` voxels.

    The spectrum is a Gaussian ring of relative ``bandwidth``; a narrow one gives labyrinths, a
    wide one clouds.
    """
    from scipy.fft import irfftn, rfftn

    spectrum = rfftn(rng.standard_normal(shape, np.float32))
    axes = [np.fft.fftfreq(n).astype(np.float32) for n in shape[:2]]
    last = np.fft.rfftfreq(shape[2]).astype(np.float32)
    radius = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + last**2) * period
    spectrum *= np.exp(-0.5 * ((radius - 1) / bandwidth) ** 2)
    field = irfftn(spectrum, s=shape)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-9), np.float32)


def smooth_fields(
    coefficients: NDArray[np.float64], *, shape: tuple[int, int, int]
) -> tuple[Field, ...]:
    """Fields (I, J, K) that are sums of cosines: ``coefficients`` is (fields, a, b, c).

    Coefficient (a, b, c) belongs to a, b and c half periods along the axes.
    """
    fields = np.asarray(coefficients, np.float32)
    for axis, length in enumerate(shape):
        order = np.arange(fields.shape[1])
        place = (np.arange(length) + 0.5) / length
        basis = np.cos(np.pi * order[:, None] * place).astype(np.float32)
        fields = np.moveaxis(np.tensordot(fields, basis, axes=(1, 0)), -1, 3)
        del axis
    return tuple(np.ascontiguousarray(field) for field in fields)
