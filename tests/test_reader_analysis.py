"""Simulated readers of known ability go in; what the analysis says of them must be true."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, norm

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.scores import Metric, Scores, read_scores, write_scores
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError
from fetalsynth.reader.analysis import analyse, tables_of
from fetalsynth.reader.analysis_agreement import between_readers
from fetalsynth.reader.analysis_detection import each_reader, equivalence
from fetalsynth.reader.analysis_readings import readings_of
from fetalsynth.reader.analysis_rows import Row, rows_csv
from fetalsynth.reader.analysis_scores import read_set_scores
from fetalsynth.reader.analysis_together import together
from fetalsynth.reader.analysis_verdict import outcome
from fetalsynth.reader.simulated import (
    SimulatedReader,
    SimulatedStudy,
    simulated_answers,
    simulated_readers,
)

FAKE = SimulatedReader(name="all-fake", criterion=float("-inf"))
PLAIN = SimulatedStudy(repeats=0, catch=0)


def _rows(seed: int, *, readers: int, d_prime: float, study: SimulatedStudy = PLAIN) -> list[Row]:
    rng = np.random.default_rng(seed)
    made = simulated_readers(readers=readers, d_prime=d_prime, rng=rng)
    return simulated_answers(readers=made, study=study, rng=rng)


def _bounds(n: int, rate: float, tail: float = 5e-4) -> tuple[int, int]:
    return int(binom.ppf(tail, n, rate)), int(binom.ppf(1 - tail, n, rate))


@pytest.mark.parametrize("d_prime", [0.0, 1.0, 2.0])
def test_planted_ability_lies_within_each_readers_intervals(d_prime: float) -> None:
    """20 readers at once, ten studies: 200 intervals of d′ and of the area, 95 % nominal.

    Images are the readers' own here (``shared`` 0), so that the 200 are independent.
    """
    inside = {"d_prime": 0, "auc": 0}
    truth = {"d_prime": d_prime, "auc": float(norm.cdf(d_prime / sqrt(2)))}
    study = replace(PLAIN, shared=0.0, points=40, real=40, synthetic=40)
    for seed in range(10):
        for one in each_reader(
            readings_of(_rows(seed, readers=20, d_prime=d_prime, study=study)), margin=0.1
        ):
            for name, value in truth.items():
                low, high = one[name]["ci95"]
                inside[name] += low <= value <= high
    least, _ = _bounds(200, 0.95)
    assert inside["d_prime"] >= least, inside
    assert inside["auc"] >= least, inside


def test_planted_ability_of_all_readers_together() -> None:
    """100 studies of 6 readers whose ability varies; the interval is for other readers too."""
    inside, n = {"d_prime": 0, "auc": 0}, 100
    area = norm.cdf(1.0 / sqrt(2 + 0.09))  # readers' d′ ~ N(1, 0.3²): Φ(1 / √(2 + 0.3²))
    for seed in range(n):
        rng = np.random.default_rng(1000 + seed)
        readers = simulated_readers(readers=6, d_prime=1.0, spread=0.3, rng=rng)
        study = replace(PLAIN, points=40)
        found = together(
            readings_of(simulated_answers(readers=readers, study=study, rng=rng)), margin=0.1
        )["figures"]
        for name, value in (("d_prime", 1.0), ("auc", area)):
            low, high = found[name]["ci95"]
            inside[name] += low <= value <= high
    least, _ = _bounds(n, 0.95)
    assert min(inside.values()) >= least, inside


def test_random_readers_come_out_as_chance_at_the_nominal_rate() -> None:
    """120 studies of 8 guessing readers, with leanings: "told" or "reversed" in 5 %."""
    n, wrong, at_chance = 120, 0, 0
    for seed in range(n):
        found = together(readings_of(_rows(seed, readers=8, d_prime=0.0)), margin=0.1)
        name, _ = outcome(found, pairs=False)
        wrong += name in ("told", "reversed")
        at_chance += name == "at-chance"
    _, most = _bounds(n, 0.05)
    assert wrong <= most, wrong
    assert at_chance > n / 4, at_chance  # 480 decisions, partly shared images: often, not always


def test_readers_just_at_the_margin_are_rarely_called_equivalent() -> None:
    """Ability right at 0.5 + margin: "equivalent" in 5 % at most."""
    n, called = 80, 0
    d_prime = sqrt(2) * norm.ppf(0.6)  # area 0.60; balanced accuracy is nearer to one half
    for seed in range(n):
        rows = _rows(500 + seed, readers=8, d_prime=float(d_prime), study=replace(PLAIN, points=40))
        called += bool(together(readings_of(rows), margin=0.1)["equivalence"]["shown"])
    _, most = _bounds(n, 0.05)
    assert called <= most, called


def test_a_reader_who_calls_all_fake() -> None:
    rng = np.random.default_rng(3)
    readers = [*simulated_readers(readers=2, d_prime=1.0, rng=rng), FAKE]
    record = analyse(simulated_answers(readers=readers, study=SimulatedStudy(), rng=rng))
    fake = record["readers"][-1]
    assert fake["one_answer"] == "synthetic"
    assert fake["balanced_accuracy"]["value"] == 0.5
    assert fake["sensitivity"]["value"] == 1
    assert fake["specificity"]["value"] == 0
    assert fake["equivalence"]["shown"] is None
    assert fake["criterion"]["ci95"][1] < -1
    pairs = [p for p in record["between"]["verdict"]["pairs"] if "all-fake" in p.values()]
    assert all(p["kappa"] == 0 and p["ci95"] is None and p["remark"] for p in pairs)
    own = next(one for one in record["within"] if one["reader"] == "all-fake")
    assert own["verdict"]["kappa"] is None
    assert "undefined" in own["verdict"]["remark"]
    assert own["same_answer"]["value"] == 1
    named = {each["name"]: each["reason"] for each in record["caveats"]}
    assert "all-fake" in named["one-answer"]
    assert "all-fake" in named["catch-trials"]
    assert "fixed" in named["fixed-readers"]


@pytest.mark.parametrize("readers", [1, 2, 6])
def test_readers_who_all_call_everything_fake_are_not_equivalent_to_chance(readers: int) -> None:
    rng = np.random.default_rng(4)
    made = [replace(FAKE, name=f"fake-{number}") for number in range(readers)]
    for points in (2, 6):
        study = replace(PLAIN, points=points)
        record = analyse(simulated_answers(readers=made, study=study, rng=rng))
        assert record["outcome"]["name"] in ("undecided", "unjudged")
        assert not record["together"]["equivalence"]["shown"]
        json.dumps(record, allow_nan=False)


def test_verdicts_without_confidence() -> None:
    record = analyse(_rows(5, readers=6, d_prime=1.5, study=replace(PLAIN, points=2)))
    assert record["outcome"] == {"name": "told", "measure": "balanced_accuracy"}
    assert "auc" not in record["together"]["figures"]
    assert all(one["auc"] is None for one in record["readers"])


def test_the_numbers_published_in_2022() -> None:
    """32 of 57 synthetic images judged real: 56.14 %, Wilson 43 to 68 %."""
    rows = [
        Row(
            study="s",
            reader="engineer",
            position=number,
            item=f"{number}",
            truth="synthetic" if number < 57 else "real",
            verdict="real" if number < 32 or number >= 62 else "synthetic",
            correct=0,
        )
        for number in range(68)
    ]
    rows = [replace(row, correct=int(row.truth == row.verdict)) for row in rows]
    (one,) = analyse(rows)["readers"]
    judged = one["judged_real_synthetic"]
    assert judged["value"] == pytest.approx(0.5614, abs=5e-5)
    assert judged["ci95"] == pytest.approx([0.4327, 0.6822], abs=5e-4)
    names = {each["name"] for each in analyse(rows)["caveats"]}
    assert {"unbalanced", "too-few-decisions", "fixed-readers"} <= names


def test_repeats_catch_trials_and_practice_stay_out_of_the_figures() -> None:
    rows = _rows(6, readers=3, d_prime=1.0, study=SimulatedStudy(repeats=7, catch=4))
    plain = [row for row in rows if row.presentation == 1 and row.role == "main"]
    practice = [replace(row, block="practice", role="practice") for row in plain[:5]]
    whole, bare = analyse([*rows, *practice]), analyse(plain)
    assert whole["readers"] == bare["readers"]
    assert whole["study"]["repeats"] == 21
    assert [one["repeats"] for one in whole["within"]] == [7, 7, 7]
    assert [one["catch"]["n"] for one in whole["conduct"]] == [4, 4, 4]
    assert bare["within"] == []


def test_order_of_rows_does_not_matter() -> None:
    rows = _rows(7, readers=3, d_prime=1.0)
    mixed = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    readings = readings_of(rows)
    order = [readings_of(mixed).readers.index(reader) for reader in readings.readers]
    for name in ("said_synthetic", "rating", "quality"):
        again = getattr(readings_of(mixed), name)[order]
        assert np.array_equal(getattr(readings, name), again, equal_nan=True)


def test_answers_that_do_not_belong_together_are_refused() -> None:
    rows = _rows(8, readers=2, d_prime=1.0)
    with pytest.raises(UserError, match="2 studies"):
        analyse([replace(rows[0], study="other"), *rows])
    with pytest.raises(UserError, match="stands twice"):
        analyse([rows[0], *rows])
    with pytest.raises(UserError, match="real in one row"):
        analyse(
            [
                replace(rows[0], truth="real", reader="z"),
                replace(rows[0], truth="synthetic", reader="y"),
            ]
        )
    with pytest.raises(UserError, match="one class"):
        analyse([row for row in rows if row.truth == "real"])
    with pytest.raises(UserError, match="nothing but practice"):
        analyse([replace(row, block="practice") for row in rows])
    with pytest.raises(UserError, match="margin"):
        analyse(rows, margin=0.6)
    with pytest.raises(UserError, match="no confidence"):
        analyse([replace(rows[0], confidence=None), *rows[1:]])
    with pytest.raises(UserError, match="no verdict"):
        analyse([replace(rows[0], verdict=""), *rows[1:]])
    with pytest.raises(UserError, match="pairs and single"):
        analyse([replace(rows[0], item2="other", choice="left"), *rows[1:]])


def test_an_interval_without_width_shows_nothing() -> None:
    """Answers that happen not to vary from reader to reader are no proof of equivalence."""
    assert equivalence(0.5, (0.45, 0.55), margin=0.1)["shown"] is True
    assert equivalence(0.5, (0.5, 0.5), margin=0.1)["shown"] is False
    assert equivalence(0.5, (0.45, 0.61), margin=0.1)["shown"] is False


def test_unfinished_readers() -> None:
    rows = _rows(9, readers=3, d_prime=1.0)
    kept = [row for row in rows if row.reader != "reader-02" or row.position < 20]
    record = analyse(kept)
    assert "reader-02" in {c["name"]: c["reason"] for c in record["caveats"]}["unfinished"]
    assert record["together"]["figures"]["auc"]["ci95"] is not None


def test_a_gap_between_sets_is_found() -> None:
    """The images of set "b" are easier: every reader's evidence of them is shifted."""
    rows = _rows(10, readers=6, d_prime=0.5, study=replace(PLAIN, sets=("a", "b")))
    better = [
        replace(row, confidence=1, verdict="synthetic", correct=1) if row.set == "b" else row
        for row in rows
    ]
    found = analyse(better)["sets_test"]
    assert found["p_value"] < 0.001
    (gap,) = found["differences"]
    assert gap["value"] < 0
    assert analyse(rows)["sets_test"]["p_value"] > 0.01


