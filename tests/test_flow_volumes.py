"""Flow matching from label maps to volumes: training on slices, planes that agree, the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from fetalsynth.anatomy.labels import FETA
from fetalsynth.anatomy.planes import PLANES, Plane, to_slices
from fetalsynth.artifacts.building import building, partial_path
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.artifacts.model import read_weights, snapshot_path, write_weights
from fetalsynth.artifacts.volumes import WHITE, VolumesWriter, read_participants
from fetalsynth.cli.main import main
from fetalsynth.datasets.volumes.grid import Grid
from fetalsynth.datasets.volumes.loading import load_volumes
from fetalsynth.datasets.volumes.pair import Pair
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.flow.conditions import condition_of
from fetalsynth.generators.flow.family import Flow
from fetalsynth.generators.flow.path import Point
from fetalsynth.generators.flow.sampling import Sampling, schedule
from fetalsynth.generators.neighbours import hung, neighbours_of, unhung, with_neighbours
from fetalsynth.generators.settings import FlowSettings, SPADESettings
from fetalsynth.generators.spade.family import SPADE
from fetalsynth.randomness import torch_rng
from fetalsynth.synthesis.agreeing import Told, agreeing, noise_cube, plane_denoiser
from fetalsynth.synthesis.fusion import parse_rule
from fetalsynth.synthesis.one_volume import synthesise
from fetalsynth.synthesis.sampled import Asked, Sampled, fusing, sample_cubes
from fetalsynth.synthesis.volume_model import PlaneNetwork, VolumeModel
from fetalsynth.training.recipe import SliceRecipe, load_recipe, parse_recipe
from fetalsynth.training.slices import ResidentSlices
from test_generate_volumes import write_model
from test_volumes_grid import ORDERS
from volume_files import a_brain, an_affine, save

SIZE, CPU = 32, torch.device("cpu")
TINY: dict[str, Any] = {
    "family": "flow",
    "size": SIZE,
    "condition": "labels",
    "context": 1,
    "plane_condition": True,
    "widths": [8, 16],
    "attention": False,
    "sampler": "euler",
    "steps": 3,
}
RECIPE: dict[str, Any] = {
    "name": "tiny",
    "generator": TINY,
    "one_network": True,
    "epochs": 2,
    "batch_size": 8,
    "average_half_life_images": 50,
    "log_every_images": 16,
    "previews": 1,
    "precision": "float32",
}
EVERY, END = "step", "end"


def restless(**settings: Any) -> Flow:
    """A network whose every weight is random: nothing that it is told leaves it untouched."""
    flow = Flow(FlowSettings.model_validate({**TINY, **settings}))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in flow.generator.parameters():
            parameter.normal_(0, 0.15, generator=rng)
    flow.generator.eval()
    return flow


def model_of(flow: Flow, *, knows_empty: bool = True, **others: Flow) -> VolumeModel:
    def network(plane: str) -> PlaneNetwork:
        return PlaneNetwork(
            family=others.get(plane, flow),
            images=None,
            knows_empty=knows_empty,
            folder=Path("model"),
            part=Path("model"),
            facts={},
            epoch=1,
            weights="raw",
        )

    return VolumeModel(
        networks={plane: network(plane) for plane in PLANES},
        grid=Grid(size=SIZE, spacing_mm=None),
        label_count=8,
        device=CPU,
    )


def cube() -> NDArray[np.uint8]:
    _, labels = a_brain(3)
    placed = np.zeros((SIZE,) * 3, np.uint8)
    placed[5:27, 4:30, 6:26] = labels
    return placed


def how(*, steps: int = 2, fuse_at: str = EVERY, **named: Any) -> Sampled:
    sampling = Sampling(**{"sampler": "euler", "steps": steps, **named})
    return Sampled(sampling=sampling, at_every_step=fuse_at == EVERY)


def sampled(
    model: VolumeModel, fusion: str, sampling: Sampled | None = None, **asked: Any
) -> NDArray[np.float32]:
    rule = parse_rule(fusion)
    ((_, made),) = sample_cubes(
        model,
        cube(),
        rules=[rule],
        how=sampling or how(),
        asked=Asked(**{"seed": 0, "name": "a", **asked}),
        spacing_mm=(1, 1, 1),
    )
    return made


@pytest.mark.parametrize("context", [0, 1, 3])
def test_neighbours_are_the_slices_beside_and_background_beyond(context: int) -> None:
    labels = torch.from_numpy(cube())
    for axis, plane in enumerate(PLANES):
        across = labels.movedim(axis, 0)
        stacks = with_neighbours(hung(across), context=context)
        slices = np.ascontiguousarray(to_slices(cube(), plane=plane))
        padded = np.pad(slices, ((context, context), (0, 0), (0, 0)))
        assert stacks.shape == (SIZE, 2 * context + 1, SIZE, SIZE)
        for number in range(SIZE):
            wanted = padded[number : number + 2 * context + 1]
            assert np.array_equal(stacks[number], wanted)
            one = neighbours_of(labels, axis=axis, number=number, context=context)
            assert np.array_equal(hung(one), wanted)
        assert torch.equal(unhung(hung(across)), across)


@pytest.fixture
def brains(tmp_path: Path) -> Path:
    """Three brains to train on and one held out, each of its own age."""
    out = tmp_path / "brains"
    with building(out, draft(kind="volumes", configuration={}, synthetic=True)) as folder:
        writer = VolumesWriter(folder, label_names=FETA)
        for seed in range(4):
            image, labels = a_brain(seed)
            writer.add(
                subject=f"{seed}",
                image=(image.clip(0, 1200) / 1200 * WHITE).astype(np.int16),
                labels=labels,
                affine=an_affine(),
                split="test" if seed == 3 else "train",
                gestational_age_weeks=None if seed == 2 else 22.0 + seed,
            )
        writer.close()
    return out


def test_training_sees_neighbours_and_ages(brains: Path) -> None:
    volumes = load_volumes(brains, role="data", grid=Grid(size=SIZE, spacing_mm=None))
    data = ResidentSlices(volumes, planes=PLANES, empty_share=0, seed=0, device=CPU, context=2)
    batch = data.batch(torch.arange(0, data.count, 7))
    assert batch.labels is not None
    assert batch.ages is not None
    assert batch.labels.shape[1:] == (5, SIZE, SIZE)
    for row, (volume, axis, number) in enumerate(data.items[::7].tolist()):
        stack = to_slices(volumes.labels[volume], plane=PLANES[axis])
        for k, found in zip(range(number - 2, number + 3), batch.labels[row], strict=True):
            wanted = stack[k] if 0 <= k < SIZE else np.zeros((SIZE, SIZE))
            assert np.array_equal(found, wanted)
        age = volumes.records[volume].gestational_age_weeks
        assert batch.ages[row].isnan() if age is None else batch.ages[row] == age


def trained(tmp_path: Path, data: Path, out: Path, *words: str, **changes: Any) -> tuple[int, Path]:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes}))
    command = ["train", str(path), "--data", str(data), "--out", str(out), "--threads", "1"]
    return main([*command, *words]), out


def test_training_stopped_half_way_goes_on_bit_by_bit(
    tmp_path: Path, brains: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trained(tmp_path, brains, tmp_path / "whole", volumes=1)[0] == 0
    original, calls = Flow.step, 0

    def stopping(self: Flow, *given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return original(self, *given, **named)

    monkeypatch.setattr(Flow, "step", stopping)
    words = ("--checkpoint-seconds", "0")
    assert trained(tmp_path, brains, tmp_path / "parts", *words, volumes=1)[0] == 130
    assert partial_path(tmp_path / "parts").is_dir()
    assert trained(tmp_path, brains, tmp_path / "parts", *words, volumes=1)[0] == 0
    one, other = (
        read_weights(snapshot_path(tmp_path / name / "shared", epoch=2, averaged=True))
        for name in ("whole", "parts")
    )
    assert calls > 13
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "whole" / "shared" / "previews").is_dir()


def test_a_few_steps_learn_that_tissues_have_greys(tmp_path: Path, brains: Path) -> None:
    """Greys of the phantom's tissues come out again, from training to NIfTI."""
    network = {**TINY, "plane_condition": False, "patch": 1, "learning_rate": 2e-2}
    alone = {"generator": network, "one_network": False, "planes": ["axial"]}
    alone |= {"batch_size": 4, "epochs": 9, "decay_epochs": 5}
    code, model = trained(tmp_path, brains, tmp_path / "model", **alone)
    assert code == 0
    words = ("--split", "test", "--fusion", "axial")
    assert generate(model, "--labels", brains, "--out", tmp_path / "out", *words) == 0
    (row,) = read_participants(tmp_path / "out")
    image, labels = voxels(tmp_path / "out" / str(row.image)), a_brain(3)[1]
    truth = {1: 900, 2: 400, 3: 600, 5: 450}
    for label, grey in truth.items():
        found = float(image[labels == label].mean()) / WHITE * 1200
        assert abs(found - grey) < 120, (label, found)
    assert np.corrcoef(image[labels > 0], a_brain(3)[0][labels > 0])[0, 1] > 0.8


