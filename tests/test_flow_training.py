"""Flow matching in the training loop: resumed bit by bit, with its conditions; rates that rise."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from fetalsynth.artifacts.building import STATE
from fetalsynth.artifacts.model import read_statistics, read_weights, snapshot_path
from fetalsynth.cli.train import parse
from fetalsynth.errors import UserError
from fetalsynth.generators.head_conditions import HeadConditions, head_conditions
from fetalsynth.training.data import ResidentImages
from fetalsynth.training.distributed import Team
from fetalsynth.training.loop import Options, train
from fetalsynth.training.recipe import Recipe, load_recipe, recipe_names

GENERATOR = {"family": "flow", "size": 16, "widths": [16, 32], "dropout": 0.1, "steps": 2}


def recipe(**settings: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "generator": {**GENERATOR, "condition": "head", "labels": 3},
            "augmentation": {"zoom": 0.1, "shift": 0.1, "share": 0.5},
            "epochs": 4,
            "decay_epochs": 2,
            "warmup_images": 32,
            "batch_size": 8,
            "log_every_images": 16,
            "previews": 1,
            **settings,
        }
    )


def heads(count: int) -> HeadConditions:
    shares = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return head_conditions(shares / shares.sum(1, keepdim=True), torch.linspace(18, 35, count))


def run(folder: Path, wanted: Recipe, **options: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (24, 16, 16, 1), generator=rng, dtype=torch.uint8)
    return train(
        recipe=wanted,
        data=ResidentImages(pixels.numpy(), device=torch.device("cpu"), heads=heads(24)),
        seed=3,
        folder=folder,
        state=folder / STATE,
        options=Options(threads=1, **options),
        team=Team(),
    )


class Stop:
    """Ctrl-C at the n-th log step."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, row: dict[str, float]) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumed_run_is_bitwise_the_uninterrupted_one(tmp_path: Path, precision: str) -> None:
    wanted = recipe(precision=precision)
    facts = run(tmp_path / "whole", wanted)
    assert facts["images_seen"] == 96
    for stops in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", wanted, callbacks=(Stop(stops),))
    run(tmp_path / "parts", wanted)
    for averaged in (False, True):
        whole, parts = (
            read_weights(snapshot_path(tmp_path / name, epoch=4, averaged=averaged))
            for name in ("whole", "parts")
        )
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[name], parts[name]) for name in whole)
    losses = [
        [row["loss"] for row in read_statistics(tmp_path / name / "stats.jsonl")]
        for name in ("whole", "parts")
    ]
    assert losses[0] == losses[1]


def test_rates_rise_then_fall() -> None:
    wanted = recipe(epochs=10, decay_epochs=5, warmup_images=80, batch_size=8)
    risen = [wanted.rate_factor(0, images_seen=seen) for seen in (0, 32, 72, 800)]
    assert risen == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert [wanted.rate_factor(k, images_seen=800) for k in (4, 6, 9)] == pytest.approx(
        [1, 0.8, 0.2]
    )


def test_every_shipped_recipe_of_the_family_is_whole() -> None:
    names = [name for name in recipe_names() if name.startswith("flow")]
    assert len(names) >= 9
    for name in names:
        shipped = load_recipe(name)
        assert shipped.name == name
        assert shipped.generator.family == "flow"
        assert str(shipped.generator.size) in name
        assert (shipped.generator.condition == "head") == name.endswith("-heads")
        assert shipped.decay_epochs == shipped.epochs / 2


@pytest.mark.parametrize(
    ("words", "epochs", "decay"),
    [
        (["--epochs", "10"], 10, 5),
        (["--epochs", "1"], 1, 0),
        (["--epochs", "600"], 600, 300),
        (["--epochs", "200", "--decay-epochs", "150"], 200, 150),
        (["--epochs=200", "--decay-epochs=20"], 200, 20),
        ([], 300, 150),
    ],
)
def test_the_share_of_epochs_that_decay_stays_where_only_epochs_are_given(
    words: list[str], epochs: int, decay: int
) -> None:
    _, wanted = parse(["flow64", "--data", "data", "--out", "model", *words])
    assert (wanted.epochs, wanted.decay_epochs) == (epochs, decay)


def test_more_decay_than_epochs_is_explained() -> None:
    with pytest.raises(UserError, match="give from 0 to 5, not 6"):
        parse(["flow64", "--data", "d", "--out", "m", "--epochs", "5", "--decay-epochs", "6"])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (["--generator.image-sd", "inf"], "image_sd"),
        (["--generator.condition", "labels"], "is no setting of this kind of recipe"),
        (["--generator.guidance", "2"], "guidance follows a condition"),
        (["--generator.guidance", "1e38"], "guidance"),
    ],
)
def test_impossible_settings_are_refused(setting: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse(["flow64", "--data", "data", "--out", "model", *setting])


def test_guidance_needs_a_network_that_learned_to_do_without() -> None:
    words = ["--generator.condition-dropout", "0", "--generator.guidance", "3"]
    with pytest.raises(UserError, match="condition_dropout 0"):
        parse(["flow64-heads", "--data", "data", "--out", "model", *words])