def test_quality_regression_finds_the_planted_gap() -> None:
    rng = np.random.default_rng(11)
    readers = [
        SimulatedReader(name=f"r{k}", d_prime=0.5, quality_gap=1.0, severity=0.4 * k)
        for k in range(4)
    ]
    study = replace(PLAIN, real=40, synthetic=40)
    record = analyse(simulated_answers(readers=readers, study=study, rng=rng))["quality"]
    (effect,) = record["regression"]["coefficients"]
    assert effect["odds_ratio_ci95"][1] < 1  # synthetic images rated lower
    means = {one["set"]: one["mean"] for one in record["sets"]}
    assert means["synthetic"] < means["real images"]


def test_reader_scores_by_set() -> None:
    rows = _rows(12, readers=3, d_prime=1.0, study=replace(PLAIN, sets=("a", "b")))
    readings = readings_of(rows)
    table = list(
        csv.DictReader(tables_of(analyse(rows), readings)["reader_scores.csv"].splitlines())
    )
    assert list(table[0]) == ["set", "reader", "score", "n"]
    assert {row["set"] for row in table} == {"real images", "a", "b"}
    for row in table:
        expected = [
            r.quality
            for r in rows
            if r.reader == row["reader"]
            and (r.set if r.truth == "synthetic" else "real images") == row["set"]
        ]
        assert float(row["score"]) == pytest.approx(np.mean(expected))
        assert int(row["n"]) == len(expected)


