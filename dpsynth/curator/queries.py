"""What may be asked of records: each query with its exact answer, its sensitivity and the proof.

Neighbours differ in one unit of at most k = `max_rows_per_unit` rows. Under ADD_REMOVE these rows
come or go; under REPLACE they become at most k other rows. An event, and with it the cost, is made
by the curator from the sensitivity that the query states here; a caller never states either.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import CellCounter, Counter
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring

# Largest marginal that is counted: 2**26 cells are 512 MiB.
CELL_CEILING = 2**26
# Records are fewer than this, so that products of two counts are exact in 64 bits.
ROW_CEILING = 2**31
# Public numbers in scores stay below this, so that sums with counts are exact in a double.
SCORE_CEILING = 2.0**31
_GRID = 2.0**-20
# Errors that get additive noise are integers: so many parts of a record.
PARTS = 16
_CHUNK_CELLS = 2**20

ChildWithParents: TypeAlias = tuple[str, Clique]


@dataclass(frozen=True, kw_only=True, eq=False)
class Query(ABC):
    """A function of the records, stated in public terms."""

    @abstractmethod
    def check(self, domain: Domain) -> None:
        """Raise InvalidValueError or UnknownNameError where `domain` cannot answer the query."""

    @abstractmethod
    def evaluate(self, counter: Counter) -> NDArray[Any]:
        """Return the exact answer, from counts: secret."""

    @abstractmethod
    def sensitivity(self, budget: Budget) -> float:
        """Return the most that the answer changes between neighbours."""

    @final
    def exact(self, codes: NDArray[np.integer[Any]], domain: Domain) -> NDArray[Any]:
        """Return the exact answer on n x d integer `codes`: secret, for tests and audits."""
        self.check(domain)
        return self.evaluate(CellCounter(codes, domain))


@dataclass(frozen=True, kw_only=True, eq=False)
class AdditiveQuery(Query):
    """Integer counts to which noise is added; `sensitivity` is the L2 one."""

    @property
    @abstractmethod
    def counted(self) -> tuple[Clique, ...]:
        """Cliques whose counts `evaluate` asks for one by one: those of several queries are counted
        together beforehand."""

    @abstractmethod
    def cells(self, domain: Domain) -> int:
        """Return the number of counts in the answer."""

    @abstractmethod
    def l1_sensitivity(self, budget: Budget) -> float:
        """Return the most that the answer changes between neighbours in L1 norm."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MarginalQuery(AdditiveQuery):
    """The number of records in each cell of a clique.

    Sensitivity: a row adds 1 to one cell. k rows that come or go change the counts by a
    non-negative vector of sum k, whose L2 norm is largest, k, when they share a cell; k rows that
    move change them by two such vectors of disjoint support at worst, L1 norm 2k, L2 norm
    sqrt(k^2 + k^2). Both are attained.
    Cost: one Gaussian (or Laplace) event a marginal.

    Args:
        clique: at least one attribute, each once; axes of the answer are in this order.

    Reference: Dwork & Roth 2014, section 3.3 (histogram queries).
    """

    clique: Clique

    @property
    def counted(self) -> tuple[Clique, ...]:
        return (self.clique,)

    def check(self, domain: Domain) -> None:
        check_clique(self.clique, domain)

    def cells(self, domain: Domain) -> int:
        return domain.cells_of(self.clique)

    def evaluate(self, counter: Counter) -> NDArray[np.int64]:
        return counter.counts(self.clique)

    def sensitivity(self, budget: Budget) -> float:
        return budget.l2_sensitivity

    def l1_sensitivity(self, budget: Budget) -> float:
        return budget.l1_sensitivity


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CountQuery(AdditiveQuery):
    """The number of records, as an array of one number.

    Sensitivity: k under ADD_REMOVE, attained. Under REPLACE a unit of j rows becomes one of j',
    and |j - j'| <= k; with k = 1 the number is public and need not be asked for.
    Cost: one Gaussian (or Laplace) event.
    """

    @property
    def counted(self) -> tuple[Clique, ...]:
        return ()

    def check(self, domain: Domain) -> None:
        pass

    def cells(self, domain: Domain) -> int:  # noqa: ARG002 - the same on every domain
        return 1

    def evaluate(self, counter: Counter) -> NDArray[np.int64]:
        return np.array([counter.rows], dtype=np.int64)

    def sensitivity(self, budget: Budget) -> float:
        return float(budget.max_rows_per_unit)

    def l1_sensitivity(self, budget: Budget) -> float:
        return float(budget.max_rows_per_unit)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class WorstFitQuery(Query):
    """How badly a prediction fits each candidate: weight * (|counts - prediction|_1 - penalty).

    Sensitivity: by the triangle inequality a score changes by at most its weight, which is at most
    1, times the L1 change of the counts, k (ADD_REMOVE) or 2k (REPLACE); attained at weight 1. One
    record may raise one score and lower another, so the scores are not monotone and the exponential
    mechanism keeps its factor 1/2.
    Floating point: predictions and penalties (public) are rounded to a grid on which every
    difference and every partial sum is exact in a double, so rounding adds nothing to the
    sensitivity: rows, predictions and penalty are each below 2**31, the grid is 2**-20. A product
    with a weight is below 2**33 and rounded once, by at most 2**-21; the stated sensitivity is
    larger by the factor 1 + 2**-20 where there are weights, which covers both tables' roundings.
    Cost: one exponential event.

    Args:
        candidates: cliques, at least one.
        predictions: expected counts of each candidate, axes in its order; public.
        penalties: what to take off each score (expected noise, say); public. Beyond +-2**31 they
            count as that.
        weights: above 0 and at most 1, one for each candidate; public. None: all 1.

    Reference: McKenna, Miklau & Sheldon 2021, section 4.2; McKenna et al. 2022 (AIM), equation 1.
    """

    candidates: tuple[Clique, ...]
    predictions: tuple[NDArray[np.float64], ...]
    penalties: tuple[float, ...]
    weights: tuple[float, ...] | None = None

    def check(self, domain: Domain) -> None:
        if self.weights is not None:
            _check_weights(self.weights, len(self.candidates))
        _check_penalties(self.penalties, len(self.candidates))
        _check_predictions(self.candidates, self.predictions, domain)

    def evaluate(self, counter: Counter) -> NDArray[np.float64]:
        errors = _errors(counter, self.candidates, self.predictions, grid=_GRID)
        penalties = np.clip(self.penalties, -SCORE_CEILING, SCORE_CEILING)
        gains = errors - _snapped(penalties, _GRID)
        return gains if self.weights is None else gains * np.asarray(self.weights)

    def sensitivity(self, budget: Budget) -> float:
        rounding = 0.0 if self.weights is None else 2.0**-20
        return budget.l1_sensitivity * (1.0 + rounding)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FitErrorsQuery(AdditiveQuery):
    """How badly a prediction fits each of m candidates, |counts - prediction|_1, in sixteenths.

    Sensitivity: by the triangle inequality each error changes by at most the L1 change of the
    counts, k (ADD_REMOVE) or 2k (REPLACE), so the vector of m errors changes by at most m times
    that in L1 norm and sqrt(m) times that in L2 norm; attained where all move alike.
    Exactness: predictions (public) are rounded to sixteenths, so that errors in sixteenths are
    integers, computed without rounding: rows and predictions are below 2**31. Sensitivities are in
    sixteenths too.
    Cost: one Gaussian (or Laplace) event for all candidates together.

    Args:
        candidates: cliques, at least one.
        predictions: expected counts of each candidate, axes in its order; public.

    Reference: McKenna, Miklau & Sheldon 2021, section 4.2 (the error of a pair); Dong, Roth & Su
        2022, Theorem 2 (a vector released with Gaussian noise).
    """

    candidates: tuple[Clique, ...]
    predictions: tuple[NDArray[np.float64], ...]

    @property
    def counted(self) -> tuple[Clique, ...]:
        return ()

    def check(self, domain: Domain) -> None:
        _check_predictions(self.candidates, self.predictions, domain)

    def cells(self, domain: Domain) -> int:  # noqa: ARG002 - the same on every domain
        return len(self.candidates)

    def evaluate(self, counter: Counter) -> NDArray[np.int64]:
        errors = _errors(counter, self.candidates, self.predictions, grid=1 / PARTS)
        return (errors * PARTS).astype(np.int64)

    def sensitivity(self, budget: Budget) -> float:
        return PARTS * budget.l1_sensitivity * sqrt(len(self.candidates)) * (1.0 + 2.0**-50)

    def l1_sensitivity(self, budget: Budget) -> float:
        return PARTS * budget.l1_sensitivity * len(self.candidates)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class DependenceQuery(Query):
    """For each (child, parents), how far they are from independent, in records: S - penalty with
    S = 1/2 sum over cells |n_xp - n_x n_p / n|, and S = 0 for no records.

    Sensitivity under ADD_REMOVE, k = 1: write D = N - p (x) q n with p, q the empirical laws of
    child and parents. One more record (a, b) gives, after expanding (n + 1) p' (x) q',
        D' - D = n / (n + 1) (e_a - p) (x) (e_b - q),
    whose L1 norm is n / (n + 1) * 2 (1 - p_a) * 2 (1 - q_b) < 4, so S changes by less than 2; the
    bound is approached by a first record unlike all others. k rows come or go one by one: 2k.
    Under REPLACE, k = 1, both tables add one record to the same n - 1 others, so
        D' - D = (n - 1) / n [e_a e_b - e_a' e_b' - (e_a - e_a') (x) q - p (x) (e_b - e_b')],
    of L1 norm below 6, so S changes by less than 3. j rows that become j' <= k rows are min(j, j')
    such steps and |j - j'| of the former: at most 3k.
    Floating point: 2 n S is computed in integers, exactly, and divided once by 2 n; S <= n and
    the penalty are below 2**31, so the quotient and the difference are each within 2**-22 of the
    truth, and the stated sensitivity is larger by the factor 1 + 2**-20, which covers both
    roundings on both tables (2**-20 together, of at least 2**-19).
    Scores are not monotone. Cost: one exponential event.

    Args:
        candidates: pairs of an attribute and the clique of its possible parents (may be empty).
        penalties: what to take off each score (expected noise, say); public. Beyond +-2**31 they
            count as that.

    Reference: Zhang et al. 2017 (PrivBayes), section 4.3 and lemma 4.4: the function R = S / n,
        with sensitivity 3 / n + 2 / n^2 for replaced records. Here scaled to counts, so that
        n stays out of the sensitivity, and with a proof for records that come or go.
    """

    candidates: tuple[ChildWithParents, ...]
    penalties: tuple[float, ...]

    def check(self, domain: Domain) -> None:
        _check_some(self.candidates)
        _check_penalties(self.penalties, len(self.candidates))
        for child, parents in self.candidates:
            check_clique((*parents, child), domain)

    def evaluate(self, counter: Counter) -> NDArray[np.float64]:
        penalties = np.clip(self.penalties, -SCORE_CEILING, SCORE_CEILING)
        cliques = [(*parents, child) for child, parents in self.candidates if parents]
        scores = iter(counter.derived("dependence", cliques, _dependence))
        found = [next(scores) if parents else 0.0 for _, parents in self.candidates]
        return np.array(found) - penalties

    def sensitivity(self, budget: Budget) -> float:
        steps = 2.0 if budget.relation is Neighbouring.ADD_REMOVE else 3.0
        return steps * budget.max_rows_per_unit * (1.0 + 2.0**-20)


