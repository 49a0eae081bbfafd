"""Estimation: the graphical model that fits noisy marginals best, with most entropy among those."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite, prod

import numpy as np

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.evidence import Impossible, combine, zero_weights
from dpsynth.pgm.inference import Arrays, Oracle, fold
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
    impossible: Impossible | None = None,
    ceiling: int = CELL_CEILING,
    until: float = inf,
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
        impossible: structural zeros: clique -> True for each cell that public knowledge rules out,
            axes in the clique's order. Those of `start` hold too. Such a cell has probability 0,
            exactly, and what was measured of it is taken for the noise that it is.
        ceiling: largest number of cells of the junction tree.
        until: time of `time.monotonic` after which the best model found so far is the answer.

    Raises:
        InvalidValueError: a measurement whose shape is not its clique's or whose values are not
            finite, a total that is not a finite number above 0, steps below 0, or a junction tree
            above the ceiling.
        UnknownNameError: an attribute that the domain lacks.
        ContradictionError: structural zeros leave no cell.

    Reference: McKenna, Sheldon & Miklau 2019, section 4 (estimation as mirror descent on the
    marginal polytope); O'Donoghue & Candes 2015 (adaptive restart).
    """
    _check(domain, measurements, total=total, steps=steps)
    inherited = (start.cliques, start.potentials) if start is not None else ((), ())
    zeros = zero_weights(domain, impossible or {})
    cliques, potentials = combine(
        domain, inherited, zeros, cliques=[m.clique for m in measurements]
    )
    tree = JunctionTree.build(domain, cliques, ceiling=ceiling)
    base = Oracle(tree=tree, cliques=cliques).spread(potentials)
    cells = [m.values.size for m in measurements]
    if any(np.isneginf(array).any() for array in base):
        measurements, cells = _without_zeros(tree, base, measurements)
    size = estimate_total(measurements, cells=cells) if total is None else float(total)
    if measurements:
        objective = Objective.of(tree, measurements, base=base, total=size)
        multipliers = minimise(objective, steps=steps, tolerance=tolerance, until=until)
        added = fold(domain, cliques, objective.oracle.cliques, objective.parts(multipliers))
        potentials = [p + m for p, m in zip(potentials, added, strict=True)]
    return GraphicalModel(
        domain=domain,
        total=size,
        cliques=cliques,
        potentials=tuple(potentials),
        ceiling=ceiling,
    )


def _without_zeros(
    tree: JunctionTree, base: Arrays, measurements: Sequence[NoisyMarginal]
) -> tuple[list[NoisyMarginal], list[int]]:
    """Return the measurements with 0 in cells that no record can be in, and how many others.

    It is all the same to the optimum, since every model says 0 there; the total is better for it,
    and the optimiser does not chase what it cannot reach.
    """
    domain = tree.domain
    canonical = tuple(domain.canonical(m.clique) for m in measurements)
    found = Oracle(tree=tree, cliques=canonical).support(base)
    kept: list[NoisyMarginal] = []
    noisy: list[int] = []
    for m, key, allowed in zip(measurements, canonical, found, strict=True):
        if m.centred:  # what is impossible is not 0 there
            kept.append(m)
            noisy.append(m.values.size)
            continue
        order = [key.index(a) for a in m.clique]
        cells, support = m.cells(domain), allowed
        if cells is not None:
            shape = [m.values.shape[m.clique.index(a)] for a in key]
            support = np.bincount(cells, allowed.ravel(), prod(shape)).reshape(shape) > 0
        kept.append(replace(m, values=np.where(support.transpose(order), m.values, 0.0)))
        noisy.append(int(support.sum()))
    return kept, noisy


def estimate_total(
    measurements: Sequence[NoisyMarginal], *, cells: Sequence[int] | None = None
) -> float:
    """Return the minimum-variance unbiased total of the measurements, but at least 1.

    Each measurement's sum estimates the total with the variance of its cells' noise together;
    one that is centred has none.

    Args:
        measurements: noisy marginals.
        cells: how many cells of each have noise; None: all.
    """
    noisy = [m.values.size for m in measurements] if cells is None else cells
    counted = [(m, n) for m, n in zip(measurements, noisy, strict=True) if not m.centred]
    if not counted:
        return 1.0
    sums = np.array([float(m.values.sum()) for m, _ in counted])
    precisions = np.array([1.0 / (n * m.sigma**2) for m, n in counted])
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
        shape = measurement.shape(domain)
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
