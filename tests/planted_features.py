"""Features whose distances are known in closed form: two Gaussians a known way apart."""

from __future__ import annotations

import numpy as np

from fetalsynth.artifacts.scores import Metric
from fetalsynth.assessment.floors import make_design
from fetalsynth.assessment.parts.distances import distances
from fetalsynth.assessment.samples import Samples
from fetalsynth.assessment.spaces import Space

D = 8


def features(seed: int, *, count: int, shift: float) -> tuple[Samples, Space]:
    """Gaussian features, the synthetic ones moved by ``shift`` along the diagonal of D axes."""
    rng = np.random.default_rng(seed)
    counts = {"real": count, "synthetic": count}
    pooled = rng.standard_normal((2 * count, D))
    pooled[count:] += shift / np.sqrt(D)
    samples = Samples(
        images={role: np.zeros((n, 8, 8), np.uint8) for role, n in counts.items()},
        subjects={role: np.arange(n) for role, n in counts.items()},
        files={role: tuple(map(str, range(n))) for role, n in counts.items()},
        seed=seed,
    )
    return samples, Space(name="Gauss", pooled=pooled, settings={})


def judged(seed: int, *, count: int, shift: float) -> dict[str, Metric]:
    """``KID-Gauss`` and ``FD-Gauss`` of such features; the true Fréchet distance is shift²."""
    samples, space = features(seed, count=count, shift=shift)
    return distances(samples, make_design(samples), (space,)).metrics


def kernel_distance(m: float) -> float:
    """MMD² of N(0, I) and N(b, I), |b|² = m, for (x·y/D + 1)³: moments of x·y in closed form."""
    return 3 * m / D + 3 * m**2 / D**2 + (m**3 + 6 * m**2 + 3 * m * D + 6 * m) / D**3