def check_clique(clique: Sequence[str], domain: Domain) -> None:
    """Raise InvalidValueError or UnknownNameError unless `clique` can be counted on `domain`."""
    if not clique or len(set(clique)) < len(clique):
        raise InvalidValueError("attributes", tuple(clique), "at least one, each named once")
    cells = domain.cells_of(tuple(clique))
    if cells > CELL_CEILING:
        raise InvalidValueError(f"cells of {tuple(clique)}", cells, f"at most {CELL_CEILING}")


def _check_some(candidates: Sequence[object]) -> None:
    if not candidates:
        raise InvalidValueError("candidates", (), "at least one")


def _check_penalties(penalties: Sequence[float], candidates: int) -> None:
    if len(penalties) != candidates:
        raise InvalidValueError("penalties", len(penalties), "one for each candidate")
    for penalty in penalties:
        if not isfinite(penalty):
            raise InvalidValueError("penalty", penalty, "a finite number")


def _check_predictions(
    candidates: Sequence[Clique], predictions: Sequence[NDArray[np.float64]], domain: Domain
) -> None:
    _check_some(candidates)
    if len(candidates) != len(predictions):
        raise InvalidValueError("predictions", len(predictions), "one for each candidate")
    for clique, prediction in zip(candidates, predictions, strict=True):
        check_clique(clique, domain)
        shape = tuple(domain.sizes[a] for a in clique)
        if prediction.shape != shape:
            raise InvalidValueError(f"prediction of {clique}", prediction.shape, f"{shape}")
    for part in _chunks([p.size for p in predictions]):
        totals = np.add.reduceat(np.abs(_flat(predictions[part])), _starts(predictions[part]))
        if not (totals < SCORE_CEILING).all():
            rule = f"finite, with a total below {SCORE_CEILING:.0f}"
            raise InvalidValueError("predictions", float(totals.max()), rule)