def test_pairs() -> None:
    """Two readers on the same 60 pairs, sides drawn anew for each and for the repeats."""
    rng = np.random.default_rng(13)
    rows = []
    for reader, chance in (("good", 0.9), ("guessing", 0.5)):
        for place, number in enumerate([*range(60), *range(5)]):
            left_real, right = rng.random() < 0.5, rng.random() < chance
            sides = (f"real-{number}", f"fake-{number}")
            rows.append(
                Row(
                    study="s",
                    reader=reader,
                    position=place,
                    presentation=1 + (place >= 60),
                    item=sides[0 if left_real else 1],
                    item2=sides[1 if left_real else 0],
                    truth="real" if left_real else "synthetic",
                    set="dcgan",
                    choice="left" if left_real == right else "right",
                    correct=int(right),
                )
            )
    record = analyse(rows)
    assert record["study"]["images"] == 60
    assert record["study"]["repeats"] == 10
    assert "unfinished" not in {each["name"] for each in record["caveats"]}
    good, guessing = record["readers"]
    low, high = good["d_prime"]["ci95"]
    assert low <= sqrt(2) * norm.ppf(0.9) <= high
    assert guessing["d_prime"]["ci95"][0] < 0 < guessing["d_prime"]["ci95"][1]
    assert record["outcome"] == {"name": "told", "measure": "correct"}
    assert record["between"] is None
    assert record["metrics"] is None


