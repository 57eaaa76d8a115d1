"""Any network from a local file as an extractor: TorchScript (.pt, .ts) or ONNX (.onnx).

What its input looks like stands in a JSON file of the same name beside it::

    dinov2_vitb14.pt
    dinov2_vitb14.json   {"size": 224, "channels": 3,
                          "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

Pixels x of 0 … 255 become (x/255 − mean)/std. Pickled modules are refused, because reading one
runs whatever code it carries.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fetalsynth.artifacts.digest import digest_file, digest_json
from fetalsynth.assessment.features.local_runners import load_onnx, load_torchscript
from fetalsynth.assessment.features.policy import RESIZING
from fetalsynth.errors import UserError, explaining
from fetalsynth.progress import Progress

BATCH = 16
LOADERS: dict[str, Callable[..., Callable[[NDArray[np.float32]], NDArray[np.generic]]]] = {
    ".pt": load_torchscript,
    ".ts": load_torchscript,
    ".onnx": load_onnx,
}


class Sidecar(BaseModel):
    """What a network expects: pixels a side, channels, normalisation, and which output to take.

    ``output`` is a name (of a dictionary's entry, or of an ONNX output) or a position; it is
    needed where there are several. ``batch`` is for networks exported for one size of batch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(ge=8, le=4096)
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...]
    std: tuple[float, ...]
    output: str | int | None = None
    batch: int = Field(default=BATCH, ge=1, le=1024)

    @model_validator(mode="after")
    def _consistent(self) -> Sidecar:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need {self.channels} values each, one per channel")
        if not all(value > 0 for value in self.std):
            raise ValueError("std must be positive")
        return self


@dataclass(frozen=True)
class LocalModel:
    """A network in a local file, with its sidecar; read when features are first wanted."""

    path: Path
    sidecar: Sidecar
    sha256: str

    @property
    def name(self) -> str:
        """Stem of the file and the first digits of the digest, so that versions keep apart."""
        return f"{self.path.stem}-{self.digest[:8]}"

    @property
    def digest(self) -> str:
        """SHA-256 over the network and its sidecar."""
        return digest_json([self.sha256, self.sidecar.model_dump(mode="json")])

    @property
    def settings(self) -> dict[str, Any]:
        """What a result must record."""
        return {
            "features": f"network from {self.path.name}",
            "weights_sha256": self.sha256,
            "input": self.sidecar.model_dump(mode="json"),
            "precision": "float32",
        }

    @cached_property
    def _run(self) -> Callable[[NDArray[np.float32]], NDArray[np.generic]]:
        return LOADERS[self.path.suffix.lower()](self.path, output=self.sidecar.output)

    def features(
        self, *, images: NDArray[np.uint8], resizing: str, progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """(N, D) of grey images (N, H, W); raises UserError for other or not finite outputs."""
        rows = []
        for start in range(0, len(images), self.sidecar.batch):
            part = images[start : start + self.sidecar.batch]
            output = np.asarray(self._run(self.prepare(part, resizing=resizing)))
            self._check(output)
            rows.append(output[: len(part)].astype(np.float64))
            if progress is not None:
                progress.advance(len(part))
        return np.concatenate(rows)

    def prepare(self, images: NDArray[np.uint8], *, resizing: str) -> NDArray[np.float32]:
        """The network's input (``batch``, C, size, size), filled up by repetition."""
        side = self.sidecar.size
        grey = RESIZING[resizing](images, side=side) / np.float32(255)
        whole = np.resize(grey, (self.sidecar.batch, 1, side, side))
        mean, std = (
            np.array(values, np.float32)[:, None, None]
            for values in (self.sidecar.mean, self.sidecar.std)
        )
        return np.ascontiguousarray((whole - mean) / std, np.float32)

    def _check(self, output: NDArray[np.generic]) -> None:
        if output.ndim != 2 or len(output) != self.sidecar.batch:
            raise UserError(
                f"{self.path}: gives {_shape(output)} for {self.sidecar.batch} images where one "
                'row of features per image is needed; choose another "output" in '
                f"{sidecar_path(self.path).name}, or export the network with its pooling"
            )
        if not np.isfinite(output).all():
            raise UserError(
                f"{self.path}: gives features that are not finite; check mean, std and size in "
                f"{sidecar_path(self.path).name}"
            )


def _shape(array: NDArray[np.generic]) -> str:
    return " × ".join(map(str, array.shape)) or "a single number"


def sidecar_path(path: Path) -> Path:
    """The JSON file beside a network."""
    return path.with_suffix(".json")


def open_local_model(path: Path) -> LocalModel:
    """Read the sidecar and the digest; raises UserError that says what is missing or wrong."""
    if path.suffix.lower() not in LOADERS:
        raise UserError(
            f"{path}: networks are read as TorchScript (.pt, .ts) or ONNX (.onnx); export yours "
            "with torch.jit.trace(…).save(…) or torch.onnx.export(…)"
        )
    sha256 = digest_file(path)
    beside = sidecar_path(path)
    if not beside.is_file():
        raise UserError(
            f"{path}: needs {beside.name} beside it that describes its input, such as "
            '{"size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
        )
    try:
        with explaining(beside):
            sidecar = Sidecar.model_validate(json.loads(beside.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{beside}: {where + ': ' if where else ''}{first['msg']}") from error
    except ValueError as error:
        raise UserError(f"{beside}: is not JSON ({error})") from error
    return LocalModel(path=path, sidecar=sidecar, sha256=sha256)
