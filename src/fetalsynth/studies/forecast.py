"""What a study would take: steps, images to train on, time and disk, from short calibrations."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fetalsynth.artifacts.digest import digest_json
from fetalsynth.studies.data import DataFacts
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.steps import Step
from fetalsynth.training.recipe import Recipe, SliceRecipe

if TYPE_CHECKING:
    from fetalsynth.studies.calibration import Speed


@dataclass(frozen=True, kw_only=True)
class Overheads:
    """What a step costs besides its network, measured on this machine.

    ``loading_seconds`` pass once, before the first step; ``step_seconds`` are what a training or
    generation takes that computes next to nothing; ``assess_seconds`` what one assessment takes;
    ``set_bytes`` and ``scores_bytes`` what a set and its scores take on disk.
    """

    loading_seconds: float
    step_seconds: float
    assess_seconds: float
    set_bytes: int
    scores_bytes: int


@dataclass(frozen=True, kw_only=True)
class StepForecast:
    """Expected cost of one step; ``images`` is what it trains on, generates or assesses."""

    step: Step
    images: int
    seconds: float
    disk_bytes: int


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Of the whole study: ``wall_seconds`` with the steps side by side as the executor would."""

    steps: tuple[StepForecast, ...]
    wall_seconds: float
    scratch_bytes: int

    @property
    def seconds(self) -> float:
        """Of all steps one after the other."""
        return sum(one.seconds for one in self.steps)

    @property
    def disk_bytes(self) -> int:
        """Of the finished study."""
        return sum(one.disk_bytes for one in self.steps)

    def images_to_train_on(self) -> int:
        """Over all trainings, repetitions counted."""
        return sum(one.images for one in self.steps if one.step.kind == "train")


def network_key(recipe: Recipe | SliceRecipe) -> str:
    """Recipes of one key compute the same in a step: network, batch and precision."""
    kept = {"batch_size", "precision"}
    rates = {"generator_learning_rate", "discriminator_learning_rate", "learning_rate"}
    generator = recipe.generator.model_dump(mode="json", exclude=rates)
    return digest_json([generator, recipe.model_dump(mode="json", include=kept)])


def foretell(
    plan: Plan,
    *,
    items: Mapping[str, int],
    speeds: Mapping[str, Speed],
    overheads: Overheads,
    made_per_set: int,
    slots: int,
) -> Forecast:
    """Expected cost of every step of ``plan``.

    ``items`` is how many images or slices an epoch of each training has, ``speeds`` are by
    :func:`network_key`, ``made_per_set`` how many images or slices a set takes to make, ``slots``
    how many steps run at a time.
    """
    steps = []
    served = {step.name: step.needs[0] for step in plan.steps if step.kind == "generate"}
    for step in plan.steps:
        if step.kind == "train":
            recipe = plan.trainings[step.name]
            steps.append(_training(step, recipe, items[step.name], speeds, overheads))
        elif step.kind == "generate":
            speed = speeds[network_key(plan.trainings[served[step.name]])]
            seconds = overheads.step_seconds + made_per_set * speed.sample_seconds
            steps.append(_cost(step, step.images, seconds, overheads.set_bytes))
        else:
            cost = _cost(step, step.images, overheads.assess_seconds, overheads.scores_bytes)
            steps.append(cost)
    states = [2 * speeds[network_key(one)].state_bytes for one in plan.trainings.values()]
    return Forecast(
        steps=tuple(steps),
        wall_seconds=overheads.loading_seconds + wall_seconds(steps, slots=slots),
        scratch_bytes=sum(sorted(states, reverse=True)[:slots]),
    )


def wall_seconds(steps: Sequence[StepForecast], *, slots: int) -> float:
    """How long ``slots`` steps at a time take, the longest ready training always first."""
    cost = {one.step.name: one for one in steps}
    waiting = dict(cost)
    ends: list[tuple[float, str]] = []
    done: set[str] = set()
    now = 0.0

    def rank(one: StepForecast) -> tuple[bool, int]:
        return one.step.kind != "train", -one.images

    while waiting or ends:
        ready = [one for one in waiting.values() if done.issuperset(one.step.needs)]
        for one in sorted(ready, key=rank)[: slots - len(ends)]:
            heapq.heappush(ends, (now + one.seconds, one.step.name))
            del waiting[one.step.name]
        now, name = heapq.heappop(ends)
        done.add(name)
    return now


def measure_all(
    plan: Plan,
    *,
    data: Sequence[DataFacts],
    measure: Callable[[Recipe | SliceRecipe, DataFacts], Speed],
) -> dict[str, Speed]:
    """A speed for each distinct network of ``plan``."""
    speeds: dict[str, Speed] = {}
    for name, recipe in plan.trainings.items():
        key = network_key(recipe)
        if key not in speeds:
            speeds[key] = measure(recipe, data_of(plan, name, data))
    return speeds


def data_of(plan: Plan, name: str, data: Sequence[DataFacts]) -> DataFacts:
    """The data that the training of this name is given."""
    command = next(step.command for step in plan.steps if step.name == name)
    path = Path(command[command.index("--data") + 1])
    return next(one for one in data if one.path == path)


def _training(
    step: Step,
    recipe: Recipe | SliceRecipe,
    items: int,
    speeds: Mapping[str, Speed],
    overheads: Overheads,
) -> StepForecast:
    speed = speeds[network_key(recipe)]
    networks = len(recipe.networks()) if isinstance(recipe, SliceRecipe) else 1
    copies = 2 if recipe.average_half_life_images else 1
    images = items * recipe.epochs
    return _cost(
        step,
        images,
        overheads.step_seconds + images * speed.train_seconds,
        speed.weight_bytes * copies * networks * len(recipe.kept_epochs()),
    )


def _cost(step: Step, images: int, seconds: float, disk_bytes: int) -> StepForecast:
    return StepForecast(step=step, images=images, seconds=seconds, disk_bytes=disk_bytes)
