"""The analysis plan of a study, carried out: ``results.csv`` → ``analysis.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fetalsynth.artifacts.files import write_text
from fetalsynth.randomness import numpy_rng
from fetalsynth.studies.analysis_entry import Entry, not_analysed
from fetalsynth.studies.analysis_factors import factorial_entries, trend_entries
from fetalsynth.studies.analysis_factors import refused as refuse
from fetalsynth.studies.analysis_margins import equivalence_entries, power_entries
from fetalsynth.studies.analysis_published import published_entries
from fetalsynth.studies.analysis_ranks import kruskal_entries
from fetalsynth.studies.analysis_readers import reader_entries
from fetalsynth.studies.analysis_scores import of_scored_arms, read_scores_of_sets
from fetalsynth.studies.analysis_sets import is_element
from fetalsynth.studies.analysis_settings import (
    AnyItem,
    Equivalence,
    Factorial,
    Kruskal,
    Power,
    Published,
    Readers,
    Trend,
    parse_items,
)
from fetalsynth.studies.analysis_table import Origin, Row, Table, make_tables
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import Analysis
from fetalsynth.studies.results import read_results

ANALYSIS = "analysis.json"
PUBLISHED_METRICS = ("FID*", "FD-Inception*", "LBPv-V*")
WITHOUT_SCORES = (
    "it needs readers' scores, a CSV file with columns set and score; give it with --readers FILE."
)


def write_analysis(
    folder: Path,
    *,
    items: Sequence[Analysis],
    plan: Plan,
    readers: Path | None = None,
    seed: int = 0,
) -> int:
    """Write ``analysis.json`` in the study's ``folder``; returns the number of entries.

    ``items`` is the recipe's analysis plan. ``readers`` is a CSV file of scores by set for the
    items that name none. Raises UserError for a faulty analysis plan, missing results, or scores
    that fit no sets.
    """
    origins = {cell.assess: Origin(train=cell.train, generate=cell.generate) for cell in plan.cells}
    rows = read_results(folder)
    entries = analyse(rows, items=items, origins=origins, readers=readers, seed=seed)
    text = json.dumps([entry.as_json() for entry in entries], indent=1, ensure_ascii=False)
    write_text(folder / ANALYSIS, text + "\n")
    return len(entries)


def analyse(
    rows: Sequence[Row],
    *,
    items: Sequence[Analysis],
    origins: Mapping[str, Origin],
    readers: Path | None = None,
    seed: int = 0,
) -> list[Entry]:
    """Entries of all ``items`` in order, those that cannot be carried out included."""
    entries = []
    for item in parse_items(items):
        found = _item(_filled(item, readers), rows, origins, seed)
        prefix = f"{item.name}: " if item.name else ""
        entries += [replace(entry, name=prefix + entry.name) for entry in found]
    return entries


def _filled(item: AnyItem, readers: Path | None) -> AnyItem:
    """The item with the file of scores and the metrics that it means where it names none."""
    update: dict[str, object] = {}
    if isinstance(item, Readers | Published) and item.scores is None:
        update["scores"] = readers
    if isinstance(item, Published) and not item.metrics:
        update["metrics"] = PUBLISHED_METRICS
    if isinstance(item, Readers) and not item.metrics:
        update["metrics"] = ("*",)
    return item.model_copy(update=update)


def _item(
    item: AnyItem, rows: Sequence[Row], origins: Mapping[str, Origin], seed: int
) -> list[Entry]:
    name = item.name or item.kind
    if isinstance(item, Readers | Published) and item.scores is None:
        return [not_analysed(kind=item.kind, name=name, why=WITHOUT_SCORES, arm=item.arm)]
    tables, missing = make_tables(rows, item=item, origins=origins)
    refused = [
        not_analysed(kind=item.kind, name=name, why=f"{why}.", arm=item.arm) for why in missing
    ]
    varying = [table for table in tables if _can_tell(table, item)]
    flat = [table for table in tables if not _can_tell(table, item)]
    refused += [refuse(item.kind, table, _why_flat(table)) for table in flat]
    found = _found(item, varying, seed)
    if not found and not refused:
        why = "none of its metrics is there, or nothing varies between the cells of the arm."
        refused = [not_analysed(kind=item.kind, name=name, why=why, arm=item.arm)]
    return [*found, *refused]


def _can_tell(table: Table, item: AnyItem) -> bool:
    """Whether values vary; LBP elements that never occur are left to the tests of them all."""
    together = isinstance(item, Readers | Published) and is_element(table.metric)
    return together or bool(np.ptp(table.values) > 0)


def _why_flat(table: Table) -> str:
    if len(table.values) == 1:
        return "there is one set only"
    return "the value is the same for all sets"


def _found(item: AnyItem, tables: list[Table], seed: int) -> list[Entry]:
    rng = numpy_rng(seed=seed, stream=f"study/analysis/{item.kind}/{item.name}")
    if isinstance(item, Readers | Published):
        return _with_scores(item, tables, rng)
    match item:
        case Factorial():
            return factorial_entries(tables, item)
        case Trend():
            return trend_entries(tables, item)
        case Kruskal():
            return kruskal_entries(tables, item, rng)
        case Equivalence():
            return equivalence_entries(tables, item)
        case Power():
            return power_entries(tables, item)


def _with_scores(
    item: Readers | Published, tables: list[Table], rng: np.random.Generator
) -> list[Entry]:
    assert item.scores is not None
    scores = read_scores_of_sets(item.scores)
    tables = of_scored_arms(tables, scores)
    if isinstance(item, Readers):
        return reader_entries(tables, scores, item, rng)
    return published_entries(tables, scores, item)
