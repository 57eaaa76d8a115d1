"""Weights to keep and pictures to look at, made from copies so that training goes on untouched."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import nn

from fetalsynth.artifacts.contact_sheet import contact_sheet, drop_grey_axis
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.model import snapshot_path, write_weights
from fetalsynth.errors import explaining
from fetalsynth.generators.families import Family
from fetalsynth.generators.levels import to_levels
from fetalsynth.randomness import torch_rng
from fetalsynth.training.data import TrainingData

CALIBRATION_LATENTS = 1024
PREVIEW_IMAGES = 36
PREVIEW_COLUMNS = 9


def write_snapshot(
    folder: Path,
    family: Family,
    averaged: nn.Module | None,
    data: TrainingData,
    *,
    epoch: int,
    seed: int,
) -> None:
    """Write the generator's weights after ``epoch``, and their moving average if there is one."""
    for network, is_average in ((family.generator, False), (averaged, True)):
        if network is not None:
            weights = calibrated_copy(family, network, data, seed=seed).state_dict()
            path = snapshot_path(folder, epoch=epoch, averaged=is_average)
            write_weights(path, weights, metadata={"epoch": str(epoch)})


def write_preview(
    folder: Path, family: Family, network: nn.Module, data: TrainingData, *, epoch: int, seed: int
) -> None:
    """Write a contact sheet of the same latents, or labels, after every so many epochs."""
    generator = calibrated_copy(family, network, data, seed=seed)
    latents = family.latents(PREVIEW_IMAGES, torch_rng(seed=seed, stream="preview"))
    pictures = family.preview(generator, latents.to(_device(network)), data.preview())
    pixels = to_levels(pictures).permute(0, 2, 3, 1).cpu().numpy()
    sheet = contact_sheet(drop_grey_axis(pixels), columns=PREVIEW_COLUMNS)
    with explaining(folder):
        (folder / "previews").mkdir(exist_ok=True)
    write_bytes(folder / "previews" / f"epoch-{epoch:04d}.png", encode_png(sheet))


def calibrated_copy(
    family: Family, network: nn.Module, data: TrainingData, *, seed: int
) -> nn.Module:
    """A copy of ``network`` for sampling, with batch-norm statistics of its own weights."""
    generator = copy.deepcopy(network)
    latents = family.latents(CALIBRATION_LATENTS, torch_rng(seed=seed, stream="calibration"))
    family.calibrate(generator, latents.to(_device(network)), data.calibration())
    return generator


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
