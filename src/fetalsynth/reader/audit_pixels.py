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
TRACES = {  # cue: (what other pictures reach, what helps)
    "8 × 8 blocks": (4.0, _JPEG),
    "empty grey levels": (3.0, _COMB),
    "comb in the histogram": (4.0, _COMB),
    "step behind the border": (0.8, _FRAME),
    "border of another brightness": (1.5, _FRAME),
    "flat border": (0.0, _FRAME),
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
_BORDER = 4  # pixels
_LINES = 12  # from a side, that its outermost is compared with
_WINDOW = 128  # pixels in the middle that are searched for blocks


def look(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """All cues of one picture (H, W) of at least 24 × 24 pixels; others have none (0).

    Traces are counted from what pictures without that history reach, so that slight differences of
    texture between the classes do not look like one.
    """
    if min(pixels.shape) < 24:
        return dict.fromkeys([*TRACES, *CONTENT], 0.0)
    values = pixels.astype(np.float64)
    gaps, comb = histogram_traces(pixels)
    step, odd, flat = border_traces(values)
    found = (vanished(_middle(values)), gaps, comb, step, odd, flat)
    traces = {
        name: max(0.0, value - usual)
        for (name, (usual, _)), value in zip(TRACES.items(), found, strict=True)
    }
    return {**traces, **_content(pixels, values)}


def _middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the border, which has cues of its own, and not more than can be searched at once."""
    inner = values[_BORDER:-_BORDER, _BORDER:-_BORDER]
    top, left = (max(0, (length - _WINDOW) // 2) for length in inner.shape)
    return inner[top : top + _WINDOW, left : left + _WINDOW]


def _contrast(one: NDArray[np.float64], other: NDArray[np.float64], *, least: int = 3) -> float:
    """Difference of two means in its standard errors; 0 where there is too little to say."""
    if min(len(one), len(other)) < least:
        return 0.0
    error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
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
        _contrast(grids[row][column], grids[(row + 4) % 8][(column + 4) % 8], least=8)
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
    """(step from the outermost line to the next, how far it is off in brightness, flat sides).

    Both are logarithms, relative to the lines behind it; only every second of those, because
    networks that upsample leave lines in turn. The largest of the four sides counts.
    """
    steps, odd, flat = [], [], 0
    for turned in (values, values[::-1], values.T, values.T[::-1]):
        lines = turned[:_LINES]
        step = np.abs(np.diff(lines, axis=0)).mean(axis=1)
        steps.append(np.log((step[0] + 1) / (step[2::2].mean() + 1)))
        bend = np.abs(np.diff(lines.mean(axis=1), n=2))
        odd.append(np.log((bend[0] + 0.5) / (np.sqrt((bend[2::2] ** 2).mean()) + 0.5)))
        flat += int(np.ptp(lines[0]) <= 1 and np.ptp(lines[1] - lines[0]) > 1)
    return float(max(steps)), float(max(odd)), flat / 4


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
