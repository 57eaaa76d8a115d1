"""What can be measured of a generator while it trains, at what cost."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.families import Family
from fetalsynth.generators.flow.family import Flow
from fetalsynth.generators.flow.sampling import Sampling

QUICK_STEPS = 8


@dataclass(frozen=True, kw_only=True)
class Cost:
    """In evaluations of the generator: to train on an image, and to make a quick one.

    ``fixed`` is what calibrating a copy takes, ``losses`` whether there is a held-out loss, and
    ``words`` say how quick images are made.
    """

    training: float
    image: int
    fixed: int
    losses: bool
    words: str


def cost_of(family: Family, *, calibration: int) -> Cost:
    """Forward and back through a flow are three evaluations, a step of two rivals about ten."""
    if isinstance(family, Flow):
        how = _quick(family)
        words = f"in {how.steps} Euler steps"
        return Cost(training=3.0, image=how.steps, fixed=0, losses=True, words=words)
    return Cost(training=10.0, image=1, fixed=calibration, losses=False, words="as generated")


def quick_images(family: Family, generator: nn.Module, latents: Tensor, batch: Batch) -> Tensor:
    """Images (N, C, S, S) in [−1, 1] from latents, under the conditions of ``batch`` if any.

    A flow's are made in few steps, which brings them a little nearer to the training images than
    all its steps would.
    """
    if isinstance(family, Flow):
        return family.draw(generator, latents, batch, sampling=_quick(family))
    return family.sample(generator, latents, batch.labels, batch.planes)


def held_out_loss(
    family: Family, generator: nn.Module, batch: Batch, latents: Tensor
) -> Tensor | None:
    """The training loss of each image (N,) by ``generator``; None where the family has none."""
    if isinstance(family, Flow):
        return family.held_out_loss(generator, batch, latents)
    return None


def _quick(flow: Flow) -> Sampling:
    s = flow.settings
    return Sampling(sampler="euler", steps=min(QUICK_STEPS, s.steps), guidance=s.guidance)
