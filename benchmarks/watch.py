"""The watch on copying, on a folder of real images: what it tells apart, and what it costs.

``python benchmarks/watch.py --data heads`` with an import of HC18 at 64 pixels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fetalsynth.assessment.nearness import nearness_to
from fetalsynth.cli.training_watch import watch_for
from fetalsynth.datasets.loading import load_images
from fetalsynth.generators.families import build
from fetalsynth.generators.precision import computing
from fetalsynth.randomness import numpy_rng, torch_rng
from fetalsynth.training import augmentation, watch_verdict
from fetalsynth.training.data import ResidentImages, load_training_images
from fetalsynth.training.recipe import Recipe, load_recipe
from fetalsynth.training.watching import Looks

TRAINED = 50
LEAST = 0.9
CPU = torch.device("cpu")
Pixels = NDArray[np.uint8]


def planted(trained: Pixels, unseen: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Samples of known fault, made of images that were not trained on."""
    yield "unseen images", unseen
    for spread in (1, 2, 4, 6):
        blurred = [gaussian_filter(image[..., 0].astype(float), spread) for image in unseen]
        yield f"blurred by {spread} pixels", np.rint(blurred).astype(np.uint8)[..., None]
    rng = numpy_rng(seed=0, stream="watch benchmark")
    for share in (0.05, 0.1, 0.3, 1.0):
        mixed, count = unseen.copy(), int(share * len(unseen))
        mixed[:count] = trained[rng.integers(0, len(trained), count)][:, :, ::-1]
        yield f"{share:.0%} mirrored training images", mixed
    pairs = trained[rng.integers(0, len(trained), (len(unseen), 2))].astype(float)
    yield "means of two training images", pairs.mean(1).astype(np.uint8)


def tell_apart(data: Path) -> None:
    """One row for each kind of samples."""
    everything = load_images(data, role="data", splits=("train",)).pixels
    held_out = load_images(data, role="data", splits=("test",)).pixels
    drawn = numpy_rng(seed=0, stream="watch benchmark/trained").permutation(len(everything))
    trained = everything[drawn[:TRAINED]]
    names = [str(k) for k in range(TRAINED)]
    nearness = nearness_to(train=trained, subjects=names, held_out=held_out[::2])
    for name, samples in planted(trained, held_out[1::2]):
        row = nearness(samples)
        said = "sound" if watch_verdict.is_sound(row, least=LEAST) else "not sound"
        said = "near" if watch_verdict.is_near(row, least=LEAST) else said
        values = "  ".join(
            f"{row[key]:6.2g}" if key == "copy_p" else f"{row[key]:6.2f}"
            for key in ("nearest_ratio", "isolation_ratio", "copying_z", "copy_share", "copy_p")
        )
        print(f"{name:32} {values}  {said}")


def cost(data: Path, name: str, *, steps: int = 8) -> None:
    """CPU seconds of a look and of training between two, on one thread."""
    recipe = load_recipe(name)
    assert isinstance(recipe, Recipe)
    images = load_training_images(data, recipe=recipe, seed=0)
    began = time.process_time()
    watch, why = watch_for(recipe, folder=data, training=images, seed=0, device=CPU)
    start = time.process_time() - began
    assert watch is not None, why
    resident = ResidentImages(images.pixels, device=CPU)
    family = build(recipe.generator)
    family.initialise(torch_rng(seed=0, stream="initial weights"))
    family.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizers, precision = family.optimizers(), partial(computing, "bfloat16", CPU)
    size, seconds = recipe.batch_size, []
    for k in range(steps):
        began = time.process_time()
        rng = torch_rng(seed=0, stream="augmentation", counter=k)
        params = augmentation.sample_params(recipe.augmentation, count=size, rng=rng)
        batch = resident.batch(torch.arange(size))
        batch = augmentation.apply(batch, params, augmentation=recipe.augmentation)
        batch = replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))
        family.step(
            batch,
            family.latents(size, torch_rng(seed=0, stream="latents", counter=k)),
            optimizers=optimizers,
            precision=precision,
            average_gradients=lambda _: None,
        )
        seconds.append(time.process_time() - began)
    each = median(seconds[2:]) / size
    with tempfile.TemporaryDirectory() as folder:
        looks = Looks(
            watch,
            family=family,
            data=resident,
            epochs=recipe.epochs,
            folder=Path(folder),
            seed=0,
        )
        began = time.process_time()
        looks.look(family, family.generator, epoch=1, images_seen=1, precision=precision)
        one = time.process_time() - began
    count = sum(looks.due(epoch) for epoch in range(1, recipe.epochs + 1))
    share = (start + count * one) / (each * recipe.epochs * resident.count)
    print(
        f"{name}: {1e3 * each:.1f} ms per training image; {count} looks of {looks.samples} "
        f"samples, {one:.1f} s each and {start:.1f} s at the start: {share:.1%} of the training"
    )


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="images of 64 pixels, split")
    parser.add_argument("--recipes", nargs="*", default=["dcgan64", "flow64"])
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    tell_apart(wanted.data)
    for name in wanted.recipes:
        cost(wanted.data, name)


if __name__ == "__main__":
    main()