def _check_weights(weights: Sequence[float], candidates: int) -> None:
    if len(weights) != candidates:
        raise InvalidValueError("weights", len(weights), "one for each candidate")
    for weight in weights:
        if not 0.0 < weight <= 1.0:
            raise InvalidValueError("weight", weight, "above 0 and at most 1")


def _errors(
    counter: Counter,
    candidates: Sequence[Clique],
    predictions: Sequence[NDArray[np.float64]],
    *,
    grid: float,
) -> NDArray[np.float64]:
    """Return |counts - prediction|_1 of each candidate, predictions rounded to `grid`; exact."""
    errors: list[NDArray[np.float64]] = []
    for part in _chunks([p.size for p in predictions]):
        counter.prepare(candidates[part])
        counted = _flat([counter.counts(c) for c in candidates[part]])
        gaps = np.abs(counted - _snapped(_flat(predictions[part]), grid))
        errors.append(np.add.reduceat(gaps, _starts(predictions[part])))
    return np.concatenate(errors)


def _dependence(counted: NDArray[np.int64]) -> float:
    """Return S of the counts of parents and child, the child's axis last."""
    joint = counted.reshape(-1, counted.shape[-1])
    rows = int(joint.sum())
    if rows == 0:
        return 0.0
    gaps = rows * joint - np.multiply.outer(joint.sum(axis=1), joint.sum(axis=0))
    return int(np.abs(gaps).sum()) / (2 * rows)


def _chunks(sizes: Sequence[int]) -> Iterator[slice]:
    """Yield slices of consecutive positions whose sizes sum to about a chunk, one at least."""
    start, cells = 0, 0
    for position, size in enumerate(sizes):
        if cells and cells + size > _CHUNK_CELLS:
            yield slice(start, position)
            start, cells = position, 0
        cells += size
    yield slice(start, len(sizes))


def _flat(arrays: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    return np.concatenate([a.ravel() for a in arrays]).astype(np.float64, copy=False)


def _starts(arrays: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return where each array begins in `_flat` of them all."""
    return np.cumsum([0, *(a.size for a in arrays[:-1])])


def _snapped(values: NDArray[np.float64], grid: float) -> NDArray[np.float64]:
    return np.rint(values / grid) * grid
