"""What all edits of anatomy share: label maps in, a ``volumes`` artifact and a picture out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.anatomy.edits.result import EditResult
    from fetalsynth.artifacts.manifest import Input, Manifest
    from fetalsynth.cli.anatomy_edit_head import Made
    from fetalsynth.cli.anatomy_edit_synthesis import Painter, Painting
    from fetalsynth.synthesis.label_volumes import LabelSet

Edit = Callable[[NDArray[np.uint8], NDArray[np.float64]], "EditResult"]
# beside: the same with the largest ventricle volume that the other edits gave, in ml
Beside = Callable[[NDArray[np.uint8], NDArray[np.float64], float], "EditResult | None"]
PICTURES = "pictures"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One command: ``edits`` by the word that goes into the names of their volumes.

    ``beside`` (word, edit) is done last and stands beside the others for comparison. Edits whose
    words are in ``overwriting`` have no map to move images by. ``split`` and ``subjects`` choose
    label maps. ``painting`` says with which model all are synthesised.
    """

    labels: Path
    out: Path
    images: Path | None
    labels_table: str | None
    edits: Mapping[str, Edit]
    configuration: Mapping[str, Any]
    beside: tuple[str, Beside] | None = None
    overwriting: tuple[str, ...] = ()
    split: str | None = None
    subjects: tuple[str, ...] = ()
    painting: Painting | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Of all edits, in order."""
        return (*self.edits, *(() if self.beside is None else (self.beside[0],)))


def edit_volumes(asked: Asked) -> int:
    """Edit every label map in every way asked for; 1 where something was left out or not reached.

    Volumes that an interrupted call wrote are kept. Raises UserError where nothing can be done.
    """
    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import draft, read_manifest
    from fetalsynth.cli.anatomy_edit_synthesis import open_painter
    from fetalsynth.cli.computing import set_threads
    from fetalsynth.cli.snapshot_choice import tell_choices

    if asked.out.resolve().is_relative_to(asked.labels.resolve()):
        raise UserError(f"{asked.out}: lies inside the folder of label maps; choose another")
    found = _find(asked)
    images, source = _images(asked.images, found)
    painter = None if asked.painting is None else open_painter(asked.painting)
    manifest = draft(
        kind="volumes",
        configuration={
            **asked.configuration,
            "labels_table": asked.labels_table,
            "split": asked.split,
            "subjects": list(asked.subjects),
            "synthesis": None if painter is None else painter.configuration,
        },
        seed=0 if asked.painting is None else asked.painting.seed,
        inputs=(found.source, *source, *(() if painter is None else painter.models)),
        synthetic=True,
    )
    if is_done(asked.out, manifest):
        print(f"already done: {asked.out}")
        return _code(read_manifest(asked.out).facts)
    if painter is not None:
        tell_choices(painter.model, option="")
    set_threads()
    with building(asked.out, manifest, resumable=True) as folder:
        facts = _edit_all(asked, found, images, painter=painter, manifest=manifest, folder=folder)
        record_facts(folder, facts)
    print(f"{facts['volumes']} volumes in {asked.out} (look at {asked.out / PICTURES})")
    return _code(facts)


def _code(facts: Mapping[str, Any]) -> int:
    for item in facts.get("not_reached", ()):
        print(f"not reached: {item}", file=sys.stderr)
    return int(bool(facts.get("left_out") or facts.get("not_reached")))


def _find(asked: Asked) -> LabelSet:
    """The chosen label maps of a folder or artifact, or one file; labels are FeTA's."""
    from dataclasses import replace

    from fetalsynth.cli.anatomy_heads import find_heads

    found = find_heads(asked.labels, labels_table=asked.labels_table, split=asked.split)
    kept = []
    for head in found.heads:
        record = replace(head.item.record, gestational_age_weeks=head.weeks)
        if not asked.subjects or record.subject in asked.subjects:
            kept.append(replace(head.item, record=record))
    missing = set(asked.subjects) - {item.record.subject for item in kept}
    if missing:
        there = ", ".join(sorted({head.item.record.subject for head in found.heads}))
        raise UserError(
            f"--subjects: {asked.labels} has no {', '.join(sorted(missing))} (there are: {there})"
        )
    from fetalsynth.synthesis.label_volumes import LabelSet, refuse_equal_names

    refuse_equal_names(kept)
    return LabelSet(items=tuple(kept), source=found.source, table=found.table)


def _images(folder: Path | None, labels: LabelSet) -> tuple[dict[str, Path], tuple[Input, ...]]:
    """Images by the name of their label map, and what they come from as an input."""
    from fetalsynth.artifacts.digest import digest_files
    from fetalsynth.artifacts.manifest import Input, input_from, is_artifact
    from fetalsynth.artifacts.volumes import read_participants
    from fetalsynth.datasets.volumes.finding import find_partners

    if folder is None:
        return {}, ()
    own = {_key(item.record): item.record.name for item in labels.items}
    if folder.is_file():
        if len(own) > 1:
            raise UserError(f"{folder}: is one image for {len(own)} label maps; give a folder")
        source = Input(
            role="images", path=str(folder), digest=digest_files(folder.parent, [folder])
        )
        return dict.fromkeys(own.values(), folder), (source,)
    if is_artifact(folder):
        source = input_from(folder, role="images", kind="volumes")
        there = {_key(row): folder / row.image for row in read_participants(folder) if row.image}
    else:
        pairs = [p for p in find_partners(folder) if p.image is not None]
        there = {_key(p): p.image for p in pairs if p.image is not None}
        files = [p.image for p in pairs if p.image is not None]
        source = Input(role="images", path=str(folder), digest=digest_files(folder, files))
    matched = {name: there[key] for key, name in own.items() if key in there}
    if not matched:
        raise UserError(f"{folder}: no image has the name of a label map of {labels.source.path}")
    return matched, (source,)


def _key(row: Any) -> tuple[str, str, str]:
    return row.subject, row.session, row.reconstruction


def _edit_all(
    asked: Asked,
    found: LabelSet,
    images: Mapping[str, Path],
    *,
    painter: Painter | None,
    manifest: Manifest,
    folder: Path,
) -> dict[str, Any]:
    from fetalsynth.anatomy.labels import FETA
    from fetalsynth.artifacts.volumes import VolumesWriter
    from fetalsynth.cli.anatomy_edit_head import Bench, edit_head
    from fetalsynth.cli.anatomy_edit_table import write_table
    from fetalsynth.progress import Progress

    licences = tuple(dict.fromkeys(licence for licence in manifest.licences))
    writer = VolumesWriter(folder, synthetic=True, label_names=FETA, licences=licences)
    made: list[Made] = []
    left_out: list[dict[str, str]] = []
    each = len(asked.words) if painter is None else 2 * len(asked.words) + 1
    with Progress(label="editing", total=len(found.items) * each, unit="volumes") as progress:
        bench = Bench(
            asked=asked,
            writer=writer,
            table=found.table,
            painter=painter,
            advance=progress.advance,
            left_out=left_out,
        )
        for item in found.items:
            made += edit_head(bench, item, image=images.get(item.record.name))
    if not made:
        raise UserError(f"{asked.labels}: none of its label maps could be edited; see above")
    writer.close()
    write_table(folder, [(one.name, one.report) for one in made])
    missed = [one.name for one in made if one.report.get("reached") is False]
    return {"volumes": len(writer.records), "left_out": left_out, "not_reached": missed}
