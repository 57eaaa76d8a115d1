"""``fetalsynth generate``: images from a model, or volumes from label maps."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from fetalsynth.errors import UserError


@dataclass(frozen=True)
class Generate:
    """Make synthetic images (--n), or volumes from label maps (--labels), with trained models.

    Not for clinical use.
    """

    model: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL [MODEL …]")
    ]
    """Folder that `fetalsynth train` made, or a shipped model's name; for volumes several that
    share the planes."""
    out: Path
    """New folder for the images; for volumes by several fusions, one new folder in it for each."""
    n: int | None = None
    """How many images."""
    labels: Path | None = None
    """Volumes that `fetalsynth data` made, or any folder of NIfTI label maps."""
    heads: Path | None = None
    """Heads to show, one image each: label maps of `fetalsynth anatomy ellipses`, or real images
    with outlines; for models that were trained with heads, which draw new ones if not given."""
    without_heads: bool = False
    """Tell a model that was trained with heads nothing of any; its images are then weaker."""
    steps: int | None = None
    """Steps from noise to image, of flow models; the model's own if not given."""
    sampler: Literal["euler", "multistep", "heun"] | None = None
    """How those steps are taken: multistep and heun are more exact, heun at twice the cost."""
    guidance: float | None = None
    """How far flow models follow the head, or the labels: 1 as learned, more exaggerates."""
    fusion: tuple[str, ...] = ("mean",)
    """How three planes become one volume: mean, median, average-2, outliers:M, through-plane,
    in-plane; or sagittal, coronal, axial alone."""
    fuse_at: Literal["step", "end"] | None = None
    """When flow models fuse the planes: at every step, so that they agree on one volume (their
    default), or once at the end, as networks that paint in one pass do."""
    keep_planes: bool = False
    """Write what each plane's network made too; the same as naming the planes in --fusion."""
    mask_background: bool = True
    """Set to black what lies more than 10 mm from any tissue."""
    split: Literal["train", "test"] | None = None
    """Only the label maps of this split."""
    labels_table: str | None = None
    """Scheme of a plain folder's labels: feta, spina-bifida-atlas, dhcp, or a CSV or TSV file with
    columns label and tissue. The model's own if not given."""
    seed: int = 0
    """Names an endless row of images; the first ones are the same for every n."""
    epoch: int | None = None
    """Snapshot to use; if not given the one that the training chose, or else the last."""
    weights: Literal["averaged", "raw"] | None = None
    """Averaged weights are smoother; raw ones are what the papers used."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is faster on some processors (`fetalsynth doctor` tells) and less exact."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit code: 1 where some volumes had to be left out."""
    wanted = tyro.cli(
        Generate, args=arguments, prog="fetalsynth generate", description=_description(arguments)
    )
    wanted = _with_folders(wanted)
    _check(wanted)
    if wanted.labels is None:
        generate(wanted)
        return 0
    from fetalsynth.cli.generate_volumes import generate_volumes

    return generate_volumes(wanted, labels=wanted.labels)


def _description(arguments: list[str]) -> str | None:
    """The help's first words with the shipped models, which are read only where they are asked."""
    if not {"-h", "--help"} & set(arguments):
        return None
    from inspect import cleandoc

    from fetalsynth.synthesis.shipped import listing

    told = "Models that ship with the package, to be given by name:"
    return "\n\n".join(
        [cleandoc(Generate.__doc__ or ""), told, "\n".join(f"- {line}" for line in listing())]
    )


def _with_folders(wanted: Generate) -> Generate:
    """The same with folders in place of the names of shipped models; says which were taken."""
    from fetalsynth.synthesis.shipped import resolve_model, which_model

    folders = tuple(resolve_model(model) for model in wanted.model)
    for note in filter(None, map(which_model, wanted.model)):
        print(f"note: {note}", file=sys.stderr)
    return replace(wanted, model=folders)


