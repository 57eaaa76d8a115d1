"""``fetalsynth model list``: the shipped models, a line each."""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from fetalsynth.synthesis.shipped import MODELS, listing


@dataclass(frozen=True)
class List:
    """Name, size, images, data and licence of every model that ships with this installation."""


def run(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    tyro.cli(List, args=arguments, prog="fetalsynth model list")
    print("\n".join(listing()))
    print(f"\nin {MODELS}; model-card.md in each tells more. Not for clinical use.")
    return 0
