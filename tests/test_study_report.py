"""Figures, tables, methods and report of a study, on a study with planted values."""

from __future__ import annotations

import csv
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from fetalsynth.artifacts.building import building, record_facts
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import Input, Licence, draft, read_manifest
from fetalsynth.artifacts.scores import Alarm, Metric, Scores, write_scores
from fetalsynth.errors import UserError
from fetalsynth.reports.study import write_report
from fetalsynth.reports.study_figures import inline
from fetalsynth.studies.analysis import write_analysis
from fetalsynth.studies.data import data_facts
from fetalsynth.studies.figures import write_figures
from fetalsynth.studies.figures_boxes import boxes
from fetalsynth.studies.figures_canvas import save
from fetalsynth.studies.figures_data import Panel, Point, axes_of, in_order, panels_of_subjects
from fetalsynth.studies.figures_settings import parse_figures
from fetalsynth.studies.folder import write_recipe
from fetalsynth.studies.methods import write_methods
from fetalsynth.studies.plan import Plan, make_plan, write_plan
from fetalsynth.studies.recipe import Figure, StudyRecipe, parse_study
from fetalsynth.studies.results import read_results, write_results
from fetalsynth.studies.state import StepState, write_state
from fetalsynth.studies.tables import write_tables

SOURCE = Licence(source="Phantoms", licence="CC0-1.0", citation="Nobody 2020, A made-up source.")
IMAGES, EPOCHS, SEEDS = (8, 16, 32), (1, 2), (0, 1, 2)
RECIPE: dict[str, Any] = {
    "name": "planted <b>&</b>",
    "modality": "ultrasound",
    "arms": [
        {
            "name": "size",
            "recipe": "dcgan64",
            "settings": {"generator.size": 32, "generator.generator_width": 8, "batch_size": 8},
            "grid": {"images": list(IMAGES), "epochs": list(EPOCHS)},
            "seeds": list(SEEDS),
        }
    ],
    "generate": {"n": 8, "weights": "raw"},
    "analysis": [
        {"kind": "trend", "name": "more images", "factor": "images", "metrics": ["FD-LBP256"]},
        {"kind": "power", "metrics": ["FD-LBP256"]},
        {"kind": "published-ultrasound", "metrics": ["FID"]},
    ],
}


def planted(*, images: int, epochs: int, seed: int) -> float:
    """Falls by 2 with every doubling of images and by 1 with that of epochs; seeds ± 0.1."""
    return 20 - 2 * math.log2(images) - math.log2(epochs) + 0.1 * (seed - 1)


def score_of(*, images: int, epochs: int, seed: int) -> float:
    return 1 + (IMAGES.index(images) * 2 + EPOCHS.index(epochs)) * 0.6 + 0.1 * seed


def make_data(folder: Path) -> Path:
    manifest = draft(kind="images", configuration={}, synthetic=True, licences=(SOURCE,))
    rng = np.random.default_rng(0)
    with building(folder, manifest) as growing:
        writer = ImagesWriter(growing)
        for k in range(48):
            writer.add(
                rng.integers(0, 256, (32, 32), dtype=np.uint8),
                name=f"{k:04d}",
                subject=f"s{k}",
                split="test" if k < 8 else "train",
            )
        writer.close()
    return folder


def costs(*, images: int, seed: int) -> dict[str, Any]:
    return {
        "parameters": {"generator": 2_500_000, "discriminator": 7},
        "seconds": 120.0 * (seed + 1),
        "images_seen": 720,
        "peak_memory_mib": 100 * images,
    }


