"""Tables of an assessment as CSV text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Header and rows, all digits; empty where a value is None or not a number."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if _absent(value) else value for value in row])
    return stream.getvalue()


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
