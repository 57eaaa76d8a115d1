"""New heads: closed forms, published curves, a data set's own distribution, and nothing copied."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.optimize import minimize_scalar
from scipy.special import ellipe
from scipy.stats import ks_2samp, kstest

from fetalsynth.anatomy.biometry import growth_mean_mm, growth_sd_mm
from fetalsynth.anatomy.ellipse import Ellipse, ellipse_from_columns, ellipse_mask, map_ellipse
from fetalsynth.anatomy.heads2d.growth import (
    age_of_circumference,
    cephalic_index_law,
    diameter_correlation,
    head_of,
    sample_head,
)
from fetalsynth.anatomy.heads2d.head import PlacedHead, extent, lies_in_picture
from fetalsynth.anatomy.heads2d.labels import (
    depth,
    labels_of_ellipse,
    measure_ellipse,
    shares_of_ellipse,
)
from fetalsynth.anatomy.heads2d.likeness import COPY_DISTANCE, fit_likeness, sample_like
from fetalsynth.anatomy.heads2d.novelty import distances, nearest_apart, outline
from fetalsynth.anatomy.heads2d.placing import place_head
from fetalsynth.artifacts.images import read_table
from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.cli.main import main
from fetalsynth.datasets.heads import labels_of_record, read_heads, shares_of_record
from fetalsynth.errors import UserError

HEAD = Ellipse(
    center_x_px=127.3, center_y_px=120.8, semi_major_px=80.2, semi_minor_px=63.1, angle_deg=-31
)


def circumference(a: float, b: float) -> float:
    """The exact elliptic integral."""
    return float(4 * a * ellipe(1 - (b / a) ** 2))


heads = st.builds(
    Ellipse,
    center_x_px=st.floats(110, 146),
    center_y_px=st.floats(110, 146),
    semi_major_px=st.floats(45, 100),
    semi_minor_px=st.floats(30, 45),
    angle_deg=st.floats(-89, 89),
)


@settings(deadline=None, max_examples=25)
@given(heads, st.floats(0.2, 1.2))
def test_a_label_map_tells_the_circumference_that_was_asked_for(head: Ellipse, mm: float) -> None:
    labels = labels_of_ellipse(head, height=256, width=256, pixel_spacing_mm=(mm, mm))
    found = measure_ellipse(labels, pixel_spacing_mm=(mm, mm))
    asked = mm * circumference(head.semi_major_px, head.semi_minor_px)
    assert found.head_circumference_mm == pytest.approx(asked, rel=0.005)
    assert found.biparietal_diameter_mm == pytest.approx(2 * mm * head.semi_minor_px, rel=0.01)
    assert found.occipitofrontal_diameter_mm == pytest.approx(2 * mm * head.semi_major_px, rel=0.01)


def test_shares_of_a_small_picture_are_ten_times_as_exact() -> None:
    small = Ellipse(
        center_x_px=31.4, center_y_px=30.2, semi_major_px=9.7, semi_minor_px=7.6, angle_deg=20
    )
    asked = 1.2 * circumference(9.7, 7.6)
    shares = shares_of_ellipse(small, height=64, width=64, pixel_spacing_mm=(1.2, 1.2))
    assert shares.sum(axis=0) == pytest.approx(np.ones((64, 64)), abs=1e-6)
    found = measure_ellipse(shares, pixel_spacing_mm=(1.2, 1.2))
    assert found.head_circumference_mm == pytest.approx(asked, rel=0.0005)
    assert found.ellipse.center_x_px == pytest.approx(31.4, abs=0.02)
    assert found.ellipse.angle_deg == pytest.approx(20, abs=1)


@pytest.mark.parametrize("spacing", [(0.4, 0.4), (0.5, 0.4)])
def test_the_skull_is_a_band_of_constant_thickness(spacing: tuple[float, float]) -> None:
    """Area of the inner parallel band of a convex curve: L t − π t² (Steiner)."""
    y_mm, x_mm = spacing
    head = replace(HEAD, angle_deg=0.0)
    labels = labels_of_ellipse(
        head, height=256, width=256, pixel_spacing_mm=spacing, thickness_mm=4.0
    )
    border = circumference(head.semi_major_px * x_mm, head.semi_minor_px * y_mm)
    band = np.count_nonzero(labels == 1) * y_mm * x_mm
    assert band == pytest.approx(4 * border - 16 * math.pi, rel=0.005)
    whole = ellipse_mask(head, height=256, width=256) > 0
    assert np.array_equal(whole, labels > 0)


@settings(deadline=None, max_examples=25)
@given(st.floats(-70, 70), st.floats(-55, 55), st.floats(40, 60))
def test_distance_to_the_ellipse_against_a_minimiser(x: float, y: float, b: float) -> None:
    ellipse = replace(HEAD, center_x_px=0, center_y_px=0, angle_deg=0, semi_minor_px=b)
    turns = np.linspace(-math.pi, math.pi, 721)

    def away(t: float) -> float:
        return math.hypot(ellipse.semi_major_px * math.cos(t) - x, b * math.sin(t) - y)

    first = min(turns, key=away)
    exact = minimize_scalar(away, bounds=(first - 0.01, first + 0.01), method="bounded").fun
    found = depth(np.array([x]), np.array([y]), ellipse=ellipse)[0]
    assert found == pytest.approx(exact, abs=0.01)


@settings(deadline=None, max_examples=25)
@given(heads, st.sampled_from([0.3, 1.0, 2.5]))
def test_the_skull_has_no_gap(head: Ellipse, mm: float) -> None:
    labels = labels_of_ellipse(head, height=256, width=256, pixel_spacing_mm=(mm, mm))
    inside = np.pad(labels == 2, 1)
    around = np.zeros_like(inside)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            around |= np.roll(inside, (dy, dx), axis=(0, 1))
    assert not (around[1:-1, 1:-1] & (labels == 0)).any()
    assert inside.any()


def test_labels_that_cannot_be_drawn_or_measured_are_refused() -> None:
    tiny = replace(HEAD, semi_major_px=4.0, semi_minor_px=3.0)
    with pytest.raises(ValueError, match="too small"):
        labels_of_ellipse(tiny, height=256, width=256, pixel_spacing_mm=(1, 1))
    with pytest.raises(ValueError, match="no head"):
        measure_ellipse(np.zeros((64, 64), np.uint8), pixel_spacing_mm=(1, 1))
    cut = labels_of_ellipse(
        replace(HEAD, center_x_px=20), height=256, width=256, pixel_spacing_mm=(1, 1)
    )
    with pytest.raises(ValueError, match="border"):
        measure_ellipse(cut, pixel_spacing_mm=(1, 1))


@pytest.mark.parametrize("weeks", [16.0, 24.0, 34.0])
def test_sampled_heads_vary_as_the_standard_says(weeks: float) -> None:
    """Mean within 4 standard errors (diameters: and 0.6 %), deviation within 5 %."""
    rng = np.random.default_rng(1)
    drawn = [sample_head(rng, gestational_age_weeks=weeks) for _ in range(4000)]
    hc = np.array([circumference(h.occipitofrontal_diameter_mm / 2, h.biparietal_diameter_mm / 2)
                   for h in drawn])  # fmt: skip
    mean = growth_mean_mm("head_circumference", gestational_age_weeks=weeks)
    sd = growth_sd_mm("head_circumference", gestational_age_weeks=weeks)
    assert kstest(hc, "norm", (mean, sd)).pvalue > 0.001
    assert hc.mean() == pytest.approx(mean, abs=4 * sd / math.sqrt(4000))
    assert hc.std() == pytest.approx(sd, rel=0.05)
    for measure in ("biparietal_diameter", "occipitofrontal_diameter"):
        values = np.array([getattr(h, f"{measure}_mm") for h in drawn])
        mean = growth_mean_mm(measure, gestational_age_weeks=weeks)
        sd = growth_sd_mm(measure, gestational_age_weeks=weeks)
        slack = 0.006 * mean + 4 * sd / math.sqrt(4000)
        assert values.mean() == pytest.approx(mean, abs=slack)
        assert values.std() == pytest.approx(sd, rel=0.05)
    b = np.array([h.biparietal_diameter_mm for h in drawn])
    o = np.array([h.occipitofrontal_diameter_mm for h in drawn])
    implied = diameter_correlation(gestational_age_weeks=weeks)
    assert np.corrcoef(b, o)[0, 1] == pytest.approx(implied, abs=0.05)


def test_implied_correlation_reproduces_the_published_deviation() -> None:
    """Drawing the two diameters with it gives circumferences of the published spread."""
    rng = np.random.default_rng(0)
    for weeks in (15.0, 25.0, 38.0):
        rho = diameter_correlation(gestational_age_weeks=weeks)
        first, second = rng.standard_normal((2, 20000))
        b = growth_mean_mm("biparietal_diameter", gestational_age_weeks=weeks)
        o = growth_mean_mm("occipitofrontal_diameter", gestational_age_weeks=weeks)
        bs = b + growth_sd_mm("biparietal_diameter", gestational_age_weeks=weeks) * first
        mixed = rho * first + math.sqrt(1 - rho**2) * second
        os = o + growth_sd_mm("occipitofrontal_diameter", gestational_age_weeks=weeks) * mixed
        hc = 2 * np.maximum(bs, os) * ellipe(1 - (np.minimum(bs, os) / np.maximum(bs, os)) ** 2)
        published = growth_sd_mm("head_circumference", gestational_age_weeks=weeks)
        assert hc.std() == pytest.approx(published, rel=0.03)
        _, sd, _ = cephalic_index_law(gestational_age_weeks=weeks)
        assert (bs / os).std() == pytest.approx(sd, rel=0.05)


def test_centiles_cut_the_sizes_and_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    small = [sample_head(rng, gestational_age_weeks=28, centiles=(0, 3)) for _ in range(300)]
    limit = growth_mean_mm("head_circumference", gestational_age_weeks=28)
    limit -= 1.8808 * growth_sd_mm("head_circumference", gestational_age_weeks=28)
    assert max(head.head_circumference_mm for head in small) < limit + 1e-2
    with pytest.raises(UserError, match="centiles"):
        sample_head(rng, gestational_age_weeks=28, centiles=(50, 50))


@given(st.floats(60, 350), st.floats(0.7, 0.99))
def test_the_ellipse_reproduces_circumference_and_index(hc: float, index: float) -> None:
    head = head_of(head_circumference_mm=hc, cephalic_index=index, gestational_age_weeks=20)
    a, b = head.occipitofrontal_diameter_mm / 2, head.biparietal_diameter_mm / 2
    assert circumference(a, b) == pytest.approx(hc, rel=1e-7)
    assert head.cephalic_index == pytest.approx(index, rel=1e-9)


@given(st.floats(14.001, 39.999))
def test_age_of_a_circumference_inverts_the_curve(weeks: float) -> None:
    hc = growth_mean_mm("head_circumference", gestational_age_weeks=weeks)
    assert age_of_circumference(hc) == pytest.approx(weeks, abs=0.001)
    assert age_of_circumference(80) is None
    assert age_of_circumference(340) is None


@pytest.mark.parametrize(("aspect", "spacing"), [(0.675, None), (1.0, None), (0.675, 0.8)])
def test_nothing_leaves_the_picture(aspect: float, spacing: float | None) -> None:
    rng = np.random.default_rng(5)
    for weeks in np.linspace(14, 40, 200):
        biometry = sample_head(rng, gestational_age_weeks=float(weeks))
        head = place_head(rng, biometry, size=256, aspect=aspect, pixel_spacing_mm=spacing)
        assert lies_in_picture(head)
        _, top, _, bottom = extent(head.ellipse)
        assert top >= 128 * (1 - aspect)
        assert bottom <= 128 * (1 + aspect)
        assert head.head_circumference_mm == pytest.approx(biometry.head_circumference_mm)
        assert spacing is None or head.pixel_spacing_mm == pytest.approx(spacing)


def like_data(count: int, *, seed: int, aged: bool = True) -> list[PlacedHead]:
    """Two separate groups, small upright heads and large level ones."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        weeks = rng.uniform(14, 16) if k % 2 else rng.uniform(24, 28)
        head = place_head(rng, sample_head(rng, gestational_age_weeks=weeks), size=128, aspect=1)
        angle = 85 + rng.normal(0, 4) if k % 2 else rng.normal(0, 4)
        angle -= 180 * math.ceil(angle / 180 - 0.5)
        head = replace(head, ellipse=replace(head.ellipse, angle_deg=float(angle)))
        made.append(head if aged else replace(head, gestational_age_weeks=None))
    return [head for head in made if lies_in_picture(head)]


