"""What both kinds of pairs have in common: how many there are and how one is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fetalsynth.artifacts.manifest import Input
from fetalsynth.assessment.paired.pair import ImagePair
from fetalsynth.assessment.paired.slices import LEAST_SIDE
from fetalsynth.errors import UserError


@dataclass(frozen=True, kw_only=True)
class PairedSet:
    """``count`` pairs that ``load`` reads one by one; ``sources`` are the real and synthetic ones.

    ``settings`` says how grey values were treated, ``least_size`` is the smallest size per axis.
    ``notes`` are sentences about what was chosen; ``splits`` the rows of the real set that were
    taken (None: all); ``label_names`` has a name per label where they are known.
    """

    sources: tuple[Input, Input]
    count: int
    load: Callable[[int], ImagePair]
    least_size: tuple[int, ...]
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()
    splits: tuple[str, ...] | None = None
    label_names: tuple[str, ...] = ()


def check_side(sizes: tuple[int, ...], path: str) -> None:
    """Raise UserError where images of these sizes are smaller than SSIM's window."""
    if min(sizes) < LEAST_SIDE:
        raise UserError(
            f"{path}: SSIM needs at least {LEAST_SIDE} pixels a side, these have {min(sizes)}"
        )
