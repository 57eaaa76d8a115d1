"""The whole analysis of a reader study: ``analysis.json``, tables and ``scores.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.scores import Metric, Scores, write_scores
from fetalsynth.assessment.tables import csv_text
from fetalsynth.errors import UserError
from fetalsynth.reader.analysis_agreement import between_readers, within_readers
from fetalsynth.reader.analysis_conduct import conduct
from fetalsynth.reader.analysis_detection import each_reader
from fetalsynth.reader.analysis_metrics import against_metrics
from fetalsynth.reader.analysis_pairs import each_reader_of_pairs, pairs_together
from fetalsynth.reader.analysis_quality import quality_by_set, reader_scores_csv
from fetalsynth.reader.analysis_readings import Floats, Readings, readings_of, shown
from fetalsynth.reader.analysis_rows import Row
from fetalsynth.reader.analysis_scores import SetScores
from fetalsynth.reader.analysis_sets import each_set, sets_against_each_other
from fetalsynth.reader.analysis_together import together
from fetalsynth.reader.analysis_verdict import caveats, outcome

ANALYSIS = "analysis.json"
MARGIN = 0.10
_MEANINGS = {
    "auc": "Chance that a synthetic image is rated more surely synthetic than a real one; mean "
    "over readers. 0.5 is guessing.",
    "balanced_accuracy": "Mean of sensitivity and specificity; mean over readers. 0.5 is guessing.",
    "correct": "Share of pairs in which the real image was found; mean over readers. 0.5 is "
    "guessing.",
    "d_prime": "Distance between synthetic and real in units of the readers' noise; 0 is guessing.",
    "criterion": "Leaning of the readers: above 0 towards 'real', below towards 'synthetic'.",
    "judged_real_synthetic": "Share of synthetic images judged real; mean over readers.",
    "judged_real_real": "Share of real images judged real; mean over readers.",
}


def analyse(
    rows: Sequence[Row],
    *,
    margin: float = MARGIN,
    scores: Sequence[SetScores] = (),
    log_problems: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that the report shows, as JSON values; NaN is None.

    ``margin`` is that of equivalence to chance; ``log_problems`` is what the export found wrong
    with the log of answers. Raises UserError for answers that do not belong together, for margins
    not between 0 and 0.5, and for images of one class only.
    """
    if not 0 < margin < 0.5:
        raise UserError(f"--margin {margin:g}: give a number between 0 and 0.5, such as 0.10")
    readings = readings_of(rows)
    if not readings.pairs and (readings.signal.all() or not readings.signal.any()):
        raise UserError("all images are of one class; there is nothing to tell apart")
    record: dict[str, Any] = {"study": _study(readings, rows), "margin": margin}
    if readings.pairs:
        record["readers"] = each_reader_of_pairs(readings, margin=margin)
        record["together"] = pairs_together(readings, margin=margin)
        record["sets"], record["sets_test"] = [], None
    else:
        record["readers"] = each_reader(readings, margin=margin)
        record["together"] = together(readings, margin=margin)
        record["sets"] = each_set(readings, seed=seed)
        record["sets_test"] = sets_against_each_other(readings)
    record["between"] = between_readers(readings, seed=seed)
    record["within"] = within_readers(readings)
    record["quality"] = quality_by_set(readings)
    record["conduct"] = conduct(readings)
    record["metrics"] = None if readings.pairs else against_metrics(readings, scores, seed=seed)
    found, measure = outcome(record["together"], pairs=readings.pairs)
    record["log_problems"] = list(log_problems)
    record["outcome"] = {"name": found, "measure": measure}
    record["caveats"] = caveats(record)
    return _finite(record)  # type: ignore[no-any-return]


def _study(readings: Readings, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "name": rows[0].study,
        "pairs": readings.pairs,
        "confidence": readings.rated,
        "quality": bool(np.isfinite(readings.quality).any()),
        "readers": len(readings.readers),
        "images": len(readings.images),
        "synthetic": int(readings.signal.sum()),
        "real": int((~readings.signal).sum()),
        "sets": list(readings.synthetic_sets),
        "answers": len(rows),
        "repeats": len(readings.repeats),
        "catch": len({shown(row) for row in readings.catch}),
    }


def write_analysis(
    folder: Path, record: Mapping[str, Any], rows: Sequence[Row], *, inputs: dict[str, Any]
) -> None:
    """Write analysis.json, scores.json and the tables into ``folder``."""
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / ANALYSIS, text + "\n")
    write_scores(folder, scores_of(record, inputs=inputs))
    for name, table in tables_of(record, readings_of(rows)).items():
        write_text(folder / name, table)


