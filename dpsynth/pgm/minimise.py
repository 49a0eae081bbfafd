"""Minimising the objective: proximal steps by their duals, then accelerated mirror descent."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, sqrt
from time import monotonic
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.pgm.objective import Objective
from dpsynth.threads import one_thread

Array = NDArray[np.float64]

# Weight of the entropy and evaluations of each proximal step, and the share of all evaluations
# that these steps take at most.
_ROUNDS = ((1.0, 15), (0.3, 20), (0.1, 25), (0.1, 30))
_PROXIMAL_SHARE = 0.6
_MEMORY = 15
# The first step of the descent, in safe ones, and by how much steps grow at first.
_FIRST_STEP = 5.0
_GROWTH = 1.02
_WINDOW = 10
# Evaluations that are made however late it is: from the first slope to a first good direction.
_LEAST = 25


@one_thread()
def minimise(objective: Objective, *, steps: int, tolerance: float, until: float = inf) -> Array:
    """Return multipliers of low objective; zeros where no step is allowed.

    Mirror descent moves a cell in proportion to its probability: it starts slowly where the noise
    is small, and is hard to beat close to the optimum. Proximal steps
        min over p of chi-square(p) / 2 + weight * total * KL(p, previous p)
    are the other way round. Their duals are smooth, convex and unconstrained in the multipliers,
        total * log Z(m) - m . targets + weight / 2 * sum variance * (m - previous m)^2,
    so a quasi-Newton method scaled by the diagonal of the second derivative takes few evaluations.

    Args:
        objective: what to minimise.
        steps: about the most evaluations of it: the start and a line search come on top.
        tolerance: stop where a proximal step, or ten steps of the descent, gain less than this
            share of half the number of cells.
        until: time of `time.monotonic` after which the best so far is returned; a few evaluations
            are made all the same.

    Reference: Censor & Zenios 1992 (proximal minimisation with an entropy); Liu & Nocedal 1989
        (L-BFGS); O'Donoghue & Candes 2015 (adaptive restart).
    """
    search = _Search(objective=objective, best=np.zeros(len(objective.targets)), until=until)
    enough = tolerance * 0.5 * len(objective.targets)
    _proximal(search, steps=steps, enough=enough)
    _descend(search, steps=steps, enough=enough)
    return search.best


@final
@dataclass(kw_only=True, eq=False)
class _Search:
    """The best multipliers so far, and the number of evaluations that they took."""

    objective: Objective
    best: Array
    value: float = inf
    evaluations: int = 0
    until: float = inf

    def evaluate(self, multipliers: Array) -> tuple[float, Array, float]:
        """Return log-partition function, expected counts and objective; remember the best."""
        partition, expected = self.objective.expected(multipliers)
        value = self.objective.value(expected)
        self.evaluations += 1
        if value < self.value:
            self.best, self.value = multipliers, value
        return partition, expected, value

    @property
    def late(self) -> bool:
        """Whether the time is over, and what must be done at least is done."""
        return self.until < inf and self.evaluations >= _LEAST and monotonic() > self.until


def _proximal(search: _Search, *, steps: int, enough: float) -> None:
    from scipy.optimize import minimize

    objective = search.objective
    scaled = min(1.0, _PROXIMAL_SHARE * steps / sum(rounds for _, rounds in _ROUNDS))
    here = search.best
    for weight, rounds in _ROUNDS:
        most = int(scaled * rounds)
        if most < 2:
            return
        before = search.value
        if search.late:
            return
        _, expected, _ = search.evaluate(here)
        penalty = weight * objective.variances
        # A cell's second derivative, but for its covariance with others; at least a tenth of a
        # record, or cells that the model all but excludes would move without bound.
        scale = 1.0 / np.sqrt(np.maximum(expected, objective.least) + penalty)
        found = minimize(
            _dual(search, here, penalty=penalty, scale=scale),
            here / scale,
            jac=True,
            method="L-BFGS-B",
            callback=None if search.until == inf else partial(_stop_when_late, search),
            options={"maxfun": most, "maxiter": most, "maxcor": _MEMORY, "gtol": 1e-3},
        )
        here = found.x * scale
        if before - search.value < enough:
            return


def _stop_when_late(search: _Search, _: Array) -> None:
    if search.late:
        raise StopIteration


def _dual(
    search: _Search, centre: Array, *, penalty: Array, scale: Array
) -> Callable[[Array], tuple[float, Array]]:
    """Return the dual of the proximal step from `centre`, as value and slope at a scaled point."""
    objective = search.objective

    def dual(point: Array) -> tuple[float, Array]:
        multipliers = point * scale
        partition, expected, _ = search.evaluate(multipliers)
        moved = multipliers - centre
        value = objective.total * partition - float((multipliers * objective.targets).sum())
        slope = expected - objective.targets + penalty * moved
        return value + 0.5 * float((penalty * moved**2).sum()), slope * scale

    return dual


def _descend(search: _Search, *, steps: int, enough: float) -> None:
    """Improve the best point by momentum, which starts anew when the objective rises.

    A step of mirror descent with the entropy as its mirror subtracts the gradient with respect to
    the marginals from the multipliers. Steps start at a few times the reciprocal of the smoothness
    constant of the objective relative to the entropy, which is safe but short, and grow while the
    objective falls. Only a step without momentum that fails is too long: then steps are halved,
    and grow half as fast from there on, or momentum would be cut off over and over.
    """
    objective = search.objective
    size, growth = _FIRST_STEP / objective.smoothness, _GROWTH
    _, expected, lowest = search.evaluate(search.best)
    point = ahead = search.best
    best = expected
    momentum, age = 1.0, 0
    history = [lowest]
    while search.evaluations <= steps and not search.late:
        after = ahead - size * (expected - objective.targets) / objective.variances
        faster = 0.5 * (1.0 + sqrt(1.0 + 4.0 * momentum**2))
        ahead = after + (momentum - 1.0) / faster * (after - point)
        point, momentum, age = after, faster, age + 1
        _, expected, value = search.evaluate(ahead)
        if value > history[-1]:
            if age == 1:
                size, growth = size * 0.5, sqrt(growth)
            ahead = point = search.best
            expected = best
            momentum, age = 1.0, 0
            continue
        best, size = expected, size * growth
        history.append(value)
        if len(history) > _WINDOW and history[-1 - _WINDOW] - value < enough:
            return
