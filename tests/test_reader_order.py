"""Orders of reader studies: the rules are kept, and position says nothing about the truth."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from fetalsynth.errors import UserError
from fetalsynth.reader.order import make_orders
from fetalsynth.reader.study import KeyRow, Order, Presentation, Truth


def _id(number: int) -> str:
    return f"{number:032x}"


def _row(number: int, truth: Truth, **known: str) -> KeyRow:
    role = known.pop("role", "main")
    return KeyRow(id=_id(number), truth=truth, role=role, set="s", **known)  # type: ignore[arg-type]


def _single(
    n: int = 40, *, practice: int = 4, twins: dict[int, int] | None = None
) -> dict[str, KeyRow]:
    """``n`` main items, two catch trials and practice; even numbers are real."""
    key = {}
    for number in range(n + 2 + practice):
        role = "main" if number < n else "catch" if number < n + 2 else "practice"
        truth: Truth = "real" if number % 2 == 0 and role != "catch" else "synthetic"
        twin = _id((twins or {})[number]) if number in (twins or {}) else ""
        key[_id(number)] = _row(number, truth, role=role, twin=twin)
    return key


def _pairs(n: int = 24) -> dict[str, KeyRow]:
    key = {}
    for number in range(n):
        real, made = 2 * number, 2 * number + 1
        key[_id(real)] = _row(real, "real", pair=_id(made))
        key[_id(made)] = _row(made, "synthetic", pair=_id(real))
    return key


def _longest_run(kinds: list[str]) -> int:
    longest = run = 1
    for before, now in pairwise(kinds):
        run = run + 1 if now == before else 1
        longest = max(longest, run)
    return longest


def _main(order: tuple[Presentation, ...]) -> list[Presentation]:
    return [one for one in order if one.block == "main"]


@pytest.mark.parametrize(("max_run", "lag", "seed"), [(3, 10, 1), (2, 5, 2), (3, 20, 3)])
def test_every_order_keeps_the_rules(max_run: int, lag: int, seed: int) -> None:
    twins = {0: 1, 2: 3, 5: 2, 4: 7}  # the head of item 2 is in two synthetic sets
    key = _single(twins=twins)
    rules = Order(max_run=max_run, repeat_lag=lag, twin_lag=lag, readers=30)
    for order in make_orders(key, rules=rules, repeats=5, seed=seed):
        main = _main(order)
        assert [one.block for one in order[:4]] == ["practice"] * 4
        assert len(order) == 4 + 42 + 5
        assert {one.item for one in order} == set(key)
        assert _longest_run([key[one.item].truth for one in main]) <= max_run
        first = {one.item: place for place, one in enumerate(main) if one.presentation == 1}
        again = {one.item: place for place, one in enumerate(main) if one.presentation == 2}
        assert len(again) == 5
        assert {key[id].role for id in again} == {"main"}
        assert sum(key[id].truth == "real" for id in again) in (2, 3)
        assert all(again[id] - first[id] >= lag for id in again)
        places = {id: [first[id], *([again[id]] if id in again else [])] for id in first}
        for one, other in twins.items():
            apart = [abs(a - b) for a in places[_id(one)] for b in places[_id(other)]]
            assert min(apart) >= lag


def test_readers_have_orders_of_their_own_and_the_seed_names_them() -> None:
    key, rules = _single(), Order(readers=20)
    orders = make_orders(key, rules=rules, repeats=4, seed=7)
    assert len(set(orders)) == 20
    assert orders == make_orders(key, rules=rules, repeats=4, seed=7)
    assert orders != make_orders(key, rules=rules, repeats=4, seed=8)
    assert orders[:5] == make_orders(key, rules=Order(readers=5), repeats=4, seed=7)


def test_place_and_repetition_say_nothing_about_the_truth() -> None:
    key = _single(practice=0)
    orders = make_orders(key, rules=Order(readers=400), repeats=4, seed=1)
    place = {"real": [], "synthetic": []}  # type: dict[str, list[float]]
    times: Counter[str] = Counter()
    for order in orders:
        for at, one in enumerate(order):
            if key[one.item].role == "main":
                place[key[one.item].truth].append(at)
        times.update(one.item for one in order if one.presentation == 2)
    # 8000 places with a standard deviation of 13 each: a standard error of 0.2
    assert abs(np.mean(place["real"]) - np.mean(place["synthetic"])) < 0.8
    real = [times[id] for id in key if key[id].truth == "real"]
    # every real item is repeated in a tenth of 400 orders: 40 ± 6
    assert sum(real) == 800
    assert 15 < min(real) <= max(real) < 65


def test_pairs_stay_together_and_change_sides() -> None:
    key, rules = _pairs(), Order(readers=60)
    left, changed = 0, 0
    for order in make_orders(key, rules=rules, repeats=3, seed=3, pairs=True):
        assert len(order) == 24 + 3
        assert all(one.item2 == key[one.item].pair for one in order)
        sides = [key[one.item].truth for one in order]
        assert _longest_run(list(sides)) <= 3
        left += sides.count("real")
        first = {frozenset((o.item, o.item2)): o.item for o in order if o.presentation == 1}
        again = {frozenset((o.item, o.item2)): o.item for o in order if o.presentation == 2}
        changed += sum(first[pair] != again[pair] for pair in again)
    # 1620 sides and 180 repeats, each a fair coin (four standard deviations)
    assert abs(left - 810) < 81
    assert abs(changed - 90) < 27


def test_too_few_items_are_said_with_what_helps() -> None:
    with pytest.raises(UserError, match="--repeat-lag"):
        make_orders(_single(6, practice=0), rules=Order(readers=1), repeats=1, seed=1)
    with pytest.raises(UserError, match="fewer repeats"):
        make_orders(_single(6, practice=0), rules=Order(readers=1), repeats=9, seed=1)
