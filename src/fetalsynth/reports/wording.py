"""Numbers in words that people read: three significant digits, true minus signs, units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

NARROW_SPACE = "\u202f"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST = 1e-15
_LEAST_PLAIN, _LEAST_SCIENTIFIC = 1e-3, 1e6


def number(value: float, *, beside: Sequence[float] = ()) -> str:
    """``value`` to three significant digits, or to as many as the numbers ``beside`` it need.

    Magnitudes from 0.001 to a million are written plainly and never with fewer digits than the
    integer part has; others as a product with a power of ten. Numbers set beside each other (an
    estimate and its interval, estimate first) share the power of ten and the number of decimals.
    What is below 1e-15 is written 0; not-a-number and infinity are said in words.
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinity"
    scale = _scale(beside or (value,))
    if scale < _SMALLEST:
        return "0"
    exponent = math.floor(math.log10(scale) + 1e-12)
    if _LEAST_PLAIN <= scale < _LEAST_SCIENTIFIC:
        return _fixed(value, decimals=max(0, 2 - exponent))
    mantissa = _fixed(value / 10.0**exponent, decimals=2)
    return (
        mantissa if mantissa == "0" else f"{mantissa} × 10{str(exponent).translate(_SUPERSCRIPTS)}"
    )


def _scale(group: Sequence[float]) -> float:
    """Magnitude that decides the decimals: the estimate's, unless its interval dwarfs it."""
    sizes = [abs(v) for v in group if math.isfinite(v)]
    return max(sizes[0], max(sizes) / 10) if sizes else 0.0


def _fixed(value: float, *, decimals: int) -> str:
    text = f"{abs(value):,.{decimals}f}".replace(",", NARROW_SPACE)
    if not text.strip("0."):
        return "0"
    return f"−{text}" if value < 0 else text


def count(value: int) -> str:
    """An integer with narrow spaces between thousands from 10 000 on."""
    return f"{value:,}".replace(",", NARROW_SPACE) if abs(value) >= 10_000 else str(value)


def p_value(value: float) -> str:
    """A p-value as journals print it: two or three decimals, and no zero."""
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Seconds as the two largest units that matter ("3 h 20 min", "45 s")."""
    if seconds < 60:
        return f"{number(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def readable_time(recorded: str) -> str:
    """An ISO time as date and time to the minute; anything else as it is."""
    try:
        moment = datetime.fromisoformat(recorded)
    except ValueError:
        return recorded
    zone = " UTC" if moment.utcoffset() == timedelta(0) else ""
    return f"{moment:%Y-%m-%d %H:%M}{zone}"


def plural(n: int, one: str, many: str = "") -> str:
    """``n`` with its noun: "1 image", "800 images"."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def listing(words: Sequence[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
