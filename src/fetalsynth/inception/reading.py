"""Weights of the Inception network from either public form, batch normalisation folded.

- ``.npz``: ``⟨module⟩.weight`` and ``⟨module⟩.bias`` of the folded network up to ``Mixed_6e``;
- ``.pth``: the state dictionary that pytorch-fid publishes, up to the 2048 features of the FID.

Only the published ``.pth``, byte for byte, makes a FID.
"""

from __future__ import annotations

import pickle
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_file
from fetalsynth.errors import UserError, explaining
from fetalsynth.inception.layout import CLASSES, Layer, convolutions
from fetalsynth.inception.weights import STANDARD_FILE, InceptionWeights, Tensors

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-3  # of every batch normalisation in this network
_NORMALISATION = ("weight", "bias", "running_mean", "running_var")


def recognise(path: Path) -> Layer:
    """Which of the two files this is, without reading all of it; raises UserError for neither.

    Other names than the usual are allowed: the content decides.
    """
    with explaining(path):
        size, changed = path.stat().st_size, path.stat().st_mtime_ns
    return _recognise(path, size, changed)


@lru_cache(maxsize=8)
def _recognise(path: Path, _size: int, _changed: int) -> Layer:
    with explaining(path), path.open("rb") as stream:
        if zipfile.is_zipfile(stream):
            with zipfile.ZipFile(stream) as archive:
                names = archive.namelist()
            if names and all(name.endswith(".npy") for name in names):
                return "Mixed_6e"
        elif _is_single_array(path):
            raise _neither(path)
    if path.suffix.lower() in (".npz", ".npy"):
        raise _neither(path)
    return "Mixed_7c"


def _is_single_array(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(6) == b"\x93NUMPY"


def _neither(path: Path) -> UserError:
    return UserError(
        f"{path}: is not an .npz file of Inception weights; give {STANDARD_FILE} of pytorch-fid "
        "(2048 features, FID) or the .npz that docs/metrics.md describes (768 features)"
    )


def load_weights(path: Path) -> InceptionWeights:
    """Read either file; raises UserError where it is anything else.

    Every convolution must be there with its shape, and nothing unknown.
    """
    last = recognise(path)
    folded = _folded(path) if last == "Mixed_6e" else _fold(path, _state_dictionary(path))
    return InceptionWeights(tensors=folded, last=last, sha256=digest_file(path))


def _folded(path: Path) -> Tensors:
    import torch

    try:
        with explaining(path), np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is not an .npz file of weights ({error})") from error
    check_names(path, {name: array.shape for name, array in arrays.items()}, folded_shapes())
    return {name: _ready(torch.from_numpy(_float32(array))) for name, array in arrays.items()}


def _float32(array: NDArray[np.generic]) -> NDArray[np.float32]:
    return array.astype(np.float32)


def folded_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every array of the ``.npz``, by name."""
    shapes = convolutions(through="Mixed_6e")
    return {
        **{f"{name}.weight": shape for name, shape in shapes.items()},
        **{f"{name}.bias": shape[:1] for name, shape in shapes.items()},
    }


def state_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of pytorch-fid's state dictionary, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in convolutions(through="Mixed_7c").items():
        shapes[f"{name}.conv.weight"] = shape
        shapes.update({f"{name}.bn.{key}": shape[:1] for key in _NORMALISATION})
    return {**shapes, "fc.weight": (CLASSES, 2048), "fc.bias": (CLASSES,)}


def check_names(
    path: Path, found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> None:
    """Raise UserError that names the first array that is missing, misshapen or unknown."""
    unlike = [name for name, shape in expected.items() if found.get(name) != shape]
    surplus = sorted(set(found) - set(expected))
    if unlike or surplus:
        what = "lacks or has another shape of" if unlike else "has the unknown array"
        raise UserError(
            f"{path}: is not the Inception network of the FID ({what} "
            f"{(unlike or surplus)[0]}); give {STANDARD_FILE} of pytorch-fid, or the .npz that "
            "docs/metrics.md describes"
        )


def _state_dictionary(path: Path) -> Tensors:
    import torch

    try:
        with explaining(path):
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UserError(
            f"{path}: is neither an .npz file nor a plain file of tensors of PyTorch; give "
            f"{STANDARD_FILE} of pytorch-fid"
        ) from error
    if not isinstance(state, dict) or not all(torch.is_tensor(t) for t in state.values()):
        raise UserError(f"{path}: holds no state dictionary; give {STANDARD_FILE} of pytorch-fid")
    # Counters of training steps, which some versions of PyTorch add and nothing here uses.
    named = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    check_names(path, {name: tuple(t.shape) for name, t in named.items()}, state_shapes())
    return named


def _fold(path: Path, state: Tensors) -> Tensors:
    """Scale each kernel by γ/√(σ² + ε) and take μγ/√(σ² + ε) off β, in float64."""
    import torch

    tensors: Tensors = {}
    for name in convolutions(through="Mixed_7c"):
        gamma, beta, mean, variance = (state[f"{name}.bn.{key}"].double() for key in _NORMALISATION)
        scale = gamma / (variance + EPSILON).sqrt()
        kernel = state[f"{name}.conv.weight"].double() * scale[:, None, None, None]
        bias = beta - mean * scale
        if not (torch.isfinite(kernel).all() and torch.isfinite(bias).all()):
            raise UserError(f"{path}: {name} has weights that are not finite; get the file again")
        tensors[f"{name}.weight"] = _ready(kernel.float())
        tensors[f"{name}.bias"] = bias.float()
    return tensors


def _ready(tensor: Tensor) -> Tensor:
    import torch

    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return tensor.contiguous(memory_format=layout)
