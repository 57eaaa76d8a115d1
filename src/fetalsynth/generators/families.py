"""The families of generators, by name, and what the training loop needs of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.dcgan import DCGAN
from fetalsynth.generators.flow.family import Flow
from fetalsynth.generators.settings import (
    DCGANSettings,
    FlowSettings,
    Settings,
    UNetSettings,
)
from fetalsynth.generators.spade.family import SPADE
from fetalsynth.generators.unet import Segmenter


class Family(Protocol):
    """What training and sampling use; ``networks()["generator"]`` is averaged, kept and sampled."""

    @property
    def generator(self) -> nn.Module: ...
    def networks(self) -> dict[str, nn.Module]: ...
    def initialise(self, rng: torch.Generator) -> None: ...
    def optimizers(self) -> dict[str, torch.optim.Optimizer]: ...
    def latents(self, count: int, rng: torch.Generator) -> Tensor: ...
    def step(
        self,
        batch: Batch,
        latents: Tensor,
        *,
        optimizers: dict[str, torch.optim.Optimizer],
        precision: Callable[[], AbstractContextManager[object]],
        average_gradients: Callable[[Iterable[nn.Parameter]], None],
    ) -> dict[str, Tensor]: ...
    def calibrate(
        self, generator: nn.Module, latents: Tensor, batches: Sequence[Batch]
    ) -> None: ...
    def sample(
        self,
        generator: nn.Module,
        latents: Tensor,
        labels: Tensor | None = None,
        planes: Tensor | None = None,
    ) -> Tensor: ...
    def preview(self, generator: nn.Module, latents: Tensor, batch: Batch) -> Tensor: ...
    def warning(self, means: dict[str, float]) -> str | None: ...


def build(settings: Settings, *, perceptual: nn.Module | None = None) -> Family:
    """The family that ``settings.family`` names, with untrained networks on the CPU.

    ``perceptual`` is the fixed network of a perceptual loss, where the settings ask for one.
    """
    if isinstance(settings, DCGANSettings):
        return DCGAN(settings)
    if isinstance(settings, UNetSettings):
        return Segmenter(settings)
    if isinstance(settings, FlowSettings):
        return Flow(settings)
    return SPADE(settings, perceptual=perceptual)
