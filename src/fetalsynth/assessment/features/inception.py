"""The first 13 blocks of the Inception network that FID uses, up to Mixed_6e: 768 features.

The network is TensorFlow's ``inception-2015-12-05`` (Szegedy et al., CVPR 2016), with batch
normalisation folded into the convolutions. Average pools leave the padding out of the count, as
in the original graph. The mean over space after Mixed_6e is what pytorch-fid calls ``dims=768``.
It is not the 2048-d layer of the FID, so results are named FD-Inception768 and KID-Inception768.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.features.policy import RESIZING
from fetalsynth.errors import UserError, explaining
from fetalsynth.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

DIMENSIONS = 768
SIDE = 299
BATCH = 16

Weights = dict[str, "Tensor"]
_Shape = tuple[int, int, int, int]


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every array in the weights file, by name (weights are out, in, height, width)."""
    convolutions: dict[str, _Shape] = {
        "Conv2d_1a_3x3": (32, 3, 3, 3),
        "Conv2d_2a_3x3": (32, 32, 3, 3),
        "Conv2d_2b_3x3": (64, 32, 3, 3),
        "Conv2d_3b_1x1": (80, 64, 1, 1),
        "Conv2d_4a_3x3": (192, 80, 3, 3),
        **_shapes_5("Mixed_5b", 192, 32),
        **_shapes_5("Mixed_5c", 256, 64),
        **_shapes_5("Mixed_5d", 288, 64),
        "Mixed_6a.branch3x3": (384, 288, 3, 3),
        "Mixed_6a.branch3x3dbl_1": (64, 288, 1, 1),
        "Mixed_6a.branch3x3dbl_2": (96, 64, 3, 3),
        "Mixed_6a.branch3x3dbl_3": (96, 96, 3, 3),
        **_shapes_6("Mixed_6b", 128),
        **_shapes_6("Mixed_6c", 160),
        **_shapes_6("Mixed_6d", 160),
        **_shapes_6("Mixed_6e", 192),
    }
    return {
        **{f"{name}.weight": shape for name, shape in convolutions.items()},
        **{f"{name}.bias": shape[:1] for name, shape in convolutions.items()},
    }


def _shapes_5(name: str, inputs: int, pooled: int) -> dict[str, _Shape]:
    return {
        f"{name}.branch1x1": (64, inputs, 1, 1),
        f"{name}.branch5x5_1": (48, inputs, 1, 1),
        f"{name}.branch5x5_2": (64, 48, 5, 5),
        f"{name}.branch3x3dbl_1": (64, inputs, 1, 1),
        f"{name}.branch3x3dbl_2": (96, 64, 3, 3),
        f"{name}.branch3x3dbl_3": (96, 96, 3, 3),
        f"{name}.branch_pool": (pooled, inputs, 1, 1),
    }


def _shapes_6(name: str, inner: int) -> dict[str, _Shape]:
    return {
        f"{name}.branch1x1": (192, 768, 1, 1),
        f"{name}.branch7x7_1": (inner, 768, 1, 1),
        f"{name}.branch7x7_2": (inner, inner, 1, 7),
        f"{name}.branch7x7_3": (192, inner, 7, 1),
        f"{name}.branch7x7dbl_1": (inner, 768, 1, 1),
        f"{name}.branch7x7dbl_2": (inner, inner, 7, 1),
        f"{name}.branch7x7dbl_3": (inner, inner, 1, 7),
        f"{name}.branch7x7dbl_4": (inner, inner, 7, 1),
        f"{name}.branch7x7dbl_5": (192, inner, 1, 7),
        f"{name}.branch_pool": (192, 768, 1, 1),
    }


def load_weights(path: Path) -> Weights:
    """Read the ``.npz`` of folded weights; raises UserError where it is anything else.

    Every array of :func:`expected_shapes` must be there with its shape, and no other.
    """
    import torch

    arrays = _read_npz(path)
    expected = expected_shapes()
    unlike = [
        name for name in expected if getattr(arrays.get(name), "shape", None) != expected[name]
    ]
    surplus = sorted(set(arrays) - set(expected))
    if unlike or surplus:
        odd = (unlike or surplus)[0]
        what = "lacks or has another shape of" if unlike else "has the unknown array"
        raise UserError(
            f"{path}: is not the folded Inception network up to Mixed_6e ({what} {odd}); "
            "give the file that docs/metrics.md describes"
        )
    return {
        name: torch.from_numpy(array.astype(np.float32)).contiguous(
            memory_format=torch.channels_last if array.ndim == 4 else torch.contiguous_format
        )
        for name, array in arrays.items()
    }