def _scores_folder(folder: Path, name: str, value: float, files: dict[str, float]) -> Path:
    folder.mkdir()
    metric = Metric(value=value, direction="lower", n_real=10, n_synthetic=10)
    inputs = {"synthetic": {"path": f"somewhere/{name}"}}
    write_scores(folder, Scores(metrics={"FD": metric}, inputs=inputs))
    lines = [f"synthetic,{file},{number}" for file, number in files.items()]
    write_text(folder / "distances.csv", "\n".join(["role,file,nearness", *lines, ""]))
    return folder


def test_metrics_against_readers(tmp_path: Path) -> None:
    """A metric that is the mean quality with noise is found; one of noise is not."""
    names = ("a", "b", "c", "d")
    rows = _rows(14, readers=4, d_prime=1.0, study=replace(PLAIN, synthetic=40, sets=names))
    rng = np.random.default_rng(15)
    quality: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if row.truth == "synthetic":
            quality.setdefault((row.set, row.source_file), []).append(row.quality)
    folders = []
    for name in names:
        files = {
            f: float(np.mean(q)) + rng.normal(0, 0.1) for (s, f), q in quality.items() if s == name
        }
        means = [np.mean(q) for (s, _), q in quality.items() if s == name]
        folders.append(_scores_folder(tmp_path / name, name, -float(np.mean(means)), files))
    scores = read_set_scores(folders, sets=names, digests={})
    found = analyse(rows, scores=scores)["metrics"]
    (row,) = found["images"]["rows"]
    assert row["n"] == 40
    assert row["spearman"] > 0.8
    assert row["p_adjusted"] < 0.01
    assert row["regression"]["coefficients"][0]["odds_ratio_ci95"][0] > 1
    (by_set,) = found["sets"]["rows"]
    assert by_set["expected"] == -1
    assert by_set["spearman"] == pytest.approx(-1)
    with pytest.raises(UserError, match="not in this study"):
        read_set_scores(folders, sets=("other",), digests={})
    with pytest.raises(UserError, match="second scores"):
        read_set_scores([folders[0], folders[0]], sets=names, digests={})


def test_noise_metrics_are_found_at_the_nominal_rate(tmp_path: Path) -> None:
    rows = _rows(16, readers=3, d_prime=1.0, study=replace(PLAIN, synthetic=30, sets=("a",)))
    rng = np.random.default_rng(17)
    files = sorted({row.source_file for row in rows if row.truth == "synthetic"})
    folder = _scores_folder(tmp_path / "a", "a", 1.0, {})
    names = [f"noise-{k}" for k in range(30)]
    lines = [",".join(["synthetic", f, *(f"{v:.6f}" for v in rng.normal(size=30))]) for f in files]
    write_text(
        folder / "distances.csv", "\n".join([",".join(["role", "file", *names]), *lines, ""])
    )
    scores = read_set_scores([folder], sets=("a",), digests={})
    found = analyse(rows, scores=scores)["metrics"]["images"]["rows"]
    assert len(found) == 30
    _, most = _bounds(30, 0.05)
    assert sum(row["p_value"] < 0.05 for row in found) <= most
    assert all(row["p_adjusted"] > 0.05 for row in found)


