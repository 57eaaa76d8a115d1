"""Where a measure lies among healthy fetuses of its age, and which ventricles count as wide."""

from __future__ import annotations

from typing import Literal

from fetalsynth.anatomy.biometry import AGE_RANGE_WEEKS, Measure, growth_centile

Grade = Literal["normal", "mild", "moderate", "severe"]

_LIMITS_MM: tuple[tuple[float, Grade], ...] = ((10, "normal"), (12, "mild"), (15, "moderate"))


def ventriculomegaly_grade(*, atrial_width_mm: float) -> Grade:
    """Normal below 10 mm, mild to 12, moderate below 15, severe from 15 mm on.

    Gaglioti et al., Ultrasound Obstet Gynecol 2005;25:372. The atrial width of healthy fetuses
    does not change with age.
    """
    if atrial_width_mm == 12:
        return "mild"
    return next((grade for limit, grade in _LIMITS_MM if atrial_width_mm < limit), "severe")


def head_centile(
    measure: Measure, *, value_mm: float, gestational_age_weeks: float | None
) -> float | None:
    """Centile in the INTERGROWTH-21st standard, None without an age or outside 14 to 40 weeks.

    The standard is of the outer border of the skull on ultrasound; a label map ends at the inner
    one, so that its centile is too low by what the skull adds.
    """
    low, high = AGE_RANGE_WEEKS
    if gestational_age_weeks is None or not low <= gestational_age_weeks <= high:
        return None
    return growth_centile(measure, value_mm=value_mm, gestational_age_weeks=gestational_age_weeks)