def _check(wanted: Generate) -> None:
    """Raise UserError for options that contradict each other or the models."""
    from fetalsynth.artifacts.manifest import read_manifest

    if not wanted.model:
        raise UserError("give the folder of a model, that `fetalsynth train` made")
    for model in wanted.model:
        if wanted.out.resolve().is_relative_to(model.resolve()):
            raise UserError(f"{wanted.out}: lies inside the model; choose another --out")
        made = read_manifest(model, kind="model").configuration
        if made.get("family") == "population":
            raise UserError(
                f"{model}: is a population model of anatomy and makes label maps; they come from "
                f"fetalsynth anatomy sample {model} --out DIR"
            )
        recipe = made.get("recipe", {})
        if "planes" in recipe and wanted.labels is None:
            raise UserError(
                f"{model}: makes volumes from label maps; give --labels DIR"
                + ("" if wanted.n is None else " instead of --n")
            )
        if "planes" not in recipe and wanted.labels is not None:
            raise UserError(
                f"{model}: makes images, not volumes from label maps; leave --labels out"
            )
    if wanted.labels is not None and wanted.n is not None:
        raise UserError("--n: one volume is made for each label map; leave it out")
    if wanted.heads is not None and wanted.without_heads:
        raise UserError("--heads: --without-heads wants none; give one of the two")
    if wanted.labels is not None and (wanted.heads is not None or wanted.without_heads):
        raise UserError("--heads: are for images, --labels for volumes; give one of the two")
    if wanted.labels is None:
        _check_images(wanted)


_FOR_VOLUMES = (
    "fusion",
    "fuse_at",
    "keep_planes",
    "mask_background",
    "split",
    "labels_table",
)


def _check_images(wanted: Generate) -> None:
    if len(wanted.model) > 1:
        raise UserError(f"{wanted.model[1]}: images come from one model; give one")
    if wanted.n is None and wanted.heads is None:
        raise UserError(f"{wanted.model[0]}: say how many images with --n")
    if wanted.n is not None and wanted.n < 1:
        raise UserError(f"--n {wanted.n}: ask for at least one image")
    plain = Generate(model=wanted.model, out=wanted.out)
    for name in _FOR_VOLUMES:
        if getattr(wanted, name) != getattr(plain, name):
            option = name.replace("_", "-")
            raise UserError(f"--{option}: is for volumes from label maps (--labels); leave it out")


def generate(wanted: Generate) -> None:
    """Make the images that ``wanted`` describes, or say that they are there already."""
    from fetalsynth.artifacts.building import building, is_done
    from fetalsynth.artifacts.manifest import draft, input_from
    from fetalsynth.cli.computing import choose_device, set_threads
    from fetalsynth.cli.generate_flow import asked_heads, asked_sampling
    from fetalsynth.cli.snapshot_choice import told
    from fetalsynth.synthesis.images import Wanted, load_model, shows_heads, write_images

    (source,) = wanted.model
    device = choose_device(wanted.device)
    model = load_model(source, epoch=wanted.epoch, weights=wanted.weights, device=device)
    heads = asked_heads(wanted, model=model)
    sampling = asked_sampling(wanted, settings=model.settings, folder=source)
    count = wanted.n or len(heads.records if heads else ())
    made: dict[str, Any] = {"n": count, "epoch": model.epoch, "weights": model.weights}
    if sampling is not None:
        made["sampling"] = asdict(sampling)
    if heads is None and shows_heads(model.settings):
        made["heads"] = "none" if wanted.without_heads else "drawn"
    if wanted.precision != "float32":
        made["precision"] = wanted.precision
    manifest = draft(
        kind="images",
        configuration=made,
        seed=wanted.seed,
        inputs=(input_from(source, role="model"), *([heads.source] if heads else [])),
        synthetic=True,
    )
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return
    if wanted.epoch is None:
        for line in told(model.manifest.facts, folder=model.folder, epoch=model.epoch):
            print(line, file=sys.stderr)
    set_threads()
    with building(wanted.out, manifest, resumable=True) as folder:
        what = Wanted(
            heads=heads,
            without_heads=wanted.without_heads,
            sampling=sampling,
            precision=wanted.precision,
        )
        write_images(model, count=count, seed=wanted.seed, folder=folder, wanted=what)
    print(f"{count} images in {wanted.out} (look at {wanted.out / 'preview.png'})")
