"""Readers whose ability is known, to try out a design and to check the analysis.

Each draws evidence for every image, N(d′/2, 1) if synthetic and N(−d′/2, 1) if real, and answers
"synthetic" above her criterion c; confidence cuts the evidence at even steps about it. Readers see
the same images: a share of the evidence is the image's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fetalsynth.reader.analysis_rows import Row


@dataclass(frozen=True, kw_only=True)
class SimulatedReader:
    """Ability and habits: ``d_prime`` 0 cannot tell; ``criterion`` −∞ calls everything fake.

    ``quality_gap`` is by how much better real images are rated on the latent scale, and
    ``severity`` lowers all her quality ratings.
    """

    name: str
    d_prime: float = 0.0
    criterion: float = 0.0
    quality_gap: float = 0.0
    severity: float = 0.0
    group: str = "simulated"


@dataclass(frozen=True, kw_only=True)
class SimulatedStudy:
    """Counts of a study: images of each class, hidden repeats, catch trials, points of confidence.

    ``shared`` is the share of the variance of the evidence that belongs to the image.
    ``sets`` are the names of the synthetic sets, taken in turn.
    """

    real: int = 30
    synthetic: int = 30
    repeats: int = 7
    catch: int = 3
    points: int = 6
    quality: int = 5
    shared: float = 0.2
    sets: Sequence[str] = ("synthetic",)


def simulated_readers(
    *,
    readers: int,
    d_prime: float,
    rng: np.random.Generator,
    spread: float = 0.0,
    criterion_spread: float = 0.3,
) -> list[SimulatedReader]:
    """Readers with d′ about ``d_prime`` and criteria about 0, both normal."""
    return [
        SimulatedReader(
            name=f"reader-{number:02d}",
            d_prime=float(rng.normal(d_prime, spread)),
            criterion=float(rng.normal(0.0, criterion_spread)),
        )
        for number in range(1, readers + 1)
    ]


def simulated_answers(
    *, readers: Sequence[SimulatedReader], study: SimulatedStudy, rng: np.random.Generator
) -> list[Row]:
    """Answers of the readers as a finished study would be exported."""
    truth = np.repeat([False, True], [study.real, study.synthetic])
    image = rng.normal(0, np.sqrt(study.shared), len(truth))
    quality = rng.normal(0, 1, len(truth))
    rows: list[Row] = []
    for reader in readers:
        again = rng.permutation(len(truth))[: study.repeats]
        shown = np.concatenate([rng.permutation(len(truth)), again])
        for position, place in enumerate(shown):
            noise = rng.normal(0, np.sqrt(1 - study.shared))
            side = 0.5 if truth[place] else -0.5
            evidence = side * reader.d_prime + image[place] + noise
            felt = quality[place] + rng.normal(0, 0.7) - reader.severity
            felt += 0.0 if truth[place] else reader.quality_gap
            rows.append(
                _answer(
                    reader,
                    study,
                    number=int(place),
                    synthetic=bool(truth[place]),
                    presentation=1 + (position >= len(truth)),
                    position=position,
                    evidence=float(evidence),
                    felt=float(felt),
                    seconds=float(rng.lognormal(1.6, 0.5)),
                )
            )
        rows.extend(_catch(reader, study, start=len(shown)))
    return rows


def _answer(
    reader: SimulatedReader,
    study: SimulatedStudy,
    *,
    number: int,
    synthetic: bool,
    presentation: int,
    position: int,
    evidence: float,
    felt: float,
    seconds: float,
) -> Row:
    said = evidence > reader.criterion
    half = study.points // 2
    step = int(min(half - 1, abs(evidence - reader.criterion) / 0.6)) if half else 0
    confidence = half - step if said else half + 1 + step
    return Row(
        study="simulated",
        reader=reader.name,
        group=reader.group,
        position=position,
        presentation=presentation,
        item=f"item-{number:04d}",
        truth="synthetic" if synthetic else "real",
        set=study.sets[number % len(study.sets)] if synthetic else "real",
        verdict="synthetic" if said else "real",
        confidence=confidence if study.points > 2 else None,
        quality=_quality(felt, study.quality) if study.quality else None,
        correct=int(said == synthetic),
        active_seconds=seconds,
        total_seconds=seconds * 1.2,
        hidden_seconds=0.0,
        source_file=f"images/{number:04d}.png",
    )


def _quality(felt: float, points: int) -> int:
    return int(np.clip(round(felt * points / 5 + (points + 1) / 2), 1, points))


def _catch(reader: SimulatedReader, study: SimulatedStudy, *, start: int) -> list[Row]:
    """Obvious trials, failed by those only who call everything fake or everything real."""
    rows = []
    for number in range(study.catch):
        synthetic = number % 2 == 0
        rows.append(
            _answer(
                reader,
                study,
                number=9000 + number,
                synthetic=synthetic,
                presentation=1,
                position=start + number,
                evidence=4.0 if synthetic else -4.0,
                felt=0.0,
                seconds=2.0,
            )
        )
    return [replace(row, role="catch") for row in rows]
