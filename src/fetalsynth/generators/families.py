"""The families of generators, by name, and what the training loop needs of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn

from fetalsynth.generators.dcgan import DCGAN
from fetalsynth.generators.settings import DCGANSettings


class Family(Protocol):
    """What training and sampling use; ``networks()["generator"]`` is averaged, kept and sampled."""

    generator: nn.Module

    def networks(self) -> dict[str, nn.Module]: ...
    def initialise(self, rng: torch.Generator) -> None: ...
    def optimizers(self) -> dict[str, torch.optim.Optimizer]: ...
    def latents(self, count: int, rng: torch.Generator) -> Tensor: ...
    def step(
        self,
        real: Tensor,
        latents: Tensor,
        *,
        optimizers: dict[str, torch.optim.Optimizer],
        precision: Callable[[], AbstractContextManager[object]],
        average_gradients: Callable[[Iterable[nn.Parameter]], None],
    ) -> dict[str, Tensor]: ...
    def calibrate(self, generator: nn.Module, latents: Tensor) -> None: ...
    def sample(self, generator: nn.Module, latents: Tensor) -> Tensor: ...
    def warning(self, means: dict[str, float]) -> str | None: ...


FAMILIES = {
    "dcgan": DCGAN,
}


def build(settings: DCGANSettings) -> Family:
    """The family that ``settings.family`` names, with untrained networks on the CPU."""
    return FAMILIES[settings.family](settings)