def make_runs(folder: Path, plan: Plan, data: Path) -> None:
    """Results of every step as the commands would leave them, with the planted numbers."""
    steps = {step.name: step for step in plan.steps}
    source = read_manifest(data)
    for cell in plan.cells:
        facts = {"images": cell.factors["images"], "epochs": cell.factors["epochs"]}
        planted_at = {**{k: int(str(v)) for k, v in facts.items()}, "seed": cell.seed}
        made = Input(role="data", path=str(data), digest=source.content, manifest=source)
        out = folder / steps[cell.train].out
        if not out.is_dir():
            manifest = draft(
                kind="model",
                configuration={"of": cell.train},
                seed=cell.seed,
                inputs=(made,),
                licences=(SOURCE,),
                synthetic=True,
            )
            with building(out, manifest) as growing:
                lines = [{"epoch": e, "loss_generator": 1 / e, "images_seen": e} for e in (1, 2)]
                (growing / "stats.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
                record_facts(growing, {"device": "CPU", "torch": "9.9", "images": 5, "subjects": 4})
                record_facts(growing, costs(images=planted_at["images"], seed=cell.seed))
        out = folder / steps[cell.generate].out
        asked = {**facts, "n": 8}
        with building(out, draft(kind="images", configuration=asked, synthetic=True)) as growing:
            writer = ImagesWriter(growing)
            for k in range(8):
                writer.add(np.full((32, 32), 30 * k, np.uint8), name=f"{k}", subject=f"{k}")
            writer.close()
        out = folder / steps[cell.assess].out
        value = planted(**planted_at)
        fid = 7.0 * math.log(score_of(**planted_at)) + 241.0
        numbers: dict[str, Any] = {
            "n_real": 8,
            "n_synthetic": 8,
            "ci95": (value - 1, value + 1),
            "floor": 1.5,
        }
        scores = Scores(
            metrics={
                "FD-LBP256": Metric(value=value, direction="lower", **numbers),
                "FID": Metric(value=fid, direction="lower", n_real=8, n_synthetic=8),
            },
            inputs={},
            alarms=(Alarm(name="texture", reason="planted"),) if cell.seed == 2 else (),
        )
        with building(out, draft(kind="scores", configuration=facts, synthetic=True)) as growing:
            write_scores(growing, scores)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyRecipe, Plan]:
    root = tmp_path_factory.mktemp("study")
    data = make_data(root / "data")
    study = parse_study(RECIPE, where="test")
    plan = make_plan(study, data=[data_facts(data)])
    folder = root / "out"
    folder.mkdir()
    make_runs(folder, plan, data)
    for step in plan.steps:
        write_state(folder, step.name, StepState(status="done", seconds=36.0, host="one"))
    write_plan(folder, plan)
    write_recipe(folder, study)
    with (folder / "readers.csv").open("w", encoding="utf-8") as stream:
        stream.write("set,score\n")
        for cell in plan.cells:
            level = {k: int(str(v)) for k, v in cell.factors.items()}
            stream.write(f"{cell.cell} seed {cell.seed},{score_of(**level, seed=cell.seed)}\n")
    conclude(folder, study, plan)
    return folder, study, plan


def conclude(folder: Path, study: StudyRecipe, plan: Plan) -> None:
    readers = folder / "readers.csv"
    write_results(folder, plan)
    write_analysis(folder, items=study.analysis, plan=plan, readers=readers)
    write_figures(folder, study=study, plan=plan, readers=readers)
    write_tables(folder, study=study, plan=plan)
    write_methods(folder, study=study, plan=plan)
    write_report(folder)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


