"""``fetalsynth anatomy ventriculomegaly``: ventricles pushed, or dilated, to graded widths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.cli.anatomy_edit import Edit


@dataclass(frozen=True)
class Ventriculomegaly:
    """Widen the lateral ventricles of label maps to target atrial widths or volumes.

    Tissue is pushed, not overwritten; the same map moves the real images given with --images.
    Mild is 10 to 12 mm, moderate 12 to 15, severe above. Not for clinical use.
    """

    labels: Annotated[Path, tyro.conf.Positional]
    """Volumes that `fetalsynth data` made, or any folder of NIfTI label maps."""
    out: Path
    """New folder for the edited volumes, one per label map and target."""
    atrial_width: tuple[float, ...] = ()
    """Target widths of each atrium in mm; narrower than they are is possible too."""
    volume: tuple[float, ...] = ()
    """Or target volumes of the ventricles of the chosen side in ml."""
    side: Literal["both", "left", "right"] = "both"
    """Of the fetus."""
    head_growth: float = 5.0
    """How far outside the head the push dies out, in mm; 0 keeps the head's outline."""
    method: Literal["diffeomorphic", "dilation"] = "diffeomorphic"
    """dilation overwrites tissue voxel by voxel as published in 2022, for comparison."""
    steps: tuple[int, ...] = ()
    """Steps of dilation, one volume for each number."""
    images: Path | None = None
    """Folder with the real images of these label maps, to be moved with them."""
    labels_table: str | None = None
    """Scheme of a plain folder's labels: feta, spina-bifida-atlas, dhcp, or a CSV or TSV file."""


def run(arguments: list[str]) -> int:
    """Run the command; 1 where something was left out or not reached."""
    wanted = tyro.cli(Ventriculomegaly, args=arguments, prog="fetalsynth anatomy ventriculomegaly")
    _check(wanted)
    from fetalsynth.anatomy.edits.dilation import dilation
    from fetalsynth.anatomy.edits.ventriculomegaly import ventriculomegaly
    from fetalsynth.cli.anatomy_edit import Asked, edit_volumes

    side, growth = wanted.side, wanted.head_growth
    end = "" if side == "both" else side
    edits: dict[str, Edit] = {}
    for steps in wanted.steps:
        edits[f"dilation{steps}{end}"] = partial(dilation, steps=steps, side=side)
    for width in wanted.atrial_width:
        edits[f"vm{spelt(width)}mm{end}"] = partial(
            ventriculomegaly, atrial_width_mm=width, side=side, head_growth_mm=growth
        )
    for volume in wanted.volume:
        edits[f"vm{spelt(volume)}ml{end}"] = partial(
            ventriculomegaly, volume_ml=volume, side=side, head_growth_mm=growth
        )
    configuration = {
        "edit": "ventriculomegaly",
        "method": wanted.method,
        "atrial_width_mm": list(wanted.atrial_width),
        "volume_ml": list(wanted.volume),
        "steps": list(wanted.steps),
        "side": side,
        "head_growth_mm": growth,
    }
    return edit_volumes(
        Asked(
            labels=wanted.labels,
            out=wanted.out,
            images=wanted.images,
            labels_table=wanted.labels_table,
            edits=edits,
            configuration=configuration,
            moves_images=wanted.method == "diffeomorphic",
        )
    )


def spelt(number: float) -> str:
    """A number as it can stand in a BIDS name: 12.5 → 12p5."""
    return f"{number:g}".replace(".", "p")


def _check(wanted: Ventriculomegaly) -> None:
    if wanted.method == "dilation":
        if wanted.atrial_width or wanted.volume or not wanted.steps:
            raise UserError("--method dilation takes --steps, such as --steps 1 2 3, and no target")
        if min(wanted.steps) < 1:
            raise UserError("--steps: count from 1")
    elif wanted.steps:
        raise UserError("--steps: is for --method dilation; leave it out")
    elif bool(wanted.atrial_width) == bool(wanted.volume):
        raise UserError("give --atrial-width MM … or --volume ML …")
    if any(not 0 < target <= 60 for target in wanted.atrial_width):
        raise UserError("--atrial-width: give millimetres between 0 and 60")
    if any(not 0 < target <= 1000 for target in wanted.volume):
        raise UserError("--volume: give millilitres between 0 and 1000")
    if not 0 <= wanted.head_growth <= 8:
        raise UserError("--head-growth: give millimetres from 0 to 8")
