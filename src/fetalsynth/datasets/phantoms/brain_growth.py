"""How the phantom's brain grows between 20 and 36 weeks: mean curves by gestational age.

Head size is the INTERGROWTH-21st standard (:mod:`fetalsynth.anatomy.biometry`). The rest:

- Transverse cerebellar diameter: 6.95 + 0.0333 GA² mm (20 mm at 20 weeks, 45 mm at 34), the
  INTERGROWTH-21st curve as commonly coded.
- Atrial width: 7.6 mm at every age (Cardoza et al., Radiology 1988), independent of age also on
  MRI (Kyriakopoulou et al., Brain Struct Funct 2017;222:2295).
- Brain volume: not set but a result of the shapes. The yardstick is Chang et al., Ultrasound Med
  Biol 2003;29:1267: V = −171.48 + 4.808 GA + 0.2952 GA² ml (60 ml at 21 weeks, 333 ml at 34),
  by 3D ultrasound; MRI segmentations of the parenchyma run 10 to 25 % lower.
- Sulci: parieto-occipital and calcarine from 21 weeks, cingulate and central from 24, temporal
  and secondary ones from 26 on (Garel et al., AJNR 2001;22:184; Toi et al., UOG 2004;24:706).
- Extra-axial fluid, cortical thickness and depth of secondary sulci are eyeballed: published ones
  depend much on the segmentation. Read them as plausible within about 30 %.
"""

from __future__ import annotations

import numpy as np

from fetalsynth.errors import UserError

PHANTOM_WEEKS = (20.0, 36.0)
ATRIAL_WIDTH_MM = 7.6


def check_weeks(weeks: tuple[float, float]) -> None:
    """Raise UserError unless the range lies in what the phantom knows."""
    low, high = weeks
    if not PHANTOM_WEEKS[0] <= low <= high <= PHANTOM_WEEKS[1]:
        raise UserError(
            f"gestational ages {low:g} to {high:g} weeks: give a range from low to high within "
            f"{PHANTOM_WEEKS[0]:g} to {PHANTOM_WEEKS[1]:g}"
        )


def brain_volume_ml(weeks: float) -> float:
    """Mean brain volume by 3D ultrasound (Chang et al. 2003), ml."""
    return -171.48036 + 4.8079 * weeks + 0.29521 * weeks**2


def cerebellar_diameter_mm(weeks: float) -> float:
    """Mean transverse cerebellar diameter, mm."""
    return 6.9519 + 0.03327 * weeks**2


def skull_and_scalp_mm(weeks: float) -> float:
    """Bone between the outer border of the skull and the cavity, mm."""
    return _curve(weeks, (20, 28, 36), (1.0, 1.5, 2.1))


def fluid_gap_mm(weeks: float) -> float:
    """Fluid between the brain and the skull over the convexity, mm."""
    return _curve(weeks, (20, 24, 28, 32, 36), (1.7, 2.1, 2.3, 1.9, 1.2))


def cortex_mm(weeks: float) -> float:
    """Thickness of the cortical plate, mm."""
    return _curve(weeks, (20, 28, 36), (1.5, 1.8, 2.1))


def secondary_depth_mm(weeks: float) -> float:
    """Greatest depth of secondary sulci, mm."""
    return _curve(weeks, (23, 25, 27, 30, 33, 36), (0.0, 0.8, 2.3, 5.2, 7.8, 9.0))


def gyral_period_mm(weeks: float) -> float:
    """Distance from one secondary sulcus to the next, mm."""
    return _curve(weeks, (22, 28, 36), (17.0, 14.5, 11.5))


def opercular_closure(weeks: float) -> float:
    """How far the Sylvian fissure has closed over the insula: 0 open, 1 closed."""
    return _curve(weeks, (20, 26, 31, 36), (0.0, 0.3, 0.75, 1.0))


def lamination(weeks: float) -> float:
    """How clearly the subplate and the intermediate zone differ on T2: 1 at 22, 0 by 36 weeks."""
    return _curve(weeks, (20, 26, 32, 36), (1.0, 0.9, 0.35, 0.1))


def germinal_matrix_mm(weeks: float) -> float:
    """Thickness of the dark matrix that lines the lateral ventricles, mm."""
    return _curve(weeks, (20, 26, 32, 36), (2.0, 1.5, 0.6, 0.2))


def _curve(weeks: float, ages: tuple[float, ...], values: tuple[float, ...]) -> float:
    return float(np.interp(weeks, ages, values))
