"""``fetalsynth anatomy microcephaly``, ``cerebellar-hypoplasia`` and ``external-csf``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.cli.anatomy_edit import Edit

Labels = Annotated[Path, tyro.conf.Positional]


@dataclass(frozen=True)
class _Common:
    labels: Labels
    """Volumes that `fetalsynth data` made, or any folder of NIfTI label maps."""
    out: Path
    """New folder for the edited volumes."""
    images: Path | None = None
    """Folder (or file) of the real images of these label maps, to be moved with them."""
    split: Literal["train", "test"] | None = None
    """Only the label maps of this split."""
    subjects: tuple[str, ...] = ()
    """Only these subjects, without sub-."""
    labels_table: str | None = None
    """Scheme of a plain folder's labels: feta, spina-bifida-atlas, dhcp, or a CSV or TSV file."""
    device: str = "auto"
    """auto, cpu or cuda."""


@dataclass(frozen=True)
class Microcephaly(_Common):
    """Scale whole heads to target circumferences, the age staying. Not for clinical use."""

    hc: tuple[float, ...] = ()
    """Target head circumferences in mm."""


@dataclass(frozen=True)
class CerebellarHypoplasia(_Common):
    """Draw the cerebellum towards the brainstem; fluid takes its place. Not for clinical use."""

    share: tuple[float, ...] = ()
    """Shares of the cerebellum's volume to keep, from 0.1 to 1."""


@dataclass(frozen=True)
class ExternalCSF(_Common):
    """Enlarge the external CSF within the same head, the brain shrinking. Not for clinical use."""

    times: tuple[float, ...] = ()
    """How many times the volume of the external CSF, from 1 to 10."""


def microcephaly(arguments: list[str]) -> int:
    """Run ``anatomy microcephaly``."""
    wanted = tyro.cli(Microcephaly, args=arguments, prog="fetalsynth anatomy microcephaly")
    _each(wanted.hc, option="--hc", low=50, high=500)
    from fetalsynth.anatomy.edits.microcephaly import microcephaly as edit
    from fetalsynth.cli.computing import choose_device

    device = choose_device(wanted.device)
    edits: dict[str, Edit] = {
        f"hc{_spelt(hc)}mm": partial(edit, hc_mm=hc, device=device) for hc in wanted.hc
    }
    return _run(wanted, edits, name="microcephaly", values=wanted.hc)


def cerebellar_hypoplasia(arguments: list[str]) -> int:
    """Run ``anatomy cerebellar-hypoplasia``."""
    program = "fetalsynth anatomy cerebellar-hypoplasia"
    wanted = tyro.cli(CerebellarHypoplasia, args=arguments, prog=program)
    _each(wanted.share, option="--share", low=0.1, high=0.99)
    from fetalsynth.anatomy.edits.volumes import cerebellar_hypoplasia as edit
    from fetalsynth.cli.computing import choose_device

    device = choose_device(wanted.device)
    edits: dict[str, Edit] = {
        f"cerebellum{_spelt(100 * share)}percent": partial(edit, share=share, device=device)
        for share in wanted.share
    }
    return _run(wanted, edits, name="cerebellar-hypoplasia", values=wanted.share)


def external_csf(arguments: list[str]) -> int:
    """Run ``anatomy external-csf``."""
    wanted = tyro.cli(ExternalCSF, args=arguments, prog="fetalsynth anatomy external-csf")
    _each(wanted.times, option="--times", low=1.01, high=10)
    from fetalsynth.anatomy.edits.volumes import external_csf as edit
    from fetalsynth.cli.computing import choose_device

    device = choose_device(wanted.device)
    edits: dict[str, Edit] = {
        f"csf{_spelt(times)}times": partial(edit, times=times, device=device)
        for times in wanted.times
    }
    return _run(wanted, edits, name="external-csf", values=wanted.times)


def _run(wanted: _Common, edits: dict[str, Edit], *, name: str, values: tuple[float, ...]) -> int:
    from fetalsynth.cli.anatomy_edit import Asked, edit_volumes

    return edit_volumes(
        Asked(
            labels=wanted.labels,
            out=wanted.out,
            images=wanted.images,
            labels_table=wanted.labels_table,
            edits=edits,
            configuration={"edit": name, "values": list(values)},
            split=wanted.split,
            subjects=wanted.subjects,
        )
    )


def _each(values: tuple[float, ...], *, option: str, low: float, high: float) -> None:
    if not values or any(not low <= value <= high for value in values):
        raise UserError(f"{option}: give one or more numbers from {low:g} to {high:g}")


def _spelt(number: float) -> str:
    return f"{number:g}".replace(".", "p")
