"""Which images enter a study: balanced over strata and sets, one per subject where that is enough.

Strata are thirds of a number that the real images have, by default the gestational age.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fetalsynth.errors import UserError
from fetalsynth.reader.study import Truth


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An image or volume that may enter: the one at ``place`` of the set called ``set``.

    ``value`` is what the strata are cut by, None where unknown.
    """

    set: str
    place: int
    truth: Truth
    file: str
    subject: str
    sha256: str
    weeks: float | None = None
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Strata:
    """Half-open ranges of the number called ``name``; ``cuts`` are the ends between them."""

    name: str
    cuts: tuple[float, ...] = ()

    def of(self, candidate: Candidate) -> str:
        """The range the candidate lies in as words; "" where its number is not known."""
        if candidate.value is None or not self.cuts:
            return ""
        place = int(np.searchsorted(self.cuts, candidate.value, side="right"))
        low = "" if place == 0 else f"from {self.cuts[place - 1]:g}"
        high = "" if place == len(self.cuts) else f"below {self.cuts[place]:g}"
        return " ".join([self.name, *filter(None, (low, high))])


def thirds(candidates: Iterable[Candidate], *, name: str) -> Strata:
    """Strata with a third of the candidates' known numbers each; none where there are under 3."""
    known = [one.value for one in candidates if one.value is not None]
    if len(set(known)) < 3:
        return Strata(name=name)
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    return Strata(name=name, cuts=(float(low), float(high)))


def without_copies(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates without those whose file has the same bytes as an earlier one's."""
    first: dict[str, Candidate] = {}
    for one in candidates:
        first.setdefault(one.sha256, one)
    return list(first.values())


def choose(
    candidates: Sequence[Candidate],
    *,
    count: int,
    strata: Strata,
    rng: np.random.Generator,
    seen: Collection[str] = (),
) -> list[Candidate]:
    """Draw ``count`` candidates, equally many of each stratum as far as there are enough.

    Subjects come a second time (or are taken from those ``seen`` already) only where the others
    are used up. Raises UserError where there are fewer candidates than ``count``.
    """
    if count > len(candidates):
        of = candidates[0] if candidates else None
        whose = f"{of.truth} images of set {of.set!r}" if of else "images"
        raise UserError(f"{count} {whose} are needed and {len(candidates)} are there; lower --n")
    shuffled = [candidates[place] for place in rng.permutation(len(candidates))]
    taken, subjects = list[Candidate](), set(seen)
    for again in (False, True):
        left = [one for one in shuffled if one not in taken]
        for one in _in_turns(left, strata=strata, taken=taken):
            if len(taken) == count:
                return taken
            if again or one.subject not in subjects:
                taken.append(one)
                subjects.add(one.subject)
    return taken


def _in_turns(
    candidates: Sequence[Candidate], *, strata: Strata, taken: list[Candidate]
) -> Iterable[Candidate]:
    """One candidate after the other, always of the stratum of which the fewest are taken."""
    waiting: dict[str, list[Candidate]] = {}
    for one in candidates:
        waiting.setdefault(strata.of(one), []).append(one)
    while waiting:
        have = {name: sum(strata.of(one) == name for one in taken) for name in waiting}
        least = min(waiting, key=lambda name: have[name])
        yield waiting[least].pop()
        if not waiting[least]:
            del waiting[least]


def shares(total: int, sets: Sequence[str], *, rng: np.random.Generator) -> dict[str, int]:
    """``total`` divided among the sets as evenly as it goes; who gets the odd ones is drawn."""
    odd = set(rng.permutation(len(sets))[: total % len(sets)].tolist())
    return {name: total // len(sets) + (place in odd) for place, name in enumerate(sets)}


def repeated_subjects(chosen: Iterable[Candidate]) -> int:
    """How many of the chosen share their subject with an earlier one of the same set."""
    seen: set[tuple[str, str]] = set()
    times = 0
    for one in chosen:
        times += (one.set, one.subject) in seen
        seen.add((one.set, one.subject))
    return times
