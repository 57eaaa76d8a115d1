"""Orders of a study: one sequence of screens per reader, made before the first reader comes.

They need the truth (no long run of one class, twins far apart), which the server must not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng
from fetalsynth.reader.study import Block, KeyRow, Order, Orders, Presentation

_TRIES = 400


@dataclass(frozen=True, kw_only=True)
class _Screen:
    """A screen to be placed; ``kind`` is what must not run on: a class, or the real one's side."""

    shown: Presentation
    kind: str
    twins: frozenset[str]


def make_orders(
    key: Mapping[str, KeyRow], *, rules: Order, repeats: int, seed: int, pairs: bool = False
) -> Orders:
    """``rules.readers`` sequences of all screens of the key, practice first.

    ``repeats`` main items are shown twice to every reader, half of them real, each reader's own
    choice; in mode ``pairs`` the sides are drawn for every screen anew. Every order keeps the
    rules: at most ``max_run`` of one class (of one side) in a row, at least ``repeat_lag`` screens
    from an item to its repeat and ``twin_lag`` from a real item to its twin.

    Raises UserError where there are too few items to keep them.
    """
    return tuple(
        _one_order(
            key,
            rules=rules,
            repeats=repeats,
            pairs=pairs,
            rng=numpy_rng(seed=seed, stream="reader-order", counter=reader),
        )
        for reader in range(rules.readers)
    )


def _one_order(
    key: Mapping[str, KeyRow], *, rules: Order, repeats: int, pairs: bool, rng: np.random.Generator
) -> tuple[Presentation, ...]:
    def practice() -> list[_Screen]:
        return _screens(key, block="practice", pairs=pairs, repeated=(), rng=rng)

    def main() -> list[_Screen]:
        twice = _choose_repeats(key, repeats=repeats, pairs=pairs, rng=rng)
        return _screens(key, block="main", pairs=pairs, repeated=twice, rng=rng)

    # practice is too short to keep twins apart, and is not analysed
    begin = _placed(practice, rules=replace(rules, twin_lag=1), rng=rng)
    return (*begin, *_placed(main, rules=rules, rng=rng))


def _placed(
    draw: Callable[[], list[_Screen]], *, rules: Order, rng: np.random.Generator
) -> tuple[Presentation, ...]:
    """Draw screens (with sides and repeats) and places for them until the rules are kept."""
    for _ in range(_TRIES):
        placed = _try_once(draw(), rules=rules, rng=rng)
        if placed is not None:
            return placed
    raise _infeasible(rules)


def _infeasible(rules: Order) -> UserError:
    return UserError(
        f"with so few images no order keeps repeats {rules.repeat_lag} and twins {rules.twin_lag} "
        f"screens apart and runs of one class below {rules.max_run + 1}; take more images (--n), "
        "a smaller --repeat-lag or --repeats 0"
    )


def _leads(key: Mapping[str, KeyRow], *, block: Block, pairs: bool) -> list[KeyRow]:
    """The items of a block; of a pair the real one stands for both."""
    rows = [key[id] for id in sorted(key)]
    rows = [row for row in rows if (row.role == "practice") == (block == "practice")]
    return [row for row in rows if row.truth == "real"] if pairs else rows


def _choose_repeats(
    key: Mapping[str, KeyRow], *, repeats: int, pairs: bool, rng: np.random.Generator
) -> tuple[str, ...]:
    """Ids of main items to be shown twice: half real (the odd one of either class)."""
    rows = [row for row in _leads(key, block="main", pairs=pairs) if row.role == "main"]
    if pairs:
        return _drawn([row.id for row in rows], repeats, rng)
    real = [row.id for row in rows if row.truth == "real"]
    made = [row.id for row in rows if row.truth == "synthetic"]
    of_real = repeats // 2 + int(rng.integers(2)) * (repeats % 2)
    return (*_drawn(real, of_real, rng), *_drawn(made, repeats - of_real, rng))


def _drawn(ids: list[str], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    if count > len(ids):
        raise UserError(f"{count} repeats of {len(ids)} images; take more images or fewer repeats")
    return tuple(ids[place] for place in rng.permutation(len(ids))[:count])


def _screens(
    key: Mapping[str, KeyRow],
    *,
    block: Block,
    pairs: bool,
    repeated: Sequence[str],
    rng: np.random.Generator,
) -> list[_Screen]:
    leads = _leads(key, block=block, pairs=pairs)
    wanted = [(row, 1) for row in leads] + [(key[id], 2) for id in repeated]
    return [_screen(row, time, key=key, block=block, pairs=pairs, rng=rng) for row, time in wanted]


def _screen(
    row: KeyRow,
    time: int,
    *,
    key: Mapping[str, KeyRow],
    block: Block,
    pairs: bool,
    rng: np.random.Generator,
) -> _Screen:
    if not pairs:
        shown = Presentation(item=row.id, presentation=time, block=block)
        return _Screen(shown=shown, kind=row.truth, twins=_twins(row.id, key))
    left = bool(rng.integers(2))
    first, second = (row.id, row.pair) if left else (row.pair, row.id)
    shown = Presentation(item=first, item2=second, presentation=time, block=block)
    twins = (_twins(first, key) | _twins(second, key)) - {first, second}
    return _Screen(shown=shown, kind="left" if left else "right", twins=twins)


def _twins(id: str, key: Mapping[str, KeyRow]) -> frozenset[str]:
    """Those that it names as its twin, and those that name it: a head may be in several sets."""
    named = {row.id for row in key.values() if row.twin == id}
    return frozenset({key[id].twin, *named} - {""})


def _try_once(
    screens: list[_Screen], *, rules: Order, rng: np.random.Generator
) -> tuple[Presentation, ...] | None:
    """Draw screen after screen among those that the rules allow next; None where none is left."""
    left = [screens[place] for place in rng.permutation(len(screens))]
    placed: list[_Screen] = []
    shown_at: dict[str, int] = {}
    while left:
        run = [screen.kind for screen in placed[-rules.max_run :]]
        full = run[0] if len(run) == rules.max_run and len(set(run)) == 1 else None
        here = len(placed)
        fits = (
            place
            for place, screen in enumerate(left)
            if screen.kind != full and _far_enough(screen, here, shown_at, rules)
        )
        chosen = next(fits, None)
        if chosen is None:
            return None
        screen = left.pop(chosen)
        placed.append(screen)
        for id in _ids(screen):
            shown_at[id] = here
    return tuple(screen.shown for screen in placed)


def _ids(screen: _Screen) -> tuple[str, ...]:
    shown = screen.shown
    return (shown.item,) if shown.item2 is None else (shown.item, shown.item2)


def _far_enough(screen: _Screen, here: int, shown_at: Mapping[str, int], rules: Order) -> bool:
    if screen.shown.presentation == 2:
        before = [shown_at.get(id) for id in _ids(screen)]
        if any(at is None or here - at < rules.repeat_lag for at in before):
            return False
    return all(
        here - shown_at.get(twin, -rules.twin_lag) >= rules.twin_lag for twin in screen.twins
    )
