"""A trained model → N numbered images; image k depends on the seed and k alone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.artifacts.contact_sheet import contact_sheet, drop_grey_axis
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import ImageRecord, ImagesWriter, encode_png
from fetalsynth.artifacts.manifest import Manifest, read_manifest
from fetalsynth.artifacts.model import STATISTICS, WATCH, chosen_epoch
from fetalsynth.errors import UserError
from fetalsynth.generators.families import Family
from fetalsynth.generators.flow.family import Flow
from fetalsynth.generators.flow.sampling import Sampling
from fetalsynth.generators.levels import to_levels
from fetalsynth.generators.precision import Precision, computing
from fetalsynth.generators.settings import DCGANSettings, FlowSettings, Settings
from fetalsynth.progress import Progress
from fetalsynth.randomness import torch_rng
from fetalsynth.synthesis.asked_heads import Heads
from fetalsynth.synthesis.drawn_heads import drawn_heads
from fetalsynth.synthesis.weights import Weights, load_trained, settings_of

# Every image is computed in a chunk of this many, always full and always aligned, because
# convolutions round differently in batches of different size.
CHUNK = 16
PREVIEW = 36
TRAINING_STATISTICS = "training-stats.jsonl"
TRAINING_WATCH = "training-watch.jsonl"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What decides the images, beside the model and the seed; mostly for flow models.

    ``heads`` are what the images are to show, ``sampling`` how to go from noise to image; None
    leaves either to the model, which then draws heads like those it learned. ``without_heads`` has
    a model of heads show whatever comes, which it does less well. ``precision`` bfloat16, of any
    model, is faster on some processors and less exact.
    """

    heads: Heads | None = None
    without_heads: bool = False
    sampling: Sampling | None = None
    precision: Precision = "float32"


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A generator ready to sample, on its device, and where it came from."""

    family: Family
    settings: DCGANSettings | FlowSettings
    manifest: Manifest
    folder: Path
    epoch: int
    weights: Weights
    device: torch.device


def load_model(
    folder: Path,
    *,
    epoch: int | None = None,
    weights: Weights | None = None,
    device: torch.device | None = None,
) -> LoadedModel:
    """Load the generator of a ``model`` artifact.

    ``epoch`` None takes the snapshot that the training chose, or else the last; ``weights`` None
    the moving average where there is one.
    Raises UserError where the artifact, the epoch or the weights are missing or do not fit.
    """
    manifest = read_manifest(folder, kind="model")
    settings = settings_of(manifest, folder=folder)
    if not isinstance(settings, DCGANSettings | FlowSettings):
        raise UserError(f"{folder}: holds a {settings.family} model, which needs --labels")
    device = device or torch.device("cpu")
    epoch = chosen_epoch(manifest.facts) if epoch is None else epoch
    trained = load_trained(folder, settings=settings, epoch=epoch, weights=weights, device=device)
    return LoadedModel(
        family=trained.family,
        settings=settings,
        manifest=manifest,
        folder=folder,
        epoch=trained.epoch,
        weights=trained.weights,
        device=device,
    )


def sample(
    model: LoadedModel, *, first: int, count: int, seed: int, wanted: Wanted | None = None
) -> NDArray[np.uint8]:
    """Images ``first`` … ``first + count`` of the endless row that ``seed`` names, (N, H, W, C).

    Raises ValueError for fewer images than one.
    """
    if count < 1:
        raise ValueError(f"count {count}: ask for at least one image")
    start = first // CHUNK
    wanted = _with_heads(wanted or Wanted(), model=model, seed=seed)
    chunks = [
        _chunk(model, number=number, seed=seed, wanted=wanted)
        for number in range(start, -(-(first + count) // CHUNK))
    ]
    offset = first - start * CHUNK
    return np.concatenate(chunks)[offset : offset + count]


def shows_heads(settings: Settings) -> bool:
    """Whether a model of these settings can be told which head to show."""
    return isinstance(settings, FlowSettings) and settings.condition == "head"


def _with_heads(wanted: Wanted, *, model: LoadedModel, seed: int) -> Wanted:
    """With the heads that the model draws, where it is one of heads and none are given."""
    if wanted.heads or wanted.without_heads or not shows_heads(model.settings):
        return wanted
    heads = drawn_heads(model.folder, size=model.settings.size, seed=seed)
    return replace(wanted, heads=heads)


def _chunk(model: LoadedModel, *, number: int, seed: int, wanted: Wanted) -> NDArray[np.uint8]:
    numbers = range(number * CHUNK, (number + 1) * CHUNK)
    family = model.family
    latents = torch.cat(
        [family.latents(1, torch_rng(seed=seed, stream="sample", counter=k)) for k in numbers]
    ).to(model.device)
    with computing(wanted.precision, model.device):
        if isinstance(family, Flow):
            heads = wanted.heads
            told = None if heads is None else heads.batch(numbers, device=model.device)
            images = family.draw(family.generator, latents, told, sampling=wanted.sampling)
        else:
            images = family.sample(family.generator, latents)
    levels: NDArray[np.uint8] = to_levels(images.float()).permute(0, 2, 3, 1).cpu().numpy()
    return levels


def write_images(
    model: LoadedModel, *, count: int, seed: int, folder: Path, wanted: Wanted | None = None
) -> None:
    """Write ``count`` images, their table, a preview and the model's training statistics.

    Images that an interrupted call left in ``folder`` are kept.
    """
    wanted = _with_heads(wanted or Wanted(), model=model, seed=seed)
    writer = ImagesWriter(folder)
    preview: list[NDArray[np.uint8]] = []
    with Progress(label="generating", total=count) as progress:
        for number in range(-(-count // CHUNK)):
            first, end = number * CHUNK, min(count, (number + 1) * CHUNK)
            names = [f"synthetic-{k:06d}" for k in range(first, end)]
            pixels = None
            for k, name in enumerate(names, start=first):
                known = _known(wanted.heads, k, seed=seed)
                if k >= PREVIEW and writer.adopt(
                    name=name,
                    subject=name,
                    pixel_spacing_y_mm=known.pixel_spacing_y_mm,
                    pixel_spacing_x_mm=known.pixel_spacing_x_mm,
                    gestational_age_weeks=known.gestational_age_weeks,
                    extra=known.extra,
                ):
                    continue
                if pixels is None:
                    pixels = _chunk(model, number=number, seed=seed, wanted=wanted)
                image = drop_grey_axis(pixels)[k - first]
                writer.add(
                    image,
                    name=name,
                    subject=name,
                    pixel_spacing_y_mm=known.pixel_spacing_y_mm,
                    pixel_spacing_x_mm=known.pixel_spacing_x_mm,
                    gestational_age_weeks=known.gestational_age_weeks,
                    extra=known.extra,
                )
                if k < PREVIEW:
                    preview.append(image)
            progress.advance(end - first)
    writer.close()
    sheet = contact_sheet(np.stack(preview), columns=min(9, len(preview)))
    write_bytes(folder / "preview.png", encode_png(sheet))
    for ours, theirs in ((STATISTICS, TRAINING_STATISTICS), (WATCH, TRAINING_WATCH)):
        if (model.folder / ours).is_file():
            shutil.copyfile(model.folder / ours, folder / theirs)


def _known(heads: Heads | None, number: int, *, seed: int) -> ImageRecord:
    """What the table can say of image ``number`` before it is made."""
    drawn = {"seed": str(seed), "number": str(number)}
    if heads is None:
        return ImageRecord(file="", subject="", sha256="", extra=drawn)
    asked = heads.record(number)
    file = {"head": asked.file} if asked.file else {}
    return replace(asked, extra={**drawn, **file, **asked.extra})
