"""From echogenicity to a B-mode picture: speckle, point spread, attenuation, log compression.

The convolution model: the complex echo field is (random scatterers + coherent reflectors)
convolved with a separable Gaussian point spread in polar coordinates (Bamber & Dickinson 1980,
Phys Med Biol 25:463-479), which gives Rayleigh speckle where scatterers are homogeneous (Wagner
et al. 1983, IEEE Trans Sonics Ultrason 30:156-163).
Levels are in dB below full white.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d, uniform_filter1d
from scipy.signal import lfilter

from fetalsynth.datasets.phantoms.ultrasound_scan import Floats, PolarGrid

LATERAL_BANDS = 8
BEAM_WIDTH_RAD = 0.024
SIDE_LOBE_WIDTH_RAD = 0.2
QUIET_DB = -90.0


@dataclass(frozen=True, kw_only=True)
class Acoustics:
    """Settings of probe and scanner.

    Point spreads are standard deviations in mm: axial at the probe, growing by
    ``axial_growth_per_mm``; lateral at the focus, growing away from it over ``focal_zone_mm``.
    ``looks`` is the number of compounded independent views. ``gain_knots_db`` is what the
    time-gain compensation gets wrong, from the top to the bottom of the visible depth.
    ``reverberation`` is the share of the skull's echo that rings on below it, falling by
    ``reverberation_decay_db_per_mm``, uneven with standard deviation ``reverberation_texture_db``.
    ``edge_loss_db`` is lost at the fan's edges, ``side_lobe`` is the share of bright echoes that
    leaks sideways, ``noise_db`` the electronic noise. The log of the envelope is shown over
    ``dynamic_range_db`` and raised to ``gamma``.
    """

    axial_sigma_mm: float
    axial_growth_per_mm: float
    lateral_sigma_mm: float
    focus_mm: float
    focal_zone_mm: float
    looks: int
    attenuation_db_per_mm: float
    gain_db: float
    gain_knots_db: tuple[float, ...]
    edge_loss_db: float
    reverberation: float
    reverberation_decay_db_per_mm: float
    reverberation_texture_db: float
    side_lobe: float
    noise_db: float
    dynamic_range_db: float
    gamma: float


def lateral_sigma_mm(acoustics: Acoustics, depth_mm: Floats) -> Floats:
    """Lateral point spread at each depth: a Gaussian beam around its focus."""
    away = (depth_mm - np.float32(acoustics.focus_mm)) / np.float32(acoustics.focal_zone_mm)
    return np.asarray(np.float32(acoustics.lateral_sigma_mm) * np.sqrt(1 + away**2))


def gaussian_kernel(sigma: float) -> Floats:
    """Unit-sum Gaussian of standard deviation ``sigma`` in samples, cut at three."""
    reach = max(1, round(3 * sigma))
    at = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (at / max(sigma, 1e-3)) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def point_spread(field: Floats, grid: PolarGrid, acoustics: Acoustics, *, unit: str) -> Floats:
    """Convolve (…, R, A) real fields with the point spread.

    ``unit`` "power" keeps the mean square of white noise, "peak" keeps the height of a line
    reflector across the beam, "sum" keeps constants. Nothing scatters beyond the grid's border.
    """
    axial = gaussian_kernel(axial_sigma_samples(grid, acoustics))
    out = correlate1d(field, _scaled(axial, unit), axis=-2, mode="constant")
    sigma = lateral_sigma_mm(acoustics, grid.depth_mm) / grid.radius_mm[:, 0]
    sigma = np.maximum(sigma / grid.angle_step_rad, 0.6)
    for rows in np.array_split(np.arange(grid.shape[0]), LATERAL_BANDS):
        band = slice(rows[0], rows[-1] + 1)
        lateral = gaussian_kernel(float(sigma[band].mean()))
        scale = "sum" if unit == "peak" else unit
        out[..., band, :] = correlate1d(
            out[..., band, :], _scaled(lateral, scale), axis=-1, mode="constant"
        )
    return np.asarray(out)


def axial_sigma_samples(grid: PolarGrid, acoustics: Acoustics) -> float:
    """Axial point spread in samples (the same at every depth, by construction of the grid)."""
    return max(acoustics.axial_sigma_mm / grid.axial_step_mm, 0.6)


def _scaled(kernel: Floats, unit: str) -> Floats:
    if unit == "power":
        return np.asarray(kernel / np.sqrt((kernel**2).sum()))
    return np.asarray(kernel / kernel.max()) if unit == "peak" else kernel


def transmission_db(loss_db_per_mm: Floats, grid: PolarGrid) -> Floats:
    """Two-way loss (R, A) in dB accumulated along each beam down to each sample."""
    steps = loss_db_per_mm * grid.step_mm
    np.cumsum(steps, axis=0, out=steps)
    return np.asarray(-2 * steps)


def gain_curve_db(acoustics: Acoustics, grid: PolarGrid) -> Floats:
    """Overall gain, time-gain error (smooth in depth) and the fall towards the fan's edges."""
    knots = np.asarray(acoustics.gain_knots_db)
    depth = grid.depth_mm
    place = (depth - depth[0]) / (depth[-1] - depth[0]) * (knots.size - 1)
    left = np.minimum(place.astype(int), knots.size - 2)
    blend = 0.5 - 0.5 * np.cos(np.pi * (place - left))
    error = knots[left] * (1 - blend) + knots[left + 1] * blend
    across = (grid.angle_rad / np.deg2rad(grid.view.half_angle_deg)) ** 2
    curve = acoustics.gain_db + error[:, None] - acoustics.edge_loss_db * across[None, :]
    return np.asarray(curve, dtype=np.float32)


