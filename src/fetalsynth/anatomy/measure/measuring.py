"""All measures of one label map, with the lines they were taken along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import BACKGROUND, FETA
from fetalsynth.anatomy.measure.centiles import head_centile, ventriculomegaly_grade
from fetalsynth.anatomy.measure.cortex import CorticalThickness, cortical_thickness
from fetalsynth.anatomy.measure.diameters import HeadSection, head_section, transcerebellar
from fetalsynth.anatomy.measure.fields import Affine, Line, crop
from fetalsynth.anatomy.measure.frame import Frame, find_frame
from fetalsynth.anatomy.measure.hemispheres import TissueVolumes, tissue_volumes
from fetalsynth.anatomy.measure.ventricles import atrial_widths


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """What was measured in one volume; lines are in world mm, None where there was nothing."""

    frame: Frame
    volumes: TissueVolumes
    atrium_left: Line | None
    atrium_right: Line | None
    head: HeadSection
    transcerebellar: Line | None
    cortex: CorticalThickness | None
    gestational_age_weeks: float | None = None

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Millilitres by tissue name."""
        return dict(self.volumes.all_ml)

    @property
    def atrial_width_mm(self) -> tuple[float | None, float | None]:
        """Left and right."""
        return _length(self.atrium_left), _length(self.atrium_right)

    @property
    def bpd_mm(self) -> float:
        """Biparietal diameter, inner to inner border."""
        return self.head.biparietal.length_mm

    @property
    def ofd_mm(self) -> float:
        """Occipitofrontal diameter, inner to inner border."""
        return self.head.occipitofrontal.length_mm

    @property
    def hc_mm(self) -> float:
        """Head circumference along the inner border."""
        return self.head.circumference_mm

    @property
    def tcd_mm(self) -> float | None:
        """Transcerebellar diameter."""
        return _length(self.transcerebellar)

    @property
    def cortical_thickness_mm(self) -> float | None:
        """Median over the cortex."""
        return self.cortex.median_mm if self.cortex else None


def measure(
    labels: NDArray[np.uint8], affine: Affine, *, gestational_age_weeks: float | None = None
) -> Measurements:
    """Measure the head in (I, J, K) FeTA ``labels`` with a (4, 4) ``affine`` in mm.

    Axes may run any way; spacings may differ. Only the box of the labels is worked on.
    Raises ValueError where all is background or a label is not FeTA's.
    """
    if labels.max() >= len(FETA):
        raise ValueError(f"label {labels.max()} is not FeTA's (0 to {len(FETA) - 1})")
    labels, affine = crop(labels, affine)
    frame = find_frame(labels, affine)
    left, right = atrial_widths(labels, affine, frame=frame)
    return Measurements(
        frame=frame,
        volumes=tissue_volumes(labels, affine, frame=frame),
        atrium_left=left,
        atrium_right=right,
        head=head_section(labels, affine, frame=frame),
        transcerebellar=transcerebellar(labels, affine, frame=frame),
        cortex=cortical_thickness(labels, affine),
        gestational_age_weeks=gestational_age_weeks,
    )


def columns(measured: Measurements) -> dict[str, float | str | None]:
    """One row of a table: every measure under a name with its unit."""
    age, cortex = measured.gestational_age_weeks, measured.cortex
    left, right = measured.atrial_width_mm
    row: dict[str, float | str | None] = {
        "gestational_age_weeks": age,
        "atrial_width_left_mm": left,
        "atrial_width_right_mm": right,
        "ventriculomegaly": _grade(left, right),
        "bpd_mm": measured.bpd_mm,
        "ofd_mm": measured.ofd_mm,
        "hc_mm": measured.hc_mm,
        "bpd_centile": head_centile(
            "biparietal_diameter", value_mm=measured.bpd_mm, gestational_age_weeks=age
        ),
        "ofd_centile": head_centile(
            "occipitofrontal_diameter", value_mm=measured.ofd_mm, gestational_age_weeks=age
        ),
        "hc_centile": head_centile(
            "head_circumference", value_mm=measured.hc_mm, gestational_age_weeks=age
        ),
        "tcd_mm": measured.tcd_mm,
        "cortical_thickness_mm": measured.cortical_thickness_mm,
        "cortical_thickness_lower_quartile_mm": cortex.lower_quartile_mm if cortex else None,
        "cortical_thickness_upper_quartile_mm": cortex.upper_quartile_mm if cortex else None,
    }
    for label, name in enumerate(FETA):
        if label == BACKGROUND:
            continue
        start = name.lower().replace(" ", "_")
        row[f"{start}_ml"] = measured.volumes.all_ml[name]
        row[f"{start}_left_ml"] = measured.volumes.left_ml[name]
        row[f"{start}_right_ml"] = measured.volumes.right_ml[name]
    row["symmetry"] = measured.frame.symmetry
    row["turn_deg"] = measured.frame.turn_deg
    return row


def _grade(left: float | None, right: float | None) -> str | None:
    known = [width for width in (left, right) if width is not None]
    return ventriculomegaly_grade(atrial_width_mm=max(known)) if known else None


def _length(line: Line | None) -> float | None:
    return line.length_mm if line else None
