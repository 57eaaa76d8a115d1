"""What an assessment found of a model's images: Markdown for its card, facts for its record.

Nothing is measured here and nothing left out that was raised: every alarm stands in the card.
"""

from __future__ import annotations

from typing import Any

from fetalsynth.artifacts.manifest import Manifest
from fetalsynth.artifacts.scores import Scores
from fetalsynth.reports.lineage import Lineage
from fetalsynth.reports.metric_table import Row
from fetalsynth.reports.scorecard import Card, scorecard

COPYING = "copying"
_HEAD = (
    "| question | answer | score | value | 95 % interval | real against real | better |",
    "|---|---|---|---|---|---|---|",
)


def copying_alarm(scores: Scores) -> str | None:
    """Why the copying alarm was raised; None where it was not."""
    return next((alarm.reason for alarm in scores.alarms if alarm.name == COPYING), None)


def assessment_section(
    scores: Scores, *, lineage: Lineage, storage: str, despite_copying: str | None
) -> list[str]:
    """Lines of Markdown: whose images, the scorecard's numbers, alarms and the copying screen."""
    return [
        "## Assessment",
        "",
        _whose(scores, lineage, storage=storage),
        "",
        *_HEAD,
        *(line for card in scorecard(scores) for line in _rows(card)),
        "",
        *_alarms(scores),
        f"- **Copying screen: {_copying(scores)}**"
        + ("" if despite_copying is None else f" Packed all the same because: {despite_copying}"),
        "",
    ]


def assessment_facts(scores: Scores, manifest: Manifest) -> dict[str, Any]:
    """The same for a program: digest of the scores, alarms, copying, the scorecard's numbers."""
    shown = [row.name for card in scorecard(scores) for row in card.numbers]
    return {
        "scores": manifest.content,
        "alarms": {alarm.name: alarm.reason for alarm in scores.alarms},
        "unjudged": scores.unjudged,
        "metrics": {
            name: {
                "value": scores.metrics[name].value,
                "ci95": scores.metrics[name].ci95,
                "floor": scores.metrics[name].floor,
            }
            for name in dict.fromkeys(shown)
        },
    }


def _whose(scores: Scores, lineage: Lineage, *, storage: str) -> str:
    counts = {role: read.get("count") for role, read in scores.inputs.items()}
    held_out = "held-out " if scores.inputs.get("real", {}).get("splits") == ["test"] else ""
    seen = f"; the screen knew {counts['train']} training images" if "train" in counts else ""
    model = lineage.model.manifest if lineage.model else None
    stored = (model.facts.get("packed") or {}).get("storage") if model else None
    weights = "these very weights" if stored == storage else "the weights before they were packed"
    return (
        f"{counts.get('synthetic')} images by {weights} ({_how(lineage)}) against "
        f"{counts.get('real')} {held_out}real ones{seen}. “Real against real” is what the real "
        "images score against each other."
    )


def _how(lineage: Lineage) -> str:
    """Epoch, seed and sampling of the images."""
    made = lineage.synthetic.manifest if lineage.synthetic else None
    if made is None:
        return "not recorded how"
    told = [f"epoch {made.configuration.get('epoch')}", f"seed {made.seed}"]
    sampling = made.configuration.get("sampling") or {}
    told += [f"{name} {value}" for name, value in sampling.items()]
    if "precision" in made.configuration:
        told.append(f"computed in {made.configuration['precision']}")
    if made.configuration.get("heads") == "none":
        told.append("told no heads")
    asked = any(item.role == "heads" for item in made.inputs)
    return ", ".join([*told, *(["heads that were asked for"] if asked else [])])


def _rows(card: Card) -> list[str]:
    if not card.numbers:
        return [f"| {card.title} | {card.word} | – | – | – | – | – |"]
    return [_row(card, row) for row in card.numbers]


def _row(card: Card, row: Row) -> str:
    interval = f"{row.low.text} to {row.high.text}" if row.low and row.high else "–"
    floor = row.floor.text if row.floor else "–"
    value = f"{row.value.text} {row.unit}".strip()
    cells = (card.title, card.word, row.name, value, interval, floor, row.direction)
    return f"| {' | '.join(cells)} |"


def _alarms(scores: Scores) -> list[str]:
    lines = [f"- alarm {alarm.name}: {alarm.reason}" for alarm in scores.alarms]
    lines = lines or ["- no alarm (which proves nothing by itself)"]
    return lines + [f"- not judged {name}: {reason}" for name, reason in scores.unjudged.items()]


def _copying(scores: Scores) -> str:
    if copying_alarm(scores) is not None:
        return "alarm."
    if COPYING in scores.unjudged:
        return "not judged."
    if any(alarm.name == "too-few-images" for alarm in scores.alarms):
        return "no alarm, from too few images to tell."
    return "no alarm. It is a screen, not a proof that no training image comes back."
