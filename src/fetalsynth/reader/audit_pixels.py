"""Traces that handling leaves in pixels, and plain properties of the content beside them.

A trace is something that no anatomy and no network makes by itself: the 8 × 8 grid of a JPEG
history, a comb in the histogram, a frame. Grey level, texture and compressibility are content: a
generator that is too smooth is recognised by it, as it should be.
"""

from __future__ import annotations

import bz2
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_JPEG = (
    "take the originals instead of JPEG files, or a --size well below theirs (grids of 8 pixels "
    "also come from networks that upsample three times: then it is a fault of the images)"
)
_COMB = "take the originals: one class was stretched in 8 bits; or a --size that resamples all"
_FRAME = "cut more off with --margin"
TRACES = {  # cue: what helps
    "8 × 8 blocks (steps)": _JPEG,
    "8 × 8 blocks (vanished frequencies)": _JPEG,
    "empty grey levels": _COMB,
    "comb in the histogram": _COMB,
    "step behind the border": _FRAME,
    "border brighter than behind": _FRAME,
    "flat border": _FRAME,
}
CONTENT = {
    "mean grey level": "content: readers may see it",
    "contrast (SD)": "content: readers may see it",
    "share of black": "content, or another window or ground in one class",
    "share of white": "content, or another window in one class",
    "compressed size (zlib)": "content: texture and noise",
    "compressed size (bzip2)": "content: texture and noise",
    "finest detail": "content: sharpness and noise",
    "checkerboard": "content: usual in networks that upsample",
}
_EXPECTED = 4.0  # pixels of a grey level that make its absence notable
_WINDOW = 128  # pixels in the middle that are searched for blocks


