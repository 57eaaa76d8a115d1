"""What flow models take beyond other generators: heads to show, and how noise becomes an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fetalsynth.errors import UserError
from fetalsynth.generators.settings import MOST_GUIDANCE, FlowSettings, Settings

if TYPE_CHECKING:
    from fetalsynth.cli.generate import Generate
    from fetalsynth.generators.flow.sampling import Sampling
    from fetalsynth.synthesis.asked_heads import AskedHeads
    from fetalsynth.synthesis.images import LoadedModel


def asked_heads(wanted: Generate, *, model: LoadedModel) -> AskedHeads | None:
    """The heads that are given on the model's grid, the first ``n``; None where none are.

    Raises UserError for models that know no heads and for fewer heads than ``n``.
    """
    from fetalsynth.synthesis.asked_heads import read_asked_heads
    from fetalsynth.synthesis.images import shows_heads

    folder, count = wanted.heads, wanted.n
    if folder is None and not wanted.without_heads:
        return None
    if not shows_heads(model.settings):
        option = "--without-heads" if folder is None else f"--heads {folder}"
        raise UserError(f"{option}: {model.folder} was trained without heads; leave it out")
    if folder is None:
        _check_dropout(model)
        return None
    heads = read_asked_heads(folder, size=model.settings.size)
    if count is not None and count > len(heads.records):
        raise UserError(
            f"--n {count}: {folder} has {len(heads.records)} heads, and an image is made for each; "
            "make more with fetalsynth anatomy ellipses, or leave --n out"
        )
    return heads


def asked_sampling(wanted: Generate, *, settings: Settings | None, folder: Path) -> Sampling | None:
    """How a flow model is sampled; None for other models, of whatever ``settings``.

    Raises UserError for options that the model in ``folder`` has no use for, and for impossible
    numbers.
    """
    from fetalsynth.generators.flow.sampling import Sampling

    given = [n for n in ("steps", "sampler", "guidance") if getattr(wanted, n) is not None]
    if not isinstance(settings, FlowSettings):
        if given:
            raise UserError(f"--{given[0]}: is for flow models, {folder} is none; leave it out")
        return None
    if wanted.steps is not None and wanted.steps < 1:
        raise UserError(f"--steps {wanted.steps}: must be 1 or more")
    if wanted.guidance is not None:
        _check_guidance(wanted, settings=settings, folder=folder)
    return Sampling(
        sampler=wanted.sampler or settings.sampler,
        steps=wanted.steps or settings.steps,
        guidance=settings.guidance if wanted.guidance is None else wanted.guidance,
    )


def _check_guidance(wanted: Generate, *, settings: FlowSettings, folder: Path) -> None:
    if settings.condition == "none" or wanted.without_heads:
        raise UserError(
            "--guidance: follows the head that is shown, and there is none; leave it out"
        )
    if not 0 <= (wanted.guidance or 0) <= MOST_GUIDANCE:
        raise UserError(f"--guidance {wanted.guidance}: give a number from 0 to {MOST_GUIDANCE:g}")
    if settings.condition_dropout == 0 and wanted.guidance != 1:
        raise UserError(
            f"--guidance {wanted.guidance:g}: {folder} never learned to do without its condition "
            "(generator.condition_dropout is 0); leave it out"
        )


def _check_dropout(model: LoadedModel) -> None:
    assert isinstance(model.settings, FlowSettings)
    if model.settings.condition_dropout == 0:
        raise UserError(
            f"--without-heads: {model.folder} never learned to do without "
            "(generator.condition_dropout is 0); leave it out"
        )
