"""The straight path from image to noise, and what the network has to say of a point on it.

With x an image scaled to spread 1, e standard normal noise and t from 0 to 1, the path is
x_t = (1 − t) x + t e (Lipman et al., ICLR 2023, arXiv 2210.02747; Liu et al., ICLR 2023, arXiv
2209.03003), and its velocity v = e − x. The noise level is σ = t / (1 − t), the ratio of the two
shares; log σ is the logit of t, so that normal log σ is the logit-normal t of Esser et al. (ICML
2024, arXiv 2403.03206), and a shift of its mean is their shift of t for high resolutions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_TIME = 0.05  # below it the error of a predicted image is not divided any further


@dataclass(frozen=True, kw_only=True)
class Point:
    """Points on paths: ``noisy`` (N, C, H, W) at ``time`` (N,), each between 0 and 1."""

    noisy: Tensor
    time: Tensor

    @property
    def log_noise(self) -> Tensor:
        """log σ (N,)."""
        return torch.logit(self.time.double(), eps=1e-7).float()


def times(normal: Tensor, *, mean: float, sd: float) -> Tensor:
    """Standard normal numbers → logit-normal times: log σ of this mean and spread."""
    return torch.sigmoid(mean + sd * normal)


def point(images: Tensor, noise: Tensor, time: Tensor) -> Point:
    """The points at ``time`` (N,) of the paths from ``images`` to ``noise``."""
    t = _per_image(time)
    return Point(noisy=(1 - t) * images + t * noise, time=time)


def scaled_input(at: Point) -> Tensor:
    """The noisy image at spread 1: x_t / √((1 − t)² + t²)."""
    return at.noisy / _norm(at.time)


def image(at: Point, output: Tensor, *, prediction: str) -> Tensor:
    """The image that the network's ``output`` means.

    "image": the output itself. "skip": the best linear guess of x from x_t, corrected, with the
    factors that keep input and target of the network at spread 1 at every noise level (Karras et
    al., NeurIPS 2022, arXiv 2206.00364, table 1, for this path and data of spread 1):
    x̂ = ((1 − t) x_t + t √((1 − t)² + t²) F) / ((1 − t)² + t²).
    """
    if prediction == "image":
        return output
    t, norm = _per_image(at.time), _norm(at.time)
    return ((1 - t) * at.noisy + t * norm * output) / norm**2


def velocity(at: Point, images: Tensor) -> Tensor:
    """(x_t − x̂) / t: where the path goes if ``images`` is where it began."""
    return (at.noisy - images) / _per_image(at.time)


def errors(at: Point, predicted: Tensor, images: Tensor) -> Tensor:
    """Squared errors of the velocity, one per image (N,): mean of (x̂ − x)² / max(t, 0.05)²."""
    off = (predicted - images) / _per_image(at.time).clamp(min=LEAST_TIME)
    return off.square().mean((1, 2, 3))


def _norm(time: Tensor) -> Tensor:
    return _per_image(torch.hypot(1 - time, time))


def _per_image(time: Tensor) -> Tensor:
    return time[:, None, None, None]