def look(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """All cues of one picture (H, W) of at least 24 × 24 pixels; others have none (0)."""
    if min(pixels.shape) < 24:
        return dict.fromkeys([*TRACES, *CONTENT], 0.0)
    values = pixels.astype(np.float64)
    middle = _middle(values)
    gaps, comb = histogram_traces(pixels)
    step, brighter, flat = border_traces(values)
    return {
        "8 × 8 blocks (steps)": block_steps(middle),
        "8 × 8 blocks (vanished frequencies)": vanished(middle),
        "empty grey levels": gaps,
        "comb in the histogram": comb,
        "step behind the border": step,
        "border brighter than behind": brighter,
        "flat border": flat,
        **_content(pixels, values),
    }


def _middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    top, left = (max(0, (length - _WINDOW) // 2) for length in values.shape)
    return values[top : top + _WINDOW, left : left + _WINDOW]


def block_steps(values: NDArray[np.float64]) -> float:
    """How much larger steps are on one line in eight than half a block away, in standard errors.

    A step is |x1 - x2| less the mean of its two neighbours (after Wang, Sheikh and Bovik 2002). The
    line half a block away has the same periods of 2 and 4 pixels, which networks leave too; the
    strongest of the eight lines counts, and the mean of rows and columns.
    """
    return float(np.mean([_steps_along(values), _steps_along(values.T)]))


def _steps_along(values: NDArray[np.float64]) -> float:
    jumps = np.abs(np.diff(values, axis=1))
    excess = jumps[:, 1:-1] - (jumps[:, :-2] + jumps[:, 2:]) / 2
    lit = (values[:, 1:-2] > 0) & (values[:, 2:-1] > 0)
    lines = [excess[:, phase::8][lit[:, phase::8]] for phase in range(8)]
    return max(_contrast(lines[phase], lines[(phase + 4) % 8]) for phase in range(8))


def _contrast(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Difference of two means in its standard errors; 0 where there is too little to say."""
    if min(len(one), len(other)) < 8:
        return 0.0
    error = np.sqrt(one.var() / len(one) + other.var() / len(other))
    return float((one.mean() - other.mean()) / error) if error > 0 else 0.0


def vanished(values: NDArray[np.float64]) -> float:
    """How many more of the upper 8 × 8 frequencies vanish on one grid than half a block away.

    JPEG rounds the cosine coefficients of its blocks, most of the upper ones to zero; on any other
    grid few are. Blocks without any signal do not count. The strongest of the 64 grids counts, in
    standard errors, so that smooth pictures have no more of it than others.
    """
    from numpy.lib.stride_tricks import sliding_window_view
    from scipy.fft import dctn

    upper = np.add.outer(np.arange(8), np.arange(8)) >= 5
    waves: NDArray[Any] = dctn(np.eye(64).reshape(64, 8, 8), axes=(1, 2), norm="ortho")[:, upper]
    blocks = sliding_window_view(values, (8, 8))
    share = (np.abs(blocks.reshape(-1, 64) @ waves) < 1).mean(axis=1).reshape(blocks.shape[:2])
    lit = np.ptp(blocks, axis=(2, 3)) > 8
    grids = [
        [share[row::8, column::8][lit[row::8, column::8]] for column in range(8)]
        for row in range(8)
    ]
    return max(
        _contrast(grids[row][column], grids[(row + 4) % 8][(column + 4) % 8])
        for row in range(8)
        for column in range(8)
    )


def histogram_traces(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """(excess of missing grey levels, strength of a comb).

    The excess is in standard deviations of what independent pixels of the smoothed histogram would
    leave empty, over the levels where four or more are expected. A comb is the largest amplitude of
    the histogram's residuals (in Poisson units) at periods of 2 to 8 levels, in multiples of their
    mean.
    """
    from scipy.ndimage import gaussian_filter1d

    counts = np.bincount(pixels.ravel(), minlength=256)[5:250].astype(float)
    smooth = gaussian_filter1d(counts, 4.0, mode="nearest")
    empty = np.exp(-smooth[smooth >= _EXPECTED])
    excess = (counts[smooth >= _EXPECTED] == 0).sum() - empty.sum()
    gaps = float(excess / np.sqrt((empty * (1 - empty)).sum() + 0.1))
    residual = (counts - smooth) / np.sqrt(smooth + 1)
    power = np.abs(np.fft.rfft(residual))
    fast = power[len(residual) // 8 :]
    return gaps, float(fast.max() / (power[1:].mean() + 1e-9))


def border_traces(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """(step from the outermost line to the next, its excess in brightness, share of flat sides).

    The step is relative to those of the lines behind it, as a logarithm; the largest of the four
    sides counts.
    """
    steps, excess, flat = [], [], 0
    for turned in (values, values[::-1], values.T, values.T[::-1]):
        first, second, third, fourth = turned[:4]
        behind = (np.abs(second - third).mean() + np.abs(third - fourth).mean()) / 2
        steps.append(np.log((np.abs(first - second).mean() + 1) / (behind + 1)))
        excess.append(abs(first.mean() - 2 * second.mean() + third.mean()))
        flat += int(np.ptp(first) <= 1 and np.ptp(second - first) > 1)
    return float(max(steps)), float(max(excess)), flat / 4


def _content(pixels: NDArray[np.uint8], values: NDArray[np.float64]) -> dict[str, float]:
    data = pixels.tobytes()
    spread = values.std() + 1e-9
    fine = (
        values[1:-1, 1:-1]
        - (values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]) / 4
    )
    even = values[: values.shape[0] // 2 * 2, : values.shape[1] // 2 * 2]
    signs = np.where(np.add.outer(np.arange(even.shape[0]), np.arange(even.shape[1])) % 2, -1, 1)
    return {
        "mean grey level": float(values.mean()),
        "contrast (SD)": float(spread),
        "share of black": float((pixels == 0).mean()),
        "share of white": float((pixels == 255).mean()),
        "compressed size (zlib)": len(zlib.compress(data, 9)) / len(data),
        "compressed size (bzip2)": len(bz2.compress(data)) / len(data),
        "finest detail": float(np.abs(fine).mean() / spread),
        "checkerboard": float(abs((even * signs).mean()) / spread),
    }