def test_agreement_of_readers_who_see_the_same() -> None:
    rng = np.random.default_rng(18)
    readers = simulated_readers(readers=3, d_prime=1.0, rng=rng, criterion_spread=0.0)
    alike = replace(PLAIN, shared=0.9)
    apart = replace(PLAIN, shared=0.0)
    alpha = [
        between_readers(readings_of(simulated_answers(readers=readers, study=s, rng=rng)), seed=0)[
            "verdict"
        ]["alpha"]["value"]
        for s in (alike, apart)
    ]
    assert alpha[0] > alpha[1] + 0.2


def test_the_command_writes_a_report_that_needs_nothing_else(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(19)
    readers = [*simulated_readers(readers=5, d_prime=1.0, rng=rng), FAKE]
    study = SimulatedStudy(sets=("a", "b"))
    rows = simulated_answers(readers=readers, study=study, rng=rng)
    rows = [replace(row, tags="<script>alert(1)</script>") for row in rows]
    (tmp_path / "answers.csv").write_text(rows_csv(rows), encoding="utf-8")
    out = tmp_path / "out"
    command = ["reader", "analyse", str(tmp_path / "answers.csv"), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "Readers could tell synthetic from real" in said
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<style>.*?</style>", "", html, flags=re.S))
    assert "Not for clinical use" in html
    scores = read_scores(out)
    assert scores.metrics["readers-auc"].value > 0.5
    assert scores.metrics["readers-auc"].settings["outcome"] == "told"
    for name in ("analysis.json", "readers.csv", "agreement.csv", "reader_scores.csv"):
        assert (out / name).stat().st_size > 0
    assert main(command) == 0
    assert "already done" in capsys.readouterr().out
    assert main([*command, "--margin", "0.15"]) == 2


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    rows = _rows(20, readers=3, d_prime=1.0)
    (tmp_path / "answers.csv").write_text(rows_csv(rows), encoding="utf-8")
    texts = []
    for name in ("one", "two"):
        assert (
            main(
                ["reader", "analyse", str(tmp_path / "answers.csv"), "--out", str(tmp_path / name)]
            )
            == 0
        )
        texts.append((tmp_path / name / "analysis.json").read_bytes())
    assert texts[0] == texts[1]


def test_a_margin_that_is_none_and_a_file_that_is_missing(tmp_path: Path, capsys) -> None:
    assert main(["reader", "analyse", str(tmp_path / "no.csv"), "--out", str(tmp_path / "o")]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    "design",  # readers, points of confidence, of quality, images of a kind, share of rows kept
    [(1, 2, 0, 2, 1.0), (1, 6, 5, 2, 0.5), (2, 2, 5, 6, 0.5), (6, 6, 0, 2, 0.5), (6, 6, 5, 6, 0.3)],
)
def test_few_answers_leave_figures_out_and_fail_nowhere(
    tmp_path: Path, monkeypatch, design
) -> None:
    readers, points, quality, images, kept = design
    monkeypatch.setattr("fetalsynth.reader.analysis_agreement.DRAWS", 20)
    rng = np.random.default_rng(21)
    made = simulated_readers(readers=readers, d_prime=1.0, rng=rng)
    study = SimulatedStudy(
        real=images,
        synthetic=images,
        repeats=1,
        catch=1,
        points=points,
        quality=quality,
        sets=("a", "b"),
    )
    rows = simulated_answers(readers=[*made, FAKE], study=study, rng=rng)
    rows = rows[:2] + [row for row in rows[2:] if rng.random() < kept]
    (tmp_path / "answers.csv").write_text(rows_csv(rows), encoding="utf-8")
    out = tmp_path / "out"
    code = main(["reader", "analyse", str(tmp_path / "answers.csv"), "--out", str(out)])
    assert code == 0
    html = (out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<style>.*?</style>", "", html, flags=re.S))
