"""The options of ``fetalsynth data``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fetalsynth.cli.data_volumes import VolumeKind


@dataclass(frozen=True)
class Phantom:
    """Make phantom images or volumes whose anatomy is known. Not for clinical use."""

    kind: Annotated[Literal["ultrasound", "brain"], tyro.conf.Positional]
    """ultrasound for images of heads, brain for MRI volumes with label maps."""
    n: int
    """How many images or volumes."""
    out: Path
    """New folder for them."""
    seed: int = 0
    """Seed of the anatomy, the speckle and the split."""
    size: int = 256
    """Width and height in pixels, of ultrasound."""
    spacing_mm: float | None = None
    """Distance between voxels, of brain; 1 mm if not given."""
    held_out: float = 0.2
    """Fraction of subjects held out for assessment."""


@dataclass(frozen=True)
class Import:
    """Bring images, or volumes with label maps, into one form and table, split by subject. The
    source stays as it is. Volumes keep their own space; exit code 1 where some were left out."""

    kind: Annotated[Literal["hc18", "folder"] | VolumeKind, tyro.conf.Positional]
    """hc18, or folder for PNG, JPEG, TIFF and DICOM images; feta, atlas (Fidon et al. 2021), or
    pairs for NIfTI volumes with label maps."""
    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Folder to read."""
    out: Path
    """New folder for the images or volumes."""
    size: int | None = 64
    """Images: width and height in pixels; None keeps the original sizes."""
    fit: Literal["pad", "squash"] = "pad"
    """Images: pad keeps the aspect on black; squash distorts it."""
    channels: Literal[1, 3] | None = None
    """Images: 1 for luminance, 3 for RGB; as the files have it if not given."""
    mask_overlays: bool = False
    """Images: remove burned-in grey bars and black boxes, which a generator would learn."""
    labels_table: str | None = None
    """Volumes of pairs: CSV or TSV with columns label and tissue (FeTA's name or number), or feta,
    spina-bifida-atlas or dhcp."""
    reconstruction: str | None = None
    """Volumes: keep those with this rec- in their names, such as irtk or mial."""
    test_subjects: tuple[str, ...] = ()
    """Volumes: the subjects held out for assessment, by name, instead of a fraction."""
    held_out: float = 0.2
    """Fraction of subjects held out for assessment."""
    seed: int = 0
    """Seed of the split."""
    subjects: Path | None = None
    """CSV with columns file and subject, and any of pixel_spacing_mm, gestational_age_weeks, …; for
    pairs CSV or TSV with subject or participant_id, and any of gestational_age_weeks, pathology"""


@dataclass(frozen=True)
class Check:
    """Look for what would spoil training or assessment. Exit code 1 where there are errors."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """A folder that `fetalsynth data …` made, or any folder of images or of NIfTI volumes."""
    labels_table: str | None = None
    """For a folder of volumes: which labels it has, as for import pairs."""


@dataclass(frozen=True)
class Download:
    """Fetch public data or weights from their publisher; goes on where an earlier try stopped."""

    kind: Annotated[Literal["hc18", "inception"], tyro.conf.Positional]
    """hc18, or inception for the weights of the standard FID network."""
    out: Path
    """Folder to fetch it into."""
