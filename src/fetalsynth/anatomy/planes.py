"""The three orthogonal planes of a volume in RAS+ order, as stacks of slices and back."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

Plane = Literal["sagittal", "coronal", "axial"]
PLANES: tuple[Plane, ...] = get_args(Plane)  # the index is the axis across the plane
_T = TypeVar("_T", bound=np.generic)


def to_slices(volume: NDArray[_T], *, plane: Plane) -> NDArray[_T]:
    """(I, J, K) in RAS+ → (n, H, W), as radiologists hang them; a view.

    Sagittal and coronal slices have superior up, axial ones anterior up; columns run from posterior
    to anterior in sagittal slices and from left to right in the others.
    """
    stack: NDArray[Any] = np.moveaxis(volume, PLANES.index(plane), 0)
    return stack.transpose(0, 2, 1)[:, ::-1]


def from_slices(stack: NDArray[_T], *, plane: Plane) -> NDArray[_T]:
    """(n, H, W) → (I, J, K): the inverse of :func:`to_slices`; a view."""
    upright: NDArray[Any] = stack[:, ::-1].transpose(0, 2, 1)
    return np.moveaxis(upright, 0, PLANES.index(plane))