@pytest.mark.parametrize(("sampler", "guidance"), [("euler", 1.0), ("heun", 1.6)])
@pytest.mark.parametrize("plane", PLANES)
def test_one_plane_alone_is_the_plain_sampler_on_its_slices(
    plane: Plane, sampler: str, guidance: float
) -> None:
    """Each slice of the noise, its labels and neighbours, by ``Flow.draw``, with a numpy hang."""
    flow = restless()
    noise = to_slices(noise_cube(size=SIZE, seed=0, name="a")[0].numpy(), plane=plane)
    padded = np.pad(to_slices(cube(), plane=plane), ((1, 1), (0, 0), (0, 0)))
    sampling = how(steps=2, sampler=sampler, guidance=guidance)
    cube_made = sampled(model_of(flow), plane, sampling, weeks=27.0)
    made = to_slices(cube_made, plane=plane)
    for number in (0, 9, 20):
        latents = torch.tensor(np.ascontiguousarray(noise[number])).reshape(1, -1)
        batch = Batch(
            images=torch.empty(1, 1, SIZE, SIZE),
            labels=torch.tensor(np.ascontiguousarray(padded[number : number + 3]))[None],
            planes=torch.tensor([PLANES.index(plane)]),
            ages=torch.tensor([27.0]),
        )
        latents = torch.cat([latents, torch.zeros(1, 2)], 1)
        alone = flow.draw(flow.generator, latents, batch, sampling=sampling.sampling)
        np.testing.assert_allclose(made[number], alone[0, 0], atol=2e-5)
    end = replace(sampling, at_every_step=False)
    assert np.array_equal(sampled(model_of(flow), plane, end, weeks=27.0), cube_made)


