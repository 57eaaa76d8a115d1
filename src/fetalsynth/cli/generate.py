"""``fetalsynth generate``: images from a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from fetalsynth.errors import UserError


@dataclass(frozen=True)
class Generate:
    """Make synthetic images with a trained model. Not for clinical use."""

    model: tyro.conf.Positional[Path]
    """Folder that `fetalsynth train` made."""
    n: int
    """How many images."""
    out: Path
    """New folder for them."""
    seed: int = 0
    """Names an endless row of images; the first ones are the same for every n."""
    epoch: int | None = None
    """Snapshot to use; the last one if not given."""
    weights: Literal["averaged", "raw"] | None = None
    """Averaged weights are smoother; raw ones are what the papers used."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit code."""
    generate(tyro.cli(Generate, args=arguments, prog="fetalsynth generate"))
    return 0


def generate(wanted: Generate) -> None:
    """Make the images that ``wanted`` describes, or say that they are there already."""
    if wanted.n < 1:
        raise UserError(f"--n {wanted.n}: ask for at least one image")
    if wanted.out.resolve().is_relative_to(wanted.model.resolve()):
        raise UserError(f"{wanted.out}: lies inside the model; choose another --out")

    from fetalsynth.artifacts.building import building, is_done
    from fetalsynth.artifacts.manifest import draft, input_from
    from fetalsynth.cli.computing import choose_device, set_threads
    from fetalsynth.synthesis.images import load_model, write_images

    device = choose_device(wanted.device)
    model = load_model(wanted.model, epoch=wanted.epoch, weights=wanted.weights, device=device)
    manifest = draft(
        kind="images",
        configuration={"n": wanted.n, "epoch": model.epoch, "weights": model.weights},
        seed=wanted.seed,
        inputs=(input_from(wanted.model, role="model"),),
        synthetic=True,
    )
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return
    set_threads()
    with building(wanted.out, manifest, resumable=True) as folder:
        write_images(model, count=wanted.n, seed=wanted.seed, folder=folder)
    print(f"{wanted.n} images in {wanted.out} (look at {wanted.out / 'preview.png'})")
