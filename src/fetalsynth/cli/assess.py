"""``fetalsynth assess``: how good are synthetic images, with a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from fetalsynth.cli.notes import warnings_as_notes
from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Input, Manifest
    from fetalsynth.artifacts.scores import Scores
    from fetalsynth.assessment.roles import Roles
    from fetalsynth.datasets.loading import ImageSet

TRAINING_RECORDS = ("training-stats.jsonl", "training-watch.jsonl")


@dataclass(frozen=True)
class Assess:
    """Measure synthetic images against real ones and write a report. Not for clinical use."""

    real: Path
    """Real images: an artifact or a folder. Of an artifact, the held-out rows are used."""
    synthetic: tuple[Path, ...]
    """Synthetic images: an artifact or a folder; with --paired several, each DIR or NAME=DIR."""
    out: Path
    """New folder for the scores and the report."""
    train: Path | None = None
    """What the generator saw, for the copying screen; found by itself where that is recorded."""
    inception_weights: Path | None = None
    """Weights of Inception: pytorch-fid's .pth for FID, or a .npz of its first part (not FID)."""
    feature_models: tuple[Path, ...] = ()
    """More networks to take features with: TorchScript or ONNX files, each with a .json beside."""
    cache: Path | None = None
    """Folder that keeps features, so that the next run on the same images needs no network."""
    seed: int = 0
    """Names every random draw."""
    pairing: Literal["all-pairs", "nearest", "random"] = "all-pairs"
    """Which synthetic image meets which real one, for mutual information and PSNR."""
    resizing: Literal["clean", "legacy"] = "clean"
    """How images are brought to Inception's size: as clean-fid or as pytorch-fid do."""
    window: tuple[float, float] | None = None
    """Stored values that become black and white; default: the range of the pixel type."""
    exclude_outside_fan: bool = False
    """Leave the flat black surround of ultrasound images out of texture measures."""
    paired: bool = False
    """Compare each synthetic image or NIfTI volume with the real one of its subject or name."""
    reconstruction: str | None = None
    """Compare only volumes reconstructed by this method (irtk, mial, …), under --paired."""
    segmenter: Path | None = None
    """Model that segments volumes, to ask whether they show their labels, under --paired."""
    scaling: Literal["stored", "min-max"] = "stored"
    """Grey values of paired volumes: as stored, or each from its own range to 0 … 1."""
    profile: Literal["small-n", "paper-ultrasound", "paper-mri"] = "small-n"
    """Which measures: all, or those of a published study with its definitions and caveats."""


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit code."""
    wanted = tyro.cli(Assess, args=arguments, prog="fetalsynth assess")
    with warnings_as_notes():
        assess(wanted)
    return 0


@dataclass(frozen=True)
class Loaded:
    """The images of every role and the files of weights as inputs."""

    real: ImageSet
    synthetic: ImageSet
    train: ImageSet | None
    weights: tuple[Input, ...]


def assess(wanted: Assess) -> None:
    """Make the scores that ``wanted`` describes, or say that they are there already."""
    if wanted.window is not None and not wanted.window[1] > wanted.window[0]:
        low, high = wanted.window
        raise UserError(f"--window {low:g} {high:g}: the second value must be the larger one")

    if not wanted.synthetic:
        raise UserError("--synthetic: name the folder of synthetic images")
    if wanted.paired:
        from fetalsynth.cli.assess_paired import assess_paired

        assess_paired(wanted)
        return
    _refuse_paired_options(wanted)

    from fetalsynth.artifacts.building import building, is_done
    from fetalsynth.assessment.profiles import for_sets
    from fetalsynth.assessment.roles import assign_roles

    for_sets(wanted.profile, pairing=wanted.pairing)
    roles = assign_roles(real=wanted.real, synthetic=wanted.synthetic[0], train=wanted.train)
    images = _load(wanted, roles)
    manifest = _manifest(wanted, roles, images)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out} (read {wanted.out / 'report.html'})")
        return
    for role, note in roles.notes.items():
        print(f"{role}: {note}")
    with building(wanted.out, manifest) as folder:
        scores = _write(folder, wanted, roles, images, manifest)
    print(verdict(scores))
    print(f"report: {wanted.out / 'report.html'}")


def _refuse_paired_options(wanted: Assess) -> None:
    given = {
        f"--scaling {wanted.scaling}": wanted.scaling != "stored",
        f"--reconstruction {wanted.reconstruction}": wanted.reconstruction is not None,
        f"--segmenter {wanted.segmenter}": wanted.segmenter is not None,
        f"--synthetic with {len(wanted.synthetic)} folders": len(wanted.synthetic) > 1,
    }
    for option, is_given in given.items():
        if is_given:
            raise UserError(f"{option} is for --paired; leave it out or add --paired")


def _load(wanted: Assess, roles: Roles) -> Loaded:
    from fetalsynth.artifacts.digest import digest_file
    from fetalsynth.artifacts.manifest import Input
    from fetalsynth.assessment.features.local_model import open_local_model
    from fetalsynth.datasets.loading import load_images

    real = load_images(wanted.real, role="real", splits=roles.real_splits, channels=1)
    synthetic = load_images(wanted.synthetic[0], role="synthetic", channels=1)
    train = None
    if roles.train is not None:
        train = load_images(roles.train, role="train", splits=roles.train_splits, channels=1)
    weights = []
    if wanted.inception_weights is not None:
        path = wanted.inception_weights
        weights.append(Input(role="inception-weights", path=str(path), digest=digest_file(path)))
    for path in wanted.feature_models:
        digest = open_local_model(path).digest
        weights.append(Input(role="feature-model", path=str(path), digest=digest))
    return Loaded(real, synthetic, train, tuple(weights))


def _manifest(wanted: Assess, roles: Roles, images: Loaded) -> Manifest:
    from fetalsynth.artifacts.manifest import draft

    seen = () if images.train is None else (images.train.source,)
    return draft(
        kind="scores",
        configuration={
            "real_splits": roles.real_splits,
            "train_splits": roles.train_splits,
            "pairing": wanted.pairing,
            "resizing": wanted.resizing,
            "window": wanted.window,
            "exclude_outside_fan": wanted.exclude_outside_fan,
            "profile": wanted.profile,
        },
        synthetic=False,
        seed=wanted.seed,
        inputs=(images.real.source, images.synthetic.source, *seen, *images.weights),
    )


def _write(
    folder: Path, wanted: Assess, roles: Roles, images: Loaded, manifest: Manifest
) -> Scores:
    from fetalsynth.artifacts.files import write_bytes
    from fetalsynth.assessment.suite import assess_images
    from fetalsynth.assessment.writing import write_assessment
    from fetalsynth.reports.assessment import write_report

    if images.weights:
        from fetalsynth.cli.computing import set_threads

        set_threads()
    sets: dict[str, Any] = {
        "real": images.real,
        "synthetic": images.synthetic,
        "train": images.train,
        "seed": wanted.seed,
        "window": wanted.window,
        "exclude_outside_fan": wanted.exclude_outside_fan,
    }
    scores = assess_images(
        **sets,
        inception_weights=wanted.inception_weights,
        feature_models=wanted.feature_models,
        cache=wanted.cache,
        pairing=wanted.pairing,
        resizing=wanted.resizing,
        profile=wanted.profile,
    )
    scores = write_assessment(folder, scores=annotated(scores, roles), **sets)
    for record in TRAINING_RECORDS:
        if (wanted.synthetic[0] / record).is_file():
            write_bytes(folder / record, (wanted.synthetic[0] / record).read_bytes())
    write_report(folder, manifest)
    return scores


def annotated(scores: Scores, roles: Roles) -> Scores:
    """The scores with the sentences about who plays which role."""
    inputs = {
        role: {**read, "note": roles.notes[role]} if role in roles.notes else read
        for role, read in scores.inputs.items()
    }
    unjudged = dict(scores.unjudged)
    if roles.not_held_out is not None:
        unjudged["copying"] = roles.not_held_out
    return scores.model_copy(update={"inputs": inputs, "unjudged": unjudged})


def verdict(scores: Scores) -> str:
    """Alarms, and what could not be judged, as lines of text."""
    lines = [f"alarm {alarm.name}: {alarm.reason}" for alarm in scores.alarms]
    if not lines:
        lines = ["no alarm (which proves nothing by itself; the report says what was tested)"]
    for reason in dict.fromkeys(scores.unjudged.values()):
        names = [name for name, why in scores.unjudged.items() if why == reason]
        lines.append(f"not judged {', '.join(names)}: {reason}")
    return "\n".join(lines)
