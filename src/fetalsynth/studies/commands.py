"""The command lines of a study's steps, and their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.studies.cells import Cell
from fetalsynth.studies.data import DataFacts
from fetalsynth.studies.recipe import Assessment, Generation
from fetalsynth.studies.steps import RUNS, Step, address, option
from fetalsynth.training.recipe import Recipe, SliceRecipe, load_recipe

if TYPE_CHECKING:
    from fetalsynth.studies.plan import Means

CACHE = Path("state") / "cache"  # features; dropped with all that only resuming needs


def train_step(
    *,
    base: str,
    recipe: Recipe | SliceRecipe,
    trained: Mapping[str, Any],
    seed: int,
    data: DataFacts,
    stem: str,
    means: Means,
) -> Step:
    """Training of ``recipe``, given on the command line as what differs from ``base``.

    ``trained`` is what the training computes; with the epochs that are kept it is its address.
    """
    weights = means.perceptual_weights if _needs_perceptual(recipe) else None
    name = address(
        stem,
        what={
            "kind": "train",
            "trained": dict(trained),
            "kept": recipe.kept_epochs(),
            "seed": seed,
            "data": data.source.digest,
            "perceptual": None if weights is None else weights.digest,
        },
    )
    out = Path(RUNS) / name
    command = ["train", base, "--data", str(data.path), "--out", str(out), "--seed", str(seed)]
    command += changed_settings(base, recipe)
    if weights is not None:
        command += ["--perceptual-weights", weights.path]
    if means.device is not None:
        command += ["--device", means.device]
    return Step(
        name=name,
        kind="train",
        command=tuple(command),
        out=out,
        threads=means.threads,
        gpus=means.gpus,
        images=_images_seen(recipe, data),
    )


def changed_settings(base: str, recipe: Recipe | SliceRecipe) -> list[str]:
    """Options for what ``recipe`` has other than ``base``."""
    before = flat(load_recipe(base).model_dump())
    after = flat(recipe.model_dump(exclude={"name", "description"}))
    options = []
    for name, value in after.items():
        if before.get(name) != value:
            options += option(name, value)
    return options


def generate_step(cell: Cell, wanted: Generation, *, train: Step, means: Means) -> Step:
    """The set of a cell: images, or volumes for the label maps of the data, by every fusion."""
    of_volumes = isinstance(cell.training, SliceRecipe)
    name = address(
        train.name.replace("train-", f"made-epoch-{cell.training.epochs}-", 1).rsplit("-", 1)[0],
        what={
            "kind": "generate",
            "train": train.name,
            "epoch": cell.training.epochs,
            "wanted": wanted.model_dump(mode="json"),
            "data": cell.data.source.digest if of_volumes else None,
        },
    )
    out = Path(RUNS) / name
    command = ["generate", str(train.out), "--out", str(out), "--seed", str(cell.seed)]
    command += ["--epoch", str(cell.training.epochs)]
    if wanted.weights is not None:
        command += ["--weights", wanted.weights]
    if of_volumes:
        command += ["--labels", str(cell.data.path), *option("fusion", wanted.fusion)]
        if wanted.labels_split is not None and cell.data.counts.get(wanted.labels_split):
            command += ["--split", wanted.labels_split]
    else:
        command += ["--n", str(wanted.n)]
    if means.device is not None:
        command += ["--device", means.device]
    return Step(
        name=name,
        kind="generate",
        command=tuple(command),
        out=out,
        parts=_parts(wanted) if of_volumes else (),
        needs=(train.name,),
        threads=means.threads,
        gpus=means.gpus,
        images=wanted.n or 0,
    )


def assess_step(
    cell: Cell, wanted: Assessment, *, made: Step, judge: Step | None, means: Means
) -> Step:
    """Scores of a cell's set against the real one."""
    of_volumes = isinstance(cell.training, SliceRecipe)
    weights = None if of_volumes else means.inception_weights
    name = address(
        made.name.replace("made-", "scores-", 1).rsplit("-", 1)[0],
        what={
            "kind": "assess",
            "made": made.name,
            "wanted": wanted.model_dump(mode="json", exclude={"judge"}),
            "judge": None if judge is None else judge.name,
            "data": cell.data.source.digest,
            "inception": None if weights is None else weights.digest,
        },
    )
    out = Path(RUNS) / name
    command = ["assess", "--real", str(cell.data.path), "--synthetic", str(made.out)]
    command += ["--out", str(out), "--seed", "0", "--profile", wanted.profile]
    if of_volumes:
        command += ["--paired"]
        command += [] if judge is None else ["--segmenter", str(judge.out)]
    else:
        command += ["--cache", str(CACHE), *option("pairing", wanted.pairing)]
        command += ["--exclude-outside-fan"] if wanted.exclude_outside_fan else []
    if weights is not None:
        command += ["--inception-weights", weights.path]
    return Step(
        name=name,
        kind="assess",
        command=tuple(command),
        out=out,
        needs=(made.name,) if judge is None else (made.name, judge.name),
        threads=means.threads,
        images=made.images,
    )


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by names with dots."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _parts(wanted: Generation) -> tuple[str, ...]:
    """Names of the folders that several fusions make; ``outliers:2`` makes ``outliers-2``."""
    from fetalsynth.synthesis.fusion import parse_rule

    rules = dict.fromkeys(parse_rule(rule).name for rule in wanted.fusion)
    return tuple(rules) if len(rules) > 1 else ()


def _needs_perceptual(recipe: Recipe | SliceRecipe) -> bool:
    return getattr(recipe.generator, "perceptual", "none") != "none"


def _images_seen(recipe: Recipe | SliceRecipe, data: DataFacts) -> int:
    """Images times epochs; 0 for slices, whose number only the volumes tell."""
    if isinstance(recipe, SliceRecipe):
        return 0
    return recipe.epochs * (recipe.images or data.to_train_on(recipe.split))
