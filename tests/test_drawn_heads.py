"""Heads that a model of heads draws for itself: like its data's, none of them, told as written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from fetalsynth.anatomy.ellipse import ellipse_columns, ellipse_from_columns, scale_ellipse
from fetalsynth.anatomy.heads2d.head import PlacedHead
from fetalsynth.anatomy.heads2d.novelty import distances, outline, outlines
from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.datasets.head_conditions import conditions_of_records
from fetalsynth.datasets.heads import THICKNESS, columns_of_head, head_of_record
from fetalsynth.datasets.new_heads import Standard, standard_head
from fetalsynth.datasets.typical_heads import (
    MANY,
    TYPICAL_HEADS,
    typical_heads,
    write_typical_heads,
)
from fetalsynth.errors import UserError
from fetalsynth.generators.flow.conditions import condition_of
from fetalsynth.generators.head_conditions import head_conditions
from fetalsynth.generators.settings import FlowSettings
from fetalsynth.synthesis.asked_heads import AskedHeads
from fetalsynth.synthesis.drawn_heads import drawn_heads

SIZE = 64
# Two ages apart, so that a law with one covariance for everything would be found out.
LAW = Standard(
    weeks=(14.0, 40.0),
    ages_weeks=(17.0, 17.5, 18.0, 33.0, 34.0),
    centiles=(5.0, 95.0),
    aspect=0.675,
    pixel_spacing_mm=None,
)


def record(head: PlacedHead, subject: str) -> ImageRecord:
    return ImageRecord(
        file=f"images/{subject}.png",
        subject=subject,
        sha256="",
        pixel_spacing_y_mm=head.pixel_spacing_y_mm,
        pixel_spacing_x_mm=head.pixel_spacing_x_mm,
        extra=columns_of_head(head),
    )


def read(row: ImageRecord, size: int = SIZE) -> PlacedHead:
    head = head_of_record(row, height=size, width=size)
    assert head is not None
    return head


@pytest.fixture(scope="module")
def data() -> list[ImageRecord]:
    heads = [standard_head(LAW, number=k, seed=1, size=SIZE).head for k in range(300)]
    return [record(head, f"s{k}") for k, head in enumerate(heads)]


@pytest.fixture(scope="module")
def model(data: list[ImageRecord], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_typical_heads(folder / TYPICAL_HEADS, typical_heads(data, size=SIZE, seed=0))
    return folder


def test_they_are_distributed_as_the_data_are(data: list[ImageRecord], model: Path) -> None:
    row = drawn_heads(model, size=SIZE, seed=5)
    drawn, known = [read(row.record(k)) for k in range(400)], [read(r) for r in data]
    for feature in (
        lambda head: head.head_circumference_mm,
        lambda head: head.biparietal_diameter_mm / head.occipitofrontal_diameter_mm,
        lambda head: head.ellipse.semi_major_px,
        lambda head: head.ellipse.center_x_px,
        lambda head: head.ellipse.center_y_px,
    ):
        assert ks_2samp([feature(h) for h in drawn], [feature(h) for h in known]).pvalue > 0.001
    between = [200 < head.head_circumference_mm < 260 for head in drawn]
    assert np.mean(between) < 0.05  # nobody's head is of 23 to 28 weeks


def test_none_that_is_kept_is_one_of_the_data(data: list[ImageRecord]) -> None:
    kept = typical_heads(data, size=SIZE, seed=0)
    assert len(kept) == MANY
    known = outlines([read(r) for r in data])
    assert min(distances(outline(head), known).min() for head in kept) >= 0.002


def test_a_head_depends_on_seed_and_number_alone(model: Path) -> None:
    row, again = (drawn_heads(model, size=SIZE, seed=5) for _ in range(2))
    cpu = torch.device("cpu")
    together, alone = row.batch([4, 5, 6], device=cpu), again.batch([5], device=cpu)
    assert together.shares is not None
    assert alone.shares is not None
    assert torch.equal(together.shares[1:2], alone.shares)
    other = drawn_heads(model, size=SIZE, seed=6).batch([5], device=cpu)
    assert other.shares is not None
    assert not torch.equal(other.shares, alone.shares)


def test_what_is_told_is_what_the_table_says(model: Path) -> None:
    row = drawn_heads(model, size=SIZE, seed=5)
    told = row.batch(range(8), device=torch.device("cpu"))
    assert told.shares is not None
    for number, shares in enumerate(told.shares):
        ellipse = ellipse_from_columns(row.record(number).extra)
        assert ellipse is not None
        area = np.pi * ellipse.semi_major_px * ellipse.semi_minor_px
        assert float(shares[1:].sum()) == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("drawn", [True, False])
def test_everything_told_is_on_the_device_of_the_model(
    data: list[ImageRecord], model: Path, *, drawn: bool
) -> None:
    """The device without memory stands in for a GPU: mixing it with the processor is an error."""
    row = drawn_heads(model, size=SIZE, seed=5) if drawn else asked(data[:6])
    batch = row.batch([0, 3], device=torch.device("meta"))
    settings = FlowSettings(condition="head", labels=3)
    condition = condition_of(batch, settings)
    for told in (batch.images, condition.maps, condition.told):
        assert told is not None
        assert told.device.type == "meta"
        assert len(told) == 2


def asked(records: list[ImageRecord]) -> AskedHeads:
    shares, ages = conditions_of_records(records, size=SIZE, where="data")
    conditions = head_conditions(torch.from_numpy(shares), torch.from_numpy(ages))
    source = Input(role="heads", path="data", digest="0" * 64)
    return AskedHeads(records=tuple(records), conditions=conditions, source=source)


def test_heads_too_small_to_draw_are_named(data: list[ImageRecord]) -> None:
    tiny = scale_ellipse(read(data[0]).ellipse, x=0.01, y=0.01)
    row = replace(data[0], extra={**data[0].extra, **ellipse_columns(tiny)})
    with pytest.raises(UserError, match=r"images/s0\.png: its head is 0\..* pixels across"):
        conditions_of_records([row], size=SIZE, where="data")


@pytest.mark.parametrize("thickness", ["nan", "-1", "inf", "thick"])
def test_an_impossible_skull_is_named(data: list[ImageRecord], thickness: str) -> None:
    row = replace(data[0], extra={**data[0].extra, THICKNESS: thickness})
    with pytest.raises(UserError, match=r"images/s0\.png: skull_thickness_mm .* positive number"):
        conditions_of_records([row], size=SIZE, where="data")


def test_the_same_heads_on_pictures_of_another_size(model: Path) -> None:
    small, large = (drawn_heads(model, size=size, seed=5).record(3) for size in (SIZE, 2 * SIZE))
    one, other = read(small), read(large, 2 * SIZE)
    assert one.head_circumference_mm == pytest.approx(other.head_circumference_mm, rel=1e-4)
    assert 2 * one.ellipse.semi_major_px == pytest.approx(other.ellipse.semi_major_px, rel=1e-4)


def test_without_a_table_heads_are_those_of_the_growth_standard(tmp_path: Path) -> None:
    row = drawn_heads(tmp_path, size=SIZE, seed=0)
    records = [row.record(number) for number in range(50)]
    ages = [r.gestational_age_weeks for r in records]
    assert all(age is not None and 14 <= age <= 40 for age in ages)
    expected = standard_head(
        Standard(
            weeks=(14, 40),
            ages_weeks=(),
            centiles=(0, 100),
            aspect=540 / 800,
            pixel_spacing_mm=None,
        ),
        number=7,
        seed=0,
        size=SIZE,
    )
    told = read(records[7]).head_circumference_mm
    assert told == pytest.approx(expected.head.head_circumference_mm, rel=1e-4)


@pytest.mark.parametrize("count", [0, 19])
def test_too_few_heads_to_tell_a_law_from(data: list[ImageRecord], count: int) -> None:
    assert typical_heads(data[:count], size=SIZE, seed=0) == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 30],
        lambda text: text.replace("size_px", "size"),
        lambda text: text.replace("64,", "nan,", 1),
        lambda text: text.replace("64,", "many,", 1),
    ],
)
def test_a_damaged_table_is_named(model: Path, tmp_path: Path, damage: object) -> None:
    text = (model / TYPICAL_HEADS).read_text()
    (tmp_path / TYPICAL_HEADS).write_text(damage(text))  # type: ignore[operator]
    with pytest.raises(UserError, match=r"heads\.csv: is damaged"):
        drawn_heads(tmp_path, size=SIZE, seed=0)
