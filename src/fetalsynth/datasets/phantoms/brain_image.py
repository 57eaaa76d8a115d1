"""The T2-weighted picture of a phantom brain: tissue contrast, layers, bias, point spread, noise.

Contrast ranks as in fetal T2-weighted imaging: fluid, white matter, deep grey matter and cortex
(T2 of fetal white matter exceeds that of grey matter: Vasylechko et al., MRM 2015). The cerebral
wall shows its layers in the second trimester: dark cortical plate, bright subplate, darker
intermediate zone, dark germinal matrix along the ventricles (Kostović et al. 2002; Rados et al.
2006). Intensities are relative to white matter = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.phantoms.brain_labels import Tissues
from fetalsynth.datasets.phantoms.brain_noise import band_noise, smooth_fields
from fetalsynth.datasets.phantoms.brain_shapes import Field, ramp, soft


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How a brain was imaged and reconstructed.

    Levels are relative to white matter. ``layers`` (0 to 1) is the contrast of the cerebral wall's
    layers. ``blur_mm`` is the point spread's standard deviation along the axes, ``slice_mm`` the
    spacing of slices across ``slice_axis`` before they were interpolated.
    """

    fluid: float
    cortex: float
    deep: float
    stem: float
    cerebellum: float
    layers: float
    subplate_mm: float
    matrix_mm: float
    texture: float
    texture_seed: int
    bias: NDArray[np.float64]
    blur_mm: tuple[float, float, float]
    slice_axis: int
    slice_mm: float
    noise: float
    noise_seed: int
    margin_mm: float
    folds: float


def picture(tissues: Tissues, scan: Scan) -> Field:
    """Magnitude image (I, J, K), white matter near 1, exactly 0 outside the mask."""
    signal = _signal(tissues, scan)
    (bias,) = smooth_fields(scan.bias[None], shape=signal.shape)
    signal = _scanned(signal * np.exp(bias), scan, spacing_mm=tissues.space.spacing_mm)
    noisy = _rician(signal, scan)
    return np.where(tissues.cavity < scan.margin_mm, noisy, np.float32(0))


def _signal(tissues: Tissues, scan: Scan) -> Field:
    """Partial-volume painting: each tissue over what lies behind it."""
    space, parts = tissues.space, tissues.inside
    width = 1.2 * space.spacing_mm
    rng = np.random.default_rng(scan.texture_seed)
    fine, coarse = _textures(rng, space.x.shape, space.spacing_mm)
    grain = np.asarray(1 + scan.texture * (0.55 * fine + 0.45 * coarse), np.float32)
    signal = np.full(space.x.shape, 0.12, np.float32)
    _paint(signal, tissues.cavity, _fluid(tissues, scan, coarse), width)
    _paint(signal, tissues.pial, scan.cortex * (1 + 0.5 * scan.texture * coarse), width)
    _paint(signal, tissues.white, _white(tissues, scan) * grain, width)
    _paint(signal, tissues.stem, _stem(tissues, scan) * grain, width)
    _paint(signal, tissues.deep, _deep(tissues, scan) * grain, width)
    _paint(
        signal,
        np.maximum(tissues.cerebellum, -tissues.stem),
        _cerebellum(tissues, scan, coarse=coarse),
        width,
    )
    _paint(signal, tissues.ventricles, scan.fluid * (1.04 + 0.02 * coarse), width)
    plexus = np.maximum(parts.choroid, tissues.ventricles + 0.3)
    _paint(signal, plexus, 0.72 * scan.fluid * (1 + 0.1 * fine), width)
    return signal


def _paint(signal: Field, distance: Field, value: Field | float, width: float) -> None:
    share = soft(distance, width=width)
    signal += share * (value - signal)


def _textures(
    rng: np.random.Generator, shape: tuple[int, ...], spacing_mm: float
) -> tuple[Field, Field]:
    size = (shape[0], shape[1], shape[2])
    fine = band_noise(rng, shape=size, period=4.5 / spacing_mm, bandwidth=0.6)
    coarse = band_noise(rng, shape=size, period=14.0 / spacing_mm, bandwidth=0.6)
    return fine, coarse


def _fluid(tissues: Tissues, scan: Scan, coarse: Field) -> Field:
    """Fluid around the brain, with falx, draining veins and flow in the basal cisterns."""
    space = tissues.space
    falx = np.exp(-((space.x / 0.6) ** 2)) * ramp(tissues.arch, 2, 8)
    veins = ramp(np.abs(coarse), 1.5, 2.3) * ramp(tissues.pial, 0.0, 1.0)
    edge = 1 - ramp(-tissues.cavity, 0.0, 1.0)
    dark = 0.35 * falx + 0.30 * veins + 0.25 * edge
    return np.asarray(scan.fluid * (0.97 + 0.05 * coarse) * (1 - np.minimum(dark, 0.6)), np.float32)


