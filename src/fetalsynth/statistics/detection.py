"""How well a reader tells synthetic from real: signal detection, areas under the ROC curve.

A synthetic image is the signal: a *hit* is a synthetic one judged synthetic, a *false alarm* a real
one judged synthetic. Sensitivity is the share of hits, specificity the share of real ones judged
real.

Sources
    d′ and criterion: Macmillan and Creelman, *Detection Theory*, 2nd ed. 2005; log-linear
    correction: Hautus, *Behav. Res. Methods* 27:46, 1995; variances: Gourevitch and Galanter,
    *Psychometrika* 32:25, 1967. Area: DeLong et al., *Biometrics* 44:837, 1988, with a logit
    interval (Pepe 2003, section 5.2); where it degenerates: Newcombe, *Stat. Med.* 25:559, 2006,
    method 5. Balanced accuracy: Wilson intervals of both shares recovered into one (Newcombe,
    *Stat. Med.* 17:873, 1998, method 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import Interval, sample
from fetalsynth.statistics.proportions import wilson


@dataclass(frozen=True, kw_only=True)
class Detection:
    """d′ (0: cannot tell) and criterion c (positive: leans towards "real"), with intervals.

    ``extreme`` tells that a rate was 0 or 1, so that d′ rests on the correction.
    """

    d_prime: float
    d_prime_interval: Interval
    d_prime_se: float
    criterion: float
    criterion_interval: Interval
    extreme: bool


@dataclass(frozen=True, kw_only=True)
class Area:
    """Area under the ROC curve: the chance that a signal is rated above a noise, ties half.

    ``degenerate`` tells that DeLong's variance is zero and the interval another method's.
    """

    value: float
    variance: float
    interval: Interval
    signals: int
    noises: int
    degenerate: bool


@dataclass(frozen=True, kw_only=True)
class Balanced:
    """Mean of sensitivity and specificity; 0.5 for every reader who cannot tell."""

    value: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class ForcedChoice:
    """Two-alternative forced choice: share correct, and d′ = √2 z(share)."""

    share: float
    share_interval: Interval
    d_prime: float
    d_prime_interval: Interval


def detection(
    *, hits: int, signals: int, false_alarms: int, noises: int, level: float = 0.95
) -> Detection:
    """d′ = z(H) − z(F), c = −(z(H) + z(F)) / 2 with H = (hits + ½) / (signals + 1), F likewise.

    var d′ = Σ p (1 − p) / (n φ(z)²) over both rates, var c a quarter of it. Raises ValueError for
    impossible counts.
    """
    from scipy.special import ndtri

    _check(hits, signals)
    _check(false_alarms, noises)
    rates = np.array([(hits + 0.5) / (signals + 1), (false_alarms + 0.5) / (noises + 1)])
    z = ndtri(rates)
    density = np.exp(-(z**2) / 2) / sqrt(2 * pi)
    variance = float((rates * (1 - rates) / np.array([signals, noises]) / density**2).sum())
    reach = float(ndtri(0.5 + level / 2)) * sqrt(variance)
    d, c = float(z[0] - z[1]), -float(z.sum()) / 2
    return Detection(
        d_prime=d,
        d_prime_interval=(d - reach, d + reach),
        d_prime_se=sqrt(variance),
        criterion=c,
        criterion_interval=(c - reach / 2, c + reach / 2),
        extreme=hits in (0, signals) or false_alarms in (0, noises),
    )


def placements(
    *, signals: ArrayLike, noises: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DeLong's structural components: of each signal its share of noises below, of each noise its
    share of signals above; ties count half. Their means are the area.
    """
    up, down = sample(signals, least=1), sample(noises, least=1)
    order, turned = np.sort(down), np.sort(up)
    below = np.searchsorted(order, up, "left") + np.searchsorted(order, up, "right")
    above = np.searchsorted(turned, down, "left") + np.searchsorted(turned, down, "right")
    return below / (2 * len(down)), 1 - above / (2 * len(up))


def area(*, signals: ArrayLike, noises: ArrayLike, level: float = 0.95) -> Area:
    """Area from the ratings of signals (m,) and noises (n,), higher meaning "more synthetic".

    Raises ValueError for fewer than two of either.
    """
    from scipy.special import ndtri

    up, down = sample(signals), sample(noises)
    v10, v01 = placements(signals=up, noises=down)
    value = float(v10.mean())
    variance = float(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))
    degenerate = not (variance > 1e-12 and 0 < value < 1)
    if degenerate:
        interval = area_score_interval(value=value, signals=len(up), noises=len(down), level=level)
    else:
        middle = log(value / (1 - value))
        reach = float(ndtri(0.5 + level / 2)) * sqrt(variance) / (value * (1 - value))
        interval = (1 / (1 + exp(reach - middle)), 1 / (1 + exp(-reach - middle)))
    return Area(
        value=value,
        variance=variance,
        interval=interval,
        signals=len(up),
        noises=len(down),
        degenerate=degenerate,
    )


def area_score_interval(
    *, value: float, signals: int, noises: int, level: float = 0.95
) -> Interval:
    """Newcombe's method 5: all θ with |value − θ| ≤ z √V(θ); it holds at 0 and 1 as well.

    V(θ) = θ (1 − θ) {1 + N (1 − θ) / (2 − θ) + N θ / (1 + θ)} / (mn), N = (m + n) / 2 − 1.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z, many = float(ndtri(0.5 + level / 2)), (signals + noises) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + many * (1 - theta) / (2 - theta) + many * theta / (1 + theta)
        return (value - theta) ** 2 - z**2 * theta * (1 - theta) * spread / (signals * noises)

    inside = 1e-9  # at 0 and 1 themselves the variance, and with it the excess, is zero
    low = 0.0 if value <= 0 else float(brentq(excess, 0.0, min(value, 1 - inside)))
    high = 1.0 if value >= 1 else float(brentq(excess, max(value, inside), 1.0))
    return (low, high)


def balanced_accuracy(
    *, hits: int, signals: int, correct_rejections: int, noises: int, level: float = 0.95
) -> Balanced:
    """(sensitivity + specificity) / 2 with an interval from the Wilson intervals of both."""
    shares = hits / signals, correct_rejections / noises
    ends = wilson(hits, signals, level), wilson(correct_rejections, noises, level)
    value = sum(shares) / 2
    down = sqrt(sum((p - low) ** 2 for p, (low, _) in zip(shares, ends, strict=True))) / 2
    up = sqrt(sum((high - p) ** 2 for p, (_, high) in zip(shares, ends, strict=True))) / 2
    return Balanced(value=value, interval=(max(0.0, value - down), min(1.0, value + up)))


def forced_choice(*, correct: int, n: int, level: float = 0.95) -> ForcedChoice:
    """Share correct with its Wilson interval; d′ of its ends, share log-linearly corrected."""
    from scipy.special import ndtri

    _check(correct, n)
    low, high = wilson(correct, n, level)
    return ForcedChoice(
        share=correct / n,
        share_interval=(low, high),
        d_prime=sqrt(2) * float(ndtri((correct + 0.5) / (n + 1))),
        d_prime_interval=(sqrt(2) * float(ndtri(low)), sqrt(2) * float(ndtri(high))),
    )


def _check(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"needs 0 ≤ successes ≤ n and n ≥ 1, not {successes} of {n}")
