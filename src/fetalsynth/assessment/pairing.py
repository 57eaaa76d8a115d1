"""Which synthetic image is compared with which real one, when nothing pairs them.

Full-reference measures need pairs that unconditional samples do not have. The rule is named in
the result, because it decides the number:

- ``all-pairs``: every synthetic image with every real one;
- ``nearest``: every synthetic image with the real one nearest to it in pixels, on equally many
  images a side (the more real images, the nearer the nearest);
- ``random``: every synthetic image with one real image drawn at random, each real image used
  equally often up to one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.psnr import squared_distances

Pairing = Literal["all-pairs", "nearest", "random"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)
Images = NDArray[np.uint8]
AllPairs = Callable[[Images, Images], NDArray[np.float64]]


def paired_values(
    *,
    rule: Pairing,
    measure: AllPairs,
    queries: Images,
    references: Images,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Values of ``measure`` for the pairs that ``rule`` makes of (N, H, W) and (M, H, W) images.

    (N, M) for ``all-pairs``, else (N, 1). ``measure`` gives the (N, M) values of all pairs.
    """
    if rule == "all-pairs":
        return measure(queries, references)
    partners = choose_partners(rule=rule, queries=queries, references=references, rng=rng)
    single = [
        measure(queries[row : row + 1], references[partner : partner + 1])[0]
        for row, partner in enumerate(partners)
    ]
    return np.array(single)


def choose_partners(
    *, rule: Pairing, queries: Images, references: Images, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Index of the reference for each query, for the rules ``nearest`` and ``random``."""
    if rule == "nearest":
        return np.asarray(squared_distances(first=queries, second=references).argmin(1))
    if rule == "random":
        rounds = -(-len(queries) // len(references))
        order = [rng.permutation(len(references)) for _ in range(rounds)]
        return np.asarray(np.concatenate(order)[: len(queries)])
    raise ValueError(f"{rule!r} pairs every image with every other")
