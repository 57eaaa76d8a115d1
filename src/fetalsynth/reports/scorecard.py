"""The scorecard: six questions about the images, each with a word, a sentence and its numbers.

Nothing is measured here. A warning of the assessment decides where there is one; where there is
no test (structure), or the test is silent, a number counts as odd when its whole 95 % interval lies
on the worse side of everything that real images score against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fetalsynth.artifacts.scores import AlarmName, Metric, Scores
from fetalsynth.reports.metric_table import Row, metric_rows
from fetalsynth.reports.verdict import ALARM_WORDS
from fetalsynth.reports.wording import listing

Level = Literal["alarm", "caution", "clear"]
NUMBERS = 3


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, which alarm answers it, and which metrics stand behind it, best first.

    A metric is named by the beginning of its name.
    """

    title: str
    asks: str
    alarm: AlarmName | None
    metrics: tuple[str, ...]


QUESTIONS = (
    Question(
        title="Fidelity",
        asks="Do the images as a whole look like real ones?",
        alarm="shift",
        metrics=(
            "KID-Inception",
            "FID",
            "FD-Inception",
            "precision-Inception",
            "density-Inception",
        ),
    ),
    Question(
        title="Diversity",
        asks="Are they as varied as real ones?",
        alarm="collapse",
        metrics=("diversity-nearest", "recall-layout", "Vendi-ratio-layout", "diversity", "recall"),
    ),
    Question(
        title="Copying",
        asks="Do they repeat training patients?",
        alarm="copying",
        metrics=("copy-share", "nearest-distance", "authentic-share"),
    ),
    Question(
        title="Texture",
        asks="Is the fine grain that of real images?",
        alarm="texture",
        metrics=("KID-LBP", "LBPv-JS", "FD-LBP", "LBPv-L1"),
    ),
    Question(
        title="Structure",
        asks="Are things where they belong in the picture?",
        alarm=None,
        metrics=("SW2-layout", "precision-layout", "coverage-layout", "KID-layout"),
    ),
    Question(
        title="Intensity",
        asks="Are brightness and contrast right?",
        alarm="intensity",
        metrics=("image-mean-KS", "grey-level-W1"),
    ),
)


PAIRS = Question(
    title="Likeness",
    asks="Is each image like its real partner, more so than flat paint would be?",
    alarm=None,
    metrics=("SSIM-mask", "correlation-mask", "combined-full", "SSIM-full"),
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """The answer to one question; ``word`` says in one word or two what ``level`` colours."""

    title: str
    asks: str
    level: Level
    word: str
    sentence: str
    numbers: tuple[Row, ...]


def scorecard(scores: Scores) -> tuple[Card, ...]:
    """One card per question; none where nothing at all was measured.

    Scores of pairs answer one question of their own and none about sets.
    """
    if not scores.metrics:
        return ()
    if _metrics(PAIRS, scores):
        return (_pairs_card(scores),)
    return tuple(_card(question, scores) for question in QUESTIONS)


def _card(question: Question, scores: Scores) -> Card:
    found = _metrics(question, scores)
    level, word, sentence = _answer(question, scores, found)
    return Card(
        title=question.title,
        asks=question.asks,
        level=level,
        word=word,
        sentence=sentence,
        numbers=metric_rows(found),
    )


def _pairs_card(scores: Scores) -> Card:
    """Against the trivial baseline that paints every region with its mean grey value."""
    found = _metrics(PAIRS, scores)
    worse = [name for name, metric in found.items() if not _better_than_paint(metric)]
    sentence = "Every score shown is better than that of painting each region with its mean."
    if worse:
        sentence = (
            f"By {listing(worse)} the images are not shown to be better than painting each region "
            "with its mean grey value."
        )
    return Card(
        title=PAIRS.title,
        asks=PAIRS.asks,
        level="caution" if worse else "clear",
        word="Look closer" if worse else "Better than paint",
        sentence=sentence,
        numbers=metric_rows(found),
    )


def _better_than_paint(metric: Metric) -> bool:
    gain = _interval(metric.settings.get("minus_baseline_ci95"))
    return gain is not None and gain[0] > 0


def _metrics(question: Question, scores: Scores) -> dict[str, Metric]:
    """The first metric of each beginning, at most three."""
    chosen: dict[str, Metric] = {}
    for start in question.metrics:
        name = next((n for n in scores.metrics if n.startswith(start) and n not in chosen), None)
        if name is not None and len(chosen) < NUMBERS:
            chosen[name] = scores.metrics[name]
    return chosen


def _answer(question: Question, scores: Scores, found: dict[str, Metric]) -> tuple[Level, str, str]:
    raised = {alarm.name for alarm in scores.alarms}
    if question.alarm is not None and question.alarm in raised:
        return "alarm", "Warning", f"{ALARM_WORDS[question.alarm]}."
    reason = scores.unjudged.get(question.alarm or "")
    if reason is not None:
        said = f"This {reason}" if reason.startswith("needs ") else reason[:1].upper() + reason[1:]
        return "caution", "Not judged", f"{said.rstrip('.')}."
    if not found:
        return "caution", "Not judged", "No score of this kind was computed."
    return _without_warning(question, found, few="too-few-images" in raised)


def _without_warning(
    question: Question, found: dict[str, Metric], *, few: bool
) -> tuple[Level, str, str]:
    odd = [name for name, metric in found.items() if worse_than_real(metric)]
    if odd:
        stands = "stands" if len(odd) == 1 else "stand"
        silent = "The test is silent, but " if question.alarm else "There is no test for this, but "
        beyond = f"{listing(odd)} {stands} beyond what real images score against each other."
        return "caution", "Look closer", silent + beyond
    if few:
        return "caution", "Cannot tell", "Nothing was found, and so few images can hide much."
    if question.alarm is None:
        said = "There is no test for this; the scores are such as real images also reach."
        return "clear", "Nothing odd", said
    return "clear", "No warning", "The test found no difference that chance does not explain."


def worse_than_real(metric: Metric) -> bool:
    """Whether the 95 % interval lies wholly on the worse side of the floor's interval."""
    between = _interval(metric.settings.get("floor_interval"))
    if metric.ci95 is None or between is None or metric.direction == "none":
        return False
    if metric.direction == "lower":
        return metric.ci95[0] > between[1]
    return metric.ci95[1] < between[0]


def _interval(recorded: Any) -> tuple[float, float] | None:
    if not isinstance(recorded, list | tuple) or len(recorded) != 2:
        return None
    low, high = recorded
    numbers = isinstance(low, int | float) and isinstance(high, int | float)
    return (float(low), float(high)) if numbers else None
