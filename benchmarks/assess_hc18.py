"""What every metric says about HC18 images, real, spoilt and simulated: the table of the docs.

    python benchmarks/assess_hc18.py HC18 [--inception-weights FILE] [--cache DIR]
        [--synthetic NAME=DIR …] [--charts DIR]

HC18 is an ``images`` artifact (fetalsynth data import hc18 SRC --size 64 --mask-overlays). Its
training rows are halved by subject: half A is what a generator would have seen, and half B, spoilt
in several ways, stands for synthetic images. Its test rows are the real images, held out. Sets
given with ``--synthetic`` are cut to as many images, and are compared with all training rows.
Prints Markdown; with ``--charts`` writes one SVG per Fréchet and kernel distance.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.artifacts.scores import Metric, Scores
from fetalsynth.assessment.resampling import half_of_subjects
from fetalsynth.assessment.suite import assess_images
from fetalsynth.datasets.loading import ImageSet, load_images
from fetalsynth.datasets.phantoms.ultrasound import open_source
from fetalsynth.randomness import numpy_rng
from fetalsynth.reports.comparison import comparison_chart
from fetalsynth.reports.wording import number

Images = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
SEED = 0
CHARTED = ("KID-Inception768", "FD-Inception768", "KID-LBP256", "FD-LBP256")
STYLE = (
    "<style>text{font:12px sans-serif;fill:#1d2327}.tick{stroke:#d9dcd8}"
    "svg{background:#fff}.floor{fill:#d9dcd8}.interval{stroke:#0b6170;stroke-width:3}.dot{fill:#0b6170}</style>"
)


def main() -> None:
    """Assess every set and print the tables."""
    given = _arguments()
    began = time.perf_counter()
    sets, trains, real = _sets(given)
    results: dict[str, Scores] = {}
    for name, images in sets.items():
        print(f"{name}: {len(images.records)} images", file=sys.stderr)
        results[name] = assess_images(
            real=real,
            synthetic=images,
            train=trains[name],
            inception_weights=given.inception_weights,
            cache=given.cache,
            seed=SEED,
        )
    _print_tables(results)
    if given.charts is not None:
        _write_charts(results, given.charts)
    print(f"{time.perf_counter() - began:.0f} s in all", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("hc18", type=Path)
    parser.add_argument("--inception-weights", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--synthetic", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--charts", type=Path)
    return parser.parse_args()


def _sets(
    given: argparse.Namespace,
) -> tuple[dict[str, ImageSet], dict[str, ImageSet], ImageSet]:
    real = load_images(given.hc18, role="real", splits=("test",), channels=1)
    train = load_images(given.hc18, role="train", splits=("train",), channels=1)
    seen, other = _halves(train)
    pixels = _grey(other)
    rng = np.random.default_rng(SEED)
    sets = {
        "other half": other,
        "blurred": _with(other, _blurred(pixels)),
        "noisy": _with(other, _noisy(pixels, rng)),
        "lighter": _with(other, _lighter(pixels)),
        "5 % copies": _with(other, _with_copies(pixels, _grey(seen), rng)),
        "ten pictures": _with(other, _noisy(pixels[np.arange(len(pixels)) % 10], rng, sd=2)),
        "phantoms": _phantoms(len(pixels), pixels.shape[1]),
    }
    trains = dict.fromkeys(sets, seen)
    for text in given.synthetic:
        name, _, folder = text.partition("=")
        whole = load_images(Path(folder), role="synthetic", channels=1)
        sets[name] = _rows(whole, np.arange(len(whole.records)) < len(pixels))
        trains[name] = train
    return sets, trains, real


def _halves(train: ImageSet) -> tuple[ImageSet, ImageSet]:
    names = [record.subject for record in train.records]
    _, subjects = np.unique(names, return_inverse=True)
    mask = half_of_subjects(subjects=subjects, rng=numpy_rng(seed=SEED, stream="benchmark/halves"))
    return _rows(train, mask), _rows(train, ~mask)


def _rows(images: ImageSet, mask: NDArray[np.bool_]) -> ImageSet:
    records = tuple(record for record, kept in zip(images.records, mask, strict=True) if kept)
    return ImageSet(pixels=images.pixels[mask], records=records, source=images.source)


def _grey(images: ImageSet) -> Images:
    return np.asarray(images.pixels[..., 0], np.uint8)


def _with(images: ImageSet, pixels: Images) -> ImageSet:
    return replace(images, pixels=pixels[..., None])


def _levels(values: Floats) -> Images:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _blurred(pixels: Images) -> Images:
    return _levels(ndimage.gaussian_filter(pixels.astype(float), (0, 0.7, 0.7)))


def _noisy(pixels: Images, rng: np.random.Generator, *, sd: float = 8) -> Images:
    """Only where there is signal, as the noise of a scanner."""
    return np.where(pixels > 0, _levels(pixels + rng.normal(0, sd, pixels.shape)), 0).astype("u1")


def _lighter(pixels: Images) -> Images:
    return np.where(pixels > 0, _levels(pixels + 8.0), 0).astype(np.uint8)


def _with_copies(pixels: Images, train: Images, rng: np.random.Generator) -> Images:
    """Mirrored and noisy training images in place of one in twenty."""
    count = round(0.05 * len(pixels))
    copies = _noisy(train[:count, :, ::-1], rng, sd=4)
    return np.concatenate([copies, pixels[count:]])


def _phantoms(count: int, size: int) -> ImageSet:
    made = list(open_source(count=count, seed=SEED, size=size).images())
    records = tuple(ImageRecord(file=m.name, subject=m.subject, sha256="") for m in made)
    source = Input(role="synthetic", path="phantoms", digest="phantoms")
    pixels = np.stack([np.asarray(m.pixels, np.uint8) for m in made])
    return ImageSet(pixels=pixels[..., None], records=records, source=source)


def _print_tables(results: dict[str, Scores]) -> None:
    names = list(results)
    _row("alarm", *names)
    _row(*["---"] * (1 + len(names)))
    alarms = ("shift", "texture", "intensity", "collapse", "copying")
    for alarm in alarms:
        _row(alarm, *(_said(results[name], alarm) for name in names))
    print()
    first = next(iter(results.values()))
    _row("metric", "floor", *names)
    _row(*["---"] * (2 + len(names)))
    for metric in first.metrics:
        cells = [_cell(scores.metrics.get(metric)) for scores in results.values()]
        floor = first.metrics[metric].floor
        _row(metric, "none" if floor is None else number(floor), *cells)


def _said(scores: Scores, alarm: str) -> str:
    if alarm in {found.name for found in scores.alarms}:
        return "**yes**"
    return "not judged" if alarm in scores.unjudged else "no"


def _cell(metric: Metric | None) -> str:
    return "none" if metric is None else number(metric.value)


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |")


def _write_charts(results: dict[str, Scores], folder: Path) -> None:
    for name in CHARTED:
        found = {label: s.metrics[name] for label, s in results.items() if name in s.metrics}
        if not found:
            continue
        svg = str(comparison_chart(name=name, results=found))
        whole = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        text = whole.replace("</title>", f"</title>{STYLE}", 1)
        (folder / f"hc18-{name.lower()}.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
