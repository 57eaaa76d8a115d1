"""A small reader study of random speckle, written with the same functions as a real one."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.manifest import draft
from fetalsynth.reader.database.inviting import invite, register_study
from fetalsynth.reader.database.opening import default_url, open_database
from fetalsynth.reader.database.writing import Database
from fetalsynth.reader.server.folder import ServedStudy, load_study
from fetalsynth.reader.study import (
    Item,
    KeyRow,
    Order,
    Presentation,
    Questions,
    Study,
    stimulus_files,
    tile_columns,
    write_study,
)

SLICES = {"sagittal": 12, "coronal": 14, "axial": 10}


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def write_reader_study(
    out: Path,
    *,
    main: int = 8,
    practice: int = 2,
    readers: int = 6,
    size: int = 48,
    mode: str = "single",
    modality: str = "images",
    questions: Questions | None = None,
    allow_back: bool = False,
    seed: int = 0,
) -> Path:
    """A study of ``main`` + ``practice`` screens, one repeat each; half of the items are "real"."""
    rng = np.random.default_rng(seed)
    screens = practice + main
    per_screen = 2 if mode == "pair" else 1
    ids = [rng.bytes(16).hex() for _ in range(screens * per_screen)]
    blocks = ["practice"] * practice * per_screen + ["main"] * main * per_screen
    slices = SLICES if modality == "volumes" else None
    items = [
        Item(id=id, block=block, width=size, height=size, slices=slices)
        for id, block in zip(ids, blocks, strict=True)
    ]
    key = {
        item.id: KeyRow(
            id=item.id,
            truth="real" if k % 2 else "synthetic",
            role="practice" if item.block == "practice" else "main",
            set="speckle",
        )
        for k, item in enumerate(items)
    }
    singles = [tuple(ids[k * per_screen : (k + 1) * per_screen]) for k in range(screens)]
    orders = tuple(_order(rng, singles, practice) for _ in range(readers))
    default = Questions(verdict="choice", points=2, quality=0) if mode == "pair" else Questions()
    study = Study(
        name="speckle",
        title="Speckle, real or not",
        preset="standard",
        mode=mode,
        modality=modality,
        questions=questions or default,
        consent="This is a study of images.\n\nTaking part is voluntary.",
        allow_back=allow_back,
        practice=practice,
        main=main,
        presentations=len(orders[0]),
        items=tuple(sorted(items, key=lambda item: item.id)),
        order=Order(readers=readers),
        seed_digest="0" * 64,
    )
    manifest = draft(kind="reader-study", configuration={"seed": seed}, inputs=(), synthetic=True)
    with building(out, manifest) as folder:
        for k, item in enumerate(items):
            _write_stimuli(folder, item, rng, smooth=1 + 3 * (k % 2))
        write_study(folder, study, orders=orders, key=key)
    return out


def _order(
    rng: np.random.Generator, screens: list[tuple[str, ...]], practice: int
) -> tuple[Presentation, ...]:
    shuffled = [screens[k] for k in practice + rng.permutation(len(screens) - practice)]
    shown = [(screen, 1, "practice") for screen in screens[:practice]]
    shown += [(screen, 1, "main") for screen in shuffled] + [(shuffled[0], 2, "main")]
    return tuple(
        Presentation(
            item=screen[0],
            item2=screen[1] if len(screen) == 2 else None,
            presentation=number,
            block=block,
        )
        for screen, number, block in shown
    )


def _write_stimuli(folder: Path, item: Item, rng: np.random.Generator, *, smooth: int) -> None:
    """Speckle with a bright ring; larger grains compress better, so that file sizes differ."""
    y, x = np.mgrid[: item.height, : item.width] / item.width - 0.5
    ring = 120 * np.exp(-(((np.hypot(x, 1.3 * y) - 0.33) / 0.05) ** 2))
    for plane, name in stimulus_files(item).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        count = (item.slices or {}).get(plane, 1)
        columns = tile_columns(count)
        rows = -(-count // columns)
        sheet = np.zeros((rows * item.height, columns * item.width), np.uint8)
        for k in range(count):
            coarse = rng.rayleigh(30, (-(-item.height // smooth), -(-item.width // smooth)))
            speckle = np.kron(coarse, np.ones((smooth, smooth)))[: item.height, : item.width]
            top, left = k // columns * item.height, k % columns * item.width
            cut = np.clip(ring * (k + 1) / count + speckle, 0, 255)
            sheet[top : top + item.height, left : left + item.width] = cut
        (folder / name).write_bytes(png(sheet))


@dataclass
class Opened:
    """A study, its database, and the secrets of its readers by code."""

    folder: Path
    served: ServedStudy
    database: Database
    url: str
    tokens: dict[str, str]


def open_study(folder: Path, *codes: str, url: str | None = None) -> Opened:
    """Load the study, open its database and invite the readers."""
    served = load_study(folder)
    address = url or default_url(folder)
    database = open_database(address, create=True)
    register_study(database, study_id=served.id, digest=served.digest, title=served.study.title)
    made = invite(database, study_id=served.id, codes=codes, group="", orders=served.orders)
    tokens = {one.code: one.token for one in made}
    return Opened(folder=folder, served=served, database=database, url=address, tokens=tokens)
