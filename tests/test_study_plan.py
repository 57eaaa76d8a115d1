"""Plans of studies: what is trained, what is shared, what a changed setting changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft
from fetalsynth.artifacts.volumes import VolumesWriter
from fetalsynth.cli.main import main
from fetalsynth.cli.train import parse
from fetalsynth.errors import UserError
from fetalsynth.studies.calibration import Speed
from fetalsynth.studies.cells import cells_of
from fetalsynth.studies.data import DataFacts, data_facts
from fetalsynth.studies.forecast import Overheads, foretell, network_key
from fetalsynth.studies.plan import Plan, make_plan, read_plan, write_plan
from fetalsynth.studies.recipe import StudyRecipe, load_study, parse_study, study_names
from fetalsynth.training.data import load_training_images
from fetalsynth.training.recipe import Recipe, SliceRecipe

SMALL: dict[str, Any] = {
    "name": "small",
    "modality": "ultrasound",
    "arms": [
        {
            "name": "size",
            "recipe": "dcgan64",
            "settings": {"generator.size": 32, "generator.generator_width": 8, "batch_size": 8},
            "grid": {"images": [8, 16], "epochs": [1, 3]},
            "seeds": [0, 1],
        }
    ],
    "generate": {"n": 16, "weights": "raw"},
}


def make_images(
    folder: Path, *, count: int, size: int = 64, held_out: int = 0, per_subject: int = 1
) -> DataFacts:
    manifest = draft(kind="images", configuration={"count": count, "size": size}, synthetic=True)
    rng = np.random.default_rng(0)
    with building(folder, manifest) as growing:
        writer = ImagesWriter(growing)
        for k in range(count):
            writer.add(
                rng.integers(0, 256, (size, size), dtype=np.uint8),
                name=f"{k:04d}",
                subject=f"s{k // per_subject}",
                split="test" if k < held_out else "train" if held_out else "",
            )
        writer.close()
    return data_facts(folder)


@pytest.fixture(scope="module")
def hc18_like(tmp_path_factory: pytest.TempPathFactory) -> DataFacts:
    """999 images of 64 pixels, none held out, as the study had them."""
    return make_images(tmp_path_factory.mktemp("data") / "all", count=999)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> DataFacts:
    """24 images of 32 pixels, 4 of them held out."""
    return make_images(tmp_path_factory.mktemp("data") / "few", count=24, size=32, held_out=4)


def small(change: Callable[[dict[str, Any]], None] | None = None) -> StudyRecipe:
    import copy

    raw = copy.deepcopy(SMALL)
    if change is not None:
        change(raw)
    return parse_study(raw, where="test")


def names(plan: Plan, kind: str) -> set[str]:
    return {step.name for step in plan.of_kind(kind)}


def only_arm(name: str, arm: str) -> StudyRecipe:
    study = load_study(name)
    raw = study.model_dump()
    raw["arms"] = [one for one in raw["arms"] if one["name"] == arm]
    raw["analysis"] = raw["figures"] = []
    return parse_study(raw, where=name)


def test_five_trainings_serve_the_twenty_sets_of_the_ultrasound_study(
    hc18_like: DataFacts,
) -> None:
    plan = make_plan(only_arm("ultrasound-2022", "images-by-epochs"), data=[hc18_like])
    assert len(plan.of_kind("train")) == 5
    assert len(plan.of_kind("generate")) == len(plan.of_kind("assess")) == 20
    cells = {(cell.factors["images"], cell.factors["epochs"]) for cell in plan.cells}
    assert cells == {(n, e) for n in (100, 300, 500, 800, 999) for e in (300, 500, 800, 1000)}
    trained = {plan.trainings[step.name] for step in plan.of_kind("train")}
    assert {(one.epochs, one.snapshots) for one in trained} == {(1000, (300, 500, 800, 1000))}
    assert sum(step.images for step in plan.of_kind("train")) == 1000 * (
        100 + 300 + 500 + 800 + 999
    )
    for step in plan.of_kind("generate"):
        assert step.command[step.command.index("--n") + 1] == "800"


def test_arms_share_the_cells_they_have_in_common(hc18_like: DataFacts) -> None:
    plan = make_plan(load_study("ultrasound-2022"), data=[hc18_like])
    # the learning rate arm adds three of its four, the resolution arm has only 64 pixels here
    assert len(plan.of_kind("train")) == 5 + 3
    assert len(plan.of_kind("generate")) == 20 + 3
    assert sum("left out" in note for note in plan.notes) == 2
    assert len(plan.cells) == 20 + 4 + 1


def test_a_reason_that_all_cells_share_is_told_once(hc18_like: DataFacts) -> None:
    with pytest.raises(UserError, match=r"nothing to run: no --data of 32×32") as raised:
        make_plan(load_study("ultrasound-2022-mini"), data=[hc18_like])
    assert str(raised.value).count("no --data of") == 1


def test_resolutions_take_the_data_of_their_size(hc18_like: DataFacts, tmp_path: Path) -> None:
    larger = make_images(tmp_path / "larger", count=999, size=128)
    study = only_arm("ultrasound-2022", "resolution")
    plan = make_plan(study, data=[hc18_like, larger])
    used = {step.command[step.command.index("--data") + 1] for step in plan.of_kind("train")}
    assert used == {str(hc18_like.path), str(larger.path)}
    recipes = {plan.trainings[step.name].generator.size for step in plan.of_kind("train")}
    assert recipes == {64, 128}


def test_generators_are_compared_at_the_sizes_that_are_there(
    hc18_like: DataFacts, tmp_path: Path
) -> None:
    larger = make_images(tmp_path / "larger", count=30, size=128)
    alone = make_plan(load_study("generators"), data=[hc18_like])
    both = make_plan(load_study("generators"), data=[hc18_like, larger])
    families = ["dcgan", "flow", "flow"]
    for plan, sizes in ((alone, [64]), (both, [64, 128])):
        trained = [plan.trainings[step.name].generator for step in plan.of_kind("train")]
        made = sorted((one.size, families.index(one.family)) for one in trained)
        assert made == sorted((size, families.index(f)) for size in sizes for f in families)
        conditions = {one.condition for one in trained if one.family == "flow"}
        assert conditions == {"none", "head"}


def test_decaying_rates_are_trainings_of_their_own_and_constant_ones_snapshots(
    tmp_path: Path,
) -> None:
    data = make_volumes(tmp_path / "volumes")
    plan = make_plan(only_arm("mri-2022", "epochs"), data=[data])
    kept = sorted(
        (one.epochs, one.decay_epochs, one.snapshots)
        for name, one in plan.trainings.items()
        if name in {cell.train for cell in plan.cells}
    )
    assert kept == [(50, 25, (50,)), (100, 0, (50, 100))]
    assert len(plan.cells) == 3


def test_the_mri_study_trains_on_all_and_on_each_reconstruction(tmp_path: Path) -> None:
    data = make_volumes(tmp_path / "volumes", reconstructions=("irtk", "mial"))
    plan = make_plan(load_study("mri-2022"), data=[data])
    recipes = (plan.trainings[cell.train] for cell in plan.cells)
    used = {one.reconstruction for one in recipes if isinstance(one, SliceRecipe)}
    assert used == {None, "irtk", "mial"}
    # two of epochs; four other rates; two reconstructions; one judge
    assert len(plan.of_kind("train")) == 2 + 4 + 2 + 1
    judge = next(name for name in plan.trainings if name.startswith("train-judge"))
    assert all(judge in step.needs for step in plan.of_kind("assess"))
    assert all(len(step.parts) == 7 for step in plan.of_kind("generate"))


def make_volumes(folder: Path, *, reconstructions: tuple[str, ...] = ("",)) -> DataFacts:
    manifest = draft(kind="volumes", configuration={"n": len(reconstructions)}, synthetic=True)
    voxels = np.ones((8, 8, 8), np.uint8)
    with building(folder, manifest) as growing:
        writer = VolumesWriter(growing, label_names=("background", "brain"))
        for k in range(4):
            for method in reconstructions:
                writer.add(
                    subject=f"{k}",
                    image=voxels.astype(np.int16),
                    labels=voxels,
                    affine=np.eye(4),
                    reconstruction=method,
                    split="test" if k == 0 else "train",
                )
        writer.close()
    return data_facts(folder)


def test_every_shipped_study_is_valid_and_has_a_small_form() -> None:
    assert {f"{name}-mini" for name in ("ultrasound-2022", "mri-2022")} <= set(study_names())
    for name in study_names():
        study = load_study(name)
        assert study.name == name
        seeds = {arm.seeds for arm in study.arms}
        assert seeds == ({(0, 1, 2)} if name.endswith("-mini") else {(0,)})


def test_a_setting_changes_only_what_depends_on_it(few: DataFacts) -> None:
    base = make_plan(small(), data=[few])

    def n(raw: dict[str, Any]) -> None:
        raw["generate"]["n"] = 24

    other_n = make_plan(small(n), data=[few])
    assert names(other_n, "train") == names(base, "train")
    assert not names(other_n, "generate") & names(base, "generate")
    assert not names(other_n, "assess") & names(base, "assess")

    def pairing(raw: dict[str, Any]) -> None:
        raw["assess"] = {"pairing": "nearest"}

    other_pairing = make_plan(small(pairing), data=[few])
    assert names(other_pairing, "generate") == names(base, "generate")
    assert not names(other_pairing, "assess") & names(base, "assess")

    def seed(raw: dict[str, Any]) -> None:
        raw["arms"][0]["seeds"] = [0, 1, 2]

    more = make_plan(small(seed), data=[few])
    assert {s.name for s in base.steps} < {s.name for s in more.steps}
    assert len(more.of_kind("train")) == 6

    def told(raw: dict[str, Any]) -> None:
        raw["description"] = "In other words."
        raw["arms"][0]["name"] = "renamed"

    assert {s.name for s in make_plan(small(told), data=[few]).steps} == {
        s.name for s in base.steps
    }


def test_one_value_of_a_grid_changes_only_its_own_trainings(few: DataFacts) -> None:
    def larger(raw: dict[str, Any]) -> None:
        raw["arms"][0]["grid"]["images"] = [8, 17]

    base, other = make_plan(small(), data=[few]), make_plan(small(larger), data=[few])
    assert len(names(base, "train") & names(other, "train")) == 2  # those of 8 images, two seeds
    assert len(names(base, "assess") & names(other, "assess")) == 4


def test_other_data_change_every_step(few: DataFacts, tmp_path: Path) -> None:
    other = make_images(tmp_path / "other", count=25, size=32, held_out=4)
    before = {step.name for step in make_plan(small(), data=[few]).steps}
    after = {step.name for step in make_plan(small(), data=[other]).steps}
    assert not before & after


def test_commands_say_the_very_recipe_that_the_plan_holds(few: DataFacts) -> None:
    plan = make_plan(small(), data=[few])
    for step in plan.of_kind("train"):
        _, recipe = parse(list(step.command[1:]))
        resolved = plan.trainings[step.name]
        told = {"description"}
        assert recipe.model_dump(exclude=told) == resolved.model_dump(exclude=told)


def test_trainings_of_a_study_are_not_watched_so_that_epochs_mean_what_they_meant(
    few: DataFacts,
) -> None:
    def often(raw: dict[str, Any]) -> None:
        raw["arms"][0]["settings"]["watch.every_epochs"] = 1

    plan, watched = make_plan(small(), data=[few]), make_plan(small(often), data=[few])
    assert [step.name for step in plan.steps] == [step.name for step in watched.steps]
    for one in (plan, watched):
        recipes = [r for r in one.trainings.values() if isinstance(r, Recipe)]
        assert len(recipes) == 4
        assert {recipe.watch.every_epochs for recipe in recipes} == {0}
    commands = [step.command for step in plan.of_kind("train")]
    assert all("--watch.every-epochs" in command for command in commands)


def test_more_images_than_there_are_become_all_of_them_once(few: DataFacts) -> None:
    def too_many(raw: dict[str, Any]) -> None:
        raw["arms"][0]["grid"]["images"] = [8, 100, 999]

    plan = make_plan(small(too_many), data=[few])
    assert {cell.factors["images"] for cell in plan.cells} == {8, 20}
    assert len(plan.of_kind("train")) == 2 * 2
    said = [note for note in plan.notes if "are not there" in note]
    assert len(said) == 2
    assert "20 to train on" in said[0]


def test_smaller_subsets_lie_within_larger_ones_by_subject(tmp_path: Path) -> None:
    data = make_images(tmp_path / "frames", count=60, size=32, held_out=12, per_subject=3)

    def sizes(raw: dict[str, Any]) -> None:
        raw["arms"][0]["grid"]["images"] = [9, 18, 30]

    plan = make_plan(small(sizes), data=[data])
    for seed in (0, 1):
        chosen: dict[int, set[str]] = {}
        for cell in plan.cells:
            recipe = plan.trainings[cell.train]
            assert isinstance(recipe, Recipe)
            if cell.seed == seed:
                taken = load_training_images(data.path, recipe=recipe, seed=seed).records
                chosen[len(taken)] = {record.file for record in taken}
                assert len({record.subject for record in taken}) == len(taken) / 3
                assert {record.split for record in taken} == {"train"}
        assert chosen[9] < chosen[18] < chosen[30]


def test_zip_goes_together_and_grid_multiplies(few: DataFacts) -> None:
    def rates(raw: dict[str, Any]) -> None:
        raw["arms"][0]["zip"] = {
            "generator.generator_learning_rate": ["1e-4", 2e-3],
            "generator.discriminator_learning_rate": [1e-4, 2e-4],
        }

    cells = cells_of(small(rates).arms, data=[few]).cells
    assert len(cells) == 2 * 2 * 2 * 2
    generator, discriminator = (
        f"generator.{who}_learning_rate" for who in ("generator", "discriminator")
    )
    pairs = {(cell.factors[generator], cell.factors[discriminator]) for cell in cells}
    assert pairs == {(1e-4, 1e-4), (2e-3, 2e-4)}


def test_expected_costs_add_up(few: DataFacts) -> None:
    plan = make_plan(small(), data=[few])
    speed = Speed(train_seconds=0.5, sample_seconds=0.25, weight_bytes=100, state_bytes=1000)
    forecast = foretell(
        plan,
        items={step.name: step.images // 3 for step in plan.of_kind("train")},
        speeds={network_key(one): speed for one in plan.trainings.values()},
        overheads=Overheads(
            loading_seconds=7, step_seconds=1, assess_seconds=3, set_bytes=10, scores_bytes=20
        ),
        made_per_set=16,
        slots=1,
    )
    # 8 and 16 images by 3 epochs, two seeds; 8 sets
    assert forecast.images_to_train_on() == (8 + 16) * 3 * 2
    trainings = 4 * 1 + (8 + 16) * 3 * 2 * 0.5
    assert forecast.seconds == trainings + 8 * (1 + 16 * 0.25) + 8 * 3
    assert forecast.wall_seconds == 7 + forecast.seconds
    # two snapshots, raw and averaged; resume states of one step at a time, the last two kept
    assert forecast.disk_bytes == 4 * 2 * 2 * 100 + 8 * (10 + 20)
    assert forecast.scratch_bytes == 2 * 1000


def test_networks_that_differ_in_rates_alone_are_timed_once(few: DataFacts) -> None:
    def rates(raw: dict[str, Any]) -> None:
        raw["arms"][0]["grid"] = {"generator.generator_learning_rate": [1e-4, 2e-4, 4e-4]}

    def widths(raw: dict[str, Any]) -> None:
        raw["arms"][0]["settings"].pop("generator.generator_width")
        raw["arms"][0]["grid"] = {"generator.generator_width": [4, 8, 16]}

    for change, networks in ((rates, 1), (widths, 3)):
        plan = make_plan(small(change), data=[few])
        assert len({network_key(one) for one in plan.trainings.values()}) == networks


def test_a_plan_reads_back_as_it_was(few: DataFacts, tmp_path: Path) -> None:
    plan = make_plan(small(), data=[few])
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("arms", 0, "gird"), {}, "did you mean grid"),
        (("arms", 0, "grid", "images"), [8, 8], "twice"),
        (("arms", 0, "grid", "images"), [], "no values"),
        (("arms", 0, "grid", "imagse"), [8], "no such setting"),
        (("arms", 0, "grid", "epochs"), [0], "epochs"),
        (("arms", 0, "settings", "generator.colour"), 1, "no such setting"),
        (("arms", 0, "settings", "epochs"), 3, "stands in two"),
        (("arms", 0, "settings", "watch.patience_looks"), 2, "no training may stop early"),
        (("arms", 0, "recipe"), "dcgan46", "did you mean dcgan64"),
        (("arms", 0, "seeds"), [], "seeds"),
        (("arms", 0, "seeds"), [1, 1], "twice"),
        (("arms", 0, "name"), "../x", "name"),
        (("arms", 0, "zip"), {"batch_size": [8], "split": ["all", "train"]}, "equally long"),
        (("generate", "n"), None, "how many images"),
        (("modality",), "mri", "leave it out"),
        (("assess",), {"profile": "best"}, "profile"),
        (("assess",), {"judge": {"recipe": "segment128"}}, "volumes only"),
        (("analysis",), [{"kind": "factorial", "arm": "other"}], "no arm other"),
        (("analysis",), [{"kind": "oracle"}], "no kind 'oracle'"),
        (("analysis",), [{"kind": "trend", "factor": "imagse"}], "no factor imagse"),
        (("analysis",), [{"kind": "power", "where": {"epoch": 3}}], "no factor epoch in"),
        (("figures",), [{"kind": "boxes", "factor": "imagse"}], "figures.0 .*no factor imagse"),
        (("figures",), [{"kind": "boxs"}], "no kind 'boxs'"),
        (("arms",), [], "arms"),
    ],
)
def test_bad_recipes_are_refused_with_the_setting(
    few: DataFacts, where: tuple[str | int, ...], value: Any, said: str
) -> None:
    def change(raw: dict[str, Any]) -> None:
        place: Any = raw
        for part in where[:-1]:
            place = place[part]
        place[where[-1]] = value

    with pytest.raises(UserError, match=said):
        make_plan(small(change), data=[few])


def test_data_that_do_not_fit_are_refused(
    few: DataFacts, hc18_like: DataFacts, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="--size 32"):
        make_plan(small(), data=[hc18_like])
    with pytest.raises(UserError, match="holds images, the study needs volumes"):
        make_plan(load_study("mri-2022"), data=[few])
    with pytest.raises(UserError, match="several of images of different size"):
        make_plan(small(), data=[few, few])
    with pytest.raises(UserError, match="data import folder"):
        data_facts(tmp_path)


def test_a_faulty_arm_is_no_missing_one() -> None:
    with pytest.raises(UserError) as refused:
        small(lambda raw: raw["arms"][0].update(seeds=[1, 1]))
    assert str(refused.value).endswith("arms.0: seeds lists one twice")


def test_unknown_studies_are_suggested() -> None:
    with pytest.raises(UserError, match="did you mean ultrasound-2022"):
        load_study("ultrasound-2023")
    assert main(["study", "runn"]) == 2


def test_a_study_from_a_file_finds_training_recipes_beside_it(
    few: DataFacts, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ngenerator: {family: dcgan, size: 32}\nepochs: 2\nbatch_size: 8\n"
    )
    raw = {**SMALL, "arms": [{"name": "one", "recipe": "mine.yaml"}]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(raw))
    plan = make_plan(load_study(str(tmp_path / "study.yaml")), data=[few])
    (train,) = plan.of_kind("train")
    assert train.command[1] == str(tmp_path / "mine.yaml")
    assert parse(list(train.command[1:]))[1].epochs == 2