def test_planes_agree_on_the_mean_of_what_they_predict_at_every_step() -> None:
    flow = restless()
    told = Told(labels=torch.from_numpy(cube()))
    each = {p: plane_denoiser(flow, told, plane=p, knows_empty=True) for p in PLANES}
    together = agreeing(each, fuse=fusing(parse_rule("mean"), spacing_mm=(1, 1, 1)))
    at = Point(noisy=noise_cube(size=SIZE, seed=1, name="b"), time=torch.tensor([0.4]))
    with torch.no_grad():
        predictions = [each[plane](at) for plane in PLANES]
        fused = together(at)
    assert not torch.allclose(predictions[0], predictions[1], atol=0.01)
    assert torch.allclose(fused, sum(predictions) / 3, atol=1e-6)
    # and over several steps: an Euler step moves every plane's copy of the volume alike
    x = noise_cube(size=SIZE, seed=0, name="a")
    s = flow.settings
    times = schedule(steps=2, mean=s.time_mean, sd=s.time_sd).tolist()
    with torch.no_grad():
        for now, then in pairwise(times):
            point = Point(noisy=x, time=torch.tensor([now]))
            clean = torch.stack([each[plane](point) for plane in PLANES]).mean(0)
            x = x + (then - now) * (x - clean) / now
    wanted = flow.to_images(x)[0].numpy()
    np.testing.assert_allclose(sampled(model_of(flow), "mean"), wanted, atol=2e-5)


def test_fusing_at_the_end_is_the_rule_on_planes_sampled_alone() -> None:
    model = model_of(restless())
    alone = {plane: sampled(model, plane) for plane in PLANES}
    for fusion in ("mean", "through-plane"):
        rule = parse_rule(fusion)
        wanted = rule.fuse(alone, spacing_mm=(1, 1, 1))
        assert np.array_equal(sampled(model, fusion, how(fuse_at=END)), wanted)
        assert not np.allclose(sampled(model, fusion), wanted, atol=2e-3)


class Greys(nn.Module):
    """Paints the middle slice's labels, whatever the noise: an image, not a correction of one."""

    LEVELS = torch.tensor([-1, -0.6, -0.3, 0.1, 0.9, 0.3, -0.1, 0.5])

    def __init__(self, settings: FlowSettings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, images: Tensor, noise: Tensor, maps: Tensor, told: Tensor) -> Tensor:
        s = self.settings
        first = s.labels * s.context
        middle = maps[:, first : first + s.labels]
        greys = (middle * self.LEVELS[:, None, None]).sum(1, keepdim=True)
        return (greys - s.image_mean) / s.image_sd


