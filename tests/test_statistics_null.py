"""Studies without effect: false positives at the nominal rate. Planted effects: predicted power."""

from __future__ import annotations

import pytest
from scipy import stats

from planted_studies import CAUTIOUS, NULL, PLANTED, mixed_ordinal, rate

STUDIES = 100  # benchmarks/null_studies.py runs more


@pytest.mark.parametrize("name", NULL)
def test_false_positives_come_at_the_nominal_rate(name: str) -> None:
    hits = rate(NULL[name], studies=STUDIES)
    assert stats.binomtest(hits, STUDIES, 0.05).pvalue > 0.001, f"{hits} of {STUDIES}"


@pytest.mark.parametrize("name", CAUTIOUS)
def test_false_positives_come_at_most_at_the_nominal_rate(name: str) -> None:
    hits = rate(CAUTIOUS[name], studies=STUDIES)
    assert stats.binomtest(hits, STUDIES, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("name", PLANTED)
def test_planted_effects_are_found_at_the_predicted_power(name: str) -> None:
    planted = PLANTED[name]
    hits = rate(planted.p, studies=STUDIES)
    assert stats.binomtest(hits, STUDIES, planted.power).pvalue > 0.001, f"{hits} of {STUDIES}"


@pytest.mark.slow
def test_random_intercepts_keep_the_rate_where_readers_share_sets() -> None:
    hits = rate(mixed_ordinal, studies=STUDIES)
    assert stats.binomtest(hits, STUDIES, 0.05).pvalue > 0.001, f"{hits} of {STUDIES}"
