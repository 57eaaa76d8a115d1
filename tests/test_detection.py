"""Signal detection and areas of several readers: closed forms, published tables, coverage."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy.stats import binom, norm
from sklearn.metrics import roc_auc_score

from fetalsynth.statistics.detection import (
    area,
    area_score_interval,
    balanced_accuracy,
    detection,
    forced_choice,
)
from fetalsynth.statistics.mrmc import (
    Figures,
    area_figures,
    balanced_figures,
    bootstrap_over_images,
    reader_mean,
    share_figures,
)
from fetalsynth.statistics.mrmc_sets import compare_sets, covariances_of_sets

# Areas of five readers with two modalities in Van Dyke's study (1993), and what MRMCaov 0.1.8
# prints for them (jackknife covariances): the analysis of Obuchowski and Rockette after Hillis.
VAN_DYKE = np.array(
    [
        [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
        [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
    ]
)
COV2, COV3 = 0.0003440748, 0.0002390284
COV2_OF_EACH = (0.0004839618, 0.0002041879)


def test_detection_in_closed_form() -> None:
    """H = 0.8, F = 0.4 (Macmillan and Creelman): d′ = 1.095, c = −0.294."""
    found = detection(hits=80_000, signals=100_000, false_alarms=40_000, noises=100_000)
    assert found.d_prime == pytest.approx(norm.ppf(0.8) - norm.ppf(0.4), abs=1e-4)
    assert found.criterion == pytest.approx(-(norm.ppf(0.8) + norm.ppf(0.4)) / 2, abs=1e-4)
    assert found.d_prime == pytest.approx(1.095, abs=0.001)


def test_detection_of_a_reader_who_calls_all_fake() -> None:
    found = detection(hits=30, signals=30, false_alarms=30, noises=30)
    assert found.d_prime == 0
    assert found.criterion < -2
    assert found.extreme
    low, high = found.d_prime_interval
    assert low < 0 < high


@pytest.mark.parametrize("n", [20, 40, 100])
@pytest.mark.parametrize(
    ("d", "criterion"), [(0.0, 0.0), (0.0, 0.8), (1.0, 0.3), (1.5, -0.5), (2.5, 0.5)]
)
def test_intervals_of_detection_cover(d, criterion, n) -> None:
    """Exact coverage, summed over all counts of hits and false alarms: 95 % nominal."""
    chance = [
        binom.pmf(np.arange(n + 1), n, norm.cdf(side * d / 2 - criterion)) for side in (1, -1)
    ]
    covered = np.zeros(2)
    for hits, alarms in np.argwhere(np.outer(*chance) > 1e-7):
        found = detection(hits=int(hits), signals=n, false_alarms=int(alarms), noises=n)
        weight = chance[0][hits] * chance[1][alarms]
        for place, (interval, truth) in enumerate(
            ((found.d_prime_interval, d), (found.criterion_interval, criterion))
        ):
            covered[place] += weight * (interval[0] <= truth <= interval[1])
    assert (covered > 0.94).all(), covered
    assert (covered < 0.98).all(), covered


def test_area_as_in_scikit_learn_and_by_counting() -> None:
    rng = np.random.default_rng(6)
    up, down = rng.integers(1, 7, 25), rng.integers(1, 6, 31)
    found = area(signals=up, noises=down)
    wins = (up[:, None] > down) + 0.5 * (up[:, None] == down)
    assert found.value == pytest.approx(wins.mean(), rel=1e-12)
    truth = np.repeat([1, 0], [25, 31])
    assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([up, down])))
    brute = wins.mean(1).var(ddof=1) / 25 + wins.mean(0).var(ddof=1) / 31
    assert found.variance == pytest.approx(brute, rel=1e-12)
    assert found.interval[0] < found.value < found.interval[1]


def test_interval_of_an_area_covers() -> None:
    rng = np.random.default_rng(7)
    truth, inside = norm.cdf(1 / sqrt(2)), 0
    for _ in range(1000):
        found = area(signals=rng.normal(1, 1, 30), noises=rng.normal(0, 1, 30))
        inside += found.interval[0] <= truth <= found.interval[1]
    assert 925 <= inside <= 975, inside


def test_area_where_delong_degenerates() -> None:
    perfect = area(signals=[5, 6, 6], noises=[1, 2, 2])
    assert perfect.degenerate
    assert perfect.interval[1] == 1
    assert perfect.interval[0] < 0.9
    flat = area(signals=[3] * 10, noises=[3] * 10)
    assert flat.value == 0.5
    assert flat.interval[0] < 0.4
    assert flat.interval[1] > 0.6


def test_score_interval_of_an_area_solves_its_equation() -> None:
    low, high = area_score_interval(value=0.8, signals=20, noises=30)
    for theta in (low, high):
        many = 24.0
        spread = 1 + many * (1 - theta) / (2 - theta) + many * theta / (1 + theta)
        error = sqrt(theta * (1 - theta) * spread / 600)
        assert abs(0.8 - theta) / error == pytest.approx(norm.ppf(0.975), rel=1e-6)


def test_balanced_accuracy_of_guessing_covers_one_half() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(1000):
        hits, rejections = rng.binomial(40, 0.8), rng.binomial(40, 0.2)
        low, high = balanced_accuracy(
            hits=int(hits), signals=40, correct_rejections=int(rejections), noises=40
        ).interval
        inside += low <= 0.5 <= high
    assert 930 <= inside <= 985, inside
    fake = balanced_accuracy(hits=40, signals=40, correct_rejections=0, noises=8)
    assert fake.value == 0.5


def test_forced_choice() -> None:
    found = forced_choice(correct=76_000, n=100_000)
    assert found.d_prime == pytest.approx(sqrt(2) * norm.ppf(0.76), abs=1e-3)
    low, high = found.d_prime_interval
    assert low < found.d_prime < high
    assert np.isfinite(forced_choice(correct=20, n=20).d_prime)


def test_one_modality_as_published() -> None:
    for values, cov2, (value, se, df, low, high) in zip(
        VAN_DYKE,
        COV2_OF_EACH,
        (
            (0.8970370, 0.03317360, 12.74465, 0.8252236, 0.9688505),
            (0.9408374, 0.02156637, 12.71019, 0.8941378, 0.9875369),
        ),
        strict=True,
    ):
        covariance = np.full((5, 5), cov2)
        found = reader_mean(Figures(values=values, covariance=covariance), random_readers=True)
        assert found.value == pytest.approx(value, abs=1e-7)
        assert found.se == pytest.approx(se, rel=1e-5)
        assert found.df == pytest.approx(df, rel=1e-5)
        assert found.interval == pytest.approx((low, high), abs=1e-6)


def test_two_modalities_as_published() -> None:
    found = compare_sets(values=VAN_DYKE, cov2=COV2, cov3=COV3)
    assert found.f == pytest.approx(4.456319, rel=1e-5)
    assert found.df == pytest.approx((1, 15.25967), rel=1e-5)
    assert found.p_value == pytest.approx(0.05166569, rel=1e-5)
    ((_, _, gap, interval, p),) = found.differences
    assert gap == pytest.approx(-0.04380032, rel=1e-6)
    assert interval == pytest.approx((-0.0879594986, 0.0003588544), abs=1e-7)
    assert p == pytest.approx(found.p_value, rel=1e-6)


def test_covariances_pair_by_pair() -> None:
    """DeLong's covariance of two readers, by loops; near the jackknife's; a set of NaN apart."""
    rng = np.random.default_rng(9)
    signal = np.arange(40) < 18
    scores = rng.normal(signal * 1.0, 1, (3, 40)) + rng.normal(0, 1, 40)
    found = area_figures(scores=scores, signal=signal)
    wins = [(row[signal][:, None] > row[~signal]).astype(float) for row in scores]
    for i in range(3):
        for j in range(3):
            brute = np.cov(wins[i].mean(1), wins[j].mean(1))[0, 1] / 18
            brute += np.cov(wins[i].mean(0), wins[j].mean(0))[0, 1] / 22
            assert found.covariance[i, j] == pytest.approx(brute, rel=1e-9)
    leave_one = np.array(
        [
            area_figures(scores=np.delete(scores, k, 1), signal=np.delete(signal, k)).values
            for k in range(40)
        ]
    )
    jackknife = np.cov(leave_one.T) * 39**2 / 40
    assert found.covariance == pytest.approx(jackknife, rel=0.1)


def test_sets_that_share_real_images_only() -> None:
    """Synthetic images of two sets differ: their covariance comes from the real ones alone."""
    rng = np.random.default_rng(10)
    signal = np.arange(60) < 40
    scores = np.full((2, 60), np.nan)
    shared = rng.normal(0, 1, 20)
    scores[0, :20], scores[1, 20:40] = rng.normal(1, 1, 20), rng.normal(1, 1, 20)
    scores[:, 40:] = shared + rng.normal(0, 0.3, (2, 20))
    found = area_figures(scores=scores, signal=signal)
    wins = [scores[0, :20][:, None] > scores[0, 40:], scores[1, 20:40][:, None] > scores[1, 40:]]
    expected = np.cov(wins[0].mean(0), wins[1].mean(0))[0, 1] / 20
    assert found.covariance[0, 1] == pytest.approx(expected, rel=1e-9)


def test_kinds_of_covariances() -> None:
    matrix = np.arange(16.0).reshape(4, 4)
    matrix = matrix + matrix.T
    error, one, two, three = covariances_of_sets(matrix, sets=2, readers=2)
    assert error == np.diag(matrix).mean()
    assert one == np.mean([matrix[0, 2], matrix[1, 3]])
    assert two == np.mean([matrix[0, 1], matrix[2, 3]])
    assert three == np.mean([matrix[0, 3], matrix[1, 2]])


def test_reader_mean_covers_for_other_readers_and_images() -> None:
    """Roe and Metz's model: readers and images both vary. 95 % nominal, 400 studies."""
    rng = np.random.default_rng(11)
    inside, fixed = 0, 0
    truth = _area_of_the_model()
    for _ in range(400):
        figures = area_figures(**_roe_metz(rng, readers=6))
        random = reader_mean(figures)
        alone = reader_mean(figures, random_readers=False)
        inside += random.interval[0] <= truth <= random.interval[1]
        fixed += alone.interval[0] <= truth <= alone.interval[1]
    assert 366 <= inside <= 396, inside
    assert fixed < inside  # leaving the readers out promises too much


