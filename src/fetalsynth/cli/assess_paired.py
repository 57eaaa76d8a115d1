"""``fetalsynth assess --paired``: each synthetic image against the real one it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Manifest
    from fetalsynth.artifacts.scores import Scores
    from fetalsynth.assessment.paired.pair_set import PairedSet
    from fetalsynth.cli.assess import Assess

Splits = tuple[str, ...] | None


def assess_paired(wanted: Assess) -> None:
    """Make the scores of the pairs, or say that they are there already."""
    _refuse_set_options(wanted)

    from fetalsynth.artifacts.building import building, is_done
    from fetalsynth.assessment.paired.opening import open_pairs
    from fetalsynth.assessment.paired.writing import assess_pairs
    from fetalsynth.assessment.profiles import for_pairs
    from fetalsynth.cli.assess import verdict
    from fetalsynth.reports.assessment import write_report

    for_pairs(wanted.profile)
    splits = _held_out(wanted.real)
    pairs = open_pairs(
        real=wanted.real,
        synthetic=wanted.synthetic,
        splits=splits,
        window=wanted.window,
        scaling=wanted.scaling,
    )
    manifest = _manifest(wanted, pairs, splits)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out} (read {wanted.out / 'report.html'})")
        return
    with building(wanted.out, manifest) as folder:
        scores = assess_pairs(folder, pairs=pairs, seed=wanted.seed, profile=wanted.profile)
        write_report(folder, manifest)
    print(f"{pairs.count} pairs\n{headline(scores)}\n{verdict(scores)}")
    print(f"report: {wanted.out / 'report.html'}")


def headline(scores: Scores) -> str:
    """SSIM over the whole image and over the foreground, each beside the trivial baseline."""
    lines = []
    for name in ("SSIM-full", "SSIM-mask"):
        metric = scores.metrics.get(name)
        if metric is None:
            continue
        lines.append(
            f"{name} {metric.value:.4f}; painting {metric.settings['baseline_paints']} scores "
            f"{metric.settings['baseline']:.4f}"
        )
    return "\n".join(lines)


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


def _manifest(wanted: Assess, pairs: PairedSet, splits: Splits) -> Manifest:
    from fetalsynth.artifacts.manifest import draft

    return draft(
        kind="scores",
        configuration={
            "paired": True,
            "real_splits": splits,
            "window": wanted.window,
            "scaling": wanted.scaling,
            "profile": wanted.profile,
        },
        synthetic=False,
        seed=wanted.seed,
        inputs=pairs.sources,
    )