def scores_of(record: Mapping[str, Any], *, inputs: dict[str, Any]) -> Scores:
    """The readers' figures as metrics: better is harder to tell, but only the outcome says so."""
    study = record["study"]
    counts = {"n_real": study["real"], "n_synthetic": study["synthetic"]}
    if study["pairs"]:
        counts = {"n_real": study["images"], "n_synthetic": study["images"]}
    metrics = {}
    for name, figure in record["together"]["figures"].items():
        ends = figure["ci95"]
        metrics[f"readers-{name.replace('_', '-')}"] = Metric(
            value=figure["value"],
            ci95=(ends[0], ends[1]) if ends and None not in ends else None,
            p_value=figure.get("p_value"),
            direction="lower"
            if name in ("auc", "balanced_accuracy", "correct", "d_prime")
            else "none",
            floor=None,
            settings={
                "readers": study["readers"],
                "random_readers": figure.get("random_readers", False),
                "outcome": record["outcome"]["name"],
            },
            meaning=_MEANINGS[name],
            **counts,
        )
    return Scores(metrics=metrics, inputs=inputs)


def tables_of(record: Mapping[str, Any], readings: Readings) -> dict[str, str]:
    """CSV texts by file name."""
    tables = {"readers.csv": _readers_csv(record), "images.csv": _images_csv(readings)}
    if not readings.pairs:
        judged = reader_scores_csv(readings, what="judged_real")
        tables["judged_real_by_set.csv"] = judged
        quality = bool(np.isfinite(readings.quality).any())
        scored = reader_scores_csv(readings, what="quality") if quality else judged
        tables["reader_scores.csv"] = scored
    if record["between"]:
        tables["agreement.csv"] = _agreement_csv(record["between"])
    if record["metrics"]:
        tables["metric_correlations.csv"] = _metrics_csv(record["metrics"])
    return tables


_SHARES = ("sensitivity", "specificity", "judged_real_synthetic", "judged_real_real", "correct")
_FIGURES = (*_SHARES, "d_prime", "criterion", "auc", "balanced_accuracy")


def _readers_csv(record: Mapping[str, Any]) -> str:
    names = [name for name in _FIGURES if any(one.get(name) for one in record["readers"])]
    header = ["reader", "group", "decisions", "one_answer"]
    header += [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    rows = []
    for one in record["readers"]:
        cells: list[object] = [one[name] for name in ("reader", "group", "decisions", "one_answer")]
        for name in names:
            figure = one.get(name) or {"value": None, "ci95": None}
            cells += [figure["value"], *(figure["ci95"] or (None, None))]
        rows.append(cells)
    return csv_text(header, rows)


def _images_csv(readings: Readings) -> str:
    """What was said of each image, over all readers: for looking at those that deceive most."""
    header = ["item", "set", "truth", "source_file", "answers"]
    header += ["share_correct", "share_judged_real", "mean_quality", "mean_seconds"]
    columns = (
        _column_means(readings.correct),
        _column_means(1 - readings.said_synthetic),
        _column_means(readings.quality),
        _column_means(readings.seconds),
    )
    rows = []
    for place, item in enumerate(readings.images):
        truth = "pair" if readings.pairs else ("synthetic" if readings.signal[place] else "real")
        about = (item, readings.sets[place], truth, readings.files[place])
        answers = int(np.isfinite(readings.correct[:, place]).sum())
        rows.append((*about, answers, *(float(column[place]) for column in columns)))
    return csv_text(header, rows)


def _column_means(values: Floats) -> Floats:
    """Means over readers, NaN where nobody answered."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), np.nan)


def _agreement_csv(between: Mapping[str, Any]) -> str:
    names = ("kappa", "observed", "pabak", "prevalence", "bias", "n", "remark")
    rows = [
        (
            what,
            pair["first"],
            pair["second"],
            *(pair[n] for n in names),
            *(pair["ci95"] or ("", "")),
        )
        for what in ("verdict", "quality")
        if between[what]
        for pair in between[what]["pairs"]
    ]
    return csv_text(("answer", "first", "second", *names, "ci95_low", "ci95_high"), rows)


def _metrics_csv(metrics: Mapping[str, Any]) -> str:
    names = ("spearman", "p_value", "p_adjusted", "expected", "n")
    rows = [
        (level, row["metric"], *(row.get(n) for n in names), *(row.get("ci95") or ("", "")))
        for level in ("images", "sets")
        for row in metrics[level]["rows"]
    ]
    return csv_text(("level", "metric", *names, "ci95_low", "ci95_high"), rows)


def _finite(value: Any) -> Any:
    """The value with NaN and infinities as None and NumPy's numbers as Python's."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
