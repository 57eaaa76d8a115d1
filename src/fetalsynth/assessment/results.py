"""Metrics as they are reported: value, interval, floor, excess over it, and doubts in words."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fetalsynth.artifacts.scores import Metric
from fetalsynth.assessment.floors import Design, Matched
from fetalsynth.assessment.resampling import Interval


def matched_metric(
    found: Matched,
    design: Design,
    *,
    meaning: str,
    settings: dict[str, Any],
    least_images: int = 50,
    p_value: float | None = None,
    unit: str | None = None,
    direction: Literal["lower", "higher", "none"] = "lower",
) -> Metric:
    """The metric of a statistic at matched counts; by default lower is better.

    With fewer than ``least_images`` a side its meaning says that it is no more than a hint.
    """
    return Metric(
        value=found.value,
        ci95=found.ci95,
        p_value=p_value,
        direction=direction,
        n_real=design.count,
        n_synthetic=design.count,
        settings={
            **settings,
            "least_images_a_side": least_images,
            **floor_settings(design, found.floor_interval),
            **minus_floor(
                value=found.value,
                ci95=found.ci95,
                floor=found.floor,
                floor_interval=found.floor_interval,
            ),
        },
        floor=found.floor,
        unit=unit,
        meaning=meaning + few_words(design.count, least_images),
    )


def few_words(count: int, least: int) -> str:
    """What to say after the meaning of a number from too few images; nothing where they do."""
    if count >= least:
        return ""
    return f" It needs {least} images a side and has {count}: no more than a hint."


def minus_floor(
    *, value: float, ci95: Interval | None, floor: float, floor_interval: Interval
) -> dict[str, Any]:
    """The excess over the floor with its interval, both errors as independent of each other.

    Value and floor share their real images, so that the interval is wider than needed. None where
    the value has no interval.
    """
    found: dict[str, Any] = {"minus_floor": value - floor, "minus_floor_ci95": None}
    if ci95 is not None:
        sides = ((value, ci95), (floor, floor_interval))
        reaches = [max(high - middle, middle - low) for middle, (low, high) in sides]
        reach = float(np.hypot(reaches[0], reaches[1]))
        found["minus_floor_ci95"] = [value - floor - reach, value - floor + reach]
    return found


def floor_settings(design: Design, floor_interval: Interval) -> dict[str, Any]:
    """What a result must say about its floor."""
    return {
        "floor_of": design.kind,
        "floor_images_a_side": design.count,
        "floor_draws": len(design.floor),
        "floor_interval": list(floor_interval),
    }