def painter() -> Flow:
    flow = Flow(FlowSettings.model_validate({**TINY, "prediction": "image"}))
    flow.generator = Greys(flow.settings)
    return flow


@pytest.mark.parametrize("order", ORDERS)
def test_a_network_of_labels_alone_gives_one_volume_in_all_planes_and_orientations(
    order: str,
) -> None:
    _, labels = a_brain(1)
    model = model_of(painter(), knows_empty=False)
    rules = [parse_rule(text) for text in (*PLANES, "mean")]
    read = Pair(image=None, labels=labels, affine=an_affine(order, turned=0.2), header=None)
    greys = (Greys.LEVELS.numpy()[labels] + 1) * (WHITE / 2)
    for fuse_at in (EVERY, END):
        found = synthesise(
            model,
            read,
            rules=rules,
            seed=0,
            name="a",
            mask_background=False,
            where="here",
            sampled=how(steps=2, fuse_at=fuse_at),
        )
        for rule in rules:
            assert np.abs(found[rule] - greys).max() <= 1


def test_slices_without_labels_are_black_where_the_network_knows_none() -> None:
    flow = restless()
    for plane in PLANES:
        held = np.broadcast_to(_held(cube(), plane), (SIZE,) * 3)
        black = sampled(model_of(flow, knows_empty=False), plane)
        known = sampled(model_of(flow), plane)
        assert (black[~held] == -1).all()
        assert (known[~held] != -1).any()
        np.testing.assert_allclose(black[held], known[held], atol=2e-5)


def _held(labels: NDArray[np.uint8], plane: Plane) -> NDArray[np.bool_]:
    across = tuple(axis for axis in range(3) if axis != PLANES.index(plane))
    return np.asarray(labels.any(axis=across, keepdims=True))


def test_noise_is_of_the_seed_and_the_name_and_ages_are_told() -> None:
    model = model_of(restless())
    first = sampled(model, "mean")
    assert np.array_equal(first, sampled(model, "mean"))
    for changed in ({"seed": 1}, {"name": "b"}, {"weeks": 24.0}):
        assert not np.allclose(first, sampled(model, "mean", **changed), atol=1e-3)
    noise = noise_cube(size=64, seed=0, name="a")
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.01


def test_one_step_ends_on_what_is_predicted_from_noise_alone() -> None:
    flow = restless()
    told = Told(labels=torch.from_numpy(cube()))
    each = plane_denoiser(flow, told, plane="coronal", knows_empty=True)
    at = Point(noisy=noise_cube(size=SIZE, seed=0, name="a"), time=torch.ones(1))
    with torch.no_grad():
        wanted = flow.to_images(each(at))[0].numpy()
    np.testing.assert_allclose(sampled(model_of(flow), "coronal", how(steps=1)), wanted, atol=1e-6)


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize("fuse_at", [EVERY, END])
def test_progress_counts_every_pass(sampler: str, fuse_at: str) -> None:
    sampling = how(steps=3, sampler=sampler, fuse_at=fuse_at)
    rules = [parse_rule(text) for text in ("mean", "median", "axial")]
    ticks: list[None] = []
    cubes = sample_cubes(
        model_of(restless()),
        cube(),
        rules=rules,
        how=sampling,
        asked=Asked(seed=0, name="a"),
        spacing_mm=(1, 1, 1),
        tick=lambda: ticks.append(None),
    )
    assert len(list(cubes)) == 3
    passes = (3 + 3 + 1) if fuse_at == EVERY else 3
    assert len(ticks) == sampling.work(rules) == passes * (5 if sampler == "heun" else 3)


def test_ages_are_held_back_apart_from_maps() -> None:
    """By the number that decides: below the rate both, below twice the rate the age alone."""
    settings = FlowSettings.model_validate({**TINY, "condition_dropout": 0.2})
    batch = Batch(
        images=torch.zeros(3, 1, SIZE, SIZE),
        labels=torch.ones(3, 3, SIZE, SIZE, dtype=torch.uint8),
        planes=torch.zeros(3, dtype=torch.long),
        ages=torch.full((3,), 30.0),
    )
    whole = condition_of(batch, settings)
    condition = whole.without_age(torch.tensor([True, True, False]))
    condition = condition.without_maps(torch.tensor([True, False, False]))
    assert condition.maps is not None
    assert condition.told is not None
    assert whole.maps is not None
    assert whole.told is not None
    assert not condition.maps[0].any()
    assert torch.equal(condition.maps[1:], whole.maps[1:])
    assert not condition.told[:2, -2:].any()
    assert torch.equal(condition.told[2], whole.told[2])
    assert torch.equal(condition.told[:, :-2], whole.told[:, :-2])


