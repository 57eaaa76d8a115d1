"""What ``fetalsynth train`` runs for each kind of recipe: one network, or one for every plane."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fetalsynth.artifacts.building import STATE
from fetalsynth.artifacts.digest import digest_file
from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.cli.training_watch import slice_watcher, watch_for
from fetalsynth.datasets.typical_heads import TYPICAL_HEADS, typical_heads, write_typical_heads
from fetalsynth.errors import UserError, explaining
from fetalsynth.generators.settings import FlowSettings, SPADESettings
from fetalsynth.training.data import (
    ResidentImages,
    check_batch,
    check_images,
    known_heads,
    load_training_images,
)
from fetalsynth.training.distributed import Team
from fetalsynth.training.loop import Options, train
from fetalsynth.training.recipe import Recipe, Run, SliceRecipe, WatchedSliceRecipe
from fetalsynth.training.statistics import tensorboard

if TYPE_CHECKING:
    from fetalsynth.cli.train import Train

DONE = "done.json"


@dataclass(frozen=True, kw_only=True)
class Job:
    """``run`` trains into a growing artifact and returns the facts for its manifest."""

    inputs: tuple[Input, ...]
    run: Callable[[Path, Team], dict[str, Any]]


def job_for(recipe: Run, *, wanted: Train, device: torch.device) -> Job:
    """Read the data and check them against the recipe.

    Raises UserError for data, weights and recipe that do not fit together.
    """
    if isinstance(recipe, SliceRecipe):
        return _slices_job(recipe, wanted=wanted, device=device)
    assert isinstance(recipe, Recipe)
    if wanted.perceptual_weights is not None:
        raise UserError(f"--perceptual-weights: recipe {recipe.name} has no perceptual loss")
    return _images_job(recipe, wanted=wanted, device=device)


def _images_job(recipe: Recipe, *, wanted: Train, device: torch.device) -> Job:
    images = load_training_images(wanted.data, recipe=recipe, seed=wanted.seed)
    check_images(images.pixels, recipe=recipe)
    heads = known_heads(images, recipe=recipe, where=str(wanted.data))

    def run(folder: Path, team: Team) -> dict[str, Any]:
        check_batch(count=len(images.pixels), recipe=recipe, processes=team.size, least=2)
        _announce(team, f"training on {len(images.pixels)} images", folder)
        watch, why = watch_for(
            recipe, folder=wanted.data, training=images, seed=wanted.seed, device=device
        )
        _announce_unwatched(why, recipe=recipe, team=team)
        facts = train(
            recipe=recipe,
            data=ResidentImages(images.pixels, device=device, heads=heads),
            seed=wanted.seed,
            folder=folder,
            state=folder / STATE,
            options=_options(wanted, device=device, team=team),
            team=team,
            watch=watch,
        )
        if heads is not None and team.leads:
            facts |= _keep_typical_heads(
                images.records, folder, size=recipe.generator.size, seed=wanted.seed
            )
        unwatched = {"watch": {"missing": why}} if why else {}
        return {**facts, **unwatched, "subjects": _subjects(images.records)}

    return Job(inputs=(images.source,), run=run)


def _keep_typical_heads(
    records: Sequence[ImageRecord], folder: Path, *, size: int, seed: int
) -> dict[str, Any]:
    """Write heads to draw from where a model of heads is given none, if the data are enough."""
    typical = typical_heads(records, size=size, seed=seed)
    if typical:
        write_typical_heads(folder / TYPICAL_HEADS, typical)
    else:
        print(
            "note: too few different heads to draw others like them; asked for images without "
            "heads, the model shows heads of the growth standard",
            file=sys.stderr,
        )
    return {"typical_heads": len(typical)}


def _slices_job(recipe: SliceRecipe, *, wanted: Train, device: torch.device) -> Job:
    from fetalsynth.training.slices import ResidentSlices, load_training_volumes

    inputs, perceptual = _perceptual(recipe, wanted.perceptual_weights)
    volumes = load_training_volumes(wanted.data, recipe=recipe, seed=wanted.seed)

    def run(folder: Path, team: Team) -> dict[str, Any]:
        watcher, why = None, ""
        if isinstance(recipe, WatchedSliceRecipe):
            watcher, why = slice_watcher(
                recipe,
                folder=wanted.data,
                training=volumes,
                seed=wanted.seed,
                device=device,
                context=_context(recipe),
            )
            _announce_unwatched(why, recipe=recipe, team=team)
        facts = {}
        for name, planes in recipe.networks().items():
            state = folder / STATE / name
            if (state / DONE).is_file():
                facts[name] = json.loads((state / DONE).read_text())
                continue
            slices = ResidentSlices(
                volumes,
                planes=planes,
                empty_share=recipe.empty_slices,
                seed=wanted.seed,
                device=device,
                context=_context(recipe),
            )
            check_batch(count=slices.count, recipe=recipe, processes=team.size, least=1)
            told = f"training {name} on {slices.count} slices of {len(volumes.images)} volumes"
            _announce(team, told, folder / name)
            with explaining(folder):
                (folder / name).mkdir(exist_ok=True)
            facts[name] = train(
                recipe=recipe,
                data=slices,
                seed=wanted.seed,
                folder=folder / name,
                state=state,
                options=_options(wanted, device=device, team=team, part=name),
                team=team,
                perceptual=None if perceptual is None else perceptual.to(device),
                label=f"{recipe.name} {name}",
                watch=None if watcher is None else watcher.watch(slices, planes=planes),
            )
            if team.leads:
                with explaining(state):
                    state.mkdir(parents=True, exist_ok=True)
                write_text(state / DONE, json.dumps(facts[name], allow_nan=False))
        unwatched = {"watch": {"missing": why}} if why else {}
        together = _together(
            facts, volumes=len(volumes.images), subjects=_subjects(volumes.records)
        )
        return {**together, **unwatched}

    return Job(inputs=(volumes.source, *inputs), run=run)


def _context(recipe: SliceRecipe) -> int:
    settings = recipe.generator
    return settings.context if isinstance(settings, FlowSettings) else 0


def _perceptual(
    recipe: SliceRecipe, path: Path | None
) -> tuple[tuple[Input, ...], torch.nn.Module | None]:
    settings = recipe.generator
    kind = settings.perceptual if isinstance(settings, SPADESettings) else "none"
    if kind == "none":
        if path is not None:
            raise UserError(
                f"--perceptual-weights {path}: recipe {recipe.name} has no perceptual loss; "
                "give --generator.perceptual vgg19 or inception768 too"
            )
        return (), None
    if path is None:
        raise UserError(
            f"recipe {recipe.name} has the perceptual loss {kind}: give --perceptual-weights FILE, "
            "or --generator.perceptual none"
        )
    from fetalsynth.training.perceptual import load_perceptual

    network = load_perceptual(kind, path)
    with explaining(path):
        digest = digest_file(path)
    return (Input(role="perceptual weights", path=str(path), digest=digest),), network


def _options(wanted: Train, *, device: torch.device, team: Team, part: str = "") -> Options:
    events = wanted.tensorboard / part if wanted.tensorboard and team.leads else None
    return Options(
        device=device,
        threads=wanted.threads,
        checkpoint_seconds=wanted.checkpoint_seconds,
        compile=wanted.compile,
        callbacks=(tensorboard(events),) if events else (),
    )


def _announce(team: Team, what: str, folder: Path) -> None:
    if team.leads:
        print(f"{what}; watch {folder / 'previews'}", file=sys.stderr)


def _announce_unwatched(why: str, *, recipe: Recipe | WatchedSliceRecipe, team: Team) -> None:
    if why and recipe.watch.every_epochs != 0 and team.leads:
        print(f"note: nobody watches for copying: {why}", file=sys.stderr)


def _subjects(records: Any) -> int:
    return len({record.subject for record in records})


def _together(facts: dict[str, dict[str, Any]], *, volumes: int, subjects: int) -> dict[str, Any]:
    """Facts of the whole model; those of each network stand under its name."""
    first = next(iter(facts.values()))
    held = [each["peak_memory_mib"] for each in facts.values() if "peak_memory_mib" in each]
    same = ("device", "precision", "processes", "torch", "parameters")
    return {
        **{name: first[name] for name in same},
        **({"peak_memory_mib": max(held)} if held else {}),
        "images": sum(each["images"] for each in facts.values()),
        "images_seen": sum(each["images_seen"] for each in facts.values()),
        "seconds": round(sum(each["seconds"] for each in facts.values()), 1),
        "warnings": [
            {**warning, "network": name}
            for name, each in facts.items()
            for warning in each["warnings"]
        ],
        "volumes": volumes,
        "subjects": subjects,
        "networks": facts,
    }
