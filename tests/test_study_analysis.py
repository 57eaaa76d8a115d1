"""The analysis plan: from rows of results to entries, planted truths, refusals, scores."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fetalsynth.errors import UserError
from fetalsynth.studies.analysis import ANALYSIS, analyse, write_analysis
from fetalsynth.studies.analysis_entry import Entry
from fetalsynth.studies.analysis_published import chance_of_r_above, published_fit
from fetalsynth.studies.analysis_settings import parse_items
from fetalsynth.studies.analysis_table import Origin
from fetalsynth.studies.plan import Plan, PlannedCell
from fetalsynth.studies.recipe import SHIPPED, Analysis, load_study
from fetalsynth.studies.results import AFTER, BEFORE, RESULTS

FIGURE = Path(__file__).resolve().parents[2] / "shared" / "facts" / "miua2022_fig2_points.json"
SIZES, EPOCHS = (100, 300, 900), (10, 20, 40)
HEADER = (*BEFORE, "images", "epochs", "g.generator_rate", "g.discriminator_rate", *AFTER)


def row(*, metric: str, value: float, step: str, direction: str, **about: object) -> dict[str, str]:
    plain = dict.fromkeys(HEADER, "")
    plain |= {"arm": "grid", "metric": metric, "value": repr(float(value)), "step": step}
    plain |= {"direction": direction, "floor": "2.0", "set": "images"}
    return plain | {name: str(given) for name, given in about.items()}


def study(
    *, seeds: int = 3, elements: int = 0, effect: float = -4.0, seed: int = 0
) -> tuple[list[dict[str, str]], dict[str, Origin]]:
    """FID falls by ``effect`` per tripling of images; PSNR has no effect; trainings differ."""
    rng = np.random.default_rng(seed)
    rows, origins = [], {}
    for k, images in enumerate(SIZES):
        for training in range(seeds):
            luck = rng.normal(size=2 + elements)
            for epochs in EPOCHS:
                step = f"assess-{images}-{epochs}-{training}"
                train = f"train-{images}-{training}"
                origins[step] = Origin(
                    train=train, generate=f"generate-{images}-{epochs}-{training}"
                )
                about = {
                    "cell": f"images={images} epochs={epochs}",
                    "seed": training,
                    "images": images,
                    "epochs": epochs,
                    "step": step,
                }
                noise = luck + 0.3 * rng.normal(size=2 + elements)
                rows.append(
                    row(metric="FID", value=60 + effect * k + noise[0], direction="lower", **about)
                )
                rows.append(row(metric="PSNR", value=20 + noise[1], direction="higher", **about))
                rows += [
                    row(metric=f"LBPv-V{code}", value=noise[2 + code], direction="none", **about)
                    for code in range(elements)
                ]
    return rows, origins


def entries(
    items: list[dict[str, object]],
    *,
    readers: Path | None = None,
    results: tuple[list[dict[str, str]], dict[str, Origin]] | None = None,
) -> list[Entry]:
    rows, origins = results or study()
    plan = [Analysis.model_validate(item) for item in items]
    return analyse(rows, items=plan, origins=origins, readers=readers)


def scores_file(path: Path, scores: dict[str, list[float]]) -> Path:
    lines = ["set,reader,score"]
    lines += [f"{name},{'AB'[k]},{s}" for name, own in scores.items() for k, s in enumerate(own)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def graded(
    rows: list[dict[str, str]], *, noise: float = 0.0, seed: int = 0
) -> dict[str, list[float]]:
    """Two readers who score the larger trainings higher, by cell and seed."""
    rng = np.random.default_rng(seed)
    return {
        f"{r['cell']} seed {r['seed']}": [
            float(
                np.clip(np.round(1.5 + SIZES.index(int(r["images"])) + noise * rng.normal()), 1, 5)
            )
            for _ in range(2)
        ]
        for r in rows
        if r["metric"] == "FID"
    }


def test_planted_effect_is_found_and_absence_is_not_called_equality() -> None:
    found = {entry.name: entry for entry in entries([{"kind": "factorial"}])}
    assert len(found) == 6
    fid = found["FID: images"]
    assert fid.n == 9
    assert fid.statistic == "F(2, 6)"
    assert fid.p_adjusted is not None
    assert fid.p_value is not None
    assert fid.p_value <= fid.p_adjusted < 0.01
    assert "falling from" in fid.verdict
    assert fid.effect is not None
    assert fid.effect["ci95"][0] > 0.5
    assert [level["images"] for level in fid.table] == list(SIZES)
    assert "not the same as no difference" in found["PSNR: images"].verdict


def test_snapshots_count_as_one_training() -> None:
    """Rows without known trainings are replicates of their own: the naive analysis."""
    rows, origins = study(effect=0.0)
    known = entries([{"kind": "factorial", "metrics": ["FID"]}], results=(rows, origins))
    naive = entries([{"kind": "factorial", "metrics": ["FID"]}], results=(rows, {}))
    assert known[0].statistic == "F(2, 6)"
    assert naive[0].statistic == "F(2, 18)"


def test_one_seed_is_said_and_size_not_tested() -> None:
    found = entries([{"kind": "factorial", "metrics": ["FID"]}], results=study(seeds=1))
    by_name = {entry.name: entry for entry in found}
    assert by_name["FID: images"].p_value is None
    assert "could not be tested" in by_name["FID: images"].verdict
    assert any(
        "differences between trainings" in caveat for caveat in by_name["FID: images"].caveats
    )
    ranked = entries(
        [{"kind": "kruskal", "factor": "images", "metrics": ["FID"]}], results=study(seeds=1)
    )
    assert ranked[0].verdict.startswith("Not analysed")
    assert "add seeds" in ranked[0].verdict


def test_trend_is_the_planted_slope_and_one_sided_where_better_is_expected() -> None:
    item = {"kind": "trend", "metrics": ["FID"], "factor": "images"}
    (either,) = entries([item])
    (better,) = entries([{**item, "expected": "better"}])
    assert either.effect is not None
    low, high = either.effect["ci95"]
    assert low < -4 / np.log2(3) < high
    assert "falls by" in either.verdict
    assert better.p_value == pytest.approx(either.p_value / 2)
    (worse,) = entries([{**item, "expected": "better"}], results=study(effect=4.0))
    assert worse.p_value is not None
    assert worse.p_value > 0.99


def test_ranks_use_trainings_between_and_blocks_within() -> None:
    found = {entry.name: entry for entry in entries([{"kind": "kruskal", "metrics": ["FID"]}])}
    between, within = found["FID: ranks by images"], found["FID: ranks by epochs"]
    assert between.statistic == "H(2)"
    assert between.p_adjusted is not None
    assert between.p_adjusted < 0.05
    assert len(between.table) == 3
    assert within.statistic == "chi-squared(2)"
    assert "Friedman" in within.method


def test_equivalence_needs_its_margin_and_takes_floors() -> None:
    item = {"kind": "equivalence", "factor": "epochs", "metrics": ["PSNR"], "margin": 2.0}
    (close,) = entries([item])
    assert "are equivalent within ±2" in close.verdict
    (floor,) = entries([{**item, "margin": 1.0, "unit": "floor"}])
    assert floor.value == close.value == 2.0
    (far,) = entries([{**item, "factor": "images", "metrics": ["FID"]}])
    assert "was not shown" in far.verdict
    with pytest.raises(UserError, match="margin"):
        entries([{"kind": "equivalence"}])


def test_power_says_how_many_seeds() -> None:
    (found,) = entries(
        [{"kind": "power", "factor": "images", "metrics": ["PSNR"], "difference": 1.0}]
    )
    assert found.effect is not None
    sd = found.effect["value"]
    power = stats.nct.sf
    seeds = int(found.value or 0)
    for k, enough in ((seeds, True), (seeds - 1, False)):
        critical, delta = stats.t.ppf(0.975, 2 * k - 2), (k / 2) ** 0.5 / sd
        assert (power(critical, 2 * k - 2, delta) >= 0.8) == enough
    assert f"you would need {seeds} seeds" in found.verdict
    assert found.effect["ci95"][0] < 1.04 < found.effect["ci95"][1]  # √(1 + 0.3² / 3)


def test_factors_that_go_together_are_one() -> None:
    rows, origins = study()
    for each in rows:
        rate = {"100": 1e-4, "300": 2e-4, "900": 2e-3}[each["images"]]
        each |= {
            "images": "",
            "g.generator_rate": str(rate),
            "g.discriminator_rate": str(min(rate, 2e-4)),
        }
    (_, found, _) = entries([{"kind": "factorial", "metrics": ["FID"]}], results=(rows, origins))
    assert found.factors == ("g.generator_rate",)
    assert found.name == "FID: generator rate"
    assert "goes with" in " ".join(found.caveats)


def test_trainings_that_lack_cells_are_left_out_and_counted() -> None:
    rows, origins = study()
    rows = [r for r in rows if r["step"] != "assess-300-20-1"]
    (found, *_) = entries([{"kind": "factorial", "metrics": ["FID"]}], results=(rows, origins))
    assert found.n == 8
    assert found.caveats == ("1 of 9 trainings lack some of the cells and are left out.",)


def test_where_keeps_some_cells() -> None:
    (found,) = entries([{"kind": "factorial", "metrics": ["FID"], "where": {"epochs": 40}}])
    rows, _ = study()
    last = [
        [
            float(r["value"])
            for r in rows
            if r["metric"] == "FID" and (r["images"], r["epochs"]) == (str(n), "40")
        ]
        for n in SIZES
    ]
    assert found.p_value == pytest.approx(stats.f_oneway(*last).pvalue)


def test_metrics_that_are_not_there_are_named() -> None:
    (found,) = entries([{"kind": "factorial", "metrics": ["FDI"]}])
    assert found.verdict == "Not analysed: there is no metric FDI among the results."
    (found,) = entries([{"kind": "kruskal", "metrics": ["KID-*"]}])
    assert found.verdict.startswith("Not analysed")


def test_faulty_plans_are_refused_in_words() -> None:
    for item, words in (
        ({"kind": "anova"}, "there is no kind 'anova'; kinds are factorial"),
        ({"kind": "factorial", "factor": "epochs"}, "factor: is no setting"),
        ({"kind": "trend", "expected": "worse"}, "expected"),
    ):
        with pytest.raises(UserError, match=words):
            parse_items([Analysis.model_validate(item)])


def test_plans_that_ship_are_sound() -> None:
    for path in SHIPPED.glob("*.yaml"):
        assert parse_items(load_study(path.stem).analysis, where=path.name)


def test_readers_find_the_metric_that_follows_them(tmp_path: Path) -> None:
    results = study(elements=12)
    path = scores_file(tmp_path / "scores.csv", graded(results[0], noise=0.4))
    found = entries([{"kind": "metric-versus-reader"}], readers=path, results=results)
    by_name = {entry.name: entry for entry in found}
    fid = by_name["FID and readers"]
    assert fid.n == 27
    assert fid.unit == "set of images"
    assert "expected −" in (fid.statistic or "")
    assert fid.p_adjusted is not None
    assert fid.p_adjusted < 0.05
    assert "as it should" in fid.verdict
    assert "of trainings and of the cells within them" in fid.method
    assert fid.table[0]["odds_ratio_per_sd"] < 1
    elements = by_name["LBP elements and readers"]
    assert len(elements.table) == 12
    assert "12 LBP elements" in elements.method
    assert elements.value == 0
    assert "none is left" in elements.verdict


def test_the_order_of_the_file_of_scores_does_not_matter(tmp_path: Path) -> None:
    results = study()
    scores = graded(results[0], noise=1.0)
    mixed = {name: scores[name] for name in sorted(scores, key=lambda name: name[::-1])}
    first = scores_file(tmp_path / "a.csv", scores)
    second = scores_file(tmp_path / "b.csv", mixed)
    item = [{"kind": "readers", "metrics": ["FID", "PSNR"]}]
    pairs = zip(
        entries(item, readers=first, results=results),
        entries(item, readers=second, results=results),
        strict=True,
    )
    for one, other in pairs:
        assert (one.value, one.p_value, one.effect) == (other.value, other.p_value, other.effect)
        odds = one.table[0]["odds_ratio_per_sd"]
        assert odds == pytest.approx(other.table[0]["odds_ratio_per_sd"], rel=1e-6)


def test_the_wrong_way_is_called_so(tmp_path: Path) -> None:
    results = study(effect=4.0)
    path = scores_file(tmp_path / "scores.csv", graded(results[0]))
    (found,) = entries([{"kind": "readers", "metrics": ["FID"]}], readers=path, results=results)
    assert "goes the wrong way" in found.verdict
    assert found.p_value is not None
    assert found.p_value > 0.95


def test_sets_may_be_called_by_their_step_and_unknown_ones_are_said(tmp_path: Path) -> None:
    rows, origins = study()
    by_step = {
        origins[r["step"]].generate: [float(1 + SIZES.index(int(r["images"])))]
        for r in rows
        if r["metric"] == "FID"
    }
    path = scores_file(tmp_path / "scores.csv", {**by_step, "real": [5.0]})
    (found,) = entries([{"kind": "readers", "metrics": ["FID"]}], readers=path)
    assert found.n == 27
    assert any("No cell is called real" in caveat for caveat in found.caveats)
    by_cell = {r["cell"]: [float(1 + SIZES.index(int(r["images"])))] for r in rows}
    path = scores_file(tmp_path / "cells.csv", by_cell)
    (found,) = entries([{"kind": "readers", "metrics": ["FID"]}], readers=path)
    assert found.n == 9
    assert any("were averaged" in caveat for caveat in found.caveats)


def test_faulty_scores_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    for text, words in (
        ("set;score\n", "needs the columns set and score"),
        ("set,score\na,good\n", "line 2: 'good' is no score"),
        ("set,score\na,1\nb,2\n", "at least 4 are needed, called like images=100 epochs=10 seed 0"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=words):
            entries([{"kind": "readers", "metrics": ["FID"]}], readers=path)
    with pytest.raises(UserError, match="does not exist"):
        entries([{"kind": "readers"}], readers=tmp_path / "none.csv")


def test_without_scores_the_report_says_what_is_missing() -> None:
    for kind in ("readers", "published-ultrasound"):
        (found,) = entries([{"kind": kind}])
        assert "--readers FILE" in found.verdict


def test_scores_that_fit_no_line_are_refused_in_words(tmp_path: Path) -> None:
    rows, origins = study()
    for score, words in ((3.0, "all scores (x) are the same"), (0.0, "scores (x) above 0")):
        names = {f"{r['cell']} seed {r['seed']}": [score] for r in rows}
        path = scores_file(tmp_path / "scores.csv", names)
        (found,) = entries(
            [{"kind": "published-ultrasound", "metrics": ["FID"]}],
            readers=path,
            results=(rows, origins),
        )
        assert words in found.verdict


def test_an_element_is_chosen_by_one_rule_throughout(tmp_path: Path) -> None:
    """An element that falls with the scores passes neither by itself nor in the choice of all."""
    rows, origins = study(elements=20)
    for r in rows:
        if r["metric"] == "LBPv-V8":
            r["value"] = repr(-float(SIZES.index(int(r["images"]))))
    path = scores_file(tmp_path / "scores.csv", graded(rows))
    found = entries([{"kind": "published-ultrasound"}], readers=path, results=(rows, origins))
    by_name = {entry.name: entry for entry in found}
    element = by_name["LBPv-V8 as published"]
    assert element.value is not None
    assert element.value < -0.8
    assert "does not pass the published rule r > 0.2" in element.verdict
    chosen = by_name["Choice of LBP elements as published"].table
    assert [each["chosen"] for each in chosen if each["metric"] == "LBPv-V8"] == [False]


def test_scores_of_one_arm_leave_the_others_out(tmp_path: Path) -> None:
    rows, origins = study()
    other = [{**r, "arm": "other", "cell": f"other {r['cell']}", "step": ""} for r in rows]
    path = scores_file(tmp_path / "scores.csv", graded(rows))
    found = entries(
        [{"kind": "readers", "metrics": ["FID"]}], readers=path, results=([*rows, *other], origins)
    )
    assert [entry.arm for entry in found] == ["grid"]


def test_elements_that_never_occur_are_no_entries_of_their_own(tmp_path: Path) -> None:
    rows, origins = study(elements=20)
    for r in rows:
        if r["metric"] in ("LBPv-V8", "LBPv-V11", "LBPv-V12"):
            r["value"] = "0.0"
    path = scores_file(tmp_path / "scores.csv", graded(rows))
    item = {"kind": "readers", "metrics": ["LBPv-V*"]}
    (found,) = entries([item], readers=path, results=(rows, origins))
    assert "of 17 LBP elements" in found.verdict
    published = entries([{"kind": "published-ultrasound"}], readers=path, results=(rows, origins))
    assert [e.name for e in published if "Not analysed" in e.verdict] == ["LBPv-V8 (grid)"]


def test_pairs_show_no_more_than_all_levels_together() -> None:
    """Two levels with three trainings each: no division has a p below 0.1, whatever z says."""
    item = {"kind": "kruskal", "factor": "images", "metrics": ["FID"]}
    rows, origins = study(effect=-50.0)
    few = [r for r in rows if r["images"] != "300"]
    (found,) = entries([item], results=(few, origins))
    assert found.p_value == pytest.approx(0.1)
    assert [pair["p_adjusted"] for pair in found.table] == [pytest.approx(0.1)]
    assert any("a p below 0.1:" in caveat for caveat in found.caveats)
    (enough,) = entries([item], results=(rows, origins))
    assert enough.p_value == pytest.approx(6 / 1680)
    assert not any("cannot show" in caveat for caveat in enough.caveats)


def test_trainings_at_different_points_are_told_in_words() -> None:
    rows, origins = study(seeds=1)
    one = [r for r in rows if r["images"] == "100"]
    item = {"kind": "kruskal", "factor": "epochs", "metrics": ["FID"]}
    (found,) = entries([item], results=(one, origins))
    assert "one training only" in found.verdict
    (cells,) = entries([{**item, "factor": "cell"}])
    assert any("within seeds" in caveat for caveat in cells.caveats)


def test_cells_are_levels_of_one_factor_where_settings_go_together() -> None:
    """25 + 25 decaying, 50 and 100 epochs: neither number alone tells the three cells apart."""
    rng = np.random.default_rng(3)
    rows, origins = [], {}
    for k, (epochs, decaying) in enumerate(((50, 25), (50, 0), (100, 0))):
        for seed in range(3):
            step = f"scores-{k}-{seed}"
            origins[step] = Origin(train=f"train-{k}-{seed}", generate="")
            for fusion in ("mean", "axial"):
                about = {"cell": f"epochs={epochs} decay_epochs={decaying}", "seed": seed}
                about |= {"epochs": epochs, "decay_epochs": decaying, "fusion": fusion}
                value = 10.0 * k + rng.normal()
                rows.append(row(metric="SSIM", value=value, direction="higher", step=step, **about))
    item = {"kind": "kruskal", "metrics": ["SSIM"], "factor": "cell"}
    (found,) = entries([item], results=(rows, origins))
    assert (found.factors, found.statistic, found.n) == (("cell",), "H(2)", 9)
    assert found.p_value == pytest.approx(6 / 1680)
    assert found.caveats == ()


def test_cells_of_which_some_share_a_training_are_compared_within_seeds() -> None:
    """50 and 100 epochs are snapshots of one training, 25 + 25 is another: seeds are the blocks."""
    rows, origins = [], {}
    for k, (epochs, decaying) in enumerate(((50, 25), (50, 0), (100, 0))):
        for seed in range(3):
            step = f"scores-{k}-{seed}"
            origins[step] = Origin(train=f"train-{decaying}-{seed}", generate="")
            about = {"cell": f"epochs={epochs} decay_epochs={decaying}", "seed": seed}
            about |= {"epochs": epochs, "decay_epochs": decaying}
            value = 1.0 * k + 10 * seed
            rows.append(row(metric="SSIM", value=value, direction="higher", step=step, **about))
    item = {"kind": "kruskal", "metrics": ["SSIM"], "factor": "cell"}
    (found,) = entries([item], results=(rows, origins))
    assert (found.statistic, found.n) == ("chi-squared(2)", 3)
    exact = stats.friedmanchisquare(*np.array([[0, 10, 20], [1, 11, 21], [2, 12, 22]]))
    assert found.value == pytest.approx(exact.statistic)
    assert found.p_value == pytest.approx(6 / 6**3, abs=0.01)
    assert any("within seeds" in caveat for caveat in found.caveats)


def test_chance_of_passing_the_published_rule() -> None:
    assert 2 * chance_of_r_above(threshold=0.2, n=20) == pytest.approx(0.40, abs=0.005)
    assert 2 * chance_of_r_above(threshold=0.3, n=20) == pytest.approx(0.20, abs=0.005)
    r = [
        stats.pearsonr(*np.random.default_rng(s).normal(size=(2, 20))).statistic
        for s in range(1000)
    ]
    share = np.mean(np.array(r) > 0.2)
    assert share == pytest.approx(chance_of_r_above(threshold=0.2, n=20), abs=0.05)


def test_published_choice_of_elements_says_what_noise_would_give(tmp_path: Path) -> None:
    results = study(elements=40)
    path = scores_file(tmp_path / "scores.csv", graded(results[0], noise=1.0))
    found = entries([{"kind": "published-ultrasound"}], readers=path, results=results)
    assert [entry.name for entry in found] == [
        "FID as published",
        "LBPv-V8 as published",
        "LBPv-V20 as published",
        "Choice of LBP elements as published",
    ]
    choice = found[-1]
    assert f"about {chance_of_r_above(threshold=0.2, n=27) * 40:.0f} would" in choice.verdict
    assert choice.value == sum(line["chosen"] for line in choice.table)


def test_published_figure_through_the_whole_analysis(tmp_path: Path) -> None:
    if not FIGURE.is_file():
        pytest.skip("the digitised points of the 2022 figure are not beside this checkout")
    figure = json.loads(FIGURE.read_text(encoding="utf-8"))
    names = {
        "FID": "FID",
        "V008": "LBPv-V8",
        "V020": "LBPv-V20",
        "V143": "LBPv-V143",
        "V240": "LBPv-V240",
    }
    rows = [
        row(
            metric=name,
            value=figure[key][k],
            step=f"set{k}",
            direction="lower" if name == "FID" else "none",
            cell=f"set{k}",
            seed=0,
        )
        for key, name in names.items()
        for k in range(20)
    ]
    path = scores_file(tmp_path / "s.csv", {f"set{k}": [s] for k, s in enumerate(figure["score"])})
    found = entries([{"kind": "published-ultrasound"}], readers=path, results=(rows, {}))
    for entry, (key, name) in zip(found, names.items(), strict=True):
        assert entry.metric == name
        slope, intercept = figure["printed_log_fit"][key]
        fit = published_fit(score=figure["score"], values=figure[key])
        assert entry.effect is not None
        assert entry.effect["value"] == pytest.approx(slope, rel=0.021)
        assert fit["intercept"] == pytest.approx(intercept, rel=0.021)
        assert fit["r"] > 0.2
        assert entry.p_value is not None
        assert entry.p_value > 0.05
    assert "points the wrong way" in found[0].verdict
    ours = entries([{"kind": "metric-versus-reader"}], readers=path, results=(rows, {}))
    assert "goes the wrong way" in ours[0].verdict
    assert ours[1].value == 0


def test_written_file_is_plain_json_and_the_same_again(tmp_path: Path) -> None:
    rows, origins = study(seeds=1)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (tmp_path / RESULTS).write_text(stream.getvalue(), encoding="utf-8")
    cells = tuple(
        PlannedCell(
            arm="grid",
            cell="",
            factors={},
            seed=0,
            train=origin.train,
            generate=origin.generate,
            assess=step,
        )
        for step, origin in origins.items()
    )
    plan = Plan(study="s", steps=(), cells=cells, notes=(), trainings={})
    items = [Analysis(kind="factorial"), Analysis(kind="kruskal"), Analysis(kind="power")]
    count = write_analysis(tmp_path, items=items, plan=plan)
    text = (tmp_path / ANALYSIS).read_text(encoding="utf-8")
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert len(read) == count
    wanted = {"name", "kind", "arm", "metric", "factors", "method", "n", "unit", "statistic"}
    wanted |= {"value", "p_value", "p_adjusted", "effect", "verdict", "caveats", "table"}
    assert all(set(entry) == wanted for entry in read)
    write_analysis(tmp_path, items=items, plan=plan)
    assert (tmp_path / ANALYSIS).read_text(encoding="utf-8") == text
