"""``fetalsynth assess --paired``: each synthetic image against the real one it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fetalsynth.artifacts.manifest import Input, Manifest
    from fetalsynth.artifacts.scores import Scores
    from fetalsynth.assessment.paired.consistency import Segmenter
    from fetalsynth.assessment.paired.pair_set import PairedSet
    from fetalsynth.cli.assess import Assess
    from fetalsynth.synthesis.segmentation import SegmentationModel

Splits = tuple[str, ...] | None


def assess_paired(wanted: Assess) -> None:
    """Make the scores of the pairs, or say that they are there already."""
    _refuse_set_options(wanted)

    from fetalsynth.artifacts.building import building, is_done
    from fetalsynth.assessment.paired.opening import open_sets
    from fetalsynth.assessment.paired.several import check_names
    from fetalsynth.assessment.profiles import for_pairs

    for_pairs(wanted.profile)
    network = _network(wanted)
    splits = _held_out(wanted.real)
    folders = [one for path in wanted.synthetic for one in _named(path)]
    check_names([name for name, _ in folders])
    sets = open_sets(
        real=wanted.real,
        synthetic=dict(folders),
        splits=splits,
        window=wanted.window,
        scaling=wanted.scaling,
        reconstruction=wanted.reconstruction,
    )
    segmenter = None if network is None else _segmenter(wanted, network, sets)
    judge = () if network is None else (network.source,)
    manifest = _manifest(wanted, sets, splits, judge)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out} (read {wanted.out / 'report.html'})")
        return
    for note in dict.fromkeys(note for pairs in sets.values() for note in pairs.notes):
        print(f"real: {note}")
    with building(wanted.out, manifest) as folder:
        if len(sets) == 1:
            _one(folder, wanted, next(iter(sets.values())), segmenter, manifest)
        else:
            _several(folder, wanted, sets, segmenter, manifest)
    print(f"report: {wanted.out / 'report.html'}")


def _one(
    folder: Path,
    wanted: Assess,
    pairs: PairedSet,
    segmenter: Segmenter | None,
    manifest: Manifest,
) -> None:
    from fetalsynth.assessment.paired.writing import assess_pairs
    from fetalsynth.cli.assess import verdict
    from fetalsynth.reports.assessment import write_report

    scores = assess_pairs(
        folder, pairs=pairs, seed=wanted.seed, profile=wanted.profile, segmenter=segmenter
    )
    write_report(folder, manifest)
    print(f"{pairs.count} pairs\n{headline(scores)}\n{verdict(scores)}")


def _several(
    folder: Path,
    wanted: Assess,
    sets: Mapping[str, PairedSet],
    segmenter: Segmenter | None,
    manifest: Manifest,
) -> None:
    from fetalsynth.assessment.paired.several import FOLDER, assess_sets
    from fetalsynth.cli.assess import verdict
    from fetalsynth.reports.assessment import write_report
    from fetalsynth.reports.sets import write_sets_report

    scores = assess_sets(
        folder, sets=sets, seed=wanted.seed, profile=wanted.profile, segmenter=segmenter
    )
    for name, pairs in sets.items():
        made = [pairs.sources[1].model_copy(update={"role": "synthetic"})]
        own = manifest.model_copy(update={"inputs": (pairs.sources[0], *made)})
        write_report(folder / FOLDER / name, own)
        print(f"{name}: {pairs.count} pairs\n{headline(scores, of=name)}")
    write_sets_report(folder, manifest)
    print(verdict(scores))


def headline(scores: Scores, *, of: str = "") -> str:
    """SSIM over the whole image and over the foreground, each beside the trivial baseline.

    ``of`` names one of several sets. Dice follows where labels were looked for.
    """
    start = f"{of}/" if of else ""
    lines = []
    for name in ("SSIM-full", "SSIM-mask", "Dice-mean"):
        metric = scores.metrics.get(start + name)
        if metric is None or "baseline" not in metric.settings:
            continue
        real = metric.settings.get("real")
        beside = "" if real is None else f"the real images score {real:.4f}, "
        lines.append(
            f"{name} {metric.value:.4f}; {beside}painting {metric.settings['baseline_paints']} "
            f"scores {metric.settings['baseline']:.4f}"
        )
    return "\n".join(lines)


def _named(path: Path) -> list[tuple[str, Path]]:
    """NAME=DIR, or DIR, whose own name then counts.

    A folder of nothing but artifacts, as ``generate`` makes for several fusions, is one set each:
    by their own names, or NAME-own.
    """
    from fetalsynth.artifacts.manifest import is_artifact

    name, equals, text = str(path).partition("=")
    given = bool(equals) and not path.exists()
    folder = Path(text) if given else path
    inside = [] if is_artifact(folder) or not folder.is_dir() else sorted(folder.iterdir())
    if inside and all(is_artifact(one) for one in inside):
        return [(f"{name}-{one.name}" if given else one.name, one) for one in inside]
    return [(name if given else folder.resolve().name, folder)]


def _network(wanted: Assess) -> SegmentationModel | None:
    if wanted.segmenter is None:
        return None
    from fetalsynth.cli.computing import choose_device, set_threads
    from fetalsynth.synthesis.segmentation import load_segmenter

    model = load_segmenter(wanted.segmenter, device=choose_device("auto"))
    set_threads()
    return model


def _segmenter(
    wanted: Assess, model: SegmentationModel, sets: Mapping[str, PairedSet]
) -> Segmenter:
    """The network as a function of arrays, with what is known of the volumes it has seen."""
    from fetalsynth.assessment.paired.consistency import Segmenter
    from fetalsynth.synthesis.segmentation import segment_volume

    if any(len(pairs.least_size) < 3 for pairs in sets.values()):
        raise UserError(f"--segmenter {wanted.segmenter}: is for NIfTI volumes; leave it out")

    def segment(image: Any, affine: Any, labels: Any) -> Any:
        return segment_volume(
            model, voxels=image, affine=affine, brain=labels, where=str(wanted.real)
        )

    about = {
        "path": model.source.path,
        "digest": model.source.digest,
        "note": _what_it_saw(model.source, list(sets.values())),
    }
    return Segmenter(segment=segment, about=about)


def _what_it_saw(segmenter: Input, sets: Sequence[PairedSet]) -> str:
    manifest = segmenter.manifest
    data = [item for item in manifest.inputs if item.role == "data"] if manifest else []
    recipe = manifest.configuration.get("recipe", {}) if manifest else {}
    same = bool(data) and all(data[0].digest == pairs.sources[0].digest for pairs in sets)
    held_out = all(pairs.splits == ("test",) for pairs in sets)
    if same and held_out and recipe.get("split") == "train":
        return "trained on the other volumes of this real set; these were held out"
    if same:
        return (
            "trained on these very volumes: how well it finds labels in the real ones is no "
            "ceiling but flattery"
        )
    return "trained on other data; whether these subjects were among them is not known"


def _refuse_set_options(wanted: Assess) -> None:
    given = {
        "--train": wanted.train is not None,
        "--inception-weights": wanted.inception_weights is not None,
        "--feature-models": bool(wanted.feature_models),
        "--cache": wanted.cache is not None,
        "--exclude-outside-fan": wanted.exclude_outside_fan,
        "--pairing": wanted.pairing != "all-pairs",
        "--resizing": wanted.resizing != "clean",
    }
    unused = [option for option, is_given in given.items() if is_given]
    if unused:
        raise UserError(f"--paired does not use {', '.join(unused)}; leave out one or the other")


def _held_out(real: Path) -> Splits:
    """Split test of an ``images`` artifact that has one, else everything."""
    from fetalsynth.artifacts.images import read_table
    from fetalsynth.artifacts.manifest import is_artifact, read_manifest

    if not is_artifact(real) or read_manifest(real).kind != "images":
        return None
    if "test" not in {record.split for record in read_table(real)}:
        return None
    print("real: held-out rows (split test)")
    return ("test",)


def _manifest(
    wanted: Assess, sets: Mapping[str, PairedSet], splits: Splits, judge: tuple[Input, ...]
) -> Manifest:
    from fetalsynth.artifacts.manifest import draft

    first = next(iter(sets.values()))
    made = [
        pairs.sources[1].model_copy(
            update={"role": "synthetic" if len(sets) == 1 else f"synthetic: {name}"}
        )
        for name, pairs in sets.items()
    ]
    return draft(
        kind="scores",
        configuration={
            "paired": True,
            "real_splits": splits or first.splits,
            "window": wanted.window,
            "scaling": wanted.scaling,
            "profile": wanted.profile,
            "reconstruction": wanted.reconstruction,
            "sets": list(sets),
        },
        synthetic=False,
        seed=wanted.seed,
        inputs=(first.sources[0], *made, *judge),
    )
