"""The convolutions of the Inception network that FID uses: names, shapes, strides, padding.

TensorFlow's ``inception-2015-12-05`` (Szegedy et al., CVPR 2016) under the module names of
pytorch-fid: 70 convolutions up to ``Mixed_6e`` and 24 more up to ``Mixed_7c``.
"""

from __future__ import annotations

from typing import Literal

Shape = tuple[int, int, int, int]
Layer = Literal["Mixed_6e", "Mixed_7c"]

DIMENSIONS: dict[Layer, int] = {"Mixed_6e": 768, "Mixed_7c": 2048}
CLASSES = 1008

# Every other convolution has stride 1 and padding that keeps the size of the map.
UNPADDED_STRIDES = {
    "Conv2d_1a_3x3": 2,
    "Conv2d_2a_3x3": 1,
    "Conv2d_4a_3x3": 1,
    "Mixed_6a.branch3x3": 2,
    "Mixed_6a.branch3x3dbl_3": 2,
    "Mixed_7a.branch3x3_2": 2,
    "Mixed_7a.branch7x7x3_4": 2,
}


def convolutions(*, through: Layer) -> dict[str, Shape]:
    """Shape (out, in, height, width) of every convolution up to and with the block ``through``."""
    first: dict[str, Shape] = {
        "Conv2d_1a_3x3": (32, 3, 3, 3),
        "Conv2d_2a_3x3": (32, 32, 3, 3),
        "Conv2d_2b_3x3": (64, 32, 3, 3),
        "Conv2d_3b_1x1": (80, 64, 1, 1),
        "Conv2d_4a_3x3": (192, 80, 3, 3),
        **_block_5("Mixed_5b", 192, 32),
        **_block_5("Mixed_5c", 256, 64),
        **_block_5("Mixed_5d", 288, 64),
        "Mixed_6a.branch3x3": (384, 288, 3, 3),
        "Mixed_6a.branch3x3dbl_1": (64, 288, 1, 1),
        "Mixed_6a.branch3x3dbl_2": (96, 64, 3, 3),
        "Mixed_6a.branch3x3dbl_3": (96, 96, 3, 3),
        **_block_6("Mixed_6b", 128),
        **_block_6("Mixed_6c", 160),
        **_block_6("Mixed_6d", 160),
        **_block_6("Mixed_6e", 192),
    }
    if through == "Mixed_6e":
        return first
    return {**first, **_block_7a(), **_block_7("Mixed_7b", 1280), **_block_7("Mixed_7c", 2048)}


def _block_5(name: str, inputs: int, pooled: int) -> dict[str, Shape]:
    return {
        f"{name}.branch1x1": (64, inputs, 1, 1),
        f"{name}.branch5x5_1": (48, inputs, 1, 1),
        f"{name}.branch5x5_2": (64, 48, 5, 5),
        f"{name}.branch3x3dbl_1": (64, inputs, 1, 1),
        f"{name}.branch3x3dbl_2": (96, 64, 3, 3),
        f"{name}.branch3x3dbl_3": (96, 96, 3, 3),
        f"{name}.branch_pool": (pooled, inputs, 1, 1),
    }


def _block_6(name: str, inner: int) -> dict[str, Shape]:
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


def _block_7a() -> dict[str, Shape]:
    return {
        "Mixed_7a.branch3x3_1": (192, 768, 1, 1),
        "Mixed_7a.branch3x3_2": (320, 192, 3, 3),
        "Mixed_7a.branch7x7x3_1": (192, 768, 1, 1),
        "Mixed_7a.branch7x7x3_2": (192, 192, 1, 7),
        "Mixed_7a.branch7x7x3_3": (192, 192, 7, 1),
        "Mixed_7a.branch7x7x3_4": (192, 192, 3, 3),
    }


def _block_7(name: str, inputs: int) -> dict[str, Shape]:
    return {
        f"{name}.branch1x1": (320, inputs, 1, 1),
        f"{name}.branch3x3_1": (384, inputs, 1, 1),
        f"{name}.branch3x3_2a": (384, 384, 1, 3),
        f"{name}.branch3x3_2b": (384, 384, 3, 1),
        f"{name}.branch3x3dbl_1": (448, inputs, 1, 1),
        f"{name}.branch3x3dbl_2": (384, 448, 3, 3),
        f"{name}.branch3x3dbl_3a": (384, 384, 1, 3),
        f"{name}.branch3x3dbl_3b": (384, 384, 3, 1),
        f"{name}.branch_pool": (192, inputs, 1, 1),
    }