class _Page(HTMLParser):
    """Every element's name and attributes, and the text outside styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_heat_map_shows_the_planted_means_and_spreads(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    rows = rows_of(finished[0] / "figures/size-heat.csv")
    cells = {(r["images"], r["epochs"]): r for r in rows if r["metric"] == "FD-LBP256"}
    assert len(cells) == len(IMAGES) * len(EPOCHS)
    for (images, epochs), row in cells.items():
        middle = planted(images=int(images), epochs=int(epochs), seed=1)
        assert float(row["mean"]) == pytest.approx(middle)
        assert float(row["sd"]) == pytest.approx(0.1)
        assert row["n"] == "3"


def test_boxes_hold_every_set_once(finished: tuple[Path, StudyRecipe, Plan]) -> None:
    rows = rows_of(finished[0] / "figures/size-boxes-images.csv")
    found = {
        (r["images"], r["epochs"], r["seed"]): float(r["value"])
        for r in rows
        if r["metric"] == "FD-LBP256"
    }
    assert found == {
        (str(i), str(e), str(s)): pytest.approx(planted(images=i, epochs=e, seed=s))
        for i in IMAGES
        for e in EPOCHS
        for s in SEEDS
    }


def test_a_p_that_was_not_adjusted_is_called_so(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    folder = finished[0]
    entries = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    with_p = [entry for entry in entries if entry["p_value"] is not None]
    plain = [entry for entry in with_p if entry["p_adjusted"] is None]
    assert 0 < len(plain) < len(with_p)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert report.count(", not adjusted") == len(plain)


def test_readers_figure_finds_the_planted_logarithmic_line(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    rows = rows_of(finished[0] / "figures/size-readers.csv")
    assert len(rows) == 18
    assert {row["metric"] for row in rows} == {"FID"}
    assert float(rows[0]["a"]) == pytest.approx(7.0, abs=1e-6)
    assert float(rows[0]["b"]) == pytest.approx(241.0, abs=1e-6)


def test_samples_are_the_first_images_of_each_cell_and_real_ones(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    rows = rows_of(finished[0] / "figures/size-samples.csv")
    own = [row["file"] for row in rows if (row["row"], row["column"]) == ("16", "2")]
    assert own == [f"images/{k}.png" for k in range(4)]
    assert {row["row"] for row in rows} == {"8", "16", "32"}  # scores name no real set here


def test_every_figure_is_svg_png_and_csv(finished: tuple[Path, StudyRecipe, Plan]) -> None:
    folder = finished[0] / "figures"
    listed = json.loads((folder / "figures.json").read_text())
    assert {line["kind"] for line in listed} == {"samples", "readers", "heat", "boxes", "curves"}
    for line in listed:
        root = ElementTree.parse(folder / line["svg"]).getroot()
        assert root.tag.endswith("svg")
        with Image.open(folder / line["png"]) as image:
            assert image.size[0] > 400
        assert len(rows_of(folder / line["csv"])) > 0


def test_same_results_same_bytes_and_foreign_files_stay(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    folder, study, plan = finished
    mine = folder / "figures/mine.svg"
    mine.write_text("my own")
    stale = folder / "figures/old.svg"
    stale.write_text("of an earlier recipe")
    index = folder / "figures/figures.json"
    listed = json.loads(index.read_text())
    index.write_text(json.dumps([*listed, {"svg": "old.svg", "png": None, "csv": None}]))
    names = ("report.html", "methods.md", "figures/size-boxes-images.svg", "figures/size-heat.png")
    before = [(folder / name).read_bytes() for name in names]
    conclude(folder, study, plan)
    assert [(folder / name).read_bytes() for name in names] == before
    assert mine.read_text() == "my own"
    assert not stale.exists()
    mine.unlink()


def test_tables_have_the_t_interval_of_trainings(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    rows = rows_of(finished[0] / "tables/size-sets.csv")
    row = next(
        r for r in rows if (r["images"], r["epochs"], r["metric"]) == ("8", "2", "FD-LBP256")
    )
    values = [planted(images=8, epochs=2, seed=seed) for seed in SEEDS]
    expected = scipy.stats.t.interval(0.95, 2, loc=np.mean(values), scale=scipy.stats.sem(values))
    assert (float(row["ci_low"]), float(row["ci_high"])) == pytest.approx(expected)
    assert (row["n"], row["interval"], row["floor"]) == ("3", "trainings", "1.5")


def test_alarms_are_counted_by_cell(finished: tuple[Path, StudyRecipe, Plan]) -> None:
    rows = rows_of(finished[0] / "tables/alarms.csv")
    assert len(rows) == 6
    assert {(row["sets"], row["alarm"], row["raised"]) for row in rows} == {("3", "texture", "1")}
    assert "texture in 6" in _Page(page_of(finished[0])).text


def test_costs_are_means_over_the_trainings_of_a_cell(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    rows = rows_of(finished[0] / "tables/costs.csv")
    by_cell = {(row["cell"], row["metric"]): row for row in rows}
    (cell,) = {
        row["cell"] for row in rows if "images=16" in row["cell"] and "epochs=2" in row["cell"]
    }
    minutes = by_cell[cell, "training, minutes"]
    assert (minutes["n"], float(minutes["mean"]), float(minutes["sd"])) == ("3", 4.0, 2.0)
    (shorter,) = {name for name, _ in by_cell if "images=16" in name and "epochs=1" in name}
    assert float(by_cell[shorter, "training, minutes"]["mean"]) == 2.0
    speed = float(by_cell[cell, "training, images per second"]["mean"])
    assert speed == pytest.approx((6 + 3 + 2) / 3)
    assert float(by_cell[cell, "training, peak memory in MiB"]["mean"]) == 1600
    assert float(by_cell[cell, "parameters of the generator, millions"]["mean"]) == 2.5
    assert float(by_cell[cell, "generating, seconds per image"]["mean"]) == 36 / 8
    text = _Page(page_of(finished[0])).text
    assert "Costs" in text
    assert "4.00 ± 2.00" in text


def test_methods_say_what_was_run(finished: tuple[Path, StudyRecipe, Plan]) -> None:
    text = (finished[0] / "methods.md").read_text(encoding="utf-8")
    assert "6 cells, 9 trainings, 18 sets" in text
    assert "images 8, 16, 32; epochs 1, 2; training seeds 0, 1, 2" in text
    assert "PyTorch 9.9" in text
    assert "5 of 4 subjects" in text
    assert f"{45 * 36 / 3600:.2f} hours of computing over 45 steps" in text
    assert SOURCE.citation in text
    assert "CC0-1.0" in text
    assert "Holm (1979)" in text


def test_report_is_one_offline_page(finished: tuple[Path, StudyRecipe, Plan]) -> None:
    page = page_of(finished[0])
    parsed = _Page(page)
    assert "script" not in {tag for tag, _ in parsed.elements}
    links = [
        str(value)
        for _, attributes in parsed.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href")
    ]
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {link.removeprefix("#") for link in links if link.startswith("#")}
    assert targets <= set(ids)
    assert "Not for clinical use." in parsed.text
    assert "<b>&</b>" not in page  # the name of the study is text, not markup


def test_report_puts_verdicts_first_and_caveats_beside_what_was_published(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    text = _Page(page_of(finished[0])).text
    words = ["planned test", "FD-LBP256 falls by 2", "Figures", "Tables", "Methods", "Provenance"]
    places = [text.index(word) for word in words]
    assert places == sorted(places)
    entries = json.loads((finished[0] / "analysis.json").read_text())
    published = next(entry for entry in entries if entry["kind"] == "published-ultrasound")
    flat = re.sub(r"\s+", " ", text)
    assert published["caveats"]
    assert all(c in flat for c in published["caveats"])
    trend = next(entry for entry in entries if entry["kind"] == "trend")
    low, high = trend["effect"]["ci95"]
    assert f"−{abs(low):.2f} to −{abs(high):.2f}" in flat


def test_failed_steps_stand_in_the_report(
    finished: tuple[Path, StudyRecipe, Plan], tmp_path: Path
) -> None:
    folder, _, plan = finished
    step = plan.of_kind("assess")[0]
    state = folder / "steps" / f"{step.name}.json"
    log = folder / "logs" / f"{step.name}.log"
    kept = state.read_bytes()
    log.parent.mkdir(exist_ok=True)
    log.write_text("first\n" + "filler\n" * 30 + "error: <disk> is full\n")
    try:
        write_state(folder, step.name, StepState(status="failed", note="exit code 2"))
        write_report(folder)
        page = page_of(folder)
    finally:
        state.write_bytes(kept)
        log.unlink()
        write_report(folder)
    assert "1 step failed" in page
    assert "error: &lt;disk&gt; is full" in page
    assert "first\n" not in page
    assert "exit code 2" in page


def test_scores_of_other_sets_are_a_problem_of_that_figure_alone(
    finished: tuple[Path, StudyRecipe, Plan], tmp_path: Path
) -> None:
    folder, study, plan = finished
    other = tmp_path / "readers.csv"
    other.write_text("set,score\n" + "".join(f"unknown {k},{k}\n" for k in range(1, 6)))
    try:
        assert write_figures(folder, study=study, plan=plan, readers=other) == 5
        listed = json.loads((folder / "figures/figures.json").read_text())
        problems = [line for line in listed if "problem" in line]
        assert [line["kind"] for line in problems] == ["readers"]
        write_report(folder)
        assert "at least 4 are needed" in page_of(folder)
    finally:
        conclude(folder, study, plan)


@pytest.mark.parametrize(
    "harm", ["<script>1</script>", '<a href="https://x.org">', '<g onload="x()"/>']
)
def test_svg_with_more_than_a_drawing_is_not_taken_into_the_page(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "x.svg"
    head = '<svg width="72pt" height="72pt" viewBox="0 0 72 72" xmlns="http://www.w3.org/2000/svg">'
    path.write_text(f'{head}<path id="p" style="stroke: #0b6170"/></svg>')
    good = inline(path, name="f0", description="a <b>")
    assert good is not None
    assert 'id="f0-p"' in good
    assert "var(--series-1)" in good
    assert "a &lt;b&gt;" in good
    path.write_text(f"{head}{harm}</svg>")
    assert inline(path, name="f0", description="") is None


def test_subjects_of_every_fusion_are_read_in_the_order_asked_for(
    finished: tuple[Path, StudyRecipe, Plan], tmp_path: Path
) -> None:
    _, _, plan = finished
    cell = plan.cells[0]
    out = tmp_path / next(step.out for step in plan.steps if step.name == cell.assess)
    for name, value in (("axial", 0.5), ("mean", 0.9)):
        (out / "sets" / name).mkdir(parents=True)
        (out / "sets" / name / "pairs.csv").write_text(f"subject,SSIM\nA,{value}\nB,\n")
    row = {"arm": "size", "metric": "SSIM", "direction": "higher", "floor": ""}
    (panel,) = panels_of_subjects(
        tmp_path, plan, [row], arm="size", metrics=["SSIM"], fusions=["mean", "axial"]
    )
    assert [(p.levels["fusion"], p.subject, p.value) for p in panel.points] == [
        ("mean", "A", 0.9),
        ("axial", "A", 0.5),
    ]


def test_heat_maps_keep_their_colours_in_the_page(
    finished: tuple[Path, StudyRecipe, Plan],
) -> None:
    """A page's colours change in dark mode; a scale from pale to dark must not turn round."""
    chart = inline(finished[0] / "figures/size-heat.svg", name="f", description="")
    assert chart is not None
    cells = re.findall(r'style="fill: ([^;]*); stroke: #ffffff', chart)
    assert len(cells) == 2 * len(IMAGES) * len(EPOCHS)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in cells)
    brightness = [sum(int(colour[k : k + 2], 16) for k in (1, 3, 5)) for colour in cells]
    assert max(brightness) - min(brightness) > 300


