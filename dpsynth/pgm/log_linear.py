"""Estimation where everything is measured: effects of log-probabilities, drawn towards none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.characters import Characters
from dpsynth.pgm.effects import Effects
from dpsynth.threads import one_thread

Array = NDArray[np.float64]

_SCALES: Mapping[int, float] = {2: 0.4, 3: 0.085}
"""By the number of attributes, the deviation of an effect's coefficients that a fit begins with."""
_FREE, _WEAK = 0.1, 0.25
"""Precisions of the coefficients of single attributes, and of others where a fit begins: none to
speak of. Begun from independence, it would take codes that always come together for rare ones."""
_DEGREES = 4.0
_KEPT_ROUNDS, _LEARNING_ROUNDS = 2, 4
_SCALE_STEPS = 10
_NEWTON_STEPS = 12
_MOST_FACTORS = 40
_ENOUGH = 0.01
_LEAST_SHARE = 1e-3
"""Of what a code would have if all were alike: noise below it says no less where a fit begins."""


@one_thread()
def log_linear(
    domain: Domain,
    effects: Effects,
    *,
    total: float,
    allowed: NDArray[np.bool_] | None = None,
    until: float = inf,
) -> Array:
    """Return the log-weights of all cells of `domain` that noisy effects make most probable.

    log p is a sum of effects of one, two and three attributes, wherever one was measured. With
    expected values m(p) of the measured effects and theta_S the k_S coefficients of effect S in
    log p, in an orthonormal basis, the weights minimise
        sum |m(p) - y|^2 / (2 sigma^2) + sum over S (nu + k_S) / 2 log(1 + |theta_S|^2 / (nu tau^2))
    nearly: |theta_S|^2 has the variances of its coefficients added, as expectation maximisation
    does. The second sum is a multivariate t law with nu = 4 degrees of freedom: most sets of
    attributes say little together, and few say much. Its scales tau, one for pairs and one for
    triples, are learnt from the noisy effects. Then nothing has to be selected before it is
    measured: what noise drowns stays near independence.

    Args:
        domain: attributes whose joint table fits into memory.
        effects: noisy effects in records, with their variances; those of one to three attributes
            are used.
        total: number of records.
        allowed: which cells a record can be in, of the domain's shape; None: all.
        until: time of `time.monotonic` after which the best so far is returned.

    Reference: Tierney & Kadane 1986 (Laplace's approximation); Lange, Little & Taylor 1989
        (t laws by expectation maximisation); MacKay 1992, section 4 (scales from the evidence).
    """
    sets = [of for of in effects.effects if 1 <= len(of) <= max(_SCALES)]
    basis = Characters(shape=domain.shape, sets=tuple(domain.axes(of) for of in sets))
    found = [effects.effects[of] for of in sets]
    search = _Search(
        basis=basis,
        targets=basis.coefficients([of.values for of in found]),
        precisions=np.array([1 / of.variance for of in found])[basis.owners],
        total=total,
        allowed=allowed,
        until=until,
    )
    prior = _Prior(basis=basis)
    search.move(basis.coefficients(_independent(domain, effects, sets, total)))
    search.factorise(prior.precisions)
    search.descend(prior.precisions)
    prior.weigh(search.at.point, np.zeros(len(basis.owners)), learn=False)
    search.shrink(prior.precisions)
    for count in range(_KEPT_ROUNDS + _LEARNING_ROUNDS):
        search.descend(prior.precisions)
        prior.weigh(search.at.point, search.variances(), learn=count >= _KEPT_ROUNDS)
        search.shrink(prior.precisions)
    search.descend(prior.precisions)
    return search.at.weights


def _independent(
    domain: Domain, effects: Effects, sets: Sequence[Clique], total: float
) -> list[Array]:
    """Return the effects that log-probabilities have where attributes are independent."""
    found: list[Array] = []
    for of in sets:
        logs = np.zeros([domain.sizes[a] for a in of])
        if len(of) == 1:
            even = 1 / domain.sizes[of[0]]
            logs = np.log(
                np.maximum(effects.effects[of].values / total + even, _LEAST_SHARE * even)
            )
        found.append(logs - logs.mean())
    return found


@final
@dataclass(kw_only=True, eq=False)
class _Prior:
    """What is known of coefficients before: scales by the number of attributes, and their laws."""

    basis: Characters
    scales: dict[int, float] = field(default_factory=lambda: dict(_SCALES))

    def __post_init__(self) -> None:
        self._orders = np.array([len(axes) for axes in self.basis.sets])
        self._sizes = np.bincount(self.basis.owners, minlength=len(self._orders))
        self._weights = np.where(self._orders == 1, _FREE, _WEAK)

    @property
    def precisions(self) -> Array:
        """The precision of each coefficient, as if its law were a normal one."""
        return self._weights[self.basis.owners]

    def weigh(self, point: Array, variances: Array, *, learn: bool) -> None:
        """Take the precisions that coefficients of these sizes have.

        Args:
            point: the coefficients.
            variances: what noise leaves of them.
            learn: the scales first; else they stay as they are.
        """
        squares = np.bincount(self.basis.owners, point**2 + variances, len(self._orders))
        for order in self.scales:
            of = (self._orders == order) & (self._sizes > 0)
            sizes, own = self._sizes[of], squares[of].astype(np.float64)
            for _ in range(_SCALE_STEPS if learn and of.any() else 0):
                weights = self._mean_precisions(order, sizes, own)
                self.scales[order] *= float(np.sqrt((weights * own).sum() / sizes.sum()))
            self._weights[of] = self._mean_precisions(order, sizes, own)

    def _mean_precisions(self, order: int, sizes: NDArray[np.intp], squares: Array) -> Array:
        """Return the expected precisions of effects of so many attributes: t laws are mixtures."""
        return (_DEGREES + sizes) / (_DEGREES * self.scales[order] ** 2 + squares)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Place:
    """Coefficients, and the law that they give: its log-weights, probabilities, expected values."""

    point: Array
    weights: Array
    law: Array
    expected: Array


