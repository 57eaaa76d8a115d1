"""The scorecard's words follow the scores, its plots the tables, and unequal counts are refused."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fetalsynth.artifacts.manifest import draft
from fetalsynth.artifacts.scores import Alarm, Cluster, Metric, Scores, write_scores
from fetalsynth.errors import UserError
from fetalsynth.reports.assessment import write_report
from fetalsynth.reports.comparison import comparison_chart
from fetalsynth.reports.evidence import evidence
from fetalsynth.reports.scatter import scatter
from fetalsynth.reports.scorecard import Card, scorecard, worse_than_real


def a_metric(value: float, **changes: Any) -> Metric:
    fields = {"direction": "lower", "n_real": 193, "n_synthetic": 193}
    return Metric.model_validate({**fields, "value": value, **changes})


def beyond(direction: str, *, floor: tuple[float, float]) -> bool:
    settings = {"floor_interval": list(floor)}
    metric = a_metric(0.5, ci95=(0.4, 0.6), direction=direction, settings=settings)
    return worse_than_real(metric)


def test_a_score_is_odd_only_where_its_interval_lies_beyond_all_real_sets() -> None:
    assert beyond("lower", floor=(0.1, 0.3))
    assert not beyond("lower", floor=(0.1, 0.45))
    assert not beyond("lower", floor=(0.7, 0.9))
    assert beyond("higher", floor=(0.7, 0.9))
    assert not beyond("higher", floor=(0.1, 0.3))
    assert not beyond("none", floor=(0.7, 0.9))
    assert not worse_than_real(a_metric(0.5, settings={"floor_interval": [0.1, 0.2]}))
    assert not worse_than_real(a_metric(0.5, ci95=(0.4, 0.6), settings={"floor_interval": "odd"}))


METRICS = {
    "KID-LBP256": a_metric(0.5, ci95=(0.4, 0.6), floor=0.0, settings={"floor_interval": [0, 0.1]}),
    "diversity-nearest": a_metric(0.99, direction="higher", floor=1.0),
    "SW2-layout16": a_metric(0.3, ci95=(0.2, 0.4), settings={"floor_interval": [0.0, 0.1]}),
    "image-mean-KS": a_metric(0.1, floor=0.1),
    "copy-share": a_metric(0.004, floor=0.01),
}


def cards(**fields: Any) -> dict[str, Card]:
    return {card.title: card for card in scorecard(Scores(metrics=METRICS, inputs={}, **fields))}


def test_every_question_gets_a_word_a_sentence_and_its_numbers() -> None:
    found = cards(
        alarms=(Alarm(name="texture", reason="because"),),
        unjudged={"shift": "needs the features of Inception: give --inception-weights PATH"},
    )
    words = {title: (card.level, card.word) for title, card in found.items()}
    assert words == {
        "Fidelity": ("caution", "Not judged"),
        "Diversity": ("clear", "No warning"),
        "Copying": ("clear", "No warning"),
        "Texture": ("alarm", "Warning"),
        "Structure": ("caution", "Look closer"),
        "Intensity": ("clear", "No warning"),
    }
    assert "--inception-weights" in found["Fidelity"].sentence
    assert "SW2-layout16 stands beyond" in found["Structure"].sentence
    assert [row.name for row in found["Copying"].numbers] == ["copy-share"]


def test_a_silent_test_beside_an_odd_number_asks_to_look_closer() -> None:
    texture = cards()["Texture"]
    assert texture.word == "Look closer"
    assert "The test is silent, but KID-LBP256 stands beyond" in texture.sentence


def test_few_images_never_give_a_clear_answer() -> None:
    found = cards(alarms=(Alarm(name="too-few-images", reason="only 20"),))
    assert all(card.level != "clear" for card in found.values())
    assert found["Diversity"].word == "Cannot tell"


def test_without_scores_there_is_no_card_and_pairs_have_their_own() -> None:
    assert scorecard(Scores(metrics={}, inputs={})) == ()
    for gain, word in (([0.01, 0.03], "Better than paint"), ([-0.01, 0.03], "Look closer")):
        settings = {"minus_baseline_ci95": gain}
        metrics = {"SSIM-mask": a_metric(0.9, direction="higher", settings=settings)}
        (card,) = scorecard(Scores(metrics=metrics, inputs={}))
        assert (card.title, card.word) == ("Likeness", word)


def dots(svg: str) -> list[np.ndarray]:
    paths = re.findall(r'class="dots" style="[^"]*" d="([^"]*)"', svg)
    return [np.array(re.findall(r"M(-?\d+) (-?\d+)h0", path), dtype=float) for path in paths]


def test_a_map_keeps_distances_to_one_scale_and_stays_inside() -> None:
    rng = np.random.default_rng(0)
    sets = {name: rng.normal(size=(50, 2)) * (1, 5) for name in ("real", "synthetic")}
    svg = scatter(
        series={name: [tuple(p) for p in points] for name, points in sets.items()},
        x_label="a & b",
        y_label="c",
        description="d",
    )
    drawn = np.concatenate(dots(svg))
    truth = np.concatenate(list(sets.values()))
    scale = np.ptp(drawn, axis=0) / np.ptp(truth, axis=0)
    assert scale[0] == pytest.approx(scale[1], rel=0.02)
    assert np.corrcoef(drawn[:, 0], truth[:, 0])[0, 1] > 0.999
    assert np.corrcoef(drawn[:, 1], truth[:, 1])[0, 1] < -0.999
    assert drawn.min() >= 0
    assert (drawn <= (460, 300)).all()
    assert "a &amp; b" in svg


def test_a_map_is_thinned_and_holds_three_sets_at_most() -> None:
    many = {"real": [(float(k), 0.0) for k in range(1000)]}
    svg = scatter(series=many, x_label="x", y_label="y", description="d")
    assert len(dots(svg)[0]) == 334
    one = [(0.0, 0.0)]
    assert len(dots(scatter(series={"a": one}, x_label="x", y_label="y", description="d"))[0]) == 1
    with pytest.raises(ValueError, match="at most 3"):
        scatter(series=dict.fromkeys("abcd", one), x_label="x", y_label="y", description="d")


def write_tables(folder: Path) -> None:
    rng = np.random.default_rng(1)
    spots = [
        f"LBP256,{role},{k}.png,{rng.normal():.3f},{rng.normal():.3f}"
        for role in ("real", "synthetic", "train")
        for k in range(9)
    ]
    (folder / "feature_map.csv").write_text("space,role,file,axis_1,axis_2\n" + "\n".join(spots))
    (folder / "feature_map_axes.csv").write_text(
        "space,axis,share_of_real_variance\nLBP256,1,0.4312\nLBP256,2,0.1\n"
    )
    near = [f"synthetic,{k}.png,x,{0.5 + k / 10},1" for k in range(9)]
    near += [f"held-out,{k}.png,x,{0.9 + k / 20},1" for k in range(9)]
    (folder / "nearest_distances.csv").write_text(
        "role,file,nearest_file,relative_distance,isolation\n" + "\n".join(near)
    )
    codes = [f"{k},{1000 / (k + 1)},{0 if k == 3 else 900 / (k + 1)},0,1," for k in range(256)]
    (folder / "lbp_vector.csv").write_text(
        "code,reference,synthetic,difference,real_real_sd,z\n" + "\n".join(codes)
    )


def test_plots_come_from_the_tables(tmp_path: Path) -> None:
    write_tables(tmp_path)
    found = evidence(tmp_path)
    assert found.problems == ()
    assert [plot.heading.split()[0] for plot in found.plots] == ["Map", "Distance", "Texture"]
    assert "43 % of real variance" in found.plots[0].chart
    assert "unseen real 0.900 and synthetic 0.500" in found.plots[1].caption
    assert len(dots(found.plots[0].chart)) == 3


@pytest.mark.parametrize("damage", ["space,role\nLBP256,real\n", "", "a,b\n1,2\n"])
def test_a_damaged_table_is_told_and_not_fatal(tmp_path: Path, damage: str) -> None:
    write_tables(tmp_path)
    (tmp_path / "feature_map.csv").write_text(damage)
    found = evidence(tmp_path)
    assert len(found.plots) == 2
    assert [problem.split()[0] for problem in found.problems] == ["feature_map.csv"]


def test_the_page_shows_cards_plots_and_repeated_pictures(tmp_path: Path) -> None:
    write_tables(tmp_path)
    (tmp_path / "duplicates").mkdir()
    for k in range(2):
        Image.fromarray(np.full((8, 8), 90 * k, np.uint8)).save(tmp_path / f"duplicates/{k}.png")
    cluster = Cluster(
        files=("a<b>.png", "b.png", "c.png"),
        distance=0.0234,
        pictures=("duplicates/0.png", "duplicates/1.png"),
    )
    scores = Scores(
        metrics=METRICS, inputs={}, duplicate_clusters=(cluster,), profile="paper-ultrasound"
    )
    write_scores(tmp_path, scores)
    manifest = draft(kind="scores", configuration={}, synthetic=False)
    page = write_report(tmp_path, manifest).read_text(encoding="utf-8")
    for said in (
        "Look closer",
        "Pictures that the generator repeats",
        "3 images",
        'value="0.0234"',
        "a&lt;b&gt;.png",
        "Texture patterns",
        "paper-ultrasound",
    ):
        assert said in page
    assert page.count("data:image/png") == 2
    assert "<script" not in page


def test_frechet_distances_of_different_numbers_of_images_are_never_charted_together() -> None:
    few = a_metric(54.0, n_real=100, n_synthetic=100)
    many = a_metric(16.4, n_real=1000, n_synthetic=1000)
    for name in ("FD-LBP256", "FD-Inception768", "FID", "LBPv-JS", "recall-layout16"):
        with pytest.raises(UserError, match="100 real and 100 synthetic and 1000 real"):
            comparison_chart(name=name, results={"a": few, "b": many})
    for name in ("KID-LBP256", "FD-infinity-LBP256", "MI"):
        assert "<svg" in comparison_chart(name=name, results={"a": few, "b": many})
    with pytest.raises(ValueError, match="nothing"):
        comparison_chart(name="FD-LBP256", results={})


def test_scores_with_different_settings_are_never_charted_together() -> None:
    clean, legacy = (
        a_metric(20.0, n_real=100, n_synthetic=100, settings={"resizing": resizing, "draws": draws})
        for resizing, draws in (("clean", 20), ("legacy", 1))
    )
    with pytest.raises(UserError, match=r"FID .*resizing differs \(a: clean and b: legacy\)"):
        comparison_chart(name="FID", results={"a": clean, "b": legacy})
    again = clean.model_copy(update={"settings": {"resizing": "clean", "draws": 10}})
    assert "<svg" in comparison_chart(name="FID", results={"a": clean, "b": again})


def test_a_comparison_places_values_intervals_and_floors_on_one_axis() -> None:
    values = {"a": 1.0, "b <i>": 2.0, "c": 4.0}
    results = {
        label: a_metric(v, ci95=(v - 0.5, v + 0.5), settings={"floor_interval": [0.2, 0.4]})
        for label, v in values.items()
    }
    svg = comparison_chart(name="FD-LBP256", results=results)
    at = [float(x) for x in re.findall(r'class="dot" cx="([\d.]+)"', svg)]
    assert (at[2] - at[0]) / (at[1] - at[0]) == pytest.approx(3, abs=0.02)
    ends = re.findall(r'class="interval" x1="([\d.]+)" x2="([\d.]+)"', svg)
    assert float(ends[0][1]) - float(ends[0][0]) == pytest.approx(at[1] - at[0], abs=0.2)
    floors = re.findall(r'class="floor" x="([\d.]+)" y="\d+" width="([\d.]+)"', svg)
    assert float(floors[0][1]) == pytest.approx(0.2 * (at[1] - at[0]), abs=0.2)
    assert "b &lt;i&gt;" in svg
    assert all(math.isfinite(x) for x in at)
