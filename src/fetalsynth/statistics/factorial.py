"""Factorial analysis of variance with the training (seed) as the unit of replication.

Model
    Least squares with main effects and interactions, sums of squares of type II (each term after
    all terms that do not contain it; Langsrud, *Stat. Comput.* 13:163, 2003). Factors that differ
    between trainings are tested against the spread between trainings; factors that differ within
    one (epochs of one training, planes of one volume) and their interactions against the spread of
    the profiles (split-plot design), with Greenhouse and Geisser's ε (*Psychometrika* 24:95, 1959)
    for profiles whose errors correlate.
One training per cell
    Then the highest interaction serves as error: effects hide behind a true interaction, and a
    factor that has no other one beside it between trainings cannot be tested at all. Both are said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.effects import VarianceShare, variance_share
from fetalsynth.statistics.layout import (
    Layout,
    Term,
    columns,
    contrasts,
    make_layout,
    orthonormal,
    terms_of,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One term: F with its degrees of freedom (after ε), p, share of variance, and its error.

    ``f`` and ``p_value`` are NaN and ``share`` None where nothing is left to test against;
    ``note`` says what a reader must know of the error, "" where there is nothing.
    """

    name: str
    factors: Term
    ss: float
    df: float
    df_error: float
    f: float
    p_value: float
    share: VarianceShare | None
    epsilon: float
    error: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Factorial:
    """Effects in the order of the factors, main effects first, and what a reader must know."""

    effects: tuple[Effect, ...]
    notes: tuple[str, ...]
    n: int
    units: int

    def effect(self, *factors: str) -> Effect:
        """The effect of these factors together; raises KeyError where there is none."""
        for each in self.effects:
            if set(each.factors) == set(factors):
                return each
        raise KeyError(f"no effect of {factors} among {[each.name for each in self.effects]}")


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """Contrasts (U, d) of every training for one term within, and the model between trainings.

    ``error`` names what the residuals (U, d) with ``df`` per contrast are; ``note`` what a reader
    must know of it, "" where there is nothing.
    """

    inside: Term
    z: Floats
    models: dict[Term, Floats]
    residuals: Floats
    df: int
    error: str
    note: str


def factorial(
    *,
    values: ArrayLike,
    factors: Mapping[str, Sequence[object]],
    units: Sequence[object] | None = None,
) -> Factorial:
    """Analyse values (n,) by ``factors``; ``units`` (n,) names the training of each value.

    Raises ValueError where a factor has one level, trainings are measured at different points, or
    no term at all can be tested.
    """
    layout = make_layout(values=values, factors=factors, units=units)
    order = list(factors)
    effects: list[Effect] = []
    for inside in terms_of(list(layout.within)):
        weights = contrasts(inside, layout.within, layout.table.shape[1])
        stratum = make_stratum(layout, inside, layout.table @ weights)
        effects += [_effect(stratum, term, layout, order) for term in stratum.models]
    effects = [each for each in effects if each.factors]
    if all(np.isnan(each.p_value) for each in effects):
        raise ValueError("one training per cell and nothing to test against: add seeds")
    effects.sort(key=lambda each: (len(each.factors), [order.index(f) for f in each.factors]))
    return Factorial(
        effects=tuple(effects),
        notes=tuple(dict.fromkeys(each.note for each in effects if each.note)),
        n=layout.table.size,
        units=len(layout.table),
    )


def make_stratum(layout: Layout, inside: Term, z: Floats) -> Stratum:
    """Fit the trainings' contrasts ``z`` (U, d); with one training per cell by the smaller model.

    The smaller model leaves the highest interaction out; nothing is left where there is none.
    """
    count = len(layout.table)
    models = {term: columns(term, layout.between, count) for term in terms_of(list(layout.between))}
    df, note, error = _df(models, count), "", "trainings within cells"
    if df == 0:
        dropped = max(models, key=len)
        note = _one_per_cell(dropped, inside)
        if dropped and (len(dropped) > 1 or inside):
            del models[dropped]
            df, error = _df(models, count), f"interaction {_name((*dropped, *inside))}"
    basis = orthonormal(np.hstack(list(models.values())))
    residuals = z - basis @ (basis.T @ z)
    return Stratum(
        inside=inside, z=z, models=models, residuals=residuals, df=df, error=error, note=note
    )


def _one_per_cell(dropped: Term, inside: Term) -> str:
    if len(dropped) > 1 or (dropped and inside):
        return (
            f"One training per cell: the interaction {_name((*dropped, *inside))} serves as the "
            "error term, so that effects hide behind a true interaction and nothing is known of "
            "the spread between trainings alike."
        )
    return (
        f"One training per level of {_name(dropped) or 'the study'}: its differences cannot be "
        "told from differences between trainings, and are not tested."
    )


def _effect(stratum: Stratum, term: Term, layout: Layout, order: list[str]) -> Effect:
    """Type II test of term × inside: the term after all terms that do not contain it."""
    factors = tuple(sorted((*term, *stratum.inside), key=order.index))
    others = [x for name, x in stratum.models.items() if not set(term) <= set(name)]
    before = orthonormal(np.hstack(others)) if others else np.zeros((len(stratum.z), 0))
    after = orthonormal(np.hstack([before, stratum.models[term]]))
    ss = float(((after.T @ stratum.z) ** 2).sum() - ((before.T @ stratum.z) ** 2).sum())
    width = stratum.z.shape[1]
    df, df_error = (after.shape[1] - before.shape[1]) * width, stratum.df * width
    error_ss = float((stratum.residuals**2).sum())
    epsilon = _epsilon(stratum.residuals)
    f, p, share = np.nan, np.nan, None
    if df and df_error and error_ss > 1e-20 * float((layout.table**2).sum()):
        from scipy.special import fdtrc

        f = max(0.0, ss) / df / (error_ss / df_error)
        p = float(fdtrc(df * epsilon, df_error * epsilon, f))
        share = variance_share(f=f, df1=df, df2=df_error, n=layout.table.size)
    return Effect(
        name=_name(factors),
        factors=factors,
        ss=max(0.0, ss),
        df=df * epsilon,
        df_error=df_error * epsilon,
        f=f,
        p_value=p,
        share=share,
        epsilon=epsilon,
        error=stratum.error,
        note=stratum.note,
    )


def _epsilon(residuals: Floats) -> float:
    """Greenhouse and Geisser's ε, 1 for one contrast, at least 1 / contrasts."""
    width = residuals.shape[1]
    covariance = residuals.T @ residuals
    square = float((covariance**2).sum())
    if width == 1 or square == 0:
        return 1.0
    return float(np.clip(np.trace(covariance) ** 2 / (width * square), 1 / width, 1.0))


def _df(models: Mapping[Term, Floats], count: int) -> int:
    return count - int(orthonormal(np.hstack(list(models.values()))).shape[1])


def _name(factors: Term) -> str:
    return " × ".join(factors)
