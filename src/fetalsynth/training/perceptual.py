"""Files of weights for perceptual losses."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fetalsynth.artifacts.model import read_weights
from fetalsynth.errors import UserError, explaining
from fetalsynth.generators.spade.perceptual import InceptionLoss, VGG19Loss, vgg19_shapes
from fetalsynth.inception.reading import load_weights

VGG19_FILE = "torchvision's vgg19-dcbb9e9d.pth (or the same names in .safetensors or .npz)"


def load_perceptual(kind: str, path: Path) -> nn.Module:
    """The perceptual loss ``kind``, "vgg19" or "inception768", with the weights in ``path``.

    VGG19's come by torchvision's names, ``features.0.weight`` to ``features.28.bias``, in a
    ``.pth``, ``.safetensors`` or ``.npz``; Inception's in either file that features are made with.
    Raises UserError for a file that is missing, damaged, or holds something else.
    """
    if kind == "inception768":
        return InceptionLoss(load_weights(path))
    if kind != "vgg19":
        raise ValueError(f'perceptual loss "{kind}" is neither vgg19 nor inception768')
    tensors = _read(path)
    return VGG19Loss({name: _checked(path, tensors, name) for name in vgg19_shapes()})


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix.lower() == ".safetensors":
        return read_weights(path)
    if path.suffix.lower() == ".npz":
        return _read_npz(path)
    try:
        with explaining(path):
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UserError(
            f"{path}: is not a plain file of tensors of PyTorch; give {VGG19_FILE}"
        ) from error
    if not isinstance(found, dict) or not all(torch.is_tensor(t) for t in found.values()):
        raise UserError(f"{path}: holds no state dictionary; give {VGG19_FILE}")
    return found


def _read_npz(path: Path) -> Mapping[str, Tensor]:
    wanted = vgg19_shapes()
    try:
        with explaining(path), np.load(path, allow_pickle=False) as archive:
            return {n: torch.from_numpy(archive[n]) for n in archive.files if n in wanted}
    except (ValueError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is not an .npz file of weights; give {VGG19_FILE}") from error


def _checked(path: Path, tensors: Mapping[str, Tensor], name: str) -> Tensor:
    found, shape = tensors.get(name), vgg19_shapes()[name]
    if found is None:
        raise UserError(f"{path}: lacks {name} of VGG19; give {VGG19_FILE}")
    if tuple(found.shape) != shape:
        raise UserError(
            f"{path}: {name} has the shape {tuple(found.shape)}, VGG19's has {shape}; "
            f"give {VGG19_FILE}"
        )
    if not found.is_floating_point() or not bool(torch.isfinite(found).all()):
        raise UserError(f"{path}: {name} is damaged (not all numbers are finite); fetch it again")
    return found.float()
