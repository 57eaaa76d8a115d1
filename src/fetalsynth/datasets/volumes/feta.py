"""FeTA: reconstructed fetal brain MRI with seven tissues, in its official BIDS layout.

Spacing and orientation are those of each file's header: the nominal 0.5 mm holds for most volumes,
not for all.
"""

from __future__ import annotations

from pathlib import Path

from fetalsynth.artifacts.manifest import Licence
from fetalsynth.datasets.volumes.finding import find_partners
from fetalsynth.datasets.volumes.label_table import FETA_TABLE
from fetalsynth.datasets.volumes.pairs import PARTICIPANTS, source_of
from fetalsynth.datasets.volumes.source import VolumeSource
from fetalsynth.errors import UserError

LICENCE = Licence(
    source="FeTA",
    licence="FeTA data use agreement",
    citation=(
        "Payette K, de Dumast P, Kebiri H, et al. An automatic multi-tissue human fetal brain "
        "segmentation benchmark using the Fetal Tissue Annotation Dataset. Scientific Data "
        "2021;8:167. doi:10.1038/s41597-021-00946-3"
    ),
    url="https://www.synapse.org/Synapse:syn25649159",
)


def open_source(folder: Path, *, reconstruction: str | None = None) -> VolumeSource:
    """FeTA as a source: the folder with ``participants.tsv``, or the one above it.

    ``sub-x/anat/sub-x_rec-<reconstruction>_{T2w,dseg}.nii.gz`` by whatever reconstructions there
    are; ``reconstruction`` keeps one of them. Age and pathology come from ``participants.tsv``.
    Raises UserError where the folder is not FeTA or has no volume of that reconstruction.
    """
    root = _root(folder)
    found = [p for p in find_partners(root) if _is_raw(p.key)]
    if not found:
        raise UserError(f"{root}: holds no sub-x/anat/sub-x_rec-…_T2w.nii.gz; unpack FeTA again")
    return source_of(
        found,
        name="feta",
        folder=root,
        labels=FETA_TABLE,
        subjects=root / PARTICIPANTS,
        reconstruction=reconstruction,
        licences=(LICENCE,),
    )


def _root(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; point at the unpacked FeTA archive")
    roots = [p.parent for p in (folder / PARTICIPANTS, *sorted(folder.glob(f"*/{PARTICIPANTS}")))]
    whole = [root for root in roots if (root / PARTICIPANTS).is_file()]
    if not whole:
        raise UserError(
            f"{folder}: has no {PARTICIPANTS}, so it is not FeTA; other folders of images and "
            "labels are read with: fetalsynth data import pairs"
        )
    if len(whole) > 1 and whole[0] != folder:
        raise UserError(f"{folder}: holds several data sets; point at one, such as {whole[0]}")
    return whole[0]


def _is_raw(key: str) -> bool:
    """Whether it lies in a subject's own folder rather than in ``derivatives``."""
    return key.startswith("sub-")
