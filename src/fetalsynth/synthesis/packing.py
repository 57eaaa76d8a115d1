"""A trained model in compact form: one snapshot's averaged weights, its log and one preview."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.artifacts.contact_sheet import contact_sheet, drop_grey_axis
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.artifacts.model import (
    STATISTICS,
    WATCH,
    chosen_epoch,
    read_weights,
    snapshot_epochs,
    snapshot_path,
    write_weights,
)
from fetalsynth.datasets.typical_heads import TYPICAL_HEADS
from fetalsynth.errors import UserError, explaining
from fetalsynth.generators.flow.sampling import Sampling
from fetalsynth.generators.settings import FlowSettings
from fetalsynth.synthesis.images import PREVIEW, LoadedModel, load_model, sample
from fetalsynth.synthesis.shipped import LARGEST_BYTES
from fetalsynth.synthesis.weights import load_trained

Half = Literal["float16", "bfloat16"]
FLOAT32 = "float32"
COLUMNS = 9


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """What storing in half precision did to the first images of seed 0, in grey levels of 255."""

    images: int
    same_share: float
    within_one_share: float
    largest: int

    def __str__(self) -> str:
        return (
            f"{100 * self.within_one_share:.2f} % of the pixels of {self.images} images differ by "
            f"at most one grey level from those of float32 weights, the worst by {self.largest}"
        )


def load_average(folder: Path, *, epoch: int | None) -> LoadedModel:
    """The model with the averaged weights of one snapshot, for None that which generate takes.

    Raises UserError where it is no model of images, or has no such snapshot.
    """
    epochs = snapshot_epochs(folder)
    if epoch is None:
        epoch = chosen_epoch(read_manifest(folder, kind="model").facts)
    chosen = epochs[-1] if epochs and epoch is None else epoch
    has_average = (
        chosen is not None and snapshot_path(folder, epoch=chosen, averaged=True).is_file()
    )
    if chosen in epochs and not has_average:
        raise UserError(
            f"{folder}: was trained without a moving average of the weights, and only that is "
            "packed; train with average_half_life_images above 0"
        )
    return load_model(folder, epoch=epoch, weights="averaged")


def sampled_as(model: LoadedModel, sampling: Sampling) -> LoadedModel:
    """The same model with ``sampling`` as its own, where it is a flow; others have none.

    Raises UserError for sampling that no recipe may have.
    """
    if not isinstance(model.settings, FlowSettings):
        return model
    told = {**model.settings.model_dump(), **asdict(sampling)}
    try:
        settings = FlowSettings.model_validate(told)
    except ValueError as error:
        raise UserError(
            f"{model.folder}: its images were made with {sampling}, which cannot become the "
            "model's own; assess images made otherwise"
        ) from error
    return _reloaded(replace(model, settings=settings), model.folder)


def write_packed(model: LoadedModel, folder: Path, *, half: Half | None) -> Rounding | None:
    """Write weights, log and preview of ``model`` into ``folder``; what rounding did, if any.

    Raises UserError where a weight does not fit into half precision.
    """
    source = snapshot_path(model.folder, epoch=model.epoch, averaged=True)
    stored = {name: _stored(tensor, half) for name, tensor in read_weights(source).items()}
    _check_finite(stored, source=source, half=half)
    check_size(sum(tensor.nbytes for tensor in stored.values()), where=model.folder, half=half)
    path = snapshot_path(folder, epoch=model.epoch, averaged=True)
    metadata = {"epoch": str(model.epoch), "storage": half or FLOAT32}
    write_weights(path, stored, metadata=metadata)
    with explaining(folder):
        (folder / "previews").mkdir(exist_ok=True)
        for name in (STATISTICS, WATCH, TYPICAL_HEADS):
            if (model.folder / name).is_file():
                shutil.copyfile(model.folder / name, folder / name)
    pixels = _samples(_reloaded(model, folder))
    sheet = contact_sheet(drop_grey_axis(pixels), columns=COLUMNS)
    write_bytes(folder / "previews" / f"epoch-{model.epoch:04d}.png", encode_png(sheet))
    return _rounding(_samples(model), pixels) if half else None


def check_size(size: int, *, where: Path, half: Half | None) -> None:
    """Raise UserError where ``size`` in bytes is more than a shipped model may have."""
    if size > LARGEST_BYTES:
        advice = (
            "take a smaller network"
            if half
            else "store it in half the bytes with --half float16, or take a smaller network"
        )
        raise UserError(
            f"{where}: would take {size / 1e6:.1f} MB packed, and a shipped model may take "
            f"{LARGEST_BYTES / 1e6:g} MB; {advice}"
        )


def _stored(tensor: Tensor, half: Half | None) -> Tensor:
    """In half precision, but for vectors: they are few, and variances span too many magnitudes."""
    if half is None or not tensor.is_floating_point() or tensor.ndim < 2:
        return tensor
    return tensor.to(getattr(torch, half))


def _check_finite(stored: dict[str, Tensor], *, source: Path, half: Half | None) -> None:
    wrong = [name for name, tensor in stored.items() if not torch.isfinite(tensor).all()]
    if wrong:
        advice = "; take --half bfloat16, or leave it out" if half == "float16" else ""
        raise UserError(
            f"{source}: {wrong[0]} has weights that {half or FLOAT32} cannot hold{advice}"
        )


def _reloaded(model: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the averaged weights in ``folder``, as whoever generates will load them."""
    trained = load_trained(
        folder,
        settings=model.settings,
        epoch=model.epoch,
        weights="averaged",
        device=model.device,
    )
    return replace(model, family=trained.family, folder=folder)


def _samples(model: LoadedModel) -> NDArray[np.uint8]:
    return sample(model, first=0, count=PREVIEW, seed=0)


def _rounding(exact: NDArray[Any], stored: NDArray[Any]) -> Rounding:
    gap = np.abs(exact.astype(int) - stored.astype(int))
    return Rounding(
        images=len(gap),
        same_share=float((gap == 0).mean()),
        within_one_share=float((gap <= 1).mean()),
        largest=int(gap.max()),
    )
