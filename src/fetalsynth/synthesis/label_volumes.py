"""Label volumes to synthesise from: a ``volumes`` artifact, or any folder of NIfTI label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fetalsynth.anatomy.labels import FETA
from fetalsynth.artifacts.digest import digest_files
from fetalsynth.artifacts.manifest import Input, input_from, is_artifact
from fetalsynth.artifacts.volumes import (
    VolumeRecord,
    bids_label,
    read_label_names,
    read_participants,
)
from fetalsynth.datasets.volumes.finding import Partners, find_partners
from fetalsynth.datasets.volumes.label_table import LabelTable, open_label_table
from fetalsynth.datasets.volumes.pair import Pair, read_pair
from fetalsynth.errors import UserError

SYNTH = "synth"


@dataclass(frozen=True, kw_only=True)
class LabelItem:
    """One label map, its path relative to its folder, and the real image where there is one.

    ``record`` has the names and facts that the synthetic volume takes over, without files.
    """

    path: Path
    file: str
    image: Path | None
    record: VolumeRecord


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """Label maps and where they come from, ready to be an input of another artifact.

    ``table`` maps their labels to the model's, None where they are the model's already.
    """

    items: tuple[LabelItem, ...]
    source: Input
    table: LabelTable | None = None
    label_names: tuple[str, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether the labels are simulated, as far as their folder tells."""
        return bool(self.source.manifest and self.source.manifest.synthetic)


def find_labels(
    folder: Path, *, split: str | None = None, labels_table: str | None = None
) -> LabelSet:
    """List the label maps of ``folder``.

    ``split`` keeps those of one split of an artifact. ``labels_table`` names the scheme of a plain
    folder's labels, as :func:`fetalsynth.datasets.volumes.label_table.open_label_table` takes it.
    In a plain folder, names or folders tell label maps (``x_dseg``, ``labels/x``, …); where they
    tell none, every NIfTI file that is no mask is one.

    Raises UserError where there are none, for an artifact that was changed, and for a split or a
    table where there is no choice.
    """
    if not is_artifact(folder):
        if split is not None:
            raise UserError(f"--split {split}: {folder} has no table of splits; leave it out")
        return _plain(folder, None if labels_table is None else open_label_table(labels_table))
    if labels_table is not None:
        raise UserError(f"--labels-table: {folder} was mapped on import; leave the option out")
    source = input_from(folder, role="labels", kind="volumes")
    every = [row for row in read_participants(folder) if row.labels is not None]
    rows = [row for row in every if split in (None, row.split)]
    if not rows:
        there = ", ".join(sorted({row.split or "(none)" for row in every}))
        wanted = f" of split {split} (there are: {there})" if split and every else ""
        raise UserError(f"{folder}: holds no label map{wanted}")
    return LabelSet(
        items=tuple(_of_record(folder, row) for row in rows),
        source=source,
        label_names=read_label_names(folder) or FETA,
    )


def _of_record(folder: Path, row: VolumeRecord) -> LabelItem:
    return LabelItem(
        path=folder / str(row.labels),
        file=str(row.labels),
        image=None if row.image is None else folder / row.image,
        record=_named(row),
    )


def _plain(folder: Path, table: LabelTable | None) -> LabelSet:
    found = find_partners(folder)
    labelled = [partners for partners in found if partners.labels is not None]
    if not labelled:
        labelled = [replace(p, labels=p.image, image=None) for p in found]
    files = [p.labels for p in labelled if p.labels is not None]
    source = Input(role="labels", path=str(folder), digest=digest_files(folder, files))
    items = [_of_partners(folder, p, path) for p, path in zip(labelled, files, strict=True)]
    return LabelSet(items=tuple(items), source=source, table=table)


def _of_partners(folder: Path, partners: Partners, path: Path) -> LabelItem:
    row = VolumeRecord(
        subject=partners.subject,
        image=None,
        labels=None,
        session=partners.session,
        reconstruction=partners.reconstruction,
        description=_description(partners),
    )
    file = path.relative_to(folder).as_posix()
    return LabelItem(path=path, file=file, image=partners.image, record=_named(row))


def _description(partners: Partners) -> str:
    parts = partners.key.rpartition("/")[2].split("_")
    found = [part.removeprefix("desc-") for part in parts if part.startswith("desc-")]
    return bids_label(found[0]) if found and parts[0].startswith("sub-") else ""


def _named(row: VolumeRecord) -> VolumeRecord:
    """As its synthetic volume is called: ``desc-synth``, behind what the labels' own desc says."""
    before = row.description.removesuffix(SYNTH)
    return replace(row, image=None, labels=None, description=before + SYNTH)


def read_labels(item: LabelItem, *, table: LabelTable | None, known: int) -> Pair:
    """The labels of one file, from 0 to ``known`` − 1, in its own axis order.

    Raises UserError for a file that is damaged, not of three axes or not finite, values that are
    not whole, labels that the table or the model does not know, and for all background.
    """
    own = LabelTable(name="of the model", table={label: label for label in range(known)})
    found = read_pair(image=None, labels=item.path, table=table or own)
    assert found.labels is not None
    if found.labels.max() >= known:
        raise UserError(
            f"{item.path}: becomes label {found.labels.max()}, the model knows 0 to {known - 1}; "
            "give another --labels-table"
        )
    return found


def refuse_equal_names(items: Sequence[LabelItem]) -> None:
    """Raise UserError where two synthetic volumes would have one name."""
    named: dict[str, LabelItem] = {}
    for item in items:
        other = named.setdefault(item.record.name, item)
        if other is not item:
            raise UserError(
                f"{item.path}: its synthetic volume would be called as that of {other.file}; "
                "rename one of them"
            )
