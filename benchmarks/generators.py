"""Quality of generators against training time, and of few-step samplers against sampling time.

    python benchmarks/generators.py --data HC18 --inception-weights FILE MODEL [MODEL …]
        [--heads DIR] [--n 800] [--epochs E …] [--sampling SAMPLER:STEPS[:GUIDANCE] …]
        [--precision bfloat16] [--threads N]

HC18 is an ``images`` artifact (fetalsynth data import hc18 SRC --size 64 --mask-overlays); models
were trained on its training rows. Every kept snapshot of every model makes ``n`` images, which are
compared with the held-out rows: kernel distances (Inception-768, LBP-256), precision, recall and
coverage at equal numbers, and the median distance to the nearest training image over that of
held-out images. Models of heads are given ``--heads`` (fetalsynth anatomy ellipses --like HC18).
The row "real" is of training images in place of synthetic ones. "Minutes" are those of the
training by the clock, "s per image" processor seconds of all threads. Distances to training images
are Euclidean between grey levels, over an image and its mirror image. A folder of images can stand
for a MODEL. Prints Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.artifacts.model import STATISTICS, read_statistics, snapshot_epochs
from fetalsynth.assessment.features.inception import inception_features
from fetalsynth.assessment.features.lbp import lbp_features
from fetalsynth.assessment.metrics.kid import kernel_distance
from fetalsynth.assessment.metrics.nearest import nearest
from fetalsynth.assessment.metrics.precision_recall import precision_recall
from fetalsynth.datasets.loading import load_images
from fetalsynth.generators.flow.sampling import Sampling
from fetalsynth.generators.settings import FlowSettings
from fetalsynth.inception.network import Network
from fetalsynth.inception.reading import load_weights
from fetalsynth.synthesis.asked_heads import read_asked_heads
from fetalsynth.synthesis.images import LoadedModel, Wanted, load_model, sample
from fetalsynth.threads import free_cores

Pixels = NDArray[np.uint8]
HEADER = (
    "generator",
    "epoch",
    "minutes",
    "sampling",
    "s per image",
    "KID-Inception768 × 10³",
    "KID-LBP256",
    "precision",
    "recall",
    "coverage",
    "nearest-neighbour ratio",
)


@dataclass(frozen=True)
class Reference:
    """Held-out and training images, and the features of the former."""

    held_out: Pixels
    train: Pixels
    network: Network
    inception: NDArray[np.float64]
    lbp: NDArray[np.float64]

    def compare(self, images: Pixels) -> list[str]:
        """The cells of one row from KID on."""
        features = inception_features(images=images, network=self.network)
        support = precision_recall(real=self.inception, synthetic=features[: len(self.inception)])
        return [
            f"{1e3 * kernel_distance(first=self.inception, second=features):.3f}",
            f"{kernel_distance(first=self.lbp, second=lbp_features(images=images)):.4f}",
            f"{support.precision:.2f}",
            f"{support.recall:.2f}",
            f"{support.coverage:.2f}",
            f"{_median_distance(images, self.train) / self._held_out_distance():.2f}",
        ]

    def _held_out_distance(self) -> float:
        return _median_distance(self.held_out, self.train)


def main() -> None:
    """Print a row for every snapshot and sampling of every model."""
    given = _arguments()
    torch.set_num_threads(given.threads or free_cores())
    reference = _reference(given)
    _row(*HEADER)
    _row(*["---"] * len(HEADER))
    real = reference.train[np.random.default_rng(0).permutation(len(reference.train))]
    _row("real training images", "", "", "", "", *reference.compare(real[: given.n]))
    for folder in given.models:
        for label, images in _sets(folder, given):
            _row(*label, *reference.compare(images))


def _sets(folder: Path, given: argparse.Namespace) -> Iterator[tuple[list[str], Pixels]]:
    if not (folder / "snapshots").is_dir():
        images = _grey(load_images(folder, role="synthetic", channels=1).pixels)[: given.n]
        yield [folder.name, "", "", "", ""], images
        return
    rows = read_statistics(folder / STATISTICS)
    for epoch in given.epochs or snapshot_epochs(folder):
        model = load_model(folder, epoch=epoch)
        seconds = next(row["seconds"] for row in rows if row["epoch"] >= epoch - 1e-6)
        for how in _samplings(model, given.sampling):
            began = time.process_time()
            images = _made(model, how, given)
            taken = (time.process_time() - began) / len(images)
            said = "" if how is None else f"{how.sampler} {how.steps}"
            if how is not None and how.guidance != 1:
                said += f", guidance {how.guidance:g}"
            label = [folder.name, str(epoch), f"{seconds / 60:.0f}", said, f"{taken:.3f}"]
            yield label, images


def _samplings(model: LoadedModel, texts: list[str]) -> list[Sampling | None]:
    settings = model.settings
    if not isinstance(settings, FlowSettings):
        return [None]
    own = f"{settings.sampler}:{settings.steps}"
    found: list[Sampling | None] = []
    for text in texts or [own]:
        sampler, steps, *guidance = text.split(":")
        found.append(
            Sampling(
                sampler=sampler,  # type: ignore[arg-type]
                steps=int(steps),
                guidance=float(guidance[0]) if guidance else settings.guidance,
            )
        )
    return found


def _made(model: LoadedModel, how: Sampling | None, given: argparse.Namespace) -> Pixels:
    heads = None
    if isinstance(model.settings, FlowSettings) and model.settings.condition == "head":
        heads = read_asked_heads(given.heads, size=model.settings.size) if given.heads else None
    wanted = Wanted(heads=heads, sampling=how, precision=given.precision)
    return _grey(sample(model, first=0, count=given.n, seed=0, wanted=wanted))


def _reference(given: argparse.Namespace) -> Reference:
    held_out, train = (
        _grey(load_images(given.data, role="real", splits=(split,), channels=1).pixels)
        for split in ("test", "train")
    )
    network = Network(load_weights(given.inception_weights))
    return Reference(
        held_out=held_out,
        train=train,
        network=network,
        inception=inception_features(images=held_out, network=network),
        lbp=lbp_features(images=held_out),
    )


def _median_distance(images: Pixels, train: Pixels) -> float:
    """Of grey levels, over the images and their mirror images."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    mirrored = images[:, :, ::-1].reshape(len(images), -1).astype(np.float64)
    found = nearest(
        queries=[rows, mirrored],
        references=train.reshape(len(train), -1).astype(np.float64),
        reference_subjects=np.arange(len(train)),
    )
    return float(np.median(found.distance))


def _grey(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Pixels:
    return np.asarray(pixels[..., 0], np.uint8)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--inception-weights", type=Path, required=True)
    parser.add_argument("--heads", type=Path)
    parser.add_argument("--n", type=int, default=800)
    parser.add_argument("--epochs", type=int, nargs="*", default=[])
    parser.add_argument("--sampling", nargs="*", default=[])
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
