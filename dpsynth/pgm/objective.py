"""The convex objective of estimation: weighted squares of what the model gets wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.cliques import covering
from dpsynth.pgm.inference import Arrays
from dpsynth.pgm.measurement import NoisyMarginal


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """One measured marginal inside one clique of the model.

    Args:
        host: index of the clique.
        axes: axes of the clique to sum over.
        shape: shape in which the marginal broadcasts over the clique.
        target: measured shares of records, of the marginal's own shape.
        weight: squared ratio of the total to the noise's standard deviation.
    """

    host: int
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    target: NDArray[np.float64]
    weight: float


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Objective:
    """Half the chi-square of the measurements, as a convex function of the model's marginals.

    At the true marginals its expectation is half of `cells`, with a standard deviation of
    sqrt(cells / 2): differences far below that are noise.

    Args:
        terms: the measured marginals, at most one for each set of attributes.
        cells: number of measured cells.
    """

    terms: tuple[Term, ...]
    cells: int

    def __call__(self, marginals: Sequence[NDArray[np.float64]]) -> tuple[float, Arrays]:
        """Return the value and the gradient with respect to `marginals` (probabilities)."""
        value = 0.0
        gradient = [np.zeros_like(m) for m in marginals]
        for term in self.terms:
            marginal = marginals[term.host]
            residual = (marginal.sum(axis=term.axes) if term.axes else marginal) - term.target
            value += 0.5 * term.weight * float(np.vdot(residual, residual))
            residual *= term.weight
            gradient[term.host] += residual.reshape(term.shape)
        return value, gradient


def make_objective(
    domain: Domain,
    cliques: Sequence[Clique],
    measurements: Sequence[NoisyMarginal],
    *,
    total: float,
) -> Objective:
    """Return the objective of `measurements` for a model with these `cliques`.

    Repeated measurements of the same attributes are merged by inverse-variance weights first:
    up to a constant, their sum of squares is that of their weighted mean.

    Args:
        domain: sizes and order of the attributes.
        cliques: the model's cliques; each measurement must lie inside one.
        measurements: noisy counts.
        total: number of records that the model stands for.
    """
    merged: dict[Clique, tuple[NDArray[np.float64], float]] = {}
    for measurement in measurements:
        key = domain.canonical(measurement.clique)
        values = measurement.values.transpose([measurement.clique.index(a) for a in key])
        precision = measurement.sigma**-2
        mean, before = merged.get(key, (np.zeros(values.shape), 0.0))
        after = before + precision
        merged[key] = (mean + (values - mean) * (precision / after), after)
    terms: list[Term] = []
    for key, (mean, precision) in merged.items():
        host = covering(domain, cliques, key)
        if host is None:
            raise InvalidValueError("cliques", key, "a cover of every measurement")
        axes = tuple(i for i, a in enumerate(cliques[host]) if a not in key)
        shape = tuple(domain.sizes[a] if a in key else 1 for a in cliques[host])
        weight = precision * total**2
        terms.append(Term(host=host, axes=axes, shape=shape, target=mean / total, weight=weight))
    return Objective(terms=tuple(terms), cells=sum(prod(t.target.shape) for t in terms))
