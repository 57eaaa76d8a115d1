"""``fetalsynth anatomy ventriculomegaly``: ventricles pushed, or dilated, to graded widths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fetalsynth.anatomy.edits.result import EditResult
    from fetalsynth.cli.anatomy_edit import Edit

Side = Literal["both", "left", "right"]
DEFAULTS = ("mean", 0, "float32")  # of the options that only --model takes


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
    side: Side = "both"
    """Of the fetus."""
    head_growth: float = 5.0
    """How far outside the head the push dies out, in mm; 0 keeps the head's outline."""
    method: Literal["diffeomorphic", "dilation"] = "diffeomorphic"
    """dilation overwrites tissue voxel by voxel as published in 2022, for comparison."""
    steps: tuple[int, ...] = ()
    """Steps of dilation, one volume for each number."""
    with_dilation: bool = False
    """Put the published dilation to the same ventricle volume beside the widest grade, or the
    dilations of --steps, with what they destroy."""
    images: Path | None = None
    """Folder (or file) of the real images of these label maps, to be moved with them."""
    model: tuple[Path, ...] = ()
    """Folders of SPADE models: every label map, original and edited, is synthesised too."""
    fusion: str = "mean"
    """How the three planes of --model become one volume; see `fetalsynth generate --help`."""
    seed: int = 0
    """Of the synthesis, for networks with an encoder."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the synthesis; bfloat16 is faster on some processors and less exact."""
    split: Literal["train", "test"] | None = None
    """Only the label maps of this split."""
    subjects: tuple[str, ...] = ()
    """Only these subjects, without sub-."""
    labels_table: str | None = None
    """Scheme of a plain folder's labels: feta, spina-bifida-atlas, dhcp, or a CSV or TSV file."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(arguments: list[str]) -> int:
    """Run the command; 1 where something was left out or not reached."""
    wanted = tyro.cli(Ventriculomegaly, args=arguments, prog="fetalsynth anatomy ventriculomegaly")
    _check(wanted)
    from fetalsynth.cli.anatomy_edit import Asked, edit_volumes
    from fetalsynth.cli.anatomy_edit_synthesis import Painting

    painting = Painting(
        model=wanted.model,
        out=wanted.out,
        fusion=wanted.fusion,
        seed=wanted.seed,
        precision=wanted.precision,
        device=wanted.device,
    )
    edits, overwriting = _edits(wanted)
    beside = ("dilation", partial(_as_wide, side=wanted.side))
    return edit_volumes(
        Asked(
            labels=wanted.labels,
            out=wanted.out,
            images=wanted.images,
            labels_table=wanted.labels_table,
            edits=edits,
            configuration={
                "edit": "ventriculomegaly",
                "method": wanted.method,
                "atrial_width_mm": list(wanted.atrial_width),
                "volume_ml": list(wanted.volume),
                "steps": list(wanted.steps),
                "with_dilation": wanted.with_dilation,
                "side": wanted.side,
                "head_growth_mm": wanted.head_growth,
            },
            beside=beside if wanted.with_dilation and not wanted.steps else None,
            overwriting=(*overwriting, "dilation"),
            split=wanted.split,
            subjects=wanted.subjects,
            painting=painting if wanted.model else None,
        )
    )


def _edits(wanted: Ventriculomegaly) -> tuple[dict[str, Edit], tuple[str, ...]]:
    """By word, and the words of those that overwrite; pushed grades first."""
    from fetalsynth.anatomy.edits.dilation import dilation
    from fetalsynth.anatomy.edits.ventriculomegaly import ventriculomegaly
    from fetalsynth.cli.computing import choose_device

    side, growth, device = wanted.side, wanted.head_growth, choose_device(wanted.device)
    end = "" if side == "both" else side
    edits: dict[str, Edit] = {}
    for width in wanted.atrial_width:
        edits[f"vm{spelt(width)}mm{end}"] = partial(
            ventriculomegaly,
            atrial_width_mm=width,
            side=side,
            head_growth_mm=growth,
            device=device,
        )
    for volume in wanted.volume:
        edits[f"vm{spelt(volume)}ml{end}"] = partial(
            ventriculomegaly, volume_ml=volume, side=side, head_growth_mm=growth, device=device
        )
    dilations: dict[str, Edit] = {
        f"dilation{steps}{end}": partial(dilation, steps=steps, side=side) for steps in wanted.steps
    }
    return edits | dilations, tuple(dilations)


def _as_wide(
    labels: NDArray[np.uint8], affine: NDArray[np.float64], volume_ml: float, *, side: Side
) -> EditResult | None:
    """Dilated to the same ventricle volume; None where no step comes nearer to it."""
    from fetalsynth.anatomy.edits.dilation import dilation, steps_to_volume

    steps = steps_to_volume(labels, affine, volume_ml=volume_ml, side=side)
    return dilation(labels, affine, steps=steps, side=side) if steps else None


def spelt(number: float) -> str:
    """A number as it can stand in a BIDS name: 12.5 → 12p5."""
    return f"{number:g}".replace(".", "p")


def _check(wanted: Ventriculomegaly) -> None:
    if wanted.method == "dilation":
        if wanted.atrial_width or wanted.volume or not wanted.steps:
            raise UserError("--method dilation takes --steps, such as --steps 1 2 3, and no target")
        if wanted.with_dilation:
            raise UserError("--with-dilation: --method dilation makes nothing else; leave it out")
    elif wanted.steps and not wanted.with_dilation:
        raise UserError("--steps: is for --method dilation and --with-dilation; leave it out")
    elif bool(wanted.atrial_width) == bool(wanted.volume):
        raise UserError("give --atrial-width MM … or --volume ML …")
    if wanted.steps and min(wanted.steps) < 1:
        raise UserError("--steps: count from 1")
    if not wanted.model and (wanted.fusion, wanted.seed, wanted.precision) != DEFAULTS:
        raise UserError("--fusion, --seed and --precision are for --model; leave them out")
    if any(not 1 <= target <= 60 for target in wanted.atrial_width):
        raise UserError("--atrial-width: give millimetres from 1 to 60")
    if any(not 0.1 <= target <= 1000 for target in wanted.volume):
        raise UserError("--volume: give millilitres from 0.1 to 1000")
    if not 0 <= wanted.head_growth <= 8:
        raise UserError("--head-growth: give millimetres from 0 to 8")
