"""``fetalsynth quickstart``: the main job on phantom images, each step by its own command."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from fetalsynth.errors import UserError

SHOWN = 16  # images of a shipped model: a few seconds


@dataclass(frozen=True)
class Quickstart:
    """Make phantom ultrasound images, train a small generator on them, sample it, assess it.

    Takes a few minutes on two cores and shows each command before it runs. Giving the command
    again goes on where it was stopped. Where models ship with the package, it begins with images
    of one of them. Not for clinical use.
    """

    out: Path = Path("quickstart")
    """Folder for the results."""
    seed: int = 0
    """Seed of everything."""
    phantoms: int = 600
    """How many phantom images to make; a fifth is held out."""
    epochs: int = 40
    """Passes over the training images; more gives better images."""
    n: int = 800
    """How many synthetic images to make."""


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit code."""
    wanted = tyro.cli(Quickstart, args=arguments, prog="fetalsynth quickstart")
    if wanted.out.exists() and not wanted.out.is_dir():
        raise UserError(f"{wanted.out}: is a file; choose another --out")
    for option, value, least in (
        ("phantoms", wanted.phantoms, 40),
        ("epochs", wanted.epochs, 1),
        ("n", wanted.n, 8),
    ):
        if value < least:
            raise UserError(f"--{option} {value}: must be {least} or more")
    began = time.monotonic()
    for command in commands(wanted):
        print(f"\n$ fetalsynth {shlex.join(command)}", flush=True)
        code = _run(command)
        if code:
            return code
    minutes = (time.monotonic() - began) / 60
    report = (wanted.out / "scores" / "report.html").resolve()
    print(f"\nDone in {minutes:.1f} minutes. Open the report in a browser:\n  {report}")
    return 0


def commands(wanted: Quickstart) -> list[list[str]]:
    """The command lines that the quickstart runs, in order."""
    data, model, images, scores = (
        str(wanted.out / name) for name in ("phantoms", "model", "synthetic", "scores")
    )
    seed = ["--seed", str(wanted.seed)]
    phantom = ["data", "phantom", "ultrasound", "--n", str(wanted.phantoms), "--size", "64"]
    train = ["train", "dcgan64", "--epochs", str(wanted.epochs), "--batch-size", "16"]
    train += ["--generator.generator-width", "32", "--generator.discriminator-width", "32"]
    return [
        *_first_images(wanted),
        [*phantom, "--out", data, *seed],
        [*train, "--data", data, "--out", model, *seed],
        ["generate", model, "--n", str(wanted.n), "--out", images, *seed],
        ["assess", "--real", data, "--synthetic", images, "--out", scores, *seed],
    ]


def _first_images(wanted: Quickstart) -> list[list[str]]:
    """What shows a shipped model at once, the quickest of them; nothing where none ships."""
    from fetalsynth.synthesis.shipped import quickest_model, resolve_model

    found = quickest_model()
    if found is None:
        return []
    name, folder = found
    model = name if resolve_model(name) == folder else str(folder)
    out = str(wanted.out / "shipped")
    return [["generate", model, "--n", str(SHOWN), "--out", out, "--seed", str(wanted.seed)]]


def _run(command: list[str]) -> int:
    from importlib import import_module

    code: int = import_module(f"fetalsynth.cli.{command[0]}").run(command[1:])
    return code
