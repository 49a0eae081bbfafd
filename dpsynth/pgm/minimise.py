"""Minimising the objective: proximal steps by their duals, and accelerated mirror descent."""

from dataclasses import dataclass, field
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

# Where all is counts: weight of the entropy and evaluations of each proximal step, and the share of
# all evaluations that these steps take at most.
_ROUNDS = ((1.0, 15), (0.3, 20), (0.1, 25), (0.1, 30))
_ROUNDS_SHARE = 0.6
# Where something is centred: weight of the entropy in the first step, by how much it falls after a
# step that settled and rises after another, and where it ends: with less, noise is fitted closely
# long before all else is fitted.
_WEIGHT, _FALL, _RISE, _LEAST_WEIGHT = 1.0, 0.4, 1.5, 0.3
# Evaluations of the first proximal step, by how much they grow, and the most of any; fewer in
# proportion where all together are below `_AMPLE`. After a share of all no step begins.
_FIRST, _GROWING, _MOST, _AMPLE = 20, 1.5, 60, 200
_PROXIMAL_SHARE = 0.75
# A step has settled when it ends at most this far above the best objective on the way.
_SETTLED = 1.05
# The descent between two steps ends when it is this much slower than the step before.
_SLOWER = 0.2
_MEMORY = 25
# A step ends at the latest where no slope is larger than this, in roots of records.
_STEEPEST = 1e-3
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
    search = _Search(objective=objective, until=until)
    search.evaluate(np.zeros(len(objective.targets)))
    enough = tolerance * 0.5 * len(objective.targets)
    proximal = _adapted if len(objective.margins.cells) else _scheduled
    proximal(search, steps=steps, enough=enough)
    _descend(search, steps=steps, enough=enough)
    return search.best


@final
@dataclass(kw_only=True, eq=False)
class _Search:
    """The best multipliers so far, their counts and objective, and how many evaluations it took.

    Args:
        objective: what to minimise.
        until: time of `time.monotonic` after which no more is evaluated.
        best: multipliers of the lowest objective; of no cells before the first evaluation.
        counts: what the model of those expects of all cells, not centred.
        value: their objective.
        evaluations: number of evaluations.
        size: of a step of the descent, in multipliers a slope; 0 before there was one.
    """

    objective: Objective
    until: float = inf
    best: Array = field(default_factory=lambda: np.empty(0))
    counts: Array = field(default_factory=lambda: np.empty(0))
    value: float = inf
    evaluations: int = 0
    size: float = 0.0

    def evaluate(self, multipliers: Array) -> tuple[float, Array, float]:
        """Return log-partition function, what is expected, and objective; remember the best."""
        partition, counts = self.objective.counts(multipliers)
        expected = self.objective.margins.beyond(counts)
        value = self.objective.value(expected)
        self.evaluations += 1
        if value < self.value:
            self.best, self.counts, self.value = multipliers, counts, value
        return partition, expected, value

    @property
    def late(self) -> bool:
        """Whether the time is over, and what must be done at least is done."""
        return self.until < inf and self.evaluations >= _LEAST and monotonic() > self.until


def _scheduled(search: _Search, *, steps: int, enough: float) -> None:
    """Make four proximal steps, which is all that counts need before the descent."""
    scale = min(1.0, _ROUNDS_SHARE * steps / sum(rounds for _, rounds in _ROUNDS))
    for weight, rounds in _ROUNDS:
        most = int(scale * rounds)
        if most < 2 or search.late:
            return
        before = search.value
        _step(search, weight=weight, most=most, enough=enough)
        if before - search.value < enough:
            return


