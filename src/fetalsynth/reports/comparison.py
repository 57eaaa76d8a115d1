"""One score of several sets of images in one chart, where that is an honest thing to draw."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

from fetalsynth.artifacts.scores import Metric
from fetalsynth.errors import UserError
from fetalsynth.reports.wording import listing, number

# Their expected value falls or rises with the number of images alone.
SIZE_DEPENDENT = (
    "FD-",
    "FID",
    "SW2-",
    "LBPv-L1",
    "LBPv-chi2",
    "LBPv-JS",
    "image-mean-KS",
    "grey-level-W1",
    "precision-",
    "recall-",
    "density-",
    "coverage-",
    "Vendi-",
    "diversity-",
    "nearest-distance",
    "copy-share",
    "data-copying-z",
    "duplicate-share",
)
# One score under other settings is another score.
DEFINING = (
    "features",
    "weights_sha256",
    "resizing",
    "outside_fan",
    "pairing",
    "scales",
    "bins",
    "k",
)
_EXTRAPOLATED = "FD-infinity-"
_WIDTH, _LEFT, _RIGHT, _ROW, _TOP, _FOOT = 640, 190, 24, 30, 8, 40


def comparison_chart(*, name: str, results: Mapping[str, Metric]) -> Markup:
    """SVG of the metric ``name`` of several results: value, interval, and the floor as a band.

    Raises UserError where the metric depends on the number of images (Fréchet distances above
    all) and the results were computed from different numbers: their differences would be mostly
    bias; and where they were computed with different settings, such as another resizing. Raises
    ValueError without results.
    """
    refuse_unequal_counts(name=name, results=results)
    refuse_unequal_settings(name=name, results=results)
    scale = _Scale(list(results.values()))
    rows = [
        _row(_TOP + _ROW * place + _ROW // 2, label, metric, scale)
        for place, (label, metric) in enumerate(results.items())
    ]
    height = _TOP + _ROW * len(results) + _FOOT
    unit = next(iter(results.values())).unit
    title = f"{name} in {unit}" if unit else name
    return Markup(
        f'<svg class="comparison" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>{escape(title)}, value and floor of {len(results)} sets</title>"
        f"{''.join(rows)}{scale.axis(height - _FOOT, title)}</svg>"
    )


def refuse_unequal_counts(*, name: str, results: Mapping[str, Metric]) -> None:
    """Raise UserError where results of a metric that depends on the counts differ in them."""
    if not name.startswith(SIZE_DEPENDENT) or name.startswith(_EXTRAPOLATED):
        return
    counts = sorted({(metric.n_real, metric.n_synthetic) for metric in results.values()})
    if len(counts) > 1:
        found = listing([f"{real} real and {made} synthetic" for real, made in counts])
        raise UserError(
            f"{name} cannot be charted together: it was computed from {found} images, and it "
            "changes with their number alone; assess equally many images, or chart KID"
        )


def refuse_unequal_settings(*, name: str, results: Mapping[str, Metric]) -> None:
    """Raise UserError where results differ in a setting that defines the metric."""
    for setting in DEFINING:
        values = {label: metric.settings.get(setting) for label, metric in results.items()}
        if len(set(map(repr, values.values()))) > 1:
            found = listing([f"{label}: {value}" for label, value in values.items()])
            raise UserError(
                f"{name} cannot be charted together: {setting.replace('_', ' ')} differs "
                f"({found}); assess all sets with the same settings"
            )


class _Scale:
    """From values to pixels, with room for every interval and floor."""

    def __init__(self, metrics: list[Metric]) -> None:
        if not metrics:
            raise ValueError("there is nothing to chart")
        ends = [0.0]
        for metric in metrics:
            ends += [metric.value, *(metric.ci95 or ()), *_floor(metric)]
        self.low, self.high = min(ends), max(ends)
        if self.high == self.low:
            self.high = self.low + 1.0

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def axis(self, y: int, title: str) -> str:
        """Line, both ends and the title below the rows."""
        parts = [f'<line class="tick" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>']
        for value in (self.low, self.high):
            parts.append(
                f'<text x="{self(value)}" y="{y + 14}" text-anchor="middle">{number(value)}</text>'
            )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(f'<text x="{middle}" y="{y + 30}" text-anchor="middle">{escape(title)}</text>')
        return "".join(parts)


def _floor(metric: Metric) -> tuple[float, ...]:
    between = metric.settings.get("floor_interval")
    if isinstance(between, list | tuple) and len(between) == 2:
        return float(between[0]), float(between[1])
    return () if metric.floor is None else (metric.floor, metric.floor)


def _row(y: int, label: str, metric: Metric, scale: _Scale) -> str:
    parts = [f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(label)}</text>']
    floor = _floor(metric)
    if floor:
        left, right = map(scale, floor)
        width = round(max(right - left, 2.0), 1)
        parts.append(f'<rect class="floor" x="{left}" y="{y - 9}" width="{width}" height="18"/>')
    if metric.ci95 is not None:
        low, high = map(scale, metric.ci95)
        parts.append(f'<line class="interval" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>')
    parts.append(f'<circle class="dot" cx="{scale(metric.value)}" cy="{y}" r="4.5"/>')
    return "".join(parts)
