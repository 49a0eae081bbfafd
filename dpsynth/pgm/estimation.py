"""Estimation: the graphical model that fits noisy marginals best, by accelerated mirror descent."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.cliques import covering, maximal_cliques
from dpsynth.pgm.inference import Arrays, Oracle
from dpsynth.pgm.junction_tree import CELL_CEILING, JunctionTree
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.objective import Objective, make_objective


def estimate(
    domain: Domain,
    measurements: Sequence[NoisyMarginal],
    *,
    total: float | None = None,
    steps: int = 300,
    tolerance: float = 1e-3,
    start: GraphicalModel | None = None,
    ceiling: int = CELL_CEILING,
) -> GraphicalModel:
    """Return the model of maximum entropy among those that fit `measurements` best.

    The fit minimises sum |M(p) - y|^2 / (2 sigma^2) over all distributions p, where M(p) are the
    expected counts of a measured marginal. It stops when a step no longer gains what the noise
    could tell apart, or after `steps` steps.

    Args:
        domain: all attributes; one that no measurement names stays uniform and independent.
        measurements: noisy counts with their standard deviations, in records.
        total: number of records; None: the best estimate from the measurements, at least 1.
        steps: largest number of gradient steps.
        tolerance: stop when ten steps together gain less than this share of the objective's
            expected value at the truth (half the number of measured cells).
        start: a model to start from; its cliques stay in the result, and what the measurements
            say nothing about stays as it is there. None: the uniform model.
        ceiling: largest number of cells of the junction tree.

    Raises:
        InvalidValueError: a measurement whose shape is not its clique's or whose values are not
            finite, a total that is not a finite number above 0, steps below 0, or a junction tree
            above the ceiling.
        UnknownNameError: an attribute that the domain lacks.

    Reference: McKenna, Sheldon & Miklau 2019, section 4 (estimation as mirror descent on the
    marginal polytope); O'Donoghue & Candes 2015 (adaptive restart).
    """
    _check(domain, measurements, total=total, steps=steps)
    size = estimate_total(measurements) if total is None else float(total)
    inherited = start.cliques if start is not None else ()
    cliques = maximal_cliques(domain, [*inherited, *(m.clique for m in measurements)])
    tree = JunctionTree.build(domain, cliques, ceiling=ceiling)
    oracle = Oracle(tree=tree, cliques=cliques)
    potentials = [np.zeros(shape) for shape in oracle.shapes]
    if start is not None:
        _carry_over(domain, start, cliques, potentials)
    if measurements:
        objective = make_objective(domain, cliques, measurements, total=size)
        potentials = _mirror_descent(
            oracle, objective, potentials, steps=steps, tolerance=tolerance
        )
    return GraphicalModel(
        domain=domain,
        total=size,
        cliques=cliques,
        potentials=tuple(potentials),
        ceiling=ceiling,
    )


def estimate_total(measurements: Sequence[NoisyMarginal]) -> float:
    """Return the minimum-variance unbiased total of the measurements, but at least 1.

    Each measurement's sum estimates the total with the variance of its cells' noise together.
    """
    if not measurements:
        return 1.0
    sums = np.array([float(m.values.sum()) for m in measurements])
    precisions = np.array([1.0 / (m.values.size * m.sigma**2) for m in measurements])
    return max(1.0, float(sums @ precisions / precisions.sum()))


def _check(
    domain: Domain,
    measurements: Sequence[NoisyMarginal],
    *,
    total: float | None,
    steps: int,
) -> None:
    for measurement in measurements:
        if len(set(measurement.clique)) < len(measurement.clique) or not measurement.clique:
            raise InvalidValueError("clique", measurement.clique, "attributes, each named once")
        shape = domain.project(measurement.clique).shape
        if measurement.values.shape != shape:
            raise InvalidValueError(
                f"shape of the marginal of {measurement.clique}",
                measurement.values.shape,
                f"{shape}",
            )
        if not np.isfinite(measurement.values).all():
            raise InvalidValueError(f"marginal of {measurement.clique}", "nan or inf", "finite")
    if total is not None and not (isfinite(total) and total > 0):
        raise InvalidValueError("total", total, "a finite number above 0")
    if steps < 0:
        raise InvalidValueError("steps", steps, "at least 0")


def _carry_over(
    domain: Domain,
    start: GraphicalModel,
    cliques: Sequence[Clique],
    potentials: Arrays,
) -> None:
    for clique, potential in zip(start.cliques, start.potentials, strict=True):
        host = covering(domain, cliques, clique)
        assert host is not None  # the model's cliques are maximal ones of a list that holds these
        shape = [domain.sizes[a] if a in clique else 1 for a in cliques[host]]
        potentials[host] += potential.reshape(shape)


def _mirror_descent(
    oracle: Oracle,
    objective: Objective,
    potentials: Arrays,
    *,
    steps: int,
    tolerance: float,
) -> Arrays:
    """Return potentials of lower objective: momentum, restarted and slowed when a step overshoots.

    A step of mirror descent with the entropy as its mirror adds the gradient with respect to the
    marginals to the potentials. Steps start at the reciprocal of the smoothness constant of the
    objective relative to the entropy, which is safe, and grow while the objective falls.
    """
    size = 1.0 / sum(term.weight for term in objective.terms)
    scale = 0.5 * objective.cells
    point, ahead = potentials, potentials
    best, best_value, momentum = potentials, np.inf, 1.0
    history: list[float] = []
    for _ in range(steps + 1):
        value, gradient = objective(oracle.project(oracle.calibrate(ahead)))
        if value <= best_value:
            best, best_value = ahead, value
            size *= 1.1
        else:
            # Overshot: back to the best point, without momentum, in smaller steps.
            size *= 0.5
            momentum = 1.0
            ahead = point = best
            continue
        history.append(value)
        if len(history) > 10 and history[-11] - value < tolerance * scale:
            break
        after = [a - size * g for a, g in zip(ahead, gradient, strict=True)]
        faster = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        rate = (momentum - 1.0) / faster
        ahead = [a + rate * (a - p) for a, p in zip(after, point, strict=True)]
        point, momentum = after, faster
    return best
