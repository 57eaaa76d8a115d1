"""``fetalsynth data``: make, import, download and check sets of images and of volumes."""

from __future__ import annotations

import sys
import warnings
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from fetalsynth.cli.data_options import Check, Download, Import, Phantom
from fetalsynth.cli.data_volumes import VOLUME_KINDS
from fetalsynth.errors import DataWarning, UserError

if TYPE_CHECKING:
    from fetalsynth.datasets.source import Source


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit code."""
    wanted: Any = tyro.extras.subcommand_cli_from_dict(
        {"phantom": Phantom, "import": Import, "check": Check, "download": Download},
        args=arguments,
        prog="fetalsynth data",
        description="Make, import, download and check sets of images and of volumes.",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = _show
        steps: dict[type, Any] = {
            Phantom: _phantom,
            Import: _import,
            Check: _check,
            Download: _download,
        }
        code: int = steps[type(wanted)](wanted)
    return code


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"note: {message}", file=sys.stderr)


def _phantom(wanted: Phantom) -> int:
    if wanted.kind == "brain":
        from fetalsynth.cli.data_volumes import open_brain_phantoms

        _refuse(wanted, ("size",), why="brain phantoms are volumes; give --spacing-mm")
        return open_brain_phantoms(
            count=wanted.n,
            seed=wanted.seed,
            spacing_mm=wanted.spacing_mm,
            out=wanted.out,
            held_out=wanted.held_out,
        )
    _refuse(wanted, ("spacing_mm",), why="ultrasound phantoms have a size in pixels")
    from fetalsynth.datasets.phantoms.ultrasound import open_source

    source = open_source(count=wanted.n, seed=wanted.seed, size=wanted.size)
    return _write(source, wanted.out, size=wanted.size, held_out=wanted.held_out, seed=wanted.seed)


def _refuse(wanted: Phantom | Import | Check, names: tuple[str, ...], *, why: str) -> None:
    """Raise UserError for an option that was given and means nothing here."""
    for field in fields(wanted):
        if field.name in names and getattr(wanted, field.name) != field.default:
            raise UserError(f"--{field.name.replace('_', '-')}: {why}; leave the option out")


def _import(wanted: Import) -> int:
    if wanted.kind in VOLUME_KINDS:
        return _import_volumes(wanted)
    from fetalsynth.datasets import folder, hc18

    volumes_only = ("labels_table", "reconstruction", "test_subjects")
    _refuse(wanted, volumes_only, why=f"{wanted.kind} holds images, no volumes")
    if wanted.kind == "hc18" and wanted.subjects is not None:
        raise UserError("--subjects: HC18 names its examinations itself; leave the option out")
    _refuse_inside(wanted)
    source = (
        hc18.open_source(wanted.source)
        if wanted.kind == "hc18"
        else folder.open_source(wanted.source, subjects=wanted.subjects)
    )
    return _write(
        source,
        wanted.out,
        path=wanted.source,
        size=wanted.size,
        fit=wanted.fit,
        channels=wanted.channels,
        mask_overlays=wanted.mask_overlays,
        held_out=wanted.held_out,
        seed=wanted.seed,
    )


def _refuse_inside(wanted: Import) -> None:
    if wanted.out.resolve().is_relative_to(wanted.source.resolve()):
        raise UserError(f"{wanted.out}: lies inside the folder that is imported; choose another")


def _import_volumes(wanted: Import) -> int:
    from fetalsynth.cli.data_volumes import open_volumes, write_volumes

    images_only = ("size", "fit", "channels", "mask_overlays")
    _refuse(wanted, images_only, why=f"{wanted.kind} holds volumes, which keep their own space")
    if wanted.test_subjects:
        _refuse(wanted, ("held_out",), why="the test subjects are named")
    _refuse_inside(wanted)
    source = open_volumes(
        wanted.kind,
        wanted.source,
        labels_table=wanted.labels_table,
        subjects=wanted.subjects,
        reconstruction=wanted.reconstruction,
    )
    return write_volumes(
        source,
        wanted.out,
        path=wanted.source,
        held_out=wanted.held_out,
        test_subjects=wanted.test_subjects,
        seed=wanted.seed,
    )


def _write(
    source: Source,
    out: Path,
    *,
    path: Path | None = None,
    size: int | None,
    held_out: float,
    seed: int,
    fit: Literal["pad", "squash"] = "pad",
    channels: int | None = None,
    mask_overlays: bool = False,
) -> int:
    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import Input, draft
    from fetalsynth.datasets.importing import import_images

    settings: dict[str, Any] = {
        "size": size,
        "fit": fit,
        "channels": channels,
        "mask_overlays": mask_overlays,
        "held_out": held_out,
    }
    manifest = draft(
        kind="images",
        configuration={"source": source.name, **settings},
        seed=seed,
        inputs=(Input(role="source", path=str(path or source.name), digest=source.digest),),
        licences=source.licences,
        synthetic=source.synthetic,
    )
    if is_done(out, manifest):
        print(f"already done: {out}")
        return 0
    with building(out, manifest) as partial:
        facts = import_images(source, folder=partial, seed=seed, **settings)
        record_facts(partial, facts)
    print(_summary({**facts, "size": size}, out))
    return 0


def _summary(facts: dict[str, Any], out: Path) -> str:
    same = sum(len(group) - 1 for group in facts["duplicates"])
    return (
        f"{facts['images']} images of {facts['subjects']} subjects, {_size(facts['size'])}, "
        f"in {out}\n"
        f"  train {facts['train_images']} images ({facts['train_subjects']} subjects), "
        f"test {facts['test_images']} ({facts['test_subjects']}), identical copies {same}\n"
        f"  look at {out / 'preview.png'}; then: fetalsynth data check {out}"
    )


def _size(size: int | None) -> str:
    return "original sizes" if size is None else f"{size}×{size} pixels"


def _check(wanted: Check) -> int:
    from fetalsynth.cli.data_table import print_check
    from fetalsynth.cli.data_volumes import holds_volumes
    from fetalsynth.datasets.check import check_images
    from fetalsynth.datasets.volumes.check import check_volumes

    if holds_volumes(wanted.folder):
        result = check_volumes(wanted.folder, labels_table=wanted.labels_table)
    else:
        _refuse(wanted, ("labels_table",), why="this folder holds no volumes")
        result = check_images(wanted.folder)
    print_check(result, folder=wanted.folder)
    return 0 if result.usable else 1


def _download(wanted: Download) -> int:
    return {"hc18": _download_hc18, "inception": _download_inception}[wanted.kind](wanted.out)


def _download_inception(out: Path) -> int:
    from fetalsynth.assessment.features.download import download_inception

    print("Inception weights of the FID: TensorFlow's network, Apache-2.0, as pytorch-fid has them")
    path = download_inception(out)
    print(f"next: fetalsynth assess … --inception-weights {path}")
    return 0


def _download_hc18(out: Path) -> int:
    from fetalsynth.datasets.download import download_hc18
    from fetalsynth.datasets.hc18 import LICENCE

    print(f"{LICENCE.source}: {LICENCE.licence}. Please cite: {LICENCE.citation}\n{LICENCE.url}")
    folder = download_hc18(out)
    print(f"HC18 is in {folder}; next: fetalsynth data import hc18 {folder} --out DIR --size 64")
    return 0
