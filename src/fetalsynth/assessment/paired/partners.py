"""Which synthetic image was made to look like which real one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fetalsynth.errors import UserError

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Item:
    """An image to be paired: its subject ("" where unknown), its file and the name to go by."""

    subject: str
    file: str
    stem: str


def stem_of(file: str) -> str:
    """File name without folders and without extensions (``.nii.gz`` is one)."""
    name = PurePosixPath(file).name
    for ending in (".nii.gz", ".nii"):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return PurePosixPath(name).stem


def partners(
    real: Sequence[Item], synthetic: Sequence[Item], *, where: str
) -> list[tuple[int, int]]:
    """Positions (real, synthetic) of every pair, in order of the real images.

    Subjects are matched where both sides know them and share some; several images of one subject
    are matched by stem. Else all are matched by stem. ``where`` names both folders in messages.
    Raises UserError that lists images without a partner and images with several.
    """
    ours, theirs = _by_subject(real), _by_subject(synthetic)
    if not set(ours) & set(theirs):
        pairs = _by_stem(real, synthetic, range(len(real)), range(len(synthetic)), where)
        return sorted(pairs)
    _refuse_missing(set(ours), set(theirs), "subject", where)
    found: list[tuple[int, int]] = []
    for subject, mine in ours.items():
        other = theirs[subject]
        if len(mine) == len(other) == 1:
            found.append((mine[0], other[0]))
        else:
            found.extend(_by_stem(real, synthetic, mine, other, where))
    return sorted(found)


def _by_subject(items: Sequence[Item]) -> dict[str, list[int]]:
    groups = defaultdict(list)
    for place, item in enumerate(items):
        groups[item.subject or item.stem].append(place)
    return dict(groups)


def _by_stem(
    real: Sequence[Item],
    synthetic: Sequence[Item],
    mine: Sequence[int],
    other: Sequence[int],
    where: str,
) -> Iterator[tuple[int, int]]:
    sides = (_unique(real, mine, where), _unique(synthetic, other, where))
    _refuse_missing(set(sides[0]), set(sides[1]), "file", where)
    return ((sides[0][stem], sides[1][stem]) for stem in sides[0])


def _unique(items: Sequence[Item], places: Sequence[int], where: str) -> dict[str, int]:
    named: dict[str, int] = {}
    twice = []
    for place in places:
        stem = items[place].stem
        if stem in named:
            twice.append(f"{items[named[stem]].file} and {items[place].file}")
        named[stem] = place
    if twice:
        raise UserError(f"{where}: cannot tell apart {_list(twice)}; give them names that differ")
    return named


def _refuse_missing(real: set[str], synthetic: set[str], what: str, where: str) -> None:
    problems = [
        f"{len(alone)} {side} without a {other} partner ({what} {_list(sorted(alone))})"
        for side, other, alone in (
            ("real", "synthetic", real - synthetic),
            ("synthetic", "real", synthetic - real),
        )
        if alone
    ]
    if problems:
        raise UserError(
            f"{where}: {'; '.join(problems)}; --paired needs one synthetic image for each real "
            "one, of the same subject or else of the same file name"
        )


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
