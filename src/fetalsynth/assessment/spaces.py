"""The features of all images, taken once and shared by every measure that needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.features.extractors import Extractor, Options, chosen
from fetalsynth.assessment.samples import ROLES, Samples


@dataclass(frozen=True, kw_only=True)
class Space:
    """Features (T, D) of the images of all roles, pooled in the order of ``ROLES``.

    ``name`` is that of the extractor, ``settings`` what every result from it must record, and
    ``frechet`` what a Fréchet distance in the space is called, None for FD-⟨name⟩.
    """

    name: str
    pooled: NDArray[np.float64]
    settings: dict[str, Any]
    frechet: str | None = None


def feature_spaces(samples: Samples, options: Options) -> tuple[Space, ...]:
    """One space for every extractor whose weights were given."""
    return tuple(
        Space(
            name=name,
            pooled=_pooled(extractor, samples, options),
            settings=extractor.settings(options),
            frechet=extractor.frechet(options),
        )
        for name, extractor in chosen(options).items()
    )


def _pooled(extractor: Extractor, samples: Samples, options: Options) -> NDArray[np.float64]:
    features = extractor.extract(samples.images, options)
    return np.concatenate([features[role] for role in ROLES if role in features])
