"""``fetalsynth model pack``: one snapshot of a trained model, small, licensed, without paths."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Input, Manifest
    from fetalsynth.cli.model_assessed import Assessed
    from fetalsynth.synthesis.images import LoadedModel
    from fetalsynth.synthesis.packing import Rounding


@dataclass(frozen=True)
class Pack:
    """Make a model that can ship: the averaged weights of one snapshot, its card and its record.

    Data keep their licences and citations; paths of this machine are dropped. At most 16 MB.
    """

    model: Annotated[Path, tyro.conf.Positional]
    """Model of images that `fetalsynth train` made."""
    out: Path
    """New folder; in a checkout src/fetalsynth/models/NAME ships as NAME."""
    epoch: int | None = None
    """Snapshot to take; the one that the training chose, or the last, if not given."""
    half: Literal["float16", "bfloat16"] | None = None
    """Store the weights in half the bytes; they are computed with in float32 all the same."""
    assessment: Path | None = None
    """Scores of images that this snapshot made: their main numbers go into the card, and the
    sampling of those images becomes the model's own."""
    despite_copying: str | None = None
    """Why a model may ship although its assessment raised the copying alarm; stands in the card."""


def run(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    pack(tyro.cli(Pack, args=arguments, prog="fetalsynth model pack"))
    return 0


def pack(wanted: Pack) -> None:
    """Pack the model that ``wanted`` names, or say that it is done."""
    from fetalsynth.artifacts.building import building, is_done
    from fetalsynth.artifacts.manifest import input_from
    from fetalsynth.generators.flow.sampling import Sampling
    from fetalsynth.synthesis.packing import check_size, load_average, sampled_as, write_packed
    from fetalsynth.synthesis.shipped import description, folder_bytes, resolve_model

    wanted = replace(wanted, model=resolve_model(wanted.model))
    if wanted.out.resolve().is_relative_to(wanted.model.resolve()):
        raise UserError(f"{wanted.out}: lies inside the model; choose another --out")
    source = input_from(wanted.model, role="model", kind="model")
    assert source.manifest is not None
    _check(source.manifest, where=wanted.model)
    model = load_average(wanted.model, epoch=wanted.epoch)
    assessed = _assessed(wanted, source, epoch=model.epoch)
    if assessed and assessed.sampling:
        model = sampled_as(model, Sampling(**assessed.sampling))
    manifest = _draft(wanted, source, model=model, assessed=assessed)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return
    with building(wanted.out, manifest) as folder:
        rounding = write_packed(model, folder, half=wanted.half)
        _write_record(folder, manifest, source.manifest, rounding=rounding, assessed=assessed)
        check_size(folder_bytes(folder), where=wanted.model, half=wanted.half)
    print(f"{wanted.out}: {description(wanted.out)}")
    if rounding is not None:
        print(f"stored in {wanted.half}: {rounding}")


def _check(manifest: Manifest, *, where: Path) -> None:
    """Raise UserError for models that are not of images, or without licence, or packed already."""
    recipe = manifest.configuration.get("recipe")
    if not isinstance(recipe, dict) or "planes" in recipe:
        raise UserError(f"{where}: is no model of images, and only those are packed")
    if "packed" in manifest.configuration:
        raise UserError(f"{where}: is packed already; pack the model that was trained")
    if not manifest.licences:
        raise UserError(
            f"{where}: its data came without a licence line, and what ships must carry one; train "
            "on data that fetalsynth data import or phantom made from a known source"
        )


def _assessed(wanted: Pack, source: Input, *, epoch: int) -> Assessed | None:
    if wanted.assessment is None:
        if wanted.despite_copying is not None:
            raise UserError("--despite-copying: is about an assessment; give --assessment SCORES")
        return None
    from fetalsynth.cli.model_assessed import read_assessment

    return read_assessment(
        wanted.assessment,
        model=source,
        epoch=epoch,
        storage=_storage(wanted),
        despite_copying=wanted.despite_copying,
    )


def _storage(wanted: Pack) -> str:
    from fetalsynth.synthesis.packing import FLOAT32

    return wanted.half or FLOAT32


def _draft(
    wanted: Pack, source: Input, *, model: LoadedModel, assessed: Assessed | None
) -> Manifest:
    """The trained model's record without places, and what was packed of it.

    A model keeps the sampling that it was assessed with, so that its card speaks of the images that
    it makes.
    """
    from fetalsynth.artifacts.manifest import draft
    from fetalsynth.artifacts.portable import without_places

    assert source.manifest is not None
    trained = without_places(source.manifest)
    packed: dict[str, Any] = {
        "model": source.digest,
        "epoch": model.epoch,
        "storage": _storage(wanted),
        "despite_copying": wanted.despite_copying,
    }
    recipe = {
        **trained.configuration["recipe"],
        "generator": model.settings.model_dump(mode="json"),
    }
    return draft(
        kind="model",
        configuration={**trained.configuration, "recipe": recipe, "packed": packed},
        seed=trained.seed,
        inputs=(*trained.inputs, *([assessed.source] if assessed else [])),
        licences=(*trained.licences, *(assessed.licences if assessed else ())),
        synthetic=True,
    )


def _write_record(
    folder: Path,
    manifest: Manifest,
    trained: Manifest,
    *,
    rounding: Rounding | None,
    assessed: Assessed | None,
) -> None:
    """Write the card and note the facts: those of the training, of the packing, of the images."""
    from fetalsynth.artifacts.building import record_facts
    from fetalsynth.artifacts.files import write_text
    from fetalsynth.artifacts.model import CARD
    from fetalsynth.artifacts.portable import without_places
    from fetalsynth.training.card import model_card
    from fetalsynth.training.recipe import parse_recipe

    packed = {
        **manifest.configuration["packed"],
        "trained": trained.created,
        "trained_by_version": trained.package_version,
        "rounding": None if rounding is None else asdict(rounding),
    }
    facts = {**without_places(trained).facts, "packed": packed}
    recipe = parse_recipe(manifest.configuration["recipe"], where="the model's recipe")
    card = model_card(
        recipe=recipe,
        facts=facts,
        source=manifest.inputs[0],
        packed=_points(packed, rounding),
        assessment=() if assessed is None else assessed.section,
    )
    write_text(folder / CARD, card)
    record_facts(folder, facts if assessed is None else {**facts, "assessment": assessed.facts})


def _points(packed: dict[str, Any], rounding: Rounding | None) -> list[str]:
    points = [
        f"- packed: the averaged weights after epoch {packed['epoch']} of the model with content "
        f"{packed['model'][:16]}…, stored in {packed['storage']}",
    ]
    return points if rounding is None else [*points, f"- rounding: {rounding}"]