@final
@dataclass(kw_only=True, eq=False)
class _Search:
    """Gauss-Newton steps, each solved by conjugate gradients with the factor of an older matrix.

    Args:
        basis: of the effects.
        targets: noisy values of the functions, in records.
        precisions: of each, a record squared.
        total: number of records.
        allowed: cells that a record can be in.
        until: when to stop.
    """

    basis: Characters
    targets: Array
    precisions: Array
    total: float
    allowed: NDArray[np.bool_] | None
    until: float

    def __post_init__(self) -> None:
        # A matrix costs as much as so many steps of conjugate gradients.
        self._patience = max(2, min(12, len(self.targets) // 150))
        self._factors = 0

    def move(self, point: Array) -> None:
        """Go to these coefficients."""
        self.at = self._place(point)

    def _place(self, point: Array) -> _Place:
        weights = self.basis.sums(point)
        if self.allowed is not None:
            weights = np.where(self.allowed, weights, -np.inf)
        weights -= weights.max()
        law = np.exp(weights)
        law /= law.sum()
        expected = self.total * self.basis.expectations(law)
        return _Place(point=point, weights=weights, law=law, expected=expected)

    def _value(self, at: _Place, prior: Array) -> float:
        left = at.expected - self.targets
        return 0.5 * float((self.precisions * left**2).sum() + (prior * at.point**2).sum())

    def factorise(self, prior: Array) -> None:
        """Work out the second derivatives at the point, but for those of the covariances."""
        covariances = self.total * self.basis.covariances(self.at.law)
        self._curvature = (covariances * self.precisions) @ covariances
        self._factors += 1
        self.shrink(prior)

    def shrink(self, prior: Array) -> None:
        """Let the factor be that of the same derivatives under another prior."""
        from scipy.linalg import cho_factor

        matrix = self._curvature.copy()
        matrix[np.diag_indices_from(matrix)] += prior
        self._factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)

    def variances(self) -> Array:
        """Return the variances of all coefficients in Laplace's approximation."""
        from scipy.linalg import solve_triangular

        inverse = solve_triangular(
            self._factor[0], np.eye(len(self.targets)), lower=True, check_finite=False
        )
        return np.asarray((inverse**2).sum(axis=0))

    def _solved(self, right: Array) -> Array:
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve(self._factor, right, check_finite=False))

    def _carried(self, direction: Array) -> Array:
        """Return the change of all expected values along a direction of the coefficients."""
        change = self.basis.sums(direction)
        change -= float((self.at.law * change).sum())
        return self.total * self.basis.expectations(self.at.law * change)

    def descend(self, prior: Array) -> None:
        """Go to the least value under a normal prior of these precisions."""
        for _ in range(_NEWTON_STEPS):
            left = self.precisions * (self.at.expected - self.targets)
            step, steps = self._step(self._carried(left) + prior * self.at.point, prior)
            length, gained = self._along(step, prior)
            if gained < _ENOUGH or monotonic() > self.until:
                return
            slow = steps >= self._patience or length < 0.5
            if slow and self._factors < _MOST_FACTORS:
                self.factorise(prior)

    def _along(self, step: Array, prior: Array) -> tuple[float, float]:
        """Go along a step as far as the value falls; return which part of it, and the gain."""
        before, length = self._value(self.at, prior), 1.0
        while length > 1e-3:
            after = self._place(self.at.point + length * step)
            gained = before - self._value(after, prior)
            if gained > 0:
                self.at = after
                return length, gained
            length *= 0.4
        return 0.0, 0.0

    def _step(self, gradient: Array, prior: Array) -> tuple[Array, int]:
        """Return Newton's step, nearly, and the number of conjugate gradients it took."""
        found, residual = np.zeros_like(gradient), -gradient
        scaled = towards = self._solved(residual)
        size = first = float(residual @ scaled)
        if first < _ENOUGH:  # there is nothing to gain
            return found, 0
        for count in range(1, self._patience + 1):
            image = self._carried(self.precisions * self._carried(towards)) + prior * towards
            along = size / float(towards @ image)
            found += along * towards
            residual = residual - along * image
            scaled = self._solved(residual)
            size, before = float(residual @ scaled), size
            if size < 0.01 * first:
                return found, count
            towards = scaled + size / before * towards
        return found, self._patience
