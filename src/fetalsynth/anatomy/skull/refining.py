"""Rings moved uphill: a pattern search for many rings at once."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.skull.rings import Field, score

Floats = NDArray[np.float64]

_FIRST_STEP = 0.06  # of the radius, of log radius and of elongation
_MOST_ROUNDS = 60


def refine(field: Field, rings: Floats, *, least_step: float) -> tuple[Floats, Floats]:
    """Rings (N, 5) at a local maximum of their score, and the scores (N,).

    Every round tries 50 moves (one number, or two at once, up or down) of each ring and takes the
    best; a ring that gains nothing halves its step, down to ``least_step`` (of the radius).
    """
    rings, best = rings.copy(), score(field, rings)
    step = np.full(len(rings), _FIRST_STEP)
    for _ in range(_MOST_ROUNDS):
        active = np.flatnonzero(step >= least_step)
        if not len(active):
            break
        moved = rings[active, None] + _moves(rings[active], step[active])
        scores = score(field, moved.reshape(-1, 5)).reshape(len(active), -1)
        top = scores.argmax(axis=1)
        gained = scores[np.arange(len(active)), top]
        better = gained > best[active]
        rings[active[better]] = moved[better, top[better]]
        best[active[better]] = gained[better]
        step[active[~better]] /= 2
    return rings, best


def _moves(rings: Floats, step: Floats) -> Floats:
    """(N, 50, 5)"""
    unit = np.ones((len(rings), 1, 5))
    unit[..., :2] = np.exp(rings[:, 2])[:, None, None]
    return np.asarray(_DIRECTIONS * unit * step[:, None, None])


def _directions() -> Floats:
    found = []
    for i, j in combinations(range(5), 2):
        for si, sj in product((-1.0, 1.0), repeat=2):
            one = np.zeros(5)
            one[i], one[j] = si, sj
            found.append(one)
    alone = [sign * np.eye(5)[i] for i in range(5) for sign in (-1.0, 1.0)]
    return np.array([*alone, *found])


_DIRECTIONS = _directions()
