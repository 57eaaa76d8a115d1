"""A study folder: what the server may know (``study.json``, ``orders.json``) and its key.

Nothing outside ``key.csv`` says which item is real; the server opens the other files only. But
orders keep runs of one class short, so that all of them together give the classes away to who
computes: ``orders.json`` is as secret as the key, and no reader sees more than their own. The
stimuli are ``stimuli/<id>.png`` for images and ``stimuli/<id>/<plane>.png`` for volumes.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fetalsynth.artifacts.files import write_text
from fetalsynth.errors import UserError, explaining
from fetalsynth.reader.key import KEY, KeyRow, Role, Truth, read_key, write_key

__all__ = [
    "KEY",
    "ORDERS",
    "PLANES",
    "STIMULI",
    "STUDY",
    "Block",
    "Item",
    "KeyRow",
    "Modality",
    "Mode",
    "Order",
    "Orders",
    "Presentation",
    "Questions",
    "Role",
    "Study",
    "Truth",
    "VerdictKind",
    "read_key",
    "read_orders",
    "read_study",
    "stimulus_files",
    "tile_columns",
    "write_study",
]

Mode = Literal["single", "pair"]
Modality = Literal["images", "volumes"]
Block = Literal["practice", "main"]
VerdictKind = Literal["confidence", "binary", "choice"]

STUDY, ORDERS, STIMULI = "study.json", "orders.json", "stimuli"
SCHEMA = 1
PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is asked about each item.

    ``verdict`` is "confidence" (1 surely synthetic … ``points`` surely real), "binary" (2 points:
    1 synthetic, 2 real) or "choice" (which of two is real). ``quality`` is the number of points of
    the quality scale, 0 where it is not asked, with one label per point.
    """

    verdict: VerdictKind = "confidence"
    points: int = 6
    quality: int = 5
    quality_labels: tuple[str, ...] = ("very poor", "poor", "fair", "good", "very good")
    tags: tuple[str, ...] = ("texture", "anatomy", "artefact", "contrast", "borders")
    tags_optional: bool = True


@dataclass(frozen=True, kw_only=True)
class Item:
    """One stimulus: ``width`` × ``height`` pixels (of one slice, for a volume).

    ``slices`` counts the slices of each plane of a volume, None for an image; all slices of a
    plane stand row by row in one PNG with :func:`tile_columns` columns.
    """

    id: str
    block: Block
    width: int
    height: int
    slices: dict[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """The rules that every order keeps; see :mod:`fetalsynth.reader.order`.

    ``max_run`` is the longest run of one class; ``repeat_lag`` the least number of places between
    an item and its repeat, and ``twin_lag`` between a real item and its synthetic twin. ``readers``
    is how many orders there are.
    """

    max_run: int = 3
    repeat_lag: int = 10
    twin_lag: int = 10
    repeats_share: float = 0.12
    catch_share: float = 0.05
    readers: int = 64


@dataclass(frozen=True, kw_only=True)
class Study:
    """Content of ``study.json``: everything but the truth.

    ``practice``, ``main`` and ``presentations`` count what one reader is shown: practice screens,
    different main screens and all screens with practice and repeats; a screen shows one item, in
    mode "pair" two. ``items`` stand in the order of their (random) ids.
    """

    name: str
    title: str
    preset: str
    mode: Mode
    modality: Modality
    questions: Questions
    consent: str
    allow_back: bool
    practice: int
    main: int
    presentations: int
    items: tuple[Item, ...]
    order: Order
    seed_digest: str
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA

    def item(self, id: str) -> Item:
        """The item of that id; raises KeyError where there is none."""
        return {item.id: item for item in self.items}[id]


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """One screen: its item, in mode "pair" also the one to the right; 2 for a repeat."""

    item: str
    item2: str | None = None
    presentation: int = 1
    block: Block = "main"


Orders = tuple[tuple[Presentation, ...], ...]


def tile_columns(slices: int) -> int:
    """Columns of the PNG that holds ``slices`` slices: the least square that takes them."""
    return math.ceil(math.sqrt(slices))


def stimulus_files(item: Item) -> dict[str, str]:
    """Paths of the item's PNG files relative to the study, by plane ("" for an image)."""
    if item.slices is None:
        return {"": f"{STIMULI}/{item.id}.png"}
    return {plane: f"{STIMULI}/{item.id}/{plane}.png" for plane in item.slices}


def write_study(folder: Path, study: Study, *, orders: Orders, key: dict[str, KeyRow]) -> None:
    """Write ``study.json``, and readable by the owner only ``orders.json`` and ``key.csv``."""
    text = json.dumps(asdict(study), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / STUDY, text + "\n")
    rows = [[[p.item, p.item2, p.presentation, p.block] for p in order] for order in orders]
    write_text(folder / ORDERS, json.dumps({"schema": SCHEMA, "orders": rows}) + "\n")
    with explaining(folder / ORDERS):
        (folder / ORDERS).chmod(0o600)
    write_key(folder, key)


def read_study(folder: Path) -> Study:
    """Read ``folder/study.json``; raises UserError where it is missing or malformed."""
    path = folder / STUDY
    raw = _read_json(path)
    try:
        items = tuple(Item(**item) for item in raw.pop("items"))
        asked = raw.pop("questions")
        for name in ("quality_labels", "tags"):
            asked[name] = tuple(asked[name])
        order, notes = Order(**raw.pop("order")), tuple(raw.pop("notes"))
        study = Study(items=items, questions=Questions(**asked), order=order, notes=notes, **raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a readable study ({error}); make it anew") from error
    _check_ids(path, study)
    return study


def _check_ids(path: Path, study: Study) -> None:
    """Ids become file names: anything but lower-case hexadecimal digits is refused."""
    for item in study.items:
        if len(item.id) != 32 or set(item.id) - set("0123456789abcdef"):
            raise UserError(f"{path}: {item.id!r} is not the id of an item; make the study anew")


def read_orders(folder: Path) -> Orders:
    """Read ``folder/orders.json``: one sequence of screens per reader, practice first.

    Raises UserError where it is missing or malformed.
    """
    path = folder / ORDERS
    raw = _read_json(path)
    try:
        return tuple(
            tuple(
                Presentation(item=item, item2=item2, presentation=presentation, block=block)
                for item, item2, presentation, block in order
            )
            for order in raw["orders"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not readable orders ({error}); make the study anew") from error


def _read_json(path: Path) -> dict[str, Any]:
    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error}); restore it") from error
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise UserError(f"{path}: of another version of fetalsynth; make the study anew")
    return raw
