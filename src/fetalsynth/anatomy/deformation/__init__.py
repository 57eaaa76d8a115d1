"""Smooth invertible deformations of volumes: stationary velocity fields and what they do.

Fields are torch tensors (3, I, J, K), float32, in mm along the volume's own axes; ``spacing_mm`` is
the distance of neighbouring voxels along each. A displacement u says where the value of a voxel
comes from: new(x) = old(x + u(x)).
"""

from fetalsynth.anatomy.deformation.fields import (
    compose,
    exponentiate,
    jacobian,
    refine,
    smallest_jacobian,
    smooth,
)
from fetalsynth.anatomy.deformation.warping import warp_image, warp_labels

__all__ = [
    "compose",
    "exponentiate",
    "jacobian",
    "refine",
    "smallest_jacobian",
    "smooth",
    "warp_image",
    "warp_labels",
]
