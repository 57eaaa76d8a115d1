"""Every feature extractor, by the name that its results carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_file
from fetalsynth.assessment.features import inception, lbp
from fetalsynth.assessment.features.cache import Key, key_of, store, stored
from fetalsynth.assessment.features.local_model import LocalModel, open_local_model
from fetalsynth.errors import UserError
from fetalsynth.inception.layout import DIMENSIONS, Layer
from fetalsynth.inception.network import Network
from fetalsynth.inception.reading import load_weights, recognise
from fetalsynth.inception.weights import STANDARD_SHA256
from fetalsynth.progress import Progress

Features = dict[str, NDArray[np.float64]]
Images = dict[str, NDArray[np.uint8]]
Take = Callable[[NDArray[np.uint8], Progress], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the extractors can be told: which weights, which resizing, which pixels count.

    ``inception_weights`` is either file of :mod:`fetalsynth.inception.reading`, ``models`` are
    networks of :mod:`local_model`, and ``cache`` is a folder for features, None to keep none.
    """

    inception_weights: Path | None = None
    resizing: str = "clean"
    exclude_outside_fan: bool = False
    models: tuple[Path, ...] = ()
    cache: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Features of every set of images (N, H, W) at once: (N, D) per set.

    ``dimensions`` is D, None where only running tells. ``available`` says whether it can run with
    these options, ``settings`` all that a result must record, and ``frechet`` what a Fréchet
    distance of these features is called, where it is not FD-⟨name⟩.
    """

    dimensions: int | None
    available: Callable[[Options], bool]
    extract: Callable[[Images, Options], Features]
    settings: Callable[[Options], dict[str, Any]]
    frechet: Callable[[Options], str | None] = lambda _: None


def chosen(options: Options) -> dict[str, Extractor]:
    """The extractors that can run with these options, local networks last, by name.

    Raises UserError for files that cannot be used.
    """
    found = {name: e for name, e in EXTRACTORS.items() if e.available(options)}
    for path in options.models:
        model = open_local_model(path)
        if model.name in found:
            raise UserError(f"{path}: is given twice as a network for features")
        found[model.name] = _local(model)
    return found


def _lbp(sets: Images, options: Options) -> Features:
    return {
        role: lbp.lbp_features(images=images, exclude_outside_fan=options.exclude_outside_fan)
        for role, images in sets.items()
    }


def _lbp_settings(options: Options) -> dict[str, Any]:
    return {
        "features": "16 × root of the share of each LBP code (P=8, R=1, default)",
        "outside_fan": "excluded" if options.exclude_outside_fan else "included",
    }


def _cached(
    sets: Images, options: Options, *, extractor: str, policy: str, label: str, take: Take
) -> Features:
    """Features from the cache, and those of ``take`` for the sets that it lacks."""
    keys: dict[str, Key] = {}
    found: dict[str, NDArray[np.float64] | None] = dict.fromkeys(sets)
    if options.cache is not None:
        for role, images in sets.items():
            keys[role] = key_of(images=images, extractor=extractor, policy=policy)
            found[role] = stored(options.cache, keys[role], count=len(images))
    missing = {role: images for role, images in sets.items() if found[role] is None}
    taken: Features = {}
    if missing:
        with Progress(label=label, total=sum(map(len, missing.values()))) as progress:
            for role, images in missing.items():
                taken[role] = take(images, progress)
                if options.cache is not None:
                    store(options.cache, keys[role], taken[role])
    kept = {role: features for role, features in found.items() if features is not None}
    return {role: kept[role] if role in kept else taken[role] for role in sets}


def _inception(sets: Images, options: Options) -> Features:
    path = _weights(options)
    network = cache(lambda: Network(load_weights(path)))

    def take(images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float64]:
        return inception.inception_features(
            images=images, network=network(), resizing=options.resizing, progress=progress
        )

    return _cached(
        sets,
        options,
        extractor=digest_file(path),
        policy=f"grey8 {options.resizing} {inception.SIDE} batch {inception.BATCH} float32",
        label="Inception features",
        take=take,
    )


def _weights(options: Options) -> Path:
    if options.inception_weights is None:
        raise ValueError("no Inception weights were given")
    return options.inception_weights


def _reaches(last: Layer, options: Options) -> bool:
    path = options.inception_weights
    return path is not None and recognise(path) == last


def _inception_settings(last: Layer, options: Options) -> dict[str, Any]:
    digest = digest_file(_weights(options))
    settings: dict[str, Any] = {
        "features": f"mean of {last} of inception-2015-12-05",
        "weights_sha256": digest,
        "resizing": options.resizing,
        "batch": inception.BATCH,
        "precision": "float32",
    }
    if last == "Mixed_6e":
        settings["features"] += "; not the FID layer"
    elif digest != STANDARD_SHA256:
        settings["note"] = "the weights are not the published file, so this is not the FID"
    return settings


def _fid(options: Options) -> str | None:
    return "FID" if digest_file(_weights(options)) == STANDARD_SHA256 else None


def _local(model: LocalModel) -> Extractor:
    def extract(sets: Images, options: Options) -> Features:
        def take(images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float64]:
            return model.features(images=images, resizing=options.resizing, progress=progress)

        return _cached(
            sets,
            options,
            extractor=model.digest,
            policy=f"grey8 {options.resizing} float32",
            label=f"{model.name} features",
            take=take,
        )

    return Extractor(
        dimensions=None,
        available=lambda options: model.path in options.models,
        extract=extract,
        settings=lambda options: {**model.settings, "resizing": options.resizing},
    )


EXTRACTORS: dict[str, Extractor] = {
    "LBP256": Extractor(
        dimensions=lbp.DIMENSIONS,
        available=lambda _: True,
        extract=_lbp,
        settings=_lbp_settings,
    ),
    "Inception768": Extractor(
        dimensions=DIMENSIONS["Mixed_6e"],
        available=partial(_reaches, "Mixed_6e"),
        extract=_inception,
        settings=partial(_inception_settings, "Mixed_6e"),
    ),
    "Inception2048": Extractor(
        dimensions=DIMENSIONS["Mixed_7c"],
        available=partial(_reaches, "Mixed_7c"),
        extract=_inception,
        settings=partial(_inception_settings, "Mixed_7c"),
        frechet=_fid,
    ),
}