def test_few_values_have_a_median_and_many_a_box(tmp_path: Path) -> None:
    def drawn(count: int) -> str:
        points = tuple(
            Point(levels={"a": "1"}, seed="0", step="s", value=float(k)) for k in range(count)
        )
        panel = Panel(metric="m", direction="none", floor=math.nan, points=points)
        sheet = boxes([panel], axis=("a",), hue=None, arm="x", stem=f"b{count}")
        save(tmp_path, sheet)
        return (tmp_path / f"b{count}.svg").read_text()

    box = "#d9dcd8; opacity: 0.6"
    assert box in drawn(5)
    assert box not in drawn(4)


def test_levels_are_ordered_as_numbers_where_they_are() -> None:
    assert in_order(["1000", "300", "1000"]) == ["300", "1000"]
    assert in_order(["0.002 / 1", "5e-05 / 2", "5e-05 / 1"]) == [
        "5e-05 / 1",
        "5e-05 / 2",
        "0.002 / 1",
    ]
    assert in_order(["mean", "axial"]) == ["mean", "axial"]


def test_only_what_varies_is_an_axis(finished: tuple[Path, StudyRecipe, Plan]) -> None:
    folder, study, _ = finished
    rows = read_results(folder)
    assert axes_of(study.arms[0], rows) == [("images",), ("epochs",)]
    one = [row for row in rows if row["epochs"] == "1"]
    assert axes_of(study.arms[0], one) == [("images",)]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"kind": "pie"}, "there is no kind 'pie'"),
        ({"kind": "boxes", "factors": "images"}, "factors: is no setting"),
        ({"kind": "samples", "per_side": 0}, "per_side"),
    ],
)
def test_faulty_figures_are_named(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_figures([Figure.model_validate(setting)])


def test_study_of_which_everything_failed_still_has_a_report(
    finished: tuple[Path, StudyRecipe, Plan], tmp_path: Path
) -> None:
    _, study, plan = finished
    write_plan(tmp_path, plan)
    write_recipe(tmp_path, study)
    for step in plan.steps:
        write_state(
            tmp_path, step.name, StepState(status="failed" if step.kind == "train" else "blocked")
        )
    write_results(tmp_path, plan)
    write_analysis(tmp_path, items=study.analysis, plan=plan)
    assert write_figures(tmp_path, study=study, plan=plan) == 0
    write_tables(tmp_path, study=study, plan=plan)
    write_methods(tmp_path, study=study, plan=plan)
    write_report(tmp_path)
    text = _Page(page_of(tmp_path)).text
    assert "Nothing could be tested" in text
    assert "9 steps failed and 36 could not start" in text
    assert "No training is finished." in text
