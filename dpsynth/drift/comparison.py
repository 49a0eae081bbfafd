"""One noisy marginal of a batch beside the model's: how often chance alone would part them so."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.drift.reference import Reference, summed, unit_noise

Array = NDArray[np.float64]
_NEGLIGIBLE = 1e-9
"""Directions of less than this part of the largest variance are fixed by construction."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """A noisy marginal of the batch in groups of codes.

    Args:
        clique: attributes of the schema.
        groups: for each of them the group of each code.
        counts: noisy numbers of records, one axis an attribute.
        sigma: standard deviation of the noise in each.
    """

    clique: Clique
    groups: tuple[NDArray[np.intp], ...]
    counts: Array
    sigma: float


@final
@dataclass(frozen=True, kw_only=True)
class Size:
    """The number of records in the batch, as noisy answers have it.

    Args:
        rows: the estimate, at least 1.
        weight: part that the sum of the marginal in question has in it.
        spread: standard deviation of what the other answers add to its error.
    """

    rows: float
    weight: float
    spread: float


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """The outcome for one marginal.

    Args:
        p_value: how often chance alone would part them as far.
        expected: the model's shares.
        found: the batch's.
        deviation: standard deviation, under the null hypothesis, of the difference of shares.
    """

    p_value: float
    expected: Array
    found: Array
    deviation: Array


def compare(
    reference: Reference,
    answer: Answer,
    size: Size,
    *,
    rows_per_unit: int,
    laplace: bool,
    draws: int,
    rng: np.random.Generator,
) -> Compared:
    """Return how far the batch's marginal is from the model's, against simulated batches.

    The null hypothesis: both were drawn from one population. Each simulation draws the training
    records and the batch from the fit's shares of this marginal, and the noise of both. The
    distance is Mahalanobis', in the covariance of the simulated differences; of several attributes
    only what their one-way marginals do not say is compared, since these are compared themselves.

    Args:
        reference: of the model.
        answer: of the batch.
        size: of the batch.
        rows_per_unit: most rows of a unit; as if all were alike, which makes chance largest.
        laplace: the batch's noise was Laplace's.
        draws: number of simulations.
        rng: their source.

    Reference: Davison & Hinkley 1997, section 4.2.3 (parametric bootstrap tests).
    """
    likely = summed(reference.likely(answer.clique), answer.groups)
    expected = summed(reference.shares(answer.clique), answer.groups)

    def sampled(rows: float) -> Array:
        units = max(1, round(rows / rows_per_unit))
        counts = rng.multinomial(units, likely.ravel(), size=draws).astype(np.float64)
        return (rows / units) * counts.reshape(draws, *likely.shape)

    axes = tuple(range(1, likely.ndim + 1))
    noise = answer.sigma * unit_noise((draws, *likely.shape), laplace=laplace, rng=rng)
    rows = size.rows + size.weight * noise.sum(axis=axes) + size.spread * rng.normal(size=draws)
    errors = reference.errors(answer.clique, answer.groups, draws, rng=rng)
    shares = sampled(reference.rows) / reference.rows + errors
    apart = sampled(size.rows) + noise - shares * rows.reshape(-1, *(1,) * likely.ndim)
    seen = answer.counts - expected * size.rows
    p_value = _tail(_beyond(seen[np.newaxis])[0], _beyond(apart))
    return Compared(
        p_value=p_value,
        expected=expected,
        found=answer.counts / size.rows,
        deviation=apart.std(axis=0) / size.rows,
    )


def _beyond(tables: Array) -> Array:
    """Return tables, flat; of two axes only what their one-way marginals do not say."""
    found = tables
    if found.ndim == 3:
        found = found - found.mean(axis=1, keepdims=True)
        found = found - found.mean(axis=2, keepdims=True)
    return found.reshape(len(found), -1)


def _tail(seen: Array, drawn: Array) -> float:
    """Return the part of draws, the seen one among them, that are at least as far from 0.

    Distances are measured by the covariance of one half of the draws, and counted in the other:
    draws lie nearer to their own mean than what is seen does.
    """
    measure, drawn = np.array_split(drawn, 2)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(measure, rowvar=False)))
    kept = values > _NEGLIGIBLE * values.max()
    axes = vectors[:, kept] / np.sqrt(values[kept])
    far = float(((seen @ axes) ** 2).sum())
    return float(1 + (((drawn @ axes) ** 2).sum(axis=1) >= far).sum()) / (len(drawn) + 1)
