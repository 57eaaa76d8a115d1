"""The model card: what the weights are, what they came from, what they are not for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fetalsynth.artifacts.manifest import NOT_FOR_CLINICAL_USE, Input
from fetalsynth.artifacts.model import epochs_run
from fetalsynth.generators.settings import FlowSettings, SPADESettings
from fetalsynth.training.recipe import Run, SliceRecipe


def model_card(
    *,
    recipe: Run,
    facts: dict[str, Any],
    source: Input,
    packed: Sequence[str] = (),
    assessment: Sequence[str] = (),
) -> str:
    """Markdown text for the model's folder; ``facts`` are those of the finished run.

    ``packed`` are points about what was done to the weights since, ``assessment`` a section about
    their images, where there are any.
    """
    counts = ", ".join(f"{name} {n:,}" for name, n in facts["parameters"].items())
    kind = "slices" if isinstance(recipe, SliceRecipe) else "images"
    lines = [
        f"# {recipe.name}",
        "",
        f"**{NOT_FOR_CLINICAL_USE}** Synthetic images may look real and be anatomically wrong.",
        "",
        recipe.description,
        "",
        "## Training",
        "",
        f"- {facts['images']} {kind} of {facts['subjects']} subjects, {recipe.generator.size} × "
        f"{recipe.generator.size} pixels, {_epochs(recipe, facts)}, {facts['images_seen']:,} "
        f"{kind} seen in {facts['seconds'] / 60:.1f} minutes on {facts['device']} "
        f"({facts['precision']})",
        f"- parameters: {counts}",
        *_of_slices(recipe),
        *_sampling(recipe),
        *_typical_heads(facts),
        f"- data: {source.path} (SHA-256 {source.digest[:16]}…)",
        *_warnings(facts),
        *packed,
        *_watched(recipe, facts),
        "",
        *assessment,
        "## Sources and licences",
        "",
        *_licences(source),
        "",
        "## Before you use it",
        "",
        "- The generator saw few subjects and can reproduce them: run `fetalsynth assess` with "
        "`--train` and read its copying screen before sharing samples.",
        "- Samples carry the habits of their source: scanner, gestational ages, overlays.",
        "- Quality was judged above for some images on some data; judge it on your own."
        if assessment
        else "- Quality was not judged by this card; the assessment report of a sample does that.",
        "",
    ]
    return "\n".join(lines)


def _epochs(recipe: Run, facts: dict[str, Any]) -> str:
    planned = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    ran = sorted(set(epochs_run(facts, planned=recipe.epochs)))
    if ran == [recipe.epochs]:
        return planned
    return f"{' to '.join(map(str, ran))} of {planned}"


def _watched(recipe: Run, facts: dict[str, Any]) -> list[str]:
    """How copying was watched, which snapshot to take, and why training stopped."""
    networks = facts.get("networks", {})
    if recipe.generator.family == "unet":
        return []
    if "watch" in facts or not networks:
        return _watched_network(facts)
    return [
        line.replace("- ", f"- {name}: " if len(networks) > 1 else "- ", 1)
        for name, each in networks.items()
        for line in _watched_network(each)
    ]


def _watched_network(facts: dict[str, Any]) -> list[str]:
    watch, lines = facts.get("watch"), []
    if watch is None:
        return ["- copying was not watched while it trained; its last snapshot is taken"]
    if "missing" in watch:
        return [f"- nobody watched for copying: {watch['missing']}"]
    every = watch["every_epochs"]
    looks = "1 look" if watch["looks"] == 1 else f"{watch['looks']} looks"
    interval = "epoch" if every == 1 else f"{every} epochs"
    lines.append(
        f"- copying watched at {looks}, every {interval}: "
        f"{watch['samples']} samples {watch['sampled']} and {_compared_with(watch)}, by their "
        f"distance to the nearest training image (watch.jsonl; "
        f"{watch['seconds'] / max(facts['seconds'], 0.1):.1%} of the time)"
    )
    if "stopped" in facts:
        lines.append(
            f"- stopped after epoch {facts['stopped']['epoch']}, because "
            f"{facts['stopped']['reason']}"
        )
    chosen = facts["chosen"]
    which = (
        "no snapshot chosen, and the last is taken"
        if chosen["epoch"] is None
        else f"chosen snapshot: epoch {chosen['epoch']}"
    )
    return [*lines, f"- {which}, because {chosen['reason']}"]


def _compared_with(watch: dict[str, Any]) -> str:
    patients = watch["held_out_patients"]
    held_out = f"{patients} held-out patient{'' if patients == 1 else 's'}"
    images = watch.get("held_out_images", patients)
    return held_out if images == patients else f"{images} slices of {held_out}"


def _warnings(facts: dict[str, Any]) -> list[str]:
    several = len(facts.get("networks", ())) > 1
    return [
        f"- {w['network'] + ': ' if several else ''}warning at image {w['images_seen']:,}: "
        f"{w['warning']}"
        for w in facts["warnings"]
    ]


def _of_slices(recipe: Run) -> list[str]:
    """What a reader of synthetic volumes has to know of the networks behind them."""
    if not isinstance(recipe, SliceRecipe):
        return []
    planes = ", ".join(recipe.planes)
    networks = "one network for all planes" if recipe.one_network else "one network per plane"
    spacing = "each volume's own" if recipe.spacing_mm is None else f"{recipe.spacing_mm:g} mm"
    lines = [f"- planes: {planes}, {networks}; voxels: {spacing}"]
    settings = recipe.generator
    if isinstance(settings, SPADESettings):
        lines.append(f"- perceptual loss: {settings.perceptual}")
        lines.append(
            f"- normalisation: {settings.normalisation}, {recipe.batch_size} slices per update"
        )
    return lines


def _sampling(recipe: Run) -> list[str]:
    """How a flow makes images unless it is told otherwise."""
    settings = recipe.generator
    if not isinstance(settings, FlowSettings):
        return []
    steps = "1 step" if settings.steps == 1 else f"{settings.steps} steps"
    guided = f", guidance {settings.guidance:g}" if settings.guidance != 1 else ""
    return [f"- images come from noise in {steps}, sampler {settings.sampler}{guided}"]


def _typical_heads(facts: dict[str, Any]) -> list[str]:
    """What a model of heads shows where it is given none."""
    if not facts.get("typical_heads"):
        return []
    return [
        f"- heads.csv: {facts['typical_heads']} heads drawn from the law of those trained on, none "
        "a patient's; images asked for without heads show others like them"
    ]


def _licences(source: Input) -> list[str]:
    known = source.manifest.licences if source.manifest else ()
    if not known:
        return ["- Not known: the data came without a licence line."]
    return [
        f"- {item.source}: {item.licence}. {item.citation} {item.url}".rstrip() for item in known
    ]
