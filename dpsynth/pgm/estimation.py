"""Estimation: the graphical model that fits noisy marginals best, with most entropy among those."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.inference import Oracle, fold
from dpsynth.pgm.junction_tree import CELL_CEILING, JunctionTree
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.minimise import minimise
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.objective import Objective


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
        steps: about the largest number of evaluations of the objective.
        tolerance: stop when no more than this share of the objective's expected value at the
            truth (half the number of measured cells) is gained, as `minimise` says.
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
    inherited_potentials = start.potentials if start is not None else ()
    potentials = fold(domain, cliques, inherited, inherited_potentials)
    if measurements:
        base = Oracle(tree=tree, cliques=cliques).spread(potentials)
        objective = Objective.of(tree, measurements, base=base, total=size)
        multipliers = minimise(objective, steps=steps, tolerance=tolerance)
        added = fold(domain, cliques, objective.oracle.cliques, objective.parts(multipliers))
        potentials = [p + m for p, m in zip(potentials, added, strict=True)]
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
