"""``fetalsynth train``: a recipe and a set of images or volumes → a model."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from pydantic import BaseModel

from fetalsynth.errors import UserError
from fetalsynth.training.recipe import Run, load_recipe, parse_recipe, recipe_names

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Input

_UNPREFIXED = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Train:
    """Where to train, and how fast; what to train is the recipe's."""

    data: Path
    """A folder that `fetalsynth data …` made, or any folder of equally large images."""
    out: Path
    """New folder for the model. The same command again goes on after an interruption."""
    seed: int = 0
    """Seed of the initial weights, the order, the augmentation and the latents."""
    device: str = "auto"
    """auto, cpu or cuda. Several GPUs: torchrun --nproc-per-node N -m fetalsynth train …"""
    threads: int | None = None
    """CPU threads; the free cores if not given."""
    compile: bool = False
    """Compile the networks (worth it for long runs on a GPU)."""
    checkpoint_seconds: float = 120.0
    """Save the resume state this often."""
    perceptual_weights: Path | None = None
    """File of weights, for recipes with a perceptual loss."""
    tensorboard: Path | None = None
    """Write TensorBoard events to this folder as well."""


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0].startswith("-"):
        raise UserError("name the recipe first: fetalsynth train RECIPE --data DIR --out DIR")
    wanted, recipe = parse(arguments)
    train(wanted, recipe)
    return 0


def parse(arguments: list[str]) -> tuple[Train, Run]:
    """Recipe by name or path, then any of its settings as ``--setting value``."""
    base = load_recipe(arguments[0])
    settings = _unchecked(base)
    flat: list[Any] = [
        ("run", Annotated[Train, _UNPREFIXED]),
        ("recipe", Annotated[type(settings), _UNPREFIXED]),
    ]
    parsed: Any = tyro.cli(
        make_dataclass("Arguments", flat),
        args=arguments[1:],
        prog=f"fetalsynth train {arguments[0]}",
        description=base.description,
    )
    wanted = _with_decay(asdict(parsed.recipe), base=base, arguments=arguments)
    recipe = parse_recipe(wanted, where="command line")
    return parsed.run, _telling(recipe, base)


def _with_decay(recipe: dict[str, Any], *, base: Run, arguments: list[str]) -> dict[str, Any]:
    """With the same share of its epochs decaying as in ``base``, where only epochs are given."""
    told = any(word.replace("_", "-").startswith("--decay-epochs") for word in arguments)
    if told or recipe["epochs"] == base.epochs:
        return recipe
    share = base.decay_epochs / base.epochs
    return {**recipe, "decay_epochs": max(0, round(share * recipe["epochs"]))}


def _unchecked(model: BaseModel) -> Any:
    """The settings as a plain dataclass: tyro reads them, the recipe's own checks judge them."""
    fields: list[Any] = []
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            nested = _unchecked(value)
            fields.append((name, type(nested), field(default_factory=type(nested))))
        else:
            kind = Annotated[info.annotation, tyro.conf.arg(help=info.description)]  # type: ignore[name-defined]
            fields.append((name, kind, field(default=value)))
    return make_dataclass(type(model).__name__, fields)()


def _telling(recipe: Run, base: Run) -> Run:
    """``recipe`` with a description that says what was changed on the command line."""
    before, after = _flat(base.model_dump()), _flat(recipe.model_dump())
    told = ("name", "description")
    changed = [f"{k} {v}" for k, v in after.items() if v != before[k] and k not in told]
    if not changed or recipe.description != base.description:
        return recipe
    said = f"{base.description} Changed here: {', '.join(changed)}.".strip()
    return recipe.model_copy(update={"description": said})


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _overview() -> str:
    recipes = [f"  {name:<18}{load_recipe(name).description}" for name in recipe_names()]
    return "\n".join(
        [
            "usage: fetalsynth train RECIPE --data DIR --out DIR [--seed S] [--setting value …]",
            "",
            "Recipes (or the path of your own .yaml):",
            *recipes,
            "",
            "fetalsynth train RECIPE --help lists every setting with its value in that recipe.",
        ]
    )


def train(wanted: Train, recipe: Run) -> None:
    """Train, or go on training, or say that it is done."""
    from fetalsynth.artifacts.building import building, is_done, partial_path
    from fetalsynth.artifacts.manifest import draft
    from fetalsynth.cli.training_jobs import job_for
    from fetalsynth.training.device import choose_device
    from fetalsynth.training.distributed import team

    _check_places(wanted)
    device = choose_device(wanted.device)
    job = job_for(recipe, wanted=wanted, device=device)
    manifest = draft(
        kind="model",
        configuration={"recipe": recipe.model_dump(mode="json")},
        seed=wanted.seed,
        inputs=job.inputs,
        synthetic=True,
    )
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return
    with team(device) as members:
        claim = (
            building(wanted.out, manifest, resumable=True)
            if members.leads
            else nullcontext(partial_path(wanted.out))
        )
        with claim as folder:
            members.wait()
            facts = job.run(folder, members)
            if members.leads:
                _finish(folder, facts, recipe=recipe, source=job.inputs[0])
        if members.leads:
            print(f"model in {wanted.out} (look at its previews)")


def _finish(folder: Path, facts: dict[str, Any], *, recipe: Run, source: Input) -> None:
    from fetalsynth.artifacts.building import record_facts
    from fetalsynth.artifacts.files import write_text
    from fetalsynth.artifacts.model import CARD
    from fetalsynth.training.card import model_card

    record_facts(folder, facts)
    write_text(folder / CARD, model_card(recipe=recipe, facts=facts, source=source))


def _check_places(wanted: Train) -> None:
    """Raise UserError where one folder would grow inside another, or for an impossible number."""
    out = wanted.out.resolve()
    if out.is_relative_to(wanted.data.resolve()):
        raise UserError(f"{wanted.out}: lies inside the folder of images; choose another --out")
    if wanted.tensorboard and wanted.tensorboard.resolve().is_relative_to(out):
        raise UserError(f"--tensorboard {wanted.tensorboard}: lies inside --out; choose another")
    if wanted.threads is not None and wanted.threads < 1:
        raise UserError(f"--threads {wanted.threads}: must be 1 or more")
