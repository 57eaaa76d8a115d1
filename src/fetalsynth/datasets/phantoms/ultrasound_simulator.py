"""One phantom image from its parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.ellipse import Ellipse
from fetalsynth.datasets.phantoms import ultrasound_acoustics as acoustic
from fetalsynth.datasets.phantoms.ultrasound_head import (
    HeadFrame,
    brain_level_db,
    head_frame,
    skull_echo,
    skull_loss,
)
from fetalsynth.datasets.phantoms.ultrasound_reflectors import lay_strokes
from fetalsynth.datasets.phantoms.ultrasound_sampling import PhantomParams
from fetalsynth.datasets.phantoms.ultrasound_scan import (
    Floats,
    PolarGrid,
    pixel_centres_mm,
    polar_grid,
    scan_convert,
)
from fetalsynth.datasets.phantoms.ultrasound_surroundings import outside_level_db, smooth_noise
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng

SMALLEST_SIZE = 16


@dataclass(frozen=True, kw_only=True)
class PhantomImage:
    """A simulated image with its truth.

    ``pixels`` and ``mask`` (0 or 255, the inside of ``ellipse``) are (size, size) uint8.
    ``ellipse`` is the outer border of the skull in pixels; the diameters and the circumference
    are its own, in mm.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    ellipse: Ellipse
    gestational_age_weeks: float
    head_circumference_mm: float
    biparietal_diameter_mm: float
    occipitofrontal_diameter_mm: float
    pixel_spacing_mm: float


def simulate(params: PhantomParams, *, size: int = 512) -> PhantomImage:
    """Image of the phantom, ``size`` × ``size``: a 800:540 window with black above and below.

    A pure function of its arguments. Small images are simulated on a coarser polar grid and show
    the same anatomy with other speckle. Raises UserError below 16 pixels.
    """
    if size < SMALLEST_SIZE:
        raise UserError(f"size {size} is too small for a phantom; give {SMALLEST_SIZE} or more")
    oversampling = max(1, min(3, 256 // size))
    grid = sampling_grid(params, pixel_mm=params.view.width_mm / (size * oversampling))
    envelope = echo_envelope(params, grid)
    grey = acoustic.compress(envelope, params.acoustics)
    image = scan_convert(grey, grid, size=size * oversampling)
    image = image.reshape(size, oversampling, size, oversampling).mean(axis=(1, 3))
    ellipse = head_ellipse(params, size=size)
    biometry = params.head.biometry
    return PhantomImage(
        pixels=np.rint(image * 255).astype(np.uint8),
        mask=_head_mask(params, size=size),
        ellipse=ellipse,
        gestational_age_weeks=biometry.gestational_age_weeks,
        head_circumference_mm=biometry.head_circumference_mm,
        biparietal_diameter_mm=biometry.biparietal_diameter_mm,
        occipitofrontal_diameter_mm=biometry.occipitofrontal_diameter_mm,
        pixel_spacing_mm=params.view.width_mm / size,
    )


def sampling_grid(params: PhantomParams, *, pixel_mm: float) -> PolarGrid:
    """Polar grid fine enough for the point spread, or for the pixels where those are coarser."""
    settings = params.acoustics
    return polar_grid(
        params.view,
        axial_step_mm=max(settings.axial_sigma_mm / 1.3, 0.7 * pixel_mm),
        lateral_step_mm=max(settings.lateral_sigma_mm / 1.3, 0.9 * pixel_mm),
        growth_per_mm=settings.axial_growth_per_mm,
    )


def echo_envelope(params: PhantomParams, grid: PolarGrid) -> Floats:
    """Envelope (R, A) of the echoes before log compression; 1 is full white."""
    frame = head_frame(params.head, grid)
    texture = numpy_rng(seed=params.surroundings.texture_seed, stream="phantom-texture")
    level = _level_db(params, frame, grid, texture)
    settings = params.acoustics
    loss = np.float32(settings.attenuation_db_per_mm) + skull_loss(params.head, frame)
    passed = acoustic.transmitted(loss, grid, settings)
    bone = skull_echo(params.head, frame) * passed
    lines = lay_strokes(params.head, grid, texture) * passed
    coherent = acoustic.point_spread(bone, grid, settings, unit="sum")
    coherent += acoustic.point_spread(lines, grid, settings, unit="peak")
    echoes = smooth_noise(grid, texture, depth_mm=1.6, angle_rad=0.25)
    tail = acoustic.ringing(coherent, grid, settings)
    tail *= acoustic.amplitude(np.float32(settings.reverberation_texture_db) * echoes)
    tail += acoustic.side_lobes(coherent, grid, settings)
    noise = np.float32(10 ** (settings.noise_db / 20))
    rough = np.float32(params.head.skull_roughness) * bone
    tissue = acoustic.amplitude(level) * passed
    scatter = np.sqrt(tissue**2 + rough**2 + tail**2 + noise**2)
    speckle = numpy_rng(seed=params.speckle_seed, stream="phantom-speckle")
    return acoustic.speckle_envelope(scatter, coherent, grid, settings, speckle)


def _level_db(
    params: PhantomParams, frame: HeadFrame, grid: PolarGrid, rng: np.random.Generator
) -> Floats:
    outside = outside_level_db(params.surroundings, params.head, frame, grid, rng)
    texture = smooth_noise(grid, rng, depth_mm=4.0, angle_rad=0.06)
    streaks = smooth_noise(grid, rng, depth_mm=1.1, angle_rad=0.03)
    texture += streaks + np.float32(2) * np.maximum(streaks - np.float32(0.9), 0)
    brain = brain_level_db(params.head, frame)
    brain += np.float32(params.head.brain_texture_db) * texture
    weight = np.clip(frame.outside_mm * np.float32(2) + np.float32(0.5), 0, 1)
    return np.asarray(brain + weight * (outside - brain))


def head_ellipse(params: PhantomParams, *, size: int) -> Ellipse:
    """Outer border of the skull in pixels of a ``size`` × ``size`` image."""
    head, scale = params.head, size / params.view.width_mm
    return Ellipse(
        center_x_px=head.center_x_mm * scale + (size - 1) / 2,
        center_y_px=head.center_y_mm * scale + (size - 1) / 2,
        semi_major_px=head.semi_major_mm * scale,
        semi_minor_px=head.semi_minor_mm * scale,
        angle_deg=head.angle_deg,
    )


def _head_mask(params: PhantomParams, *, size: int) -> NDArray[np.uint8]:
    head = params.head
    x, y = pixel_centres_mm(params.view, size=size)
    (ux, uy), (vx, vy) = head.axes
    dx, dy = x - head.center_x_mm, y - head.center_y_mm
    u, v = (dx * ux + dy * uy) / head.semi_major_mm, (dx * vx + dy * vy) / head.semi_minor_mm
    return np.where(u * u + v * v <= 1, 255, 0).astype(np.uint8)
