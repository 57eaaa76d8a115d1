"""Edited label maps → synthetic MRI, with the networks that ``fetalsynth generate`` takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Input
    from fetalsynth.datasets.volumes.pair import Pair
    from fetalsynth.synthesis.fusion import Rule
    from fetalsynth.synthesis.volume_model import VolumeModel


@dataclass(frozen=True, kw_only=True)
class Painting:
    """What the command line says about synthesis; ``precision`` as ``generate`` has it."""

    model: tuple[Path, ...]
    out: Path
    fusion: str = "mean"
    seed: int = 0
    precision: str = "float32"
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Painter:
    """Networks loaded, and what decides their voxels."""

    model: VolumeModel
    rule: Rule
    seed: int
    models: tuple[Input, ...]
    configuration: dict[str, Any]

    def paint(
        self,
        read: Pair,
        labels: NDArray[np.uint8],
        *,
        name: str,
        where: str,
        weeks: float | None = None,
    ) -> NDArray[np.int16]:
        """The image, 0…4095, of ``labels`` (I, J, K) in the space and order of ``read``.

        All grades of the volume ``name`` get the same latents, or the same noise and the same age
        in ``weeks``. Raises UserError where the labels do not fit the model's cube.
        """
        from fetalsynth.synthesis.one_volume import synthesise

        made = synthesise(
            self.model,
            replace(read, labels=labels),
            rules=[self.rule],
            seed=self.seed,
            name=name,
            mask_background=True,
            where=where,
            weeks=weeks,
        )
        return made[self.rule]

    def sidecar(self, *, weeks: float | None = None) -> dict[str, Any]:
        """What the sidecars of all its images have in common, and of a volume of ``weeks``."""
        from fetalsynth.synthesis.sampled import own_sampling

        how = own_sampling(self.model)
        digests = {Path(item.path): item.digest for item in self.models}
        return {
            "Seed": self.seed,
            "Fusion": self.rule.describe(),
            "Networks": {
                plane: {
                    "ModelDigest": digests.get(network.folder, ""),
                    "Epoch": network.epoch,
                    "Weights": network.weights,
                }
                for plane, network in self.model.networks.items()
            },
            "Grid": {"Size": self.model.grid.size, "SpacingMm": self.model.grid.spacing_mm},
            "Image": "synthetic, from the edited labels",
            **({} if how is None else {"Sampling": how.describe(), "WeeksTold": weeks}),
        }


def open_painter(wanted: Painting) -> Painter:
    """Load the model. Raises UserError for what is wrong with it or with the fusion's name."""
    import torch

    from fetalsynth.artifacts.manifest import input_from
    from fetalsynth.cli.computing import choose_device
    from fetalsynth.synthesis.fusion import parse_rule
    from fetalsynth.synthesis.volume_model import load_volume_model

    for folder in wanted.model:
        if wanted.out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{wanted.out}: lies inside the model; choose another --out")
    rule = parse_rule(wanted.fusion)
    models = tuple(input_from(folder, role="model", kind="model") for folder in wanted.model)
    model = load_volume_model(
        wanted.model,
        planes=rule.planes,
        device=choose_device(wanted.device),
        dtype=getattr(torch, wanted.precision),
    )
    return Painter(
        model=model,
        rule=rule,
        seed=wanted.seed,
        models=models,
        configuration={"fusion": rule.describe(), "precision": wanted.precision},
    )