def test_heads_like_a_data_set_follow_it_and_copy_nothing() -> None:
    known = like_data(400, seed=0)
    likeness = fit_likeness(known, subjects=[str(k // 2) for k in range(len(known))])
    drawn = [sample_like(np.random.default_rng(k), likeness, size=64) for k in range(1500)]
    for name in ("head_circumference_mm", "gestational_age_weeks"):
        real = [getattr(head, name) for head in known]
        new = [getattr(one.head, name) for one in drawn]
        assert ks_2samp(real, new).statistic < 0.08  # chance alone: 0.077 at 5 %
    upright = np.array([abs(one.head.ellipse.angle_deg) > 45 for one in drawn])
    weeks = np.array([one.head.gestational_age_weeks for one in drawn])
    assert np.mean(upright == (weeks < 20)) > 0.97
    assert not ((weeks > 18) & (weeks < 22)).any()
    for one in drawn[:200]:
        assert lies_in_picture(one.head)
        nearest = distances(outline(one.head), likeness.outlines).min()
        assert one.nearest_distance == pytest.approx(nearest)
        assert nearest >= COPY_DISTANCE


def test_squashed_pictures_stay_squashed() -> None:
    """As an import that fills a square with 800 × 540 images does it."""
    known = []
    for head in like_data(60, seed=2):
        low = map_ellipse(head.ellipse, matrix=np.diag([1, 0.7]), shift=(0, 0))
        known.append(replace(head, ellipse=low, pixel_spacing_y_mm=head.pixel_spacing_y_mm / 0.7))
    likeness = fit_likeness(known, subjects=[str(k) for k in range(len(known))])
    drawn = [sample_like(np.random.default_rng(k), likeness, size=96).head for k in range(40)]
    for head in drawn:
        assert head.pixel_spacing_y_mm / head.pixel_spacing_x_mm == pytest.approx(1 / 0.7)
        spacing = (head.pixel_spacing_y_mm, head.pixel_spacing_x_mm)
        labels = labels_of_ellipse(head.ellipse, height=96, width=96, pixel_spacing_mm=spacing)
        found = measure_ellipse(labels, pixel_spacing_mm=spacing)
        assert found.head_circumference_mm == pytest.approx(head.head_circumference_mm, rel=0.01)
        index = head.biparietal_diameter_mm / head.occipitofrontal_diameter_mm
        assert 0.68 < index < 0.97


def test_outline_distance_in_closed_form() -> None:
    head = PlacedHead(
        ellipse=HEAD, height=256, width=256, pixel_spacing_y_mm=1, pixel_spacing_x_mm=1
    )
    moved = replace(head, ellipse=replace(HEAD, center_x_px=HEAD.center_x_px + 2.56))
    far = replace(head, ellipse=replace(HEAD, center_x_px=HEAD.center_x_px + 25.6))
    known = np.stack([outline(one) for one in (head, moved, far)])
    assert distances(known[0], known) == pytest.approx([0, 0.01, 0.1], abs=1e-9)
    # In pictures of any size: pixel borders, not pixel centres, are what keeps its place.
    half = replace(
        head,
        height=128,
        width=128,
        ellipse=replace(
            HEAD,
            center_x_px=(HEAD.center_x_px + 0.5) / 2 - 0.5,
            center_y_px=(HEAD.center_y_px + 0.5) / 2 - 0.5,
            semi_major_px=HEAD.semi_major_px / 2,
            semi_minor_px=HEAD.semi_minor_px / 2,
        ),
    )
    assert distances(outline(half), known)[0] == pytest.approx(0, abs=1e-9)
    assert nearest_apart(known, groups=["a", "a", "b"]) == pytest.approx([0.1, 0.09, 0.09])


def test_too_little_data_is_refused() -> None:
    known = like_data(60, seed=1)
    with pytest.raises(ValueError, match="too few"):
        fit_likeness(known[:10], subjects=[str(k) for k in range(10)])
    with pytest.raises(ValueError, match="too few"):
        fit_likeness(known, subjects=["one"] * len(known))
    alike = fit_likeness(known[:1] * 30, subjects=[str(k) for k in range(30)])
    with pytest.raises(ValueError, match="no new head"):
        sample_like(np.random.default_rng(0), alike, size=128)


def ellipses(*arguments: str) -> int:
    return main(["anatomy", "ellipses", *arguments])


def test_command_writes_rows_that_give_their_label_maps(tmp_path: Path) -> None:
    out = tmp_path / "heads"
    assert ellipses("--n", "12", "--out", str(out), "--weeks", "18", "30", "--size", "96") == 0
    rows = read_table(out)
    assert [row.subject for row in rows] == [f"head-{k:06d}" for k in range(12)]
    for row in rows:
        labels = np.asarray(Image.open(out / row.file))
        again = labels_of_record(row, height=96, width=96)
        assert again is not None
        assert np.array_equal(again, labels)
        assert np.array_equal(np.asarray(Image.open(out / row.extra["mask"])) > 0, labels > 0)
        known = ellipse_from_columns(row.extra)
        assert known is not None
        assert row.pixel_spacing_x_mm is not None
        asked = float(row.extra["head_circumference_mm"])
        axes = (known.semi_major_px, known.semi_minor_px)
        assert row.pixel_spacing_x_mm * circumference(*axes) == pytest.approx(asked, rel=1e-5)
        assert float(row.extra["label_circumference_mm"]) == pytest.approx(asked, rel=0.005)
        assert row.gestational_age_weeks is not None
        assert 18 <= row.gestational_age_weeks <= 30
        assert 0 < float(row.extra["head_circumference_centile"]) < 100
        shares = shares_of_record(row, height=96, width=96)
        assert shares is not None
        assert np.mean(shares.argmax(axis=0) == labels) > 0.97
    assert (out / "preview.png").is_file()
    manifest = read_manifest(out, kind="images")
    assert manifest.synthetic
    assert manifest.facts["labels"][1] == "skull"
    assert manifest.facts["worst_circumference_error"] < 0.005


def test_first_heads_are_the_same_however_many(tmp_path: Path) -> None:
    for n in ("3", "7"):
        assert ellipses("--n", n, "--out", str(tmp_path / n), "--size", "64", "--seed", "4") == 0
    assert read_table(tmp_path / "7")[:3] == read_table(tmp_path / "3")
    assert ellipses("--n", "3", "--out", str(tmp_path / "b"), "--size", "64", "--seed", "5") == 0
    assert read_table(tmp_path / "b")[0] != read_table(tmp_path / "3")[0]


def test_an_interrupted_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fetalsynth.datasets import new_heads

    command = ("--n", "6", "--size", "64", "--out")
    assert ellipses(*command, str(tmp_path / "whole")) == 0
    drawn: list[int] = []
    draw = labels_of_ellipse

    def failing(*args: object, **options: object) -> object:
        drawn.append(1)
        if len(drawn) == 4:
            raise KeyboardInterrupt
        return draw(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(new_heads, "labels_of_ellipse", failing)
    with pytest.raises(KeyboardInterrupt):
        from fetalsynth.cli.anatomy_ellipses import run

        run([*command, str(tmp_path / "cut")])
    assert not (tmp_path / "cut").exists()
    assert ellipses(*command, str(tmp_path / "cut")) == 0
    assert len(drawn) == 4 + 3
    assert read_manifest(tmp_path / "cut").content == read_manifest(tmp_path / "whole").content


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "set"
    command = ["data", "phantom", "ultrasound", "--n", "40", "--size", "48", "--held-out", "0.25"]
    assert main([*command, "--out", str(out)]) == 0
    return out


def test_like_phantoms_takes_their_ages_and_only_their_training_part(
    phantoms: Path, tmp_path: Path
) -> None:
    out = tmp_path / "heads"
    assert ellipses("--n", "30", "--out", str(out), "--like", str(phantoms), "--size", "96") == 0
    manifest = read_manifest(out)
    train = [row for row in read_table(phantoms) if row.split == "train"]
    assert manifest.facts["heads"] == len(train) == 30
    assert manifest.inputs[0].digest == read_manifest(phantoms).content
    rows = read_table(out)
    ages = [row.gestational_age_weeks or 0 for row in train]
    for row in rows:
        assert row.extra["gestational_age_source"] == "data set"
        assert min(ages) <= (row.gestational_age_weeks or 0) <= max(ages)
        assert float(row.extra["nearest_distance"]) >= COPY_DISTANCE
        assert not np.asarray(Image.open(out / row.file))[[0, -1]].any()


def test_bad_requests(phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare"
    (tmp_path / "pictures").mkdir()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(
        tmp_path / "pictures" / "a.png"
    )
    assert (
        main(
            [
                "data",
                "import",
                "folder",
                str(tmp_path / "pictures"),
                "--out",
                str(bare),
                "--held-out",
                "0",
            ]
        )
        == 0
    )
    few = tmp_path / "few"
    assert (
        main(["data", "phantom", "ultrasound", "--n", "4", "--size", "48", "--out", str(few)]) == 0
    )
    ages = tmp_path / "ages.csv"
    ages.write_text("gestational_age_weeks\n20\n44\n")
    out = tmp_path / "out"
    for arguments, said in (
        (("--weeks", "10", "20"), "weeks"),
        (("--weeks", "30", "20"), "weeks"),
        (("--centiles", "50", "120"), "centiles"),
        (("--size", "8"), "size"),
        (("--size", "32", "--pixel-spacing", "8"), "--size 32"),
        (("--size", "64", "--pixel-spacing", "0.5"), "larger --size"),
        (("--pixel-spacing", "-1"), "pixel-spacing"),
        (("--aspect", "2"), "aspect"),
        (("--split", "train"), "--like"),
        (("--ages", str(ages)), "line 3"),
        (("--ages", str(tmp_path / "none.csv")), "none.csv"),
        (("--like", str(bare)), "no image"),
        (("--like", str(few)), "too few"),
        (("--like", str(phantoms), "--weeks", "20", "30"), "--weeks"),
        (("--like", str(phantoms), "--split", "nowhere"), "nowhere"),
        (("--like", str(tmp_path / "absent")), "absent"),
    ):
        capsys.readouterr()
        assert ellipses("--n", "5", "--out", str(out), *arguments) == 2, arguments
        assert said in capsys.readouterr().err, arguments
        assert not out.exists()
    assert ellipses("--n", "0", "--out", str(out)) == 2


def test_ages_from_a_table(tmp_path: Path) -> None:
    ages = tmp_path / "ages.csv"
    ages.write_text("subject,gestational_age_weeks\na,19.5\nb,31.25\nc,\n")
    out = tmp_path / "out"
    assert ellipses("--n", "20", "--out", str(out), "--ages", str(ages), "--size", "64") == 0
    assert {row.gestational_age_weeks for row in read_table(out)} == {19.5, 31.25}


@pytest.fixture(scope="module")
def hc18_table(hc18_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HC18's outlines at their own size; only every fourth examination, for time."""
    source = tmp_path_factory.mktemp("hc18") / "training_set"
    source.mkdir()
    table = next(hc18_folder.rglob("training_set_pixel_size_and_HC.csv"))
    rows = list(csv.DictReader(table.open(encoding="utf-8-sig")))[::4]
    real = next(path for path in hc18_folder.rglob("000_HC.png")).parent
    for row in rows:
        name = row["filename"]
        for file in (name, name.replace(".png", "_Annotation.png")):
            (source / file).symlink_to(real / file)
    with (source.parent / table.name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    out = tmp_path_factory.mktemp("imported") / "heads"
    assert (
        main(["data", "import", "hc18", str(source.parent), "--size", "None", "--out", str(out)])
        == 0
    )
    return out


@pytest.mark.slow
def test_like_hc18(hc18_table: Path, tmp_path: Path) -> None:
    """Original 800 × 540 images: heads stay in the padded part, sizes follow the data's."""
    out = tmp_path / "heads"
    assert ellipses("--n", "400", "--out", str(out), "--like", str(hc18_table)) == 0
    known = read_heads(hc18_table)
    rows = read_table(out)
    real = [head.head_circumference_mm for head in known.heads]
    new = [float(row.extra["head_circumference_mm"]) for row in rows]
    assert ks_2samp(real, new).pvalue > 0.01
    for row in rows:
        labels = np.asarray(Image.open(out / row.file))
        assert not labels[: round(256 * 0.16)].any()
        assert not labels[-round(256 * 0.16) :].any()
    aged = [row for row in rows if row.gestational_age_weeks is not None]
    for row in aged:
        mean = growth_mean_mm(
            "head_circumference", gestational_age_weeks=row.gestational_age_weeks or 0
        )
        assert mean == pytest.approx(float(row.extra["head_circumference_mm"]), abs=0.02)
        assert row.extra["gestational_age_source"] == "head circumference"
        assert "head_circumference_centile" not in row.extra
    first = [row for row in rows if row.gestational_age_weeks is None]
    assert all(float(row.extra["head_circumference_mm"]) < 98 for row in first)
    one = read_table(hc18_table)[0]
    own = labels_of_record(one, height=540, width=800)
    mask = np.asarray(Image.open(hc18_table / one.extra["mask"]))
    assert own is not None
    assert np.mean((own > 0) == (mask > 0)) > 0.99
