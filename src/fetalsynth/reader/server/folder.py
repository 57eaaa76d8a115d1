"""The part of a study folder that the server may know, checked when the server starts.

``key.csv`` is never opened, nor even looked for: the server works where it is not there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fetalsynth.artifacts.contents import SUMS, verify_sums
from fetalsynth.artifacts.manifest import is_artifact, read_manifest
from fetalsynth.errors import UserError, explaining
from fetalsynth.reader.study import (
    KEY,
    ORDERS,
    STUDY,
    Item,
    Orders,
    Study,
    read_orders,
    read_study,
    stimulus_files,
)

_ROUND = 1024


@dataclass(frozen=True, kw_only=True)
class ServedStudy:
    """A study as the server knows it.

    ``id`` names it in the database, ``digest`` is that of the folder's content. Every stimulus is
    sent as ``stimulus_bytes`` bytes. ``screens`` counts what one reader is shown in each block.
    """

    id: str
    digest: str
    folder: Path
    study: Study
    items: dict[str, Item]
    orders: Orders
    stimulus_bytes: int
    screens: dict[str, int]


def load_study(folder: Path) -> ServedStudy:
    """Read the study, and check that nothing of it was changed since it was made.

    Raises UserError where it is none, is incomplete or was changed.
    """
    if not is_artifact(folder):
        raise UserError(f"{folder}: is no reader study; make one with: fetalsynth reader new")
    manifest = read_manifest(folder)
    if manifest.kind != "reader-study":
        raise UserError(f"{folder}: holds {manifest.kind}, not a reader study")
    verify_sums(folder, content=manifest.content, only=_all_but_the_key(folder))
    study, orders = read_study(folder), read_orders(folder)
    _check_orders(folder, study, orders)
    return ServedStudy(
        id=f"{study.name[:100]}-{manifest.content[:16]}",
        digest=manifest.content,
        folder=folder,
        study=study,
        items={item.id: item for item in study.items},
        orders=orders,
        stimulus_bytes=_longest(folder, study.items),
        screens=dict(Counter(screen.block for screen in orders[0])),
    )


def _all_but_the_key(folder: Path) -> list[str]:
    """Names in the table of digests; both JSON files stand for it where the table is empty."""
    path = folder / SUMS
    with explaining(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    names = [line.partition("  ")[2] for line in lines]
    return [name for name in names if name != KEY] or [STUDY, ORDERS]


def _check_orders(folder: Path, study: Study, orders: Orders) -> None:
    known = {item.id for item in study.items}
    shown = {name for order in orders for s in order for name in (s.item, s.item2) if name}
    if not orders or not orders[0]:
        raise UserError(f"{folder / ORDERS}: holds no orders; make the study anew")
    if shown - known:
        raise UserError(f"{folder / ORDERS}: names items that the study lacks; make it anew")


def _longest(folder: Path, items: tuple[Item, ...]) -> int:
    """Bytes of the largest stimulus, rounded up to whole kibibytes."""
    longest = 0
    for item in items:
        for name in stimulus_files(item).values():
            with explaining(folder / name):
                longest = max(longest, (folder / name).stat().st_size)
    return -(-longest // _ROUND) * _ROUND
