"""Minimising the objective: proximal steps by their duals, then accelerated mirror descent."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, sqrt
from time import monotonic
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.pgm.coordinates import Coordinates
from dpsynth.pgm.objective import Objective
from dpsynth.threads import one_thread

Array = NDArray[np.float64]

# Weight of the entropy in the first proximal step, by how much it falls after a step that settled
# and rises after another, and where it ends.
_WEIGHT, _FALL, _RISE, _LEAST_WEIGHT = 1.0, 0.4, 1.5, 0.003
# Evaluations of the first proximal step, by how much they grow, and the most of any; fewer in
# proportion where all together are below `_AMPLE`.
_FIRST, _GROWING, _MOST, _AMPLE = 20, 1.5, 60, 200
# The share of all evaluations after which no proximal step begins.
_PROXIMAL_SHARE = 0.75
# A step has settled when it ends at most this far above the best objective on the way.
_SETTLED = 1.05
# The descent between two steps ends when it is this much slower than the step before.
_SLOWER = 0.2
_MEMORY = 25
# The first step of the descent, in safe ones, and by how much steps grow at first.
_FIRST_STEP = 5.0
_GROWTH = 1.02
# Evaluations over which progress is judged.
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
    so a quasi-Newton method in coordinates of about the same curvature takes few evaluations.

    Args:
        objective: what to minimise.
        steps: about the most evaluations of it: the start and a line search come on top.
        tolerance: stop where ten evaluations gain less than this share of half the number of
            cells.
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
    size: float = 0.0
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
    """Make proximal steps from the best point, of less and less entropy.

    The objective does not fall all the way to the end of a step. Where it ends above its best,
    noise is too small for so little entropy in so few evaluations. What is left then is mostly
    where noise is smallest, and there the descent is fast: it goes on while it is faster than the
    step was, and the next step has more entropy.
    """
    last, scale = int(_PROXIMAL_SHARE * steps), min(1.0, steps / _AMPLE)
    weight, most = _WEIGHT, float(_FIRST)
    while not search.late:
        before, since = search.value, search.evaluations
        evaluations = min(int(scale * most), last - since)
        if evaluations < 2:
            return
        settled = _step(search, weight=weight, most=evaluations)
        made = search.evaluations - since
        if (before - search.value) * _WINDOW < enough * made:
            return
        if settled:
            weight = max(weight * _FALL, _LEAST_WEIGHT)
        else:
            pace = (search.value / before) ** (_SLOWER / made)
            _descend(search, steps=steps, enough=enough, pace=pace)
            weight *= _RISE
        most = min(most * _GROWING, _MOST)


def _step(search: _Search, *, weight: float, most: int) -> bool:
    """Make one proximal step from the best point, and return whether it settled."""
    from scipy.optimize import minimize

    objective, centre = search.objective, search.best
    penalty = weight * objective.variances
    _, counts = objective.counts(centre)
    search.evaluations += 1
    coordinates = Coordinates.at(objective.margins, counts, penalty=penalty)
    found = minimize(
        _dual(search, centre, penalty=penalty, coordinates=coordinates),
        np.zeros(len(centre)),
        jac=True,
        method="L-BFGS-B",
        callback=None if search.until == inf else partial(_stop_when_late, search),
        options={"maxfun": most, "maxiter": most, "maxcor": _MEMORY, "gtol": 1e-3},
    )
    _, _, reached = search.evaluate(centre + coordinates.multipliers(found.x))
    return reached <= _SETTLED * search.value


def _stop_when_late(search: _Search, _: Array) -> None:
    if search.late:
        raise StopIteration


def _dual(
    search: _Search, centre: Array, *, penalty: Array, coordinates: Coordinates
) -> Callable[[Array], tuple[float, Array]]:
    """Return the dual of the proximal step from `centre`, as value and slope by coordinates."""
    objective = search.objective

    def dual(point: Array) -> tuple[float, Array]:
        moved = coordinates.multipliers(point)
        multipliers = centre + moved
        partition, expected, _ = search.evaluate(multipliers)
        value = objective.total * partition - float((multipliers * objective.targets).sum())
        slope = expected - objective.targets + penalty * moved
        return value + 0.5 * float((penalty * moved**2).sum()), coordinates.slope(slope)

    return dual


def _descend(search: _Search, *, steps: int, enough: float, pace: float = 1.0) -> None:
    """Improve the best point by momentum, which starts anew when the objective rises.

    It ends when ten evaluations gain less than `enough`, or when they leave a larger part of the
    objective than evaluations that each leave `pace` of it.

    A step of mirror descent with the entropy as its mirror subtracts the gradient with respect to
    the marginals from the multipliers. Steps start at a few times the reciprocal of the smoothness
    constant of the objective relative to the entropy, which is safe but short, and grow while the
    objective falls. Only a step without momentum that fails is too long: then steps are halved,
    and grow half as fast from there on, or momentum would be cut off over and over.
    """
    objective = search.objective
    size, growth = search.size or _FIRST_STEP / objective.smoothness, _GROWTH
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
                search.size = size
            ahead = point = search.best
            expected = best
            momentum, age = 1.0, 0
            continue
        best, size = expected, size * growth
        search.size = size
        history.append(value)
        if len(history) > _WINDOW:
            ago = history[-1 - _WINDOW]
            if ago - value < enough or value > ago * pace**_WINDOW:
                return
