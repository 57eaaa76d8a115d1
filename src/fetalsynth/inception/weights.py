"""Weights of the Inception network in memory, and what the published file is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fetalsynth.inception.layout import DIMENSIONS, Layer

if TYPE_CHECKING:
    from torch import Tensor

Tensors = dict[str, "Tensor"]

STANDARD_FILE = "pt_inception-2015-12-05-6726825d.pth"
STANDARD_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
PUBLISHED = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"


@dataclass(frozen=True, kw_only=True)
class InceptionWeights:
    """Folded weights and biases by name, and the file that they came from.

    ``last`` is the last block that they reach.
    """

    tensors: Tensors
    last: Layer
    sha256: str

    @property
    def dimensions(self) -> int:
        """Number of features: 768 or 2048."""
        return DIMENSIONS[self.last]

    @property
    def standard(self) -> bool:
        """Whether Fréchet distances of these features are the FID."""
        return self.last == "Mixed_7c" and self.sha256 == STANDARD_SHA256