def _white(tissues: Tissues, scan: Scan) -> Field:
    """Subplate, intermediate zone and germinal matrix by depth below cortex and ventricle."""
    under = np.maximum(-tissues.white, 0)
    plate = np.exp(-(((under - 0.45 * scan.subplate_mm) / (0.55 * scan.subplate_mm)) ** 2))
    middle = np.exp(-(((under - 1.9 * scan.subplate_mm) / (0.7 * scan.subplate_mm)) ** 2))
    wall = np.maximum(tissues.lateral, 0)
    matrix = np.exp(-((wall / max(scan.matrix_mm, 0.1)) ** 2)) * min(scan.matrix_mm / 1.2, 1)
    callosum = (
        0.16 * np.exp(-(((tissues.arch + 1.5) / 1.6) ** 2)) * np.exp(-((tissues.space.x / 7) ** 2))
    )
    layers = scan.layers * (0.17 * plate - 0.13 * middle)
    return np.asarray(1 + layers - 0.30 * matrix - callosum, np.float32)


def _deep(tissues: Tissues, scan: Scan) -> Field:
    """Nuclei, with the brighter internal capsule between thalamus and lentiform nucleus."""
    parts = tissues.inside
    capsule = np.exp(-(((parts.thalamus - parts.striatum) / 2.2) ** 2))
    capsule *= ramp(np.maximum(parts.thalamus, parts.striatum), -0.6, 0.6)
    core = ramp(-parts.thalamus, 0, 5)
    return np.asarray(scan.deep * (1 - 0.06 * core) + 0.16 * capsule, np.float32)


def _stem(tissues: Tissues, scan: Scan) -> Field:
    return np.asarray(scan.stem * (1.06 - 0.10 * ramp(-tissues.stem, 0, 5)), np.float32)


def _cerebellum(tissues: Tissues, scan: Scan, *, coarse: Field) -> Field:
    """Folia: thin arcs parallel to the surface, over a brighter medulla."""
    within = -tissues.cerebellum
    space = tissues.space
    angle = np.arctan2(space.z - tissues.root[1], tissues.root[0] - space.y)
    folia = np.sin(scan.folds * angle + 0.15 * space.side + 0.9 * coarse) * (
        1 - ramp(within, 2.0, 6.0)
    )
    medulla = ramp(within, 3.0, 6.0)
    rim = 1 - ramp(within, 0.3, 2.0)
    return np.asarray(
        scan.cerebellum * (1 + 0.13 * folia + 0.10 * medulla - 0.06 * rim), np.float32
    )


def _scanned(signal: Field, scan: Scan, *, spacing_mm: float) -> Field:
    from scipy.ndimage import gaussian_filter1d

    for axis, blur in enumerate(scan.blur_mm):
        signal = gaussian_filter1d(signal, blur / spacing_mm, axis=axis, truncate=3)
    step = scan.slice_mm / spacing_mm
    if step <= 1:
        return np.asarray(signal, np.float32)
    return _interpolated(signal, axis=scan.slice_axis, step=step)


def _interpolated(signal: Field, *, axis: int, step: float) -> Field:
    """Signal known on slices ``step`` voxels apart only, linear between them."""
    length = signal.shape[axis]
    slices = np.arange(0, length + step, step)
    slices = np.minimum(slices[slices < length - 1 + step], length - 1)
    down = _linear(slices, length)
    up = _linear(np.interp(np.arange(length), slices, np.arange(len(slices))), len(slices))
    moved = np.tensordot(up @ down, signal, axes=(1, axis))
    return np.asarray(np.moveaxis(moved, 0, axis), np.float32)


def _linear(places: NDArray[np.float64], length: int) -> Field:
    """Matrix that reads a line of ``length`` samples at ``places``."""
    return np.asarray(np.maximum(1 - np.abs(places[:, None] - np.arange(length)), 0), np.float32)


def _rician(signal: Field, scan: Scan) -> Field:
    """Magnitude of the signal with complex Gaussian noise, grain of the reconstruction's size."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(scan.noise_seed)
    real, imaginary = (
        gaussian_filter(rng.standard_normal(signal.shape, np.float32), 0.55, truncate=3)
        for _ in range(2)
    )
    size = scan.noise / max(float(real.std()), 1e-9)
    return np.asarray(np.hypot(signal + size * real, size * imaginary), np.float32)
