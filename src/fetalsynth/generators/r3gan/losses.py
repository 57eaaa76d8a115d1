"""The relativistic loss and the two gradient penalties of R3GAN (Huang et al., arXiv 2501.05441).

The pairing loss compares a real image with a synthetic one (Jolicoeur-Martineau, ICLR 2019, arXiv
1807.00734), so a generator that repeats one good image gains nothing on all the others; the
penalties R1 on real images and R2 on synthetic ones (Mescheder et al., ICML 2018, arXiv 1801.04406)
make the game converge. A penalty is γ / 2 times the mean of ‖∇D‖² over images, in one of two forms:

- *exact*: ‖∇D‖² by differentiating twice, in float32;
- *difference*: ((D(x) − D(x + σ s)) / σ)² with random signs s = ±1 (Lin et al. 2025, arXiv
  2501.08316, with the constant worked out). To first order in σ it is (s · ∇D)², and
  E[s sᵀ] = I makes E[(s · ∇D)²] = ∇Dᵀ E[s sᵀ] ∇D = ‖∇D‖²: the same γ / 2 serves, with no other
  factor. The next term of the expectation is of order σ², since odd moments of s vanish; for a
  quadratic D with Hessian H it is σ² / 4 · E[(sᵀ H s)²]. Signs are used instead of normal noise
  because their fourth moment is the smallest, hence the variance of the estimate.

The difference needs one backward pass, works under autocast and can be compiled. In bfloat16, D is
rounded on both sides, which adds (rounding / σ)² to the value: a constant without a gradient, as
autograd treats rounding as the identity, but noise in the gradient. That is why σ is not smaller.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_LOW = 0xFFFFFFFF  # 32 bits


def discriminator_loss(on_real: Tensor, on_synthetic: Tensor) -> Tensor:
    """E softplus(−(D(x) − D(G(z)))) over pairs, logits (N,); ln 2 where D tells nothing."""
    return F.softplus(on_synthetic - on_real).mean()


def generator_loss(on_real: Tensor, on_synthetic: Tensor) -> Tensor:
    """E softplus(−(D(G(z)) − D(x))) over pairs, logits (N,); ln 2 where D tells nothing."""
    return F.softplus(on_real - on_synthetic).mean()


def exact_penalty(
    discriminator: Callable[[Tensor], Tensor], images: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (N,) of images (N, C, H, W) and ‖∇D‖² (N,), the gradient being that by the image.

    Both can be differentiated by the weights.
    """
    images = images.detach().requires_grad_()
    logits = discriminator(images)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return logits, gradient.square().sum((1, 2, 3))


def difference_penalty(
    discriminator: Callable[[Tensor], Tensor], images: Tensor, signs: Tensor, *, distance: float
) -> tuple[Tensor, Tensor]:
    """Logits (N,) of images (N, C, H, W) and estimates of ‖∇D‖² (N,), in one pass of 2N images.

    ``signs`` are ±1 in the shape of the images, ``distance`` is σ, in grey levels of [−1, 1]. The
    logits have to come in float32 even where the discriminator computes in bfloat16.
    """
    images = images.detach()
    both = torch.cat([images, images + distance * signs])
    at, beside = discriminator(both).chunk(2)
    return at, ((at - beside) / distance).square()


def random_signs(seeds: Tensor, shape: tuple[int, ...]) -> Tensor:
    """±1 in (N, 2, \\*shape), float32, each a pure function of its image's seed and its place.

    ``seeds`` (N,) are any integers. A hash rather than a generator, so that an image gets the same
    signs whatever batch, process or device it is in (the finalizer of MurmurHash3 by Appleby).
    """
    count = torch.Size(shape).numel()
    places = torch.arange(count, device=seeds.device)
    mixed = _mixed(_mixed(seeds.long() & _LOW)[:, None] + 0x9E3779B9 * places)
    two = torch.stack([mixed & 1, mixed >> 16 & 1], 1)
    return (2 * two - 1).float().reshape(len(seeds), 2, *shape)


def _mixed(x: Tensor) -> Tensor:
    x = x & _LOW
    x = ((x ^ x >> 16) * 0x85EBCA6B) & _LOW
    x = ((x ^ x >> 13) * 0xC2B2AE35) & _LOW
    return x ^ x >> 16
