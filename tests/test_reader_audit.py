"""The leak audit: silent where classes differ by chance or by content, loud about planted leaks."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import gaussian_filter
from scipy.stats import binom, mannwhitneyu

from fetalsynth.cli.main import main
from fetalsynth.errors import UserError
from fetalsynth.reader.audit import LEVEL, audit_study, judge
from fetalsynth.reader.audit_cues import Cue
from fetalsynth.reader.audit_files import open_png
from fetalsynth.reader.audit_pixels import CONTENT, TRACES, look
from fetalsynth.reader.audit_statistics import cross_validated, tell_apart
from fetalsynth.reader.making import Wanted, make_study
from fetalsynth.reader.pipeline import encode
from fetalsynth.reader.pipeline_sources import open_sources
from fetalsynth.reader.presets import design
from fetalsynth.reader.study import (
    KeyRow,
    Order,
    read_key,
    read_orders,
    read_study,
    write_study,
)

Pixels = NDArray[np.uint8]


def _texture(rng: np.random.Generator, size: int = 64) -> Pixels:
    field = gaussian_filter(rng.normal(size=(size, size)), 1.5)
    return np.uint8(np.clip(110 + 45 * field / field.std(), 0, 255))


def _same(pixels: Pixels) -> Pixels:
    return pixels


def _jpeg(pixels: Pixels) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    return np.asarray(Image.open(stream), np.uint8)


def _stretched(pixels: Pixels) -> Pixels:
    return np.uint8(np.clip(np.rint(1.3 * (pixels.astype(float) - 110) + 110), 0, 255))


def _make(
    place: Path, *, plant: Callable[[Pixels], Pixels] = _same, n: int = 40, pairs: bool = False
) -> Path:
    """A study of textures of one kind, in which the "real" ones went through ``plant``."""
    rng = np.random.default_rng(1)
    for name in ("real", "made"):
        (place / name).mkdir(parents=True)
        for number in range((n if pairs else n // 2) + 6):
            pixels = _texture(rng)
            shown = plant(pixels) if name == "real" else pixels
            Image.fromarray(shown).save(place / name / f"{name}{number}.png")
    sources = open_sources(real=place / "real", synthetic={"made": place / "made"})
    wanted = Wanted(
        design=design("pairs" if pairs else "standard", n=n, practice=4),
        order=Order(readers=8, repeat_lag=4, twin_lag=4),
        preset="pairs" if pairs else "standard",
        name="study",
        title="study",
    )
    (place / "study").mkdir()
    make_study(place / "study", sources, wanted=wanted, seed=11)
    return place / "study"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return _make(tmp_path)


def _rewrite(study: Path, change: Callable[[Path, Pixels], None], *, times: bool = True) -> None:
    """Write the files of the real items in another way; the time of writing is kept on request."""
    for id, row in read_key(study).items():
        if row.truth == "real":
            path = study / "stimuli" / f"{id}.png"
            before = path.stat()
            change(path, np.asarray(Image.open(path)))
            if times:
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _with_metadata(path: Path, pixels: Pixels) -> None:
    info = PngInfo()
    info.add_text("Software", "scanner")
    Image.fromarray(pixels).save(path, pnginfo=info)


def _framed(path: Path, pixels: Pixels) -> None:
    found = pixels.copy()
    for line in (found[0], found[-1], found[:, 0], found[:, -1]):
        line[...] = 30
    path.write_bytes(encode(found))


def _named_in_order(study: Path) -> None:
    """Give the real items the smaller ids, as a counter that runs over the real ones first does."""
    known, key, orders = read_study(study), read_key(study), read_orders(study)
    by_truth = sorted(key, key=lambda id: key[id].truth)
    new = dict(zip(by_truth, sorted(key), strict=True))
    for id, other in new.items():
        (study / "stimuli" / f"{id}.png").rename(study / "stimuli" / f"{other}.tmp")
    for path in (study / "stimuli").glob("*.tmp"):
        path.rename(path.with_suffix(".png"))
    items = tuple(replace(item, id=new[item.id]) for item in known.items)
    items = tuple(sorted(items, key=lambda item: item.id))
    rows = {new[id]: replace(row, id=new[id], twin="", pair="") for id, row in key.items()}
    shown = tuple(tuple(replace(one, item=new[one.item]) for one in order) for order in orders)
    write_study(study, replace(known, items=items), orders=shown, key=rows)


def test_a_study_built_properly_passes(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit = audit_study(study)
    assert audit.leaks == ()
    assert audit.combinations == ()
    assert not [one for one in audit.findings if one.family == "files"]  # all are constant
    assert main(["reader", "audit", str(study)]) == 0
    assert "no leak found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "cue"),
    [
        (_with_metadata, "bytes of metadata"),
        (lambda path, pixels: Image.fromarray(pixels).save(path), "bytes of the file"),
        (_framed, "step behind the border"),
    ],
    ids=["metadata", "encoder", "frame"],
)
def test_a_leak_planted_in_the_files_is_found(
    study: Path, change: Callable[[Path, Pixels], None], cue: str
) -> None:
    _rewrite(study, change)
    audit = audit_study(study)
    assert audit.verdict == "leak"
    assert cue in [leak.name for leak in audit.leaks]


def test_the_time_of_writing_is_a_leak(study: Path) -> None:
    _rewrite(study, lambda path, pixels: path.write_bytes(encode(pixels)) and None, times=False)
    assert [leak.name for leak in audit_study(study).leaks] == ["time of writing"]


def test_ids_in_the_order_of_the_classes_are_a_leak(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _named_in_order(study)
    assert main(["reader", "audit", str(study), "--table", str(tmp_path / "cues.csv")]) == 1
    said = capsys.readouterr().out
    assert "LEAK order of ids" in said
    assert "mend: make the study anew" in said
    assert "names,order of ids" in (tmp_path / "cues.csv").read_text()


def test_the_side_of_the_real_one_is_a_leak(tmp_path: Path) -> None:
    """Sides drawn for every screen pass; the real one on the left each time does not."""
    folder = _make(tmp_path, pairs=True)
    assert not audit_study(folder).leaks
    known, key, orders = read_study(folder), read_key(folder), read_orders(folder)
    turned = tuple(
        tuple(
            one
            if key[one.item].truth == "real"
            else replace(one, item=one.item2 or "", item2=one.item)
            for one in order
        )
        for order in orders
    )
    write_study(folder, known, orders=turned, key=key)
    assert [leak.name for leak in audit_study(folder).leaks] == ["share shown on the right"]


@pytest.mark.parametrize(
    ("plant", "cue"),
    [(_jpeg, "8 × 8 blocks"), (_stretched, "comb in the histogram")],
    ids=["JPEG", "comb"],
)
def test_traces_of_handling_survive_the_pipeline_and_are_found(
    tmp_path: Path, plant: Callable[[Pixels], Pixels], cue: str
) -> None:
    audit = audit_study(_make(tmp_path, plant=plant))
    assert audit.verdict == "leak"
    assert cue in [leak.name for leak in audit.leaks]


def test_smoother_and_brighter_images_are_content_and_only_reported() -> None:
    rng = np.random.default_rng(3)
    seen = []
    for number in range(60):
        pixels = _texture(rng).astype(float)
        if number % 2:
            pixels = gaussian_filter(pixels, 0.8) + 15
        # without the border, which blurring does not leave like the rest
        seen.append(look(np.uint8(pixels.clip(0, 255))[4:-4, 4:-4]))
    audit = _judged(seen, np.arange(60) % 2 == 0)
    assert audit.verdict == "passed"
    told = {one.name for one in audit.findings if one.family == "content" and one.p < LEVEL}
    assert {"finest detail", "mean grey level"} <= told


def _judged(seen: list[dict[str, float]], real: NDArray[np.bool_]):  # type: ignore[no-untyped-def]
    cues = [
        Cue(name=name, family=family, values=np.array([one[name] for one in seen]), mend="")
        for family, known in (("traces", TRACES), ("content", CONTENT))
        for name in known
    ]
    return judge(tuple(cue for cue in cues if np.ptp(cue.values) > 0), real)


def test_false_alarms_are_as_rare_as_promised() -> None:
    """Any two columns of noise, one of them with ties: the smallest p is uniform or larger."""
    rng = np.random.default_rng(8)
    alarms, runs, level = 0, 400, 0.05
    for _ in range(runs):
        columns = np.column_stack([rng.normal(size=(24, 3)), rng.integers(3, size=24)])
        told = tell_apart(columns, rng.permutation(24) < 12, rng=rng, permutations=199)
        alarms += min(told.p.min(), told.combined_p or 1) <= level
    low, high = binom.ppf([0.001, 0.999], runs, level)
    assert low <= alarms <= high


def test_areas_and_p_values_are_those_of_the_rank_sum_test() -> None:
    rng = np.random.default_rng(2)
    real = np.arange(30) < 14
    column = rng.normal(size=30) + 0.9 * real
    told = tell_apart(column[:, None], real, rng=rng, classifier=False, permutations=20_000)
    known = mannwhitneyu(column[real], column[~real], method="exact")
    assert told.auc[0] == pytest.approx(known.statistic / (14 * 16))
    assert told.p[0] == pytest.approx(known.pvalue, abs=4 * np.sqrt(known.pvalue / 20_000))


def test_the_classifier_finds_what_no_single_column_tells() -> None:
    """Two columns whose product decides, and none of them alone."""
    rng = np.random.default_rng(4)
    columns = rng.normal(size=(160, 2))
    real = columns[:, 0] * columns[:, 1] > 0
    told = tell_apart(columns, real, rng=rng, permutations=999)
    assert told.p.min() > 0.05
    assert told.combined is not None
    assert told.combined > 0.7
    assert told.combined_p == pytest.approx(0.001)


def test_no_item_has_a_part_in_its_own_score() -> None:
    rng = np.random.default_rng(4)
    matrix = cross_validated(rng.normal(size=(40, 3)).argsort(axis=0) + 1.0, rng=rng)
    assert np.all(np.diag(matrix) == 0)
    assert ((matrix == 0).sum(axis=1) == 4).all()  # its own fold of a tenth
    assert np.abs(matrix.sum(axis=1)).max() < 1e-9  # labels that are all equal say nothing


def test_few_items_are_said_to_be_few(tmp_path: Path) -> None:
    audit = audit_study(_make(tmp_path, n=10))
    assert audit.verdict == "too few items"


def test_png_files_are_taken_apart(tmp_path: Path) -> None:
    pixels = _texture(np.random.default_rng(1))
    plain, busy = tmp_path / "plain.png", tmp_path / "busy.png"
    plain.write_bytes(encode(pixels))
    _with_metadata(busy, pixels)
    busy.write_bytes(busy.read_bytes() + b"tail")
    one, other = open_png(plain), open_png(busy)
    assert one.chunks == (b"IHDR", b"IDAT", b"IEND")
    assert (one.metadata, one.filtered) == (0, 0.0)
    assert other.metadata == 12 + len(b"Software\0scanner") + 4
    assert other.filtered > 0.5  # Pillow's encoder filters rows
    assert np.array_equal(one.pixels, other.pixels)
    busy.write_bytes(plain.read_bytes()[:60])
    with pytest.raises(UserError, match=r"busy\.png"):
        open_png(busy)


def test_a_key_without_an_item_is_refused(study: Path) -> None:
    known, key = read_study(study), read_key(study)
    gone: dict[str, KeyRow] = {id: row for id, row in key.items() if id != known.items[3].id}
    write_study(study, known, orders=read_orders(study), key=gone)
    with pytest.raises(UserError, match=known.items[3].id):
        audit_study(study)


@pytest.mark.slow
def test_halves_of_real_images_are_not_told_apart(hc18_folder: Path) -> None:
    """Forty splits of 140 HC18 images: at one per cent, four alarms come once in 1400 tests."""
    files = sorted(hc18_folder.rglob("*_HC.png"))[:140]
    small = [Image.open(file).convert("L").resize((64, 43)) for file in files]
    seen = [look(np.asarray(picture)[3:-3, 3:-3]) for picture in small]
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(40):
        chosen = rng.permutation(len(seen))[:66]
        audit = _judged([seen[place] for place in chosen], np.arange(66) < 33)
        alarms += audit.verdict == "leak"
    assert alarms <= 3
