"""All items of a study by role: main, practice and catch trials, in mode "pair" side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fetalsynth.errors import UserError
from fetalsynth.reader.choosing import Candidate, Strata, choose, repeated_subjects, shares
from fetalsynth.reader.pipeline_sources import Sources
from fetalsynth.reader.presets import Design
from fetalsynth.reader.study import Role, Truth

Spoilt = Literal["", "noise", "scrambled"]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One item to be: ``made`` says how it is spoilt, for catch trials; ``pair`` numbers pairs."""

    candidate: Candidate
    role: Role
    made: Spoilt = ""
    pair: int | None = None

    @property
    def truth(self) -> Truth:
        """What a reader should say."""
        return "synthetic" if self.made else self.candidate.truth


def choose_items(
    sources: Sources, design: Design, *, strata: Strata, rng: np.random.Generator
) -> tuple[list[Chosen], tuple[str, ...]]:
    """The items, and what is to be said about them.

    Half of the main and of the practice items are real, in mode "pair" one of each two; catch
    trials come on top. The synthetic ones are divided evenly among their sets.
    Raises UserError where there are too few images.
    """
    pairs = design.mode == "pair"
    parts = 1 if pairs else 2
    per_class, practice = design.n // parts, design.practice // parts
    catches = max(1, round(design.catch * design.n)) if design.catch else 0
    real, made = _classes(sources, per_class, practice, strata=strata, rng=rng)
    if pairs:
        made = {role: _matched(real[role], made[role]) for role in made}
    found = [
        Chosen(candidate=one, role=role, pair=number if pairs else None)
        for by_role in (real, made)
        for role, group in by_role.items()
        for number, one in enumerate(group, start=0 if role == "main" else per_class)
    ]
    found += _catches(sources, catches, real, first=per_class + practice, pairs=pairs, rng=rng)
    notes = _notes(strata, [one.candidate for one in found if not one.made])
    return found, notes


_ByRole = dict[Role, list[Candidate]]


def _classes(
    sources: Sources, main: int, practice: int, *, strata: Strata, rng: np.random.Generator
) -> tuple[_ByRole, _ByRole]:
    real = _two_blocks(sources.real.candidates, main, practice, strata=strata, rng=rng)
    made: _ByRole = {"main": [], "practice": []}
    names = [source.name for source in sources.synthetic]
    of_main, of_practice = shares(main, names, rng=rng), shares(practice, names, rng=rng)
    for source in sources.synthetic:
        drawn = _two_blocks(
            source.candidates,
            of_main[source.name],
            of_practice[source.name],
            strata=strata,
            rng=rng,
        )
        for role, group in drawn.items():
            made[role] += group
    return real, made


def _two_blocks(
    candidates: Sequence[Candidate],
    main: int,
    practice: int,
    *,
    strata: Strata,
    rng: np.random.Generator,
) -> _ByRole:
    """The main block first; practice from what is left, of other subjects where there are some."""
    chosen = choose(candidates, count=main, strata=strata, rng=rng)
    left = [one for one in candidates if one not in chosen]
    seen = {one.subject for one in chosen}
    return {
        "main": chosen,
        "practice": choose(left, count=practice, strata=strata, rng=rng, seen=seen),
    }


def _matched(real: Sequence[Candidate], made: Sequence[Candidate]) -> list[Candidate]:
    """The synthetic ones in an order that puts twins beside each other, as far as there are any."""
    left, found = list(made), list[Candidate | None]()
    for one in real:
        twin = next((other for other in left if other.subject == one.subject), None)
        found.append(twin)
        if twin is not None:
            left.remove(twin)
    return [left.pop() if one is None else one for one in found]


def _catches(
    sources: Sources,
    count: int,
    real: _ByRole,
    *,
    first: int,
    pairs: bool,
    rng: np.random.Generator,
) -> list[Chosen]:
    """Spoilt pictures (noise, scrambled in turn); half of the trials obvious real ones, if given.

    In mode "pair" every spoilt picture stands beside a real one.
    """
    obvious = [] if sources.obvious is None else list(sources.obvious.candidates)
    of_real = count if pairs else count // 2 if obvious else 0
    used = [one for group in real.values() for one in group]
    others = [one for one in sources.real.candidates if one not in used]
    shown = _some(obvious or others, of_real, rng)
    of_made = count if pairs else count - of_real
    left = [one for one in others if one not in shown]
    spoilt = _some(left if len(left) >= of_made else used, of_made, rng)
    return [
        *(
            Chosen(candidate=one, role="catch", pair=first + number if pairs else None)
            for number, one in enumerate(shown)
        ),
        *(
            Chosen(
                candidate=one,
                role="catch",
                made="noise" if number % 2 == 0 else "scrambled",
                pair=first + number if pairs else None,
            )
            for number, one in enumerate(spoilt)
        ),
    ]


def _some(candidates: Sequence[Candidate], count: int, rng: np.random.Generator) -> list[Candidate]:
    if count > len(candidates):
        raise UserError(f"{count} catch trials need as many real images to make them; add some")
    return [candidates[place] for place in rng.permutation(len(candidates))[:count]]


def _notes(strata: Strata, chosen: Sequence[Candidate]) -> tuple[str, ...]:
    notes = []
    if not strata.cuts:
        notes.append(f"not stratified: the real images have no {strata.name}")
    again = repeated_subjects(chosen)
    if again:
        notes.append(f"{again} images are of a subject that is there already: too few subjects")
    return tuple(notes)
