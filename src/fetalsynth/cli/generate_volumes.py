"""``fetalsynth generate MODEL… --labels DIR``: volumes from label maps."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Input, Manifest
    from fetalsynth.cli.generate import Generate
    from fetalsynth.synthesis.fusion import Rule
    from fetalsynth.synthesis.label_volumes import LabelSet
    from fetalsynth.synthesis.sampled import Sampled
    from fetalsynth.synthesis.volume_model import VolumeModel


def generate_volumes(wanted: Generate, *, labels: Path) -> int:
    """Make the volumes that ``wanted`` describes, or say that they are there already.

    One fusion makes the artifact ``--out``; several make one each in that folder, under the name of
    the fusion, because volumes of one name cannot be told apart by who pairs them with real ones.
    Returns 1 where some label maps had to be left out, else 0.
    """
    import torch

    from fetalsynth.artifacts.manifest import input_from
    from fetalsynth.cli.computing import choose_device, set_threads
    from fetalsynth.synthesis.label_volumes import find_labels
    from fetalsynth.synthesis.volume_model import load_volume_model

    rules = _rules(wanted)
    outs = _outs(wanted.out, rules)
    if wanted.out.resolve().is_relative_to(labels.resolve()):
        raise UserError(f"{wanted.out}: lies inside the folder of label maps; choose another")
    device = choose_device(wanted.device)
    found = find_labels(labels, split=wanted.split, labels_table=wanted.labels_table)
    models = tuple(input_from(folder, role="model", kind="model") for folder in wanted.model)
    model = load_volume_model(
        wanted.model,
        planes=list(dict.fromkeys(plane for rule in rules for plane in rule.planes)),
        epoch=wanted.epoch,
        weights=wanted.weights,
        device=device,
        dtype=getattr(torch, wanted.precision),
    )
    sampled = _sampled(wanted, model)
    set_threads()
    manifests = {
        rule: _draft(wanted, rule, model, sampled=sampled, models=models, labels=found)
        for rule in rules
    }
    return _make(
        wanted, model, found, sampled=sampled, models=models, outs=outs, manifests=manifests
    )


def _sampled(wanted: Generate, model: VolumeModel) -> Sampled | None:
    """How a flow model is sampled; None for others. Raises UserError for options without a use."""
    from fetalsynth.cli.generate_flow import asked_sampling
    from fetalsynth.synthesis.sampled import Sampled, flow_settings

    folder = wanted.model[0]
    sampling = asked_sampling(wanted, settings=flow_settings(model), folder=folder)
    if sampling is None:
        if wanted.fuse_at is not None:
            raise UserError(f"--fuse-at: is for flow models, {folder} is none; leave it out")
        return None
    return Sampled(sampling=sampling, at_every_step=wanted.fuse_at != "end")


def _rules(wanted: Generate) -> tuple[Rule, ...]:
    from fetalsynth.anatomy.planes import PLANES
    from fetalsynth.synthesis.fusion import parse_rule

    texts = [*wanted.fusion, *(PLANES if wanted.keep_planes else ())]
    if not texts:
        raise UserError("--fusion: name at least one, such as mean")
    return tuple(dict.fromkeys(parse_rule(text) for text in texts))


def _outs(out: Path, rules: tuple[Rule, ...]) -> dict[Rule, Path]:
    from fetalsynth.artifacts.manifest import is_artifact

    if len(rules) == 1:
        return {rules[0]: out}
    if is_artifact(out):
        raise UserError(f"{out}: is a result already; several fusions need a folder of their own")
    return {rule: out / rule.name for rule in rules}


def _draft(
    wanted: Generate,
    rule: Rule,
    model: VolumeModel,
    *,
    sampled: Sampled | None,
    models: tuple[Input, ...],
    labels: LabelSet,
) -> Manifest:
    from fetalsynth.artifacts.manifest import draft

    networks = {plane: model.networks[plane] for plane in rule.planes}
    table = labels.table
    used = {network.folder for network in networks.values()}
    return draft(
        kind="volumes",
        configuration={
            "fusion": rule.fusion,
            "threshold": rule.threshold,
            "networks": {
                plane: {"epoch": network.epoch, "weights": network.weights}
                for plane, network in networks.items()
            },
            "mask_background": wanted.mask_background,
            "split": wanted.split,
            "labels_table": None if table is None else sorted(table.table.items()),
            "precision": wanted.precision,
            **({} if sampled is None else {"sampling": sampled.describe()}),
        },
        seed=wanted.seed,
        inputs=(*(item for item in models if Path(item.path) in used), labels.source),
        synthetic=True,
    )


def _make(
    wanted: Generate,
    model: VolumeModel,
    labels: LabelSet,
    *,
    sampled: Sampled | None,
    models: tuple[Input, ...],
    outs: Mapping[Rule, Path],
    manifests: Mapping[Rule, Manifest],
) -> int:
    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import read_manifest
    from fetalsynth.cli.snapshot_choice import tell_choices
    from fetalsynth.synthesis.volumes import Wanted, write_volumes

    done = {rule for rule, out in outs.items() if is_done(out, manifests[rule])}
    for rule in done:
        print(f"already done: {outs[rule]}")
    if len(done) < len(outs):
        if wanted.epoch is None:
            tell_choices(model)
        with ExitStack() as stack:
            folders = {
                rule: stack.enter_context(building(out, manifests[rule], resumable=True))
                for rule, out in outs.items()
                if rule not in done
            }
            facts = write_volumes(
                model,
                labels,
                wanted=Wanted(
                    seed=wanted.seed, mask_background=wanted.mask_background, sampled=sampled
                ),
                folders=folders,
                models=models,
            )
            for folder in folders.values():
                record_facts(folder, facts)
    for rule, out in outs.items():
        if rule not in done:
            print(f"{facts['volumes']} volumes in {out} (look at {out / 'preview.png'})")
    return max(_report(read_manifest(out).facts, out) for out in outs.values())


def _report(facts: Mapping[str, Any], out: Path) -> int:
    """Say what was left out, and the exit code that goes with it."""
    left_out = facts.get("left_out", [])
    if left_out:
        print(
            f"{out}: {len(left_out)} label maps were left out (its manifest says why)",
            file=sys.stderr,
        )
    return int(bool(left_out))
