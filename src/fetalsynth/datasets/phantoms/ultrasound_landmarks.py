"""Random brain landmarks of a fetal head at its gestational age.

Places follow the transthalamic and transventricular planes of the ISUOG guideline (Malinger et
al. 2020, Ultrasound Obstet Gynecol 56:476-484): broken midline with the cavum septi pellucidi in
its front third, thalami at the centre, atria with choroid plexus behind. The hemisphere next to
the probe shows less, as in clinical images. Sulci come with age (Toi et al. 2004).
"""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from fetalsynth.datasets.phantoms.ultrasound_head import Blob, Stroke


def sample_blobs(rng: np.random.Generator, *, gestational_age_weeks: float) -> tuple[Blob, ...]:
    """Thalami, cavum, ventricles with choroid plexus; the plexus shrinks as the brain grows."""
    young = float(np.clip((24 - gestational_age_weeks) / 8, 0, 1))
    plexus = float(rng.uniform(11, 18))
    blobs = []
    for side in (-1.0, 1.0):
        seen = plexus if side > 0 else plexus - 4
        v = side * (0.36 - 0.02 * young)
        ventricle = (0.30 + 0.22 * young, 0.13 + 0.13 * young)
        choroid = (0.20 + 0.24 * young, 0.10 + 0.13 * young)
        thalamus = -float(rng.uniform(1, 5))
        insula = float(rng.normal(0, 2))
        blobs += [
            _blob(rng, (-0.36 + 0.15 * young, v), ventricle, -12, tilt_deg=8 * side),
            _blob(rng, (-0.42 + 0.18 * young, v), choroid, seen, tilt_deg=12 * side),
            _blob(rng, (0.02, side * 0.17), (0.20, 0.15), thalamus, tilt_deg=15 * side),
            _blob(rng, (0.10, side * 0.55), (0.36, 0.20), insula),
        ]
    blobs.append(_blob(rng, (0.47, 0.0), (0.10, 0.05), -10))
    blobs.append(_blob(rng, (0.02, 0.05), (0.5, 0.5), float(rng.uniform(0, 7))))
    for _ in range(6):
        place = float(rng.uniform(-0.7, 0.7)), float(rng.uniform(-0.6, 0.6))
        blobs.append(_blob(rng, place, (0.2, 0.15), float(rng.normal(0, 3))))
    return tuple(blobs)


def _blob(
    rng: np.random.Generator,
    place: tuple[float, float],
    semi: tuple[float, float],
    level_db: float,
    *,
    tilt_deg: float = 0.0,
) -> Blob:
    return Blob(
        u=place[0] + float(rng.normal(0, 0.025)),
        v=place[1] + float(rng.normal(0, 0.025)),
        semi_u=semi[0] * float(rng.uniform(0.85, 1.15)),
        semi_v=semi[1] * float(rng.uniform(0.85, 1.15)),
        tilt_deg=tilt_deg + float(rng.normal(0, 6)),
        level_db=level_db,
        softness=float(rng.uniform(0.3, 0.6)),
    )


def sample_strokes(rng: np.random.Generator, *, gestational_age_weeks: float) -> tuple[Stroke, ...]:
    """Falx, walls of cavum and ventricles, insula, sulci, and specks of vessel and pia."""
    age = gestational_age_weeks
    return (*_falx(rng), *_walls(rng, age), *_specks(rng), *_sulci(rng, age))


def _falx(rng: np.random.Generator) -> list[Stroke]:
    level = float(rng.uniform(-32, -12))
    places = [u for u in np.arange(-0.85, 0.9, 0.14).tolist() if not 0.36 < u < 0.58]
    return [_stroke(rng, (u, 0.0), 0.24, level) for u in places if rng.random() < 0.75]


def _walls(rng: np.random.Generator, age: float) -> list[Stroke]:
    detail = float(rng.normal(-8, 4))
    cavum = 0.035 + 0.02 * float(np.clip((age - 14) / 10, 0, 1))
    strokes = []
    for side in (-1.0, 1.0):
        hidden = -6.0 if side < 0 else 0.0
        walls = (
            ((0.47, cavum), 0.22, -6 + hidden / 2, 0.0, 0.0),
            ((0.52, 0.26), 0.18, -14 + hidden, 6.0, 0.01),
            ((-0.36, 0.25), 0.42, -15 + hidden, 6.0, 0.02),
            ((-0.40, 0.47), 0.40, -10 + hidden, 8.0, -0.03),
            ((0.12, 0.62), 0.32, -12 + hidden, 0.0, 0.04),
            ((0.02, 0.03), 0.14, -14 + hidden / 2, 0.0, 0.0),
        )
        for (u, v), length, level, tilt, bow in walls:
            if rng.random() < (0.5 if side < 0 else 0.8):
                place = (u, side * v)
                strokes.append(
                    _stroke(
                        rng, place, length, level + detail, tilt_deg=side * tilt, bow=side * bow
                    )
                )
    return strokes


def _specks(rng: np.random.Generator) -> list[Stroke]:
    grain = float(rng.uniform(-36, -26))
    strokes = []
    for _ in range(int(rng.integers(5, 50))):
        u, v = float(rng.normal(0, 0.34)), float(rng.normal(0.05, 0.28))
        level, tilt = grain + float(rng.exponential(5)), float(rng.normal(0, 15))
        if u * u + v * v < 0.7:
            strokes.append(_stroke(rng, (u, v), 0.08, level, tilt_deg=tilt))
    return strokes


def _sulci(rng: np.random.Generator, age: float) -> list[Stroke]:
    strokes = []
    for _ in range(int(rng.poisson(max(0.0, (age - 20) * 1.4)))):
        turn, radius = float(rng.uniform(0, 2 * pi)), float(rng.uniform(0.55, 0.88))
        place = (radius * cos(turn), radius * sin(turn))
        level, tilt = float(rng.uniform(-30, -16)), float(rng.normal(0, 25))
        bow = float(rng.normal(0, 0.03))
        strokes.append(_stroke(rng, place, 0.2, level, tilt_deg=tilt, bow=bow))
    return strokes


def _stroke(
    rng: np.random.Generator,
    place: tuple[float, float],
    length: float,
    level_db: float,
    *,
    tilt_deg: float = 0.0,
    bow: float = 0.0,
) -> Stroke:
    return Stroke(
        u=place[0] + float(rng.normal(0, 0.015)),
        v=place[1] + float(rng.normal(0, 0.012)),
        length=length * float(rng.uniform(0.7, 1.2)),
        tilt_deg=tilt_deg + float(rng.normal(0, 4)),
        bow=bow,
        level_db=level_db + float(rng.normal(0, 4)),
    )