def _roe_metz(rng: np.random.Generator, *, readers: int) -> dict[str, np.ndarray]:
    signal = np.arange(80) < 40
    image = rng.normal(0, 0.6, 80)
    reader = rng.normal(0, 0.35, (readers, 2))
    noise = rng.normal(0, 0.8, (readers, 80))
    shift = np.where(signal, 0.8, 0.0) + np.where(signal, reader[:, :1], reader[:, 1:])
    return {"scores": shift + image + noise, "signal": signal}


def _area_of_the_model() -> float:
    """Mean over readers: the difference of two ratings is normal about 0.8."""
    spread = 2 * (0.6**2 + 0.8**2) + 2 * 0.35**2
    return float(norm.cdf(0.8 / sqrt(spread)))


def test_shares_and_balanced_accuracy_of_readers() -> None:
    rng = np.random.default_rng(12)
    correct = (rng.random((3, 30)) < 0.7).astype(float)
    signal = np.arange(30) < 15
    shares = share_figures(outcomes=correct)
    assert shares.values == pytest.approx(correct.mean(1))
    assert np.diag(shares.covariance) == pytest.approx(correct.var(1, ddof=1) / 30)
    balanced = balanced_figures(correct=correct, signal=signal)
    expected = (correct[:, :15].mean(1) + correct[:, 15:].mean(1)) / 2
    assert balanced.values == pytest.approx(expected)
    few = reader_mean(balanced)
    assert not few.random_readers
    assert few.se == pytest.approx(sqrt(balanced.covariance.mean()))


def test_bootstrap_over_images_is_as_wide_as_theory() -> None:
    rng = np.random.default_rng(13)
    outcome = (rng.random(400) < 0.5).astype(float)
    low, high = bootstrap_over_images(
        lambda places: float(outcome[places].mean()), signal=np.ones(400), rng=rng, draws=800
    )
    assert high - low == pytest.approx(2 * 1.96 * outcome.std() / 20, rel=0.12)