def _read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    import zipfile

    try:
        with explaining(path), np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise ValueError("a single array")
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is not an .npz file of weights ({error})") from error


def inception_features(
    *,
    images: NDArray[np.uint8],
    weights: Weights,
    resizing: str = "clean",
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Features (N, 768) of grey images (N, H, W) with values 0 … 255.

    Grey is repeated to RGB, resized to 299 × 299 by the policy named ``resizing`` and mapped to
    2x/255 − 1. The batch size is fixed, because features differ in the last bits with it.
    """
    import torch

    resize = RESIZING[resizing]
    features = np.empty((len(images), DIMENSIONS))
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            part = resize(images[start : start + BATCH], side=SIDE)
            grey = torch.from_numpy(part)[:, None] * (2 / 255) - 1
            batch = grey.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
            mapped = forward(batch, weights)
            features[start : start + len(part)] = mapped.mean((2, 3)).double().numpy()
            if progress is not None:
                progress.advance(len(part))
    return features


def forward(x: Tensor, weights: Weights) -> Tensor:
    """(N, 3, 299, 299) in [−1, 1] to the maps (N, 768, 17, 17) after Mixed_6e."""
    from torch.nn import functional as F

    x = _convolve(x, weights, "Conv2d_1a_3x3", stride=2, padding=0)
    x = _convolve(x, weights, "Conv2d_2a_3x3", padding=0)
    x = _convolve(x, weights, "Conv2d_2b_3x3")
    x = F.max_pool2d(x, 3, 2)
    x = _convolve(x, weights, "Conv2d_3b_1x1")
    x = _convolve(x, weights, "Conv2d_4a_3x3", padding=0)
    x = F.max_pool2d(x, 3, 2)
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        branches = (("branch1x1",), _numbered("branch5x5", 2), _numbered("branch3x3dbl", 3))
        x = _mixed(x, weights, name, branches)
    x = _mixed_6a(x, weights)
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        branches = (("branch1x1",), _numbered("branch7x7", 3), _numbered("branch7x7dbl", 5))
        x = _mixed(x, weights, name, branches)
    return x


def _numbered(branch: str, count: int) -> tuple[str, ...]:
    return tuple(f"{branch}_{number}" for number in range(1, count + 1))


def _convolve(
    x: Tensor, weights: Weights, name: str, *, stride: int = 1, padding: int | None = None
) -> Tensor:
    """Convolution and ReLU; ``padding`` None keeps the size of the map."""
    from torch.nn import functional as F

    kernel = weights[f"{name}.weight"]
    around = (kernel.shape[2] // 2, kernel.shape[3] // 2) if padding is None else padding
    return F.relu_(F.conv2d(x, kernel, weights[f"{name}.bias"], stride, around))


def _mixed(x: Tensor, weights: Weights, name: str, branches: tuple[tuple[str, ...], ...]) -> Tensor:
    import torch
    from torch.nn import functional as F

    outputs = []
    for layers in branches:
        y = x
        for layer in layers:
            y = _convolve(y, weights, f"{name}.{layer}")
        outputs.append(y)
    pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    outputs.append(_convolve(pooled, weights, f"{name}.branch_pool"))
    return torch.cat(outputs, 1)


def _mixed_6a(x: Tensor, weights: Weights) -> Tensor:
    import torch
    from torch.nn import functional as F

    y = _convolve(x, weights, "Mixed_6a.branch3x3dbl_1")
    y = _convolve(y, weights, "Mixed_6a.branch3x3dbl_2")
    y = _convolve(y, weights, "Mixed_6a.branch3x3dbl_3", stride=2, padding=0)
    direct = _convolve(x, weights, "Mixed_6a.branch3x3", stride=2, padding=0)
    return torch.cat([direct, y, F.max_pool2d(x, 3, 2)], 1)
