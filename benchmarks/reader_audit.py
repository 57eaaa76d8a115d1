"""How often the leak audit of reader studies is right: nulls, and leaks planted in one class.

    python benchmarks/reader_audit.py IMAGES [--synthetic IMAGES] [--splits 20] [--n 60]

IMAGES is an ``images`` artifact of real images. Every split draws two halves of its subjects and
builds a study that calls one of them synthetic: nothing but chance tells them apart. Then a leak is
planted in one half. With --synthetic, studies of real against synthetic images are audited too.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.datasets.loading import ImageSet, load_images
from fetalsynth.reader.audit import Audit, audit_study
from fetalsynth.reader.making import Wanted, make_study
from fetalsynth.reader.pipeline_sources import open_sources
from fetalsynth.reader.presets import design
from fetalsynth.reader.study import Order, read_key

Pixels = NDArray[np.uint8]


def jpeg(quality: int) -> Callable[[Pixels], Pixels]:
    """A JPEG history of that quality."""

    def through(pixels: Pixels) -> Pixels:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream), np.uint8)

    return through


def stretched(pixels: Pixels) -> Pixels:
    """Contrast stretched in 8 bits, which leaves a comb."""
    return np.rint(np.minimum(pixels * 1.25, 255)).astype(np.uint8)


def framed(pixels: Pixels) -> Pixels:
    """A grey line around the picture, thick enough to survive the common crop."""
    found = pixels.copy()
    wide = max(3, round(0.06 * min(pixels.shape)))
    for part in (found[:wide], found[-wide:], found[:, :wide], found[:, -wide:]):
        part[...] = 60
    return found


PLANTED: dict[str, Callable[[Pixels], Pixels]] = {
    "nothing": lambda pixels: pixels,
    "JPEG, quality 50": jpeg(50),
    "JPEG, quality 75": jpeg(75),
    "JPEG, quality 90": jpeg(90),
    "contrast stretched in 8 bits": stretched,
    "frame": framed,
}


def halves(images: ImageSet, folder: Path, *, seed: int, plant: Callable[[Pixels], Pixels]) -> None:
    """Write the images of two halves of the subjects to ``a`` and, with the leak, ``b``."""
    subjects = sorted({record.subject for record in images.records})
    chosen = np.random.default_rng(seed).permutation(len(subjects))[: len(subjects) // 2]
    first = {subjects[place] for place in chosen}
    for name in ("a", "b"):
        (folder / name).mkdir()
    seen: set[str] = set()
    for pixels, record in zip(images.pixels[..., 0], images.records, strict=True):
        if record.subject not in seen:
            seen.add(record.subject)
            mine = record.subject in first
            shown = pixels if mine else plant(pixels)
            name = f"{'a' if mine else 'b'}/{record.subject}.png"
            Image.fromarray(shown).save(folder / name)


def audited(real: Path, synthetic: Path, *, n: int, seed: int) -> Audit:
    """The audit of a study made from these folders."""
    sources = open_sources(real=real, synthetic={"synthetic": synthetic})
    chosen = replace(design("standard", n=n), repeats=0.0, catch=0.0)
    wanted = Wanted(
        design=chosen, order=Order(readers=16), preset="standard", name="audit", title="audit"
    )
    with tempfile.TemporaryDirectory() as folder:
        make_study(Path(folder), sources, wanted=wanted, seed=seed)
        assert len(read_key(Path(folder))) == n + chosen.practice
        return audit_study(Path(folder))


def main() -> None:
    """Print how many audits find a leak, and which."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--synthetic", type=Path)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--only", help="only this leak")
    asked = parser.parse_args()
    if asked.synthetic is not None:
        found = [
            audited(asked.images, asked.synthetic, n=asked.n, seed=seed)
            for seed in range(asked.splits)
        ]
        report("real against synthetic", found)
    images = load_images(asked.images, role="real", channels=1)
    for name, plant in PLANTED.items():
        if asked.only in (None, name):
            report(name, [one_split(images, plant, n=asked.n, seed=s) for s in range(asked.splits)])


def one_split(images: ImageSet, plant: Callable[[Pixels], Pixels], *, n: int, seed: int) -> Audit:
    """The audit of one split with a leak planted."""
    folder = Path(tempfile.mkdtemp())
    try:
        halves(images, folder, seed=seed, plant=plant)
        return audited(folder / "a", folder / "b", n=n, seed=seed)
    finally:
        shutil.rmtree(folder)


def report(name: str, audits: list[Audit]) -> None:
    """One line: how many of the audits found a leak, and by which cues."""
    leaks = sum(audit.verdict == "leak" for audit in audits)
    cues: dict[str, int] = {}
    for audit in audits:
        for leak in audit.leaks:
            cues[leak.name] = cues.get(leak.name, 0) + 1
        for both in audit.combinations:
            cues[f"classifier on {both.family}"] = cues.get(f"classifier on {both.family}", 0) + 1
    print(f"{name}: leak in {leaks} of {len(audits)}; {cues}", flush=True)


if __name__ == "__main__":
    main()
