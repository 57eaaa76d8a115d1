"""How far one outline is from others: a distance in picture sizes that knows place and shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.heads2d.head import PlacedHead

Floats = NDArray[np.float64]

_DIRECTIONS = 32


def outline(head: PlacedHead) -> Floats:
    """Border points in 32 fixed directions from the centre, in picture heights, flat (64,).

    The distance of two outlines divided by √32 is the root mean square distance of their points
    of equal direction, which is what :func:`distances` gives.
    """
    turn = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    one = head.ellipse
    a, b = one.semi_major_px, one.semi_minor_px
    own = turn - np.radians(one.angle_deg)
    radius = a * b / np.hypot(b * np.cos(own), a * np.sin(own))
    x = one.center_x_px + 0.5 + radius * np.cos(turn)
    y = one.center_y_px + 0.5 + radius * np.sin(turn)
    return np.concatenate([x, y]) / head.height


def outlines(heads: Sequence[PlacedHead]) -> Floats:
    """(N, 64) outlines of many heads."""
    return np.stack([outline(head) for head in heads])


def distances(one: Floats, others: Floats) -> Floats:
    """Root mean square distance from ``one`` (64,) to each of ``others`` (N, 64), (N,)."""
    return np.asarray(np.sqrt(((others - one) ** 2).sum(axis=1) / _DIRECTIONS))


def nearest_apart(known: Floats, *, groups: Sequence[str]) -> Floats:
    """Distance of every outline to the nearest one of another group (subject), (N,).

    Infinite where there is no other group.
    """
    names = np.asarray(groups)
    return np.array(
        [
            distances(one, known[names != group]).min(initial=np.inf)
            for one, group in zip(known, names, strict=True)
        ]
    )