def _adapted(search: _Search, *, steps: int, enough: float) -> None:
    """Make proximal steps from the best point, of less and less entropy.

    The objective does not fall all the way to the end of a step. Where it ends above its best,
    noise is too small for so little entropy in so few evaluations. What is left then is mostly
    where noise is smallest, and there the descent is fast: it goes on while it is faster than the
    step was, and the next step has more entropy. How fast the first step was says nothing, as it
    begins at the start: after it the descent has its least.
    """
    last, scale = int(_PROXIMAL_SHARE * steps), min(1.0, steps / _AMPLE)
    weight, rounds, before = _WEIGHT, float(_FIRST), inf
    while search.value > 0 and not search.late:
        since = search.evaluations
        most = min(int(scale * rounds), last - since)
        if most < 2:
            return
        settled = _step(search, weight=weight, most=most, enough=enough)
        made = search.evaluations - since
        if not settled:
            pace = (search.value / before) ** (_SLOWER / made)
            _descend(search, steps=steps, enough=enough, pace=pace)
        if (before - search.value) * _WINDOW < enough * (search.evaluations - since):
            return
        if settled:
            weight = max(weight * _FALL, _LEAST_WEIGHT)
        else:
            weight *= _RISE
        rounds = min(rounds * _GROWING, _MOST)
        before = search.value


def _step(search: _Search, *, weight: float, most: int, enough: float) -> bool:
    """Make one proximal step from the best point, and return whether it settled.

    It ends where the rest of the way would gain about `enough`: half the square of the slope.
    """
    from scipy.optimize import minimize

    penalty = weight * search.objective.variances
    coordinates = Coordinates.at(search.objective.margins, search.counts, penalty=penalty)
    dual = _Dual(search=search, centre=search.best, penalty=penalty, coordinates=coordinates)
    cells = len(search.best)
    minimize(
        dual,
        np.zeros(cells),
        jac=True,
        method="L-BFGS-B",
        callback=None if search.until == inf else partial(_stop_when_late, search),
        options={
            "maxfun": most,
            "maxiter": most,
            "maxcor": _MEMORY,
            "gtol": max(_STEEPEST, sqrt(2.0 * enough / (weight * cells))),
        },
    )
    return dual.reached <= _SETTLED * search.value


def _stop_when_late(search: _Search, _: Array) -> None:
    if search.late:
        raise StopIteration


@final
@dataclass(kw_only=True, eq=False)
class _Dual:
    """The dual of a proximal step, as value and slope by coordinates.

    Args:
        search: evaluates.
        centre: multipliers where the step begins.
        penalty: second derivative of the proximal term, of each cell.
        coordinates: of multipliers less the centre.
        lowest: the least value so far, which is where the quasi-Newton method is.
        reached: the objective there.
    """

    search: _Search
    centre: Array
    penalty: Array
    coordinates: Coordinates
    lowest: float = inf
    reached: float = inf

    def __call__(self, point: Array) -> tuple[float, Array]:
        """Return the value and the slope at a point."""
        objective, moved = self.search.objective, self.coordinates.multipliers(point)
        multipliers = self.centre + moved
        partition, expected, chi_square = self.search.evaluate(multipliers)
        value = objective.total * partition - float((multipliers * objective.targets).sum())
        value += 0.5 * float((self.penalty * moved**2).sum())
        if value < self.lowest:
            self.lowest, self.reached = value, chi_square
        slope = expected - objective.targets + self.penalty * moved
        return value, self.coordinates.slope(slope)


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
    search.size, growth = search.size or _FIRST_STEP / objective.smoothness, _GROWTH
    expected = best = objective.margins.beyond(search.counts)
    point = ahead = search.best
    momentum, age = 1.0, 0
    history = [search.value]
    while search.evaluations < steps and not search.late:
        after = ahead - search.size * (expected - objective.targets) / objective.variances
        faster = 0.5 * (1.0 + sqrt(1.0 + 4.0 * momentum**2))
        ahead = after + (momentum - 1.0) / faster * (after - point)
        point, momentum, age = after, faster, age + 1
        _, expected, value = search.evaluate(ahead)
        if value > history[-1]:
            if age == 1:
                search.size, growth = search.size * 0.5, sqrt(growth)
            ahead = point = search.best
            expected = best
            momentum, age = 1.0, 0
            continue
        best, search.size = expected, search.size * growth
        history.append(value)
        if len(history) > _WINDOW:
            ago = history[-1 - _WINDOW]
            if ago - value < enough or value > ago * pace**_WINDOW:
                return