def write_flow(
    folder: Path, flow: Flow | None = None, *, planes: Sequence[Plane] = PLANES, **changed: Any
) -> Path:
    """A model artifact as training leaves it."""
    flow = flow or restless()
    settings = flow.settings.model_dump(mode="json")
    shared = flow.settings.plane_condition
    recipe = {
        "name": "tiny",
        "generator": settings,
        "planes": list(planes),
        "one_network": shared,
        "spacing_mm": None,
        "empty_slices": 0.0,
        **changed,
    }
    manifest = draft(kind="model", configuration={"recipe": recipe}, synthetic=True)
    with building(folder, manifest) as growing:
        for part in ["shared"] if shared else planes:
            path = snapshot_path(growing / part, epoch=2, averaged=False)
            write_weights(path, flow.generator.state_dict(), metadata={})
    return folder


def label_folder(folder: Path, *subjects: int) -> Path:
    for k in subjects:
        save(folder / f"sub-{k:02d}_dseg.nii.gz", a_brain(k)[1], an_affine("PIR"))
    return folder


def generate(*words: str | Path) -> int:
    return main(["generate", *map(str, words), "--device", "cpu"])


def voxels(path: Path) -> NDArray[Any]:
    import nibabel

    untyped: Any = nibabel
    return np.asanyarray(untyped.load(path).dataobj)


def image_of(out: Path, subject: int) -> NDArray[Any]:
    name = f"sub-{subject:02d}"
    return voxels(out / name / "anat" / f"{name}_desc-synth_T2w.nii.gz")


def test_the_command_makes_the_same_volume_again_whatever_else_it_makes(tmp_path: Path) -> None:
    model = write_flow(tmp_path / "model")
    many = label_folder(tmp_path / "many", 1, 2, 3)
    one = label_folder(tmp_path / "one", 2)
    for name, words in (
        ("first", [many]),
        ("again", [many]),
        ("alone", [one]),
        ("several", [one, "--fusion", "median", "mean"]),
        ("seeded", [one, "--seed", "1"]),
        ("steps", [one, "--steps", "2"]),
        ("heun", [one, "--sampler", "heun"]),
        ("guided", [one, "--guidance", "2"]),
        ("end", [one, "--fuse-at", "end"]),
    ):
        assert generate(model, "--out", tmp_path / name, "--labels", *words) == 0
    contents = [read_manifest(tmp_path / name).content for name in ("first", "again")]
    assert contents[0] == contents[1]
    found = image_of(tmp_path / "first", 2)
    assert found.std() > 50
    assert np.array_equal(found, image_of(tmp_path / "alone", 2))
    assert np.array_equal(found, image_of(tmp_path / "several" / "mean", 2))
    assert not np.array_equal(found, image_of(tmp_path / "several" / "median", 2))
    for name in ("seeded", "steps", "heun", "guided", "end"):
        assert not np.array_equal(found, image_of(tmp_path / name, 2)), name


def test_sidecars_say_how_a_volume_was_sampled(tmp_path: Path, brains: Path) -> None:
    model = write_flow(tmp_path / "model")
    words = ("--sampler", "heun", "--steps", "2", "--guidance", "1.5", "--seed", "4")
    assert generate(model, "--labels", brains, "--out", tmp_path / "out", *words) == 0
    rows = {row.subject: row for row in read_participants(tmp_path / "out")}
    path = tmp_path / "out" / str(rows["1"].image).replace(".nii.gz", ".json")
    said = json.loads(path.read_text())
    assert said["Sampling"] == {
        "Sampler": "heun",
        "Steps": 2,
        "Guidance": 1.5,
        "Fused": "at every step",
    }
    assert (said["Seed"], said["WeeksTold"]) == (4, 23.0)
    assert said["Networks"]["axial"]["EmptySlices"] == "black"
    configuration = read_manifest(tmp_path / "out").configuration
    assert configuration["sampling"] == said["Sampling"]


