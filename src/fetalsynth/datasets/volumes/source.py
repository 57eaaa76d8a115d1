"""What every source of volumes yields, whatever its format: voxels, labels, space, subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import FETA
from fetalsynth.artifacts.manifest import Licence
from fetalsynth.artifacts.nifti import Affine, Header


@dataclass(frozen=True, kw_only=True)
class SourceVolume:
    """One volume as its source has it, in its own space.

    ``image`` is (I, J, K) in the source's units, ``labels`` (I, J, K) mapped to the labels of the
    set; one of them may be missing. ``affine`` is (4, 4), mm. ``window`` holds the values in source
    units that become black and white, None to have it measured. The names are BIDS labels (letters
    and digits). ``extra`` is what else the source knows, as text by column name with the unit in
    the name (``atrial_width_mm``). ``sidecar`` goes into the JSON beside the files. ``notes`` tell
    what was put right.
    """

    subject: str
    affine: Affine
    image: NDArray[Any] | None = None
    labels: NDArray[np.uint8] | None = None
    header: Header | None = None
    window: tuple[float, float] | None = None
    session: str = ""
    reconstruction: str = ""
    gestational_age_weeks: float | None = None
    pathology: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VolumeItem:
    """A volume that can be read: ``read`` raises UserError where that one is broken.

    ``name`` is what messages call it; ``subject`` its BIDS label, known before it is read.
    """

    name: str
    subject: str
    read: Callable[[], SourceVolume]


@dataclass(frozen=True, kw_only=True)
class VolumeSource:
    """A set of volumes that can be read one by one, so that a broken one spoils no other.

    ``digest`` identifies the content (or, for a simulator, its settings); ``synthetic`` tells
    whether the volumes are simulated. ``notes`` are sentences that the user should read.
    ``label_names`` has one name per label, background first.
    """

    name: str
    digest: str
    items: tuple[VolumeItem, ...]
    licences: tuple[Licence, ...] = ()
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    label_names: tuple[str, ...] = FETA

    @property
    def count(self) -> int:
        """How many volumes there are."""
        return len(self.items)
