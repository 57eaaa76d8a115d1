"""A study folder from sets of images or volumes: choice, stimuli, key and orders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetalsynth.artifacts.files import write_bytes
from fetalsynth.errors import explaining
from fetalsynth.progress import track
from fetalsynth.randomness import numpy_rng
from fetalsynth.reader.choosing import Strata, thirds
from fetalsynth.reader.choosing_items import Chosen, choose_items
from fetalsynth.reader.order import make_orders
from fetalsynth.reader.pipeline import encode
from fetalsynth.reader.pipeline_sources import BY_AGE, Sources
from fetalsynth.reader.presets import CONSENT, Design
from fetalsynth.reader.stimuli import Stimuli, prepare
from fetalsynth.reader.study import (
    Item,
    KeyRow,
    Order,
    Orders,
    Study,
    stimulus_files,
    write_study,
)

# 1 January 2000: one time for all stimuli, because the time of writing is nobody's business
_WHEN = 946_684_800


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to make.

    ``stratify`` is the column that the strata are thirds of. ``size`` and ``margin`` are those of
    :func:`fetalsynth.reader.pipeline.plan_images`, ``floor`` a fraction of white.
    """

    design: Design
    order: Order
    preset: str
    name: str
    title: str
    consent: str = CONSENT
    allow_back: bool = False
    stratify: str = BY_AGE
    size: int | None = None
    margin: float = 0.05
    floor: float = 4 / 255


def make_study(folder: Path, sources: Sources, *, wanted: Wanted, seed: int) -> Study:
    """Write stimuli, ``study.json``, ``orders.json`` and ``key.csv`` into ``folder``.

    Everything is a function of the sources, ``wanted`` and ``seed``, which must stay secret: the
    ids follow from it. Raises UserError where there are too few images, or no order keeps the
    rules.
    """
    design = wanted.design
    strata = thirds(sources.real.candidates, name=wanted.stratify)
    rng = numpy_rng(seed=seed, stream="reader-choice")
    chosen, notes = choose_items(sources, design, strata=strata, rng=rng)
    key = make_key(chosen, strata=strata, seed=seed)
    orders = make_orders(
        key,
        rules=wanted.order,
        repeats=round(design.repeats * design.n),
        seed=seed,
        pairs=design.mode == "pair",
    )
    stimuli = prepare(sources, chosen, size=wanted.size, margin=wanted.margin, floor=wanted.floor)
    by_id = dict(zip(key, chosen, strict=True))
    items = tuple(_item(key[id], stimuli) for id in sorted(key))
    _write_stimuli(folder, items, by_id, stimuli, seed=seed)
    study = _study(
        wanted,
        sources,
        items=items,
        orders=orders,
        seed=seed,
        notes=(*sources.notes, *notes, *stimuli.said),
    )
    write_study(folder, study, orders=orders, key=key)
    return study


def make_key(chosen: Sequence[Chosen], *, strata: Strata, seed: int) -> dict[str, KeyRow]:
    """The key, in the order of ``chosen``, with a random id of 128 bits for each."""
    rng = numpy_rng(seed=seed, stream="reader-ids")
    ids = [rng.bytes(16).hex() for _ in chosen]
    return {
        id: KeyRow(
            id=id,
            truth=one.truth,
            role=one.role,
            set="catch" if one.made else one.candidate.set,
            stratum="" if one.made else strata.of(one.candidate),
            source_file=one.candidate.file + (f" ({one.made})" if one.made else ""),
            source_sha256=one.candidate.sha256,
            pair=_other(place, chosen, ids, by_subject=False),
            gestational_age_weeks=None if one.made else one.candidate.weeks,
            subject=one.candidate.subject,
            twin=_other(place, chosen, ids, by_subject=True),
        )
        for place, (id, one) in enumerate(zip(ids, chosen, strict=True))
    }


def _other(place: int, chosen: Sequence[Chosen], ids: Sequence[str], *, by_subject: bool) -> str:
    """Id of the item of the other class of the same pair, or subject; "" where there is none."""
    mine = chosen[place]
    for id, other in zip(ids, chosen, strict=True):
        same = (
            other.candidate.subject == mine.candidate.subject
            if by_subject
            else mine.pair is not None and other.pair == mine.pair
        )
        if same and other.truth != mine.truth:
            return id
    return ""


def _item(row: KeyRow, stimuli: Stimuli) -> Item:
    height, width = stimuli.shape
    return Item(
        id=row.id,
        block="practice" if row.role == "practice" else "main",
        width=width,
        height=height,
        slices=stimuli.slices,
    )


def _write_stimuli(
    folder: Path,
    items: Sequence[Item],
    by_id: Mapping[str, Chosen],
    stimuli: Stimuli,
    *,
    seed: int,
) -> None:
    """In the order of the ids, which says nothing, and with one time for all."""
    for place, item in enumerate(track(items, label="stimuli", total=len(items), unit="items")):
        rng = numpy_rng(seed=seed, stream="reader-catch", counter=place)
        pixels = stimuli.render(by_id[item.id], rng=rng)
        for plane, file in stimulus_files(item).items():
            path = folder / file
            with explaining(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, encode(pixels[plane]), sync=False)
                os.utime(path, (_WHEN, _WHEN))


def _study(
    wanted: Wanted,
    sources: Sources,
    *,
    items: tuple[Item, ...],
    orders: Orders,
    seed: int,
    notes: tuple[str, ...],
) -> Study:
    design, order = wanted.design, orders[0]
    practice = sum(one.block == "practice" for one in order)
    first = sum(one.block == "main" and one.presentation == 1 for one in order)
    return Study(
        name=wanted.name,
        title=wanted.title,
        preset=wanted.preset,
        mode=design.mode,
        modality="volumes" if sources.volumes else "images",
        questions=design.questions,
        consent=wanted.consent,
        allow_back=wanted.allow_back,
        practice=practice,
        main=first,
        presentations=len(order),
        items=items,
        order=wanted.order,
        seed_digest=hashlib.sha256(str(seed).encode()).hexdigest(),
        notes=(*([design.note] if design.note else []), *notes),
    )