def test_edited_labels_are_painted_as_generate_would(tmp_path: Path) -> None:
    from fetalsynth.cli.anatomy_edit_synthesis import Painting, open_painter

    model = write_flow(tmp_path / "model")
    labels = label_folder(tmp_path / "in", 1)
    assert generate(model, "--labels", labels, "--out", tmp_path / "out") == 0
    painter = open_painter(Painting(model=(model,), out=tmp_path / "edited", device="cpu"))
    read = Pair(image=None, labels=a_brain(1)[1], affine=an_affine("PIR"), header=None)
    for weeks in (None, 24.0):
        made = painter.paint(
            read, a_brain(1)[1], name="sub-01_desc-synth", where="here", weeks=weeks
        )
        assert np.array_equal(made, image_of(tmp_path / "out", 1)) == (weeks is None)
        said = painter.sidecar(weeks=weeks)
        assert said["Sampling"]["Steps"] == TINY["steps"]
        assert said["WeeksTold"] == weeks


def test_networks_of_single_planes_share_a_volume(tmp_path: Path) -> None:
    flow = restless(plane_condition=False)
    two = write_flow(tmp_path / "two", flow, planes=("sagittal", "coronal"))
    one = write_flow(tmp_path / "one", flow, planes=("axial",))
    every = write_flow(tmp_path / "every", flow)
    labels = label_folder(tmp_path / "in", 1)
    assert generate(two, one, "--labels", labels, "--out", tmp_path / "shared") == 0
    assert generate(every, "--labels", labels, "--out", tmp_path / "whole") == 0
    assert np.array_equal(image_of(tmp_path / "shared", 1), image_of(tmp_path / "whole", 1))


def test_what_cannot_be_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_flow(tmp_path / "model")
    plain = write_flow(tmp_path / "plain", restless(plane_condition=False), planes=("axial",))
    other = write_flow(
        tmp_path / "other",
        restless(plane_condition=False, image_sd=0.3),
        planes=("sagittal", "coronal"),
    )
    sure = write_flow(tmp_path / "sure", restless(condition_dropout=0.0))
    family = SPADE(SPADESettings(size=64, width=2, hidden=4))
    family.initialise(torch_rng(seed=0, stream="test"))
    spade = write_model(tmp_path / "spade", family=family.generator)
    labels = label_folder(tmp_path / "in", 1)
    unknown = a_brain(1)[1]
    unknown[9, 9, 9] = 8
    save(tmp_path / "unknown" / "sub-01_dseg.nii.gz", unknown, an_affine())
    (tmp_path / "empty").mkdir()
    cases: list[tuple[list[str | Path], str]] = [
        ([model, "--labels", tmp_path / "empty"], "holds no NIfTI"),
        ([model, "--labels", tmp_path / "unknown"], "none of its label maps is usable"),
        ([model, "--n", "2"], "give --labels DIR instead of --n"),
        ([model, "--labels", labels, "--heads", labels], "give one of the two"),
        ([model, "--labels", labels, "--steps", "0"], "--steps 0: must be 1 or more"),
        ([model, "--labels", labels, "--guidance", "-1"], "give a number from 0 to 20"),
        ([sure, "--labels", labels, "--guidance", "2"], "never learned to do without"),
        ([spade, "--labels", labels, "--steps", "4"], "--steps: is for flow models"),
        ([spade, "--labels", labels, "--sampler", "heun"], "--sampler: is for flow models"),
        ([spade, "--labels", labels, "--guidance", "2"], "--guidance: is for flow models"),
        ([spade, "--labels", labels, "--fuse-at", "end"], "--fuse-at: is for flow models"),
        ([plain, "--labels", labels], "no network for sagittal and coronal slices"),
        ([plain, other, "--labels", labels], "scaled by"),
    ]
    for words, message in cases:
        assert generate(*words, "--out", tmp_path / "out") == 2, words
        said = capsys.readouterr().err.strip().splitlines()
        assert message in said[-1], words
    assert not (tmp_path / "out").exists()
    assert not partial_path(tmp_path / "out").exists()


def test_shipped_recipes_of_volumes() -> None:
    for name, size, spacing in (("flow-mri128", 128, 1.0), ("flow-mri256", 256, None)):
        recipe = load_recipe(name)
        assert isinstance(recipe, SliceRecipe)
        settings = recipe.generator
        assert isinstance(settings, FlowSettings)
        assert (settings.size, settings.context, recipe.spacing_mm) == (size, 2, spacing)
        assert recipe.networks() == {"shared": PLANES}
    apart = {**RECIPE, "one_network": False, "generator": {**TINY, "plane_condition": False}}
    found = parse_recipe(apart, where="test")
    assert isinstance(found, SliceRecipe)
    assert found.networks() == {plane: (plane,) for plane in PLANES}