def transmitted(loss_db_per_mm: Floats, grid: PolarGrid, acoustics: Acoustics) -> Floats:
    """Amplitude (R, A) left after loss and gain; neighbouring beams share the aperture."""
    gain = transmission_db(loss_db_per_mm, grid) + gain_curve_db(acoustics, grid)
    return _across(amplitude(gain), grid, BEAM_WIDTH_RAD)


def side_lobes(echo: Floats, grid: PolarGrid, acoustics: Acoustics) -> Floats:
    """Amplitude (R, A) that bright echoes leak into the beams beside them."""
    return np.float32(acoustics.side_lobe) * _across(echo, grid, SIDE_LOBE_WIDTH_RAD)


def _across(field: Floats, grid: PolarGrid, width_rad: float) -> Floats:
    width = max(3, 2 * round(width_rad / grid.angle_step_rad / 2) + 1)
    return np.asarray(uniform_filter1d(field, width, axis=1, mode="nearest"))


def amplitude(level_db: Floats) -> Floats:
    """10^(level/20), the amplitude of a level in dB."""
    return np.asarray(np.exp(level_db * np.float32(np.log(10) / 20)))


def ringing(echo: Floats, grid: PolarGrid, acoustics: Acoustics) -> Floats:
    """Amplitude (R, A) of the reverberation below bright echoes: a decaying tail of each beam."""
    decay = 10 ** (-acoustics.reverberation_decay_db_per_mm * grid.axial_step_mm / 20)
    drive = np.float32(acoustics.reverberation * (1 - decay))
    tail = lfilter([drive], [1.0, -decay], echo, axis=0)
    return np.asarray(tail, dtype=np.float32)


def speckle_envelope(
    scatter: Floats,
    coherent: Floats,
    grid: PolarGrid,
    acoustics: Acoustics,
    rng: np.random.Generator,
) -> Floats:
    """Envelope (R, A) of scatterers of amplitude ``scatter`` on top of blurred ``coherent`` echoes.

    With one look and no coherent echo the envelope is Rayleigh with mean square ``scatter``².
    """
    power = np.zeros(grid.shape, np.float32)
    for _ in range(acoustics.looks):
        noise = rng.standard_normal((2, *grid.shape), dtype=np.float32)
        noise *= scatter * np.float32(np.sqrt(0.5))
        field = point_spread(noise, grid, acoustics, unit="power")
        power += (field[0] + coherent) ** 2 + field[1] ** 2
    return np.asarray(np.sqrt(power / np.float32(acoustics.looks)))


def compress(envelope: Floats, acoustics: Acoustics) -> Floats:
    """Log compression to [0, 1] over the dynamic range, then the scanner's grey map (a power)."""
    level = 20 * np.log10(np.maximum(envelope, np.float32(10 ** (QUIET_DB / 20))))
    grey = np.clip(level / np.float32(acoustics.dynamic_range_db) + 1, 0, 1)
    return np.asarray(grey ** np.float32(acoustics.gamma))
