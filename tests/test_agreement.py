"""Agreement coefficients: published tables, independent libraries, what must hold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from fetalsynth.statistics.agreement import (
    bootstrap_over_items,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
)
from fetalsynth.statistics.intraclass import intraclass

NAN = float("nan")
# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
# Shrout and Fleiss, Psychol. Bull. 86:420 (1979), table 2: six targets, four judges
JUDGES = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_of_krippendorffs_example(level, published) -> None:
    assert krippendorff_alpha(ratings=FOUR_OBSERVERS, level=level) == pytest.approx(
        published, abs=5e-4
    )


def test_alpha_as_disagreement_of_pairs() -> None:
    """α = 1 − D_o / D_e computed pair by pair, without coincidences."""
    rng = np.random.default_rng(1)
    ratings = rng.integers(1, 6, (4, 15)).astype(float)
    ratings[rng.random(ratings.shape) < 0.2] = NAN
    columns = [c[np.isfinite(c)] for c in ratings.T]
    columns = [c for c in columns if len(c) > 1]
    every = np.concatenate(columns)
    observed = sum(((c[:, None] - c) ** 2).sum() / (len(c) - 1) for c in columns) / len(every)
    expected = ((every[:, None] - every) ** 2).sum() / (len(every) * (len(every) - 1))
    alpha = krippendorff_alpha(ratings=ratings, level="interval")
    assert alpha == pytest.approx(1 - observed / expected, rel=1e-12)


@pytest.mark.parametrize(
    ("model", "single", "average", "low", "high"),
    # the values of the paper; intervals as R's psych prints them for the same table
    [
        ("1", 0.17, 0.44, -0.133, 0.723),
        ("2", 0.29, 0.62, 0.019, 0.761),
        ("3", 0.71, 0.91, 0.342, 0.946),
    ],
)
def test_icc_of_shrout_and_fleiss(model, single, average, low, high) -> None:
    found = intraclass(ratings=JUDGES, model=model)
    assert found.value == pytest.approx(single, abs=0.005)
    assert found.average == pytest.approx(average, abs=0.005)
    assert found.interval == pytest.approx((low, high), abs=0.001)
    assert found.interval[0] < found.value < found.interval[1]


@pytest.mark.parametrize(
    ("model", "readers_sd", "least"),
    [("1", 0.0, 550), ("3", 0.5, 550), ("2", 0.5, 535)],  # ICC(2)'s interval is an approximation
)
def test_icc_interval_covers_at_its_level(model, readers_sd, least) -> None:
    """600 sets of 30 items and 6 readers with a known ICC; 95 % nominal, binomial bounds."""
    rng = np.random.default_rng(22)
    noise = 0.5 + (0.25 if model == "2" else 0.0)
    truth, inside = 1.0 / (1.0 + noise), 0
    for _ in range(600):
        readers = rng.normal(0, readers_sd, (1, 6))
        x = rng.normal(0, 1, (30, 1)) + readers + rng.normal(0, 0.5**0.5, (30, 6))
        low, high = intraclass(ratings=x, model=model).interval
        inside += low <= truth <= high
    assert least <= inside <= 588, inside


def test_icc_without_variation_or_error() -> None:
    assert np.isnan(intraclass(ratings=np.ones((5, 3)), model="2").value)
    same = np.repeat(np.arange(5.0)[:, None], 3, axis=1)
    assert [intraclass(ratings=same, model=m).value for m in ("1", "2", "3")] == [1, 1, 1]
    with pytest.raises(ValueError, match="without gaps"):
        intraclass(ratings=[[1, NAN], [2, 3]], model="1")


def test_icc_where_only_error_is_left() -> None:
    """Two readers who rate two items the other way round: all mean squares but one are 0, 0/0."""
    assert np.isnan(intraclass(ratings=[[1, 2], [2, 1]], model="2").value)


def test_kappa_of_fleiss_example() -> None:
    """Fleiss, Statistical Methods for Rates and Proportions: 100 subjects, κ = 0.68."""
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    first, second = _unrolled(table)
    assert cohen_kappa(first=first, second=second, categories=[0, 1, 2]).value == pytest.approx(
        0.68, abs=0.005
    )


@pytest.mark.parametrize(
    ("weights", "name"), [("none", None), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_kappa_and_its_error_as_in_other_libraries(weights, name) -> None:
    rng = np.random.default_rng(3)
    table = rng.integers(1, 20, (5, 5))
    first, second = _unrolled(table)
    ours = cohen_kappa(first=first, second=second, categories=range(5), weights=weights)
    kind = {"none": None, "linear": "linear", "quadratic": "quadratic"}[weights]
    theirs = inter_rater.cohens_kappa(table, wt=kind)
    assert ours.value == pytest.approx(cohen_kappa_score(first, second, weights=name), rel=1e-12)
    assert ours.value == pytest.approx(theirs.kappa, rel=1e-12)
    assert ours.se == pytest.approx(theirs.std_kappa, rel=1e-9)


def test_kappa_where_one_answer_rules() -> None:
    fake, mixed = np.zeros(20), np.arange(20) % 2
    both = cohen_kappa(first=fake, second=fake, categories=[0, 1])
    assert np.isnan(both.value)
    assert both.pabak == 1
    assert both.prevalence == 1
    assert "undefined" in both.remark
    one = cohen_kappa(first=fake, second=mixed, categories=[0, 1])
    assert one.value == 0
    assert one.pabak == 0
    assert "first gave one answer" in one.remark
    assert cohen_kappa(first=mixed, second=mixed, categories=[0, 1]).value == 1


def test_pabak_prevalence_and_bias() -> None:
    """Byrt, Bishop and Carlin (1993): PABAK = 2 p_o − 1, PI = (a − d) / n, BI = (b − c) / n."""
    first, second = _unrolled(np.array([[80, 10], [5, 5]]))
    found = cohen_kappa(first=first, second=second, categories=[0, 1])
    assert (found.pabak, found.prevalence, found.bias) == pytest.approx((0.7, 0.75, 0.05))


def test_fleiss_kappa_of_published_tables() -> None:
    """Ten subjects and fourteen raters, κ = 0.210; and as statsmodels has it."""
    counts = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    ratings = np.stack([np.repeat(np.arange(5.0), row) for row in counts], axis=1)
    found = fleiss_kappa(ratings=ratings, categories=range(5))
    assert found == pytest.approx(0.210, abs=5e-4)
    assert found == pytest.approx(inter_rater.fleiss_kappa(counts), rel=1e-12)


def test_fleiss_kappa_of_the_psychiatric_diagnoses() -> None:
    """Fleiss (1971): thirty patients, six psychiatrists, κ = 0.430; the table from statsmodels."""
    tables = pytest.importorskip("statsmodels.stats.tests.test_inter_rater")
    if not hasattr(tables, "diagnoses"):
        pytest.skip("this statsmodels does not bring the table of diagnoses")
    ratings = np.asarray(tables.diagnoses, float).T
    found = fleiss_kappa(ratings=ratings, categories=np.unique(ratings))
    assert found == pytest.approx(0.430, abs=5e-4)


def test_fleiss_kappa_needs_equal_numbers() -> None:
    with pytest.raises(ValueError, match="same number"):
        fleiss_kappa(ratings=[[1, 2], [1, NAN]], categories=[1, 2])
    assert np.isnan(fleiss_kappa(ratings=np.ones((3, 8)), categories=[1, 2]))


def test_alpha_interval_holds_the_estimate_and_narrows() -> None:
    rng = np.random.default_rng(4)

    def width(items: int) -> float:
        quality = rng.integers(1, 6, items)
        ratings = np.clip(quality + rng.integers(-1, 2, (3, items)), 1, 5)

        def alpha(x: np.ndarray) -> float:
            return krippendorff_alpha(ratings=x, level="ordinal")

        low, high = bootstrap_over_items(alpha, ratings, rng=rng, draws=300)
        assert low < alpha(ratings) < high
        return high - low

    assert width(400) < 0.6 * width(40)


def _unrolled(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices(table.shape)
    return np.repeat(rows.ravel(), table.ravel()), np.repeat(columns.ravel(), table.ravel())
