"""Which of many marginals to measure together: gain against noise, within one junction tree."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.noise_cost import split_budget
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.generators.marginal.resolution import Resolved
from dpsynth.generators.marginal.tree_size import tree_fits
from dpsynth.pgm.measurement import MEAN_SIZE
from dpsynth.pgm.model import GraphicalModel

_SIZES = (1, 2, 3, 5, 8, 12, 17, 24, 34, 48, 68, 96)
_SPARE = 40


@final
@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """Marginals to measure, and the share of the budget that each gets.

    Args:
        cliques: what to measure.
        shares: positive, summing to 1.
        levels: the resolution of each, 0 the finest.
    """

    cliques: tuple[Clique, ...]
    shares: tuple[float, ...]
    levels: tuple[int, ...]


def shortlist(
    domain: Domain,
    gains: Mapping[Clique, float],
    expected: Mapping[Clique, Resolved],
    *,
    doubt: float,
    inherited: Sequence[Clique],
    sigma_of: Callable[[float], float],
    kappa: float,
    largest_tree: int,
) -> Shortlist | None:
    """Return the list whose gains, less what noise costs them, sum to most; None if none gains.

    A measured cell costs about its noise, sigma sqrt(2/pi), but never much more than its expected
    count: a fit without negative counts pulls a noisy cell of few records back to near 0. For each
    length of the list the candidates are taken in the order of gain less cost at equal noise, as
    the tree has room for them, each at the resolution that leaves it most (`Resolved.worth`); the
    budget is then split by the effective number of cells, which minimises the sum of costs where
    noise is what they cost.

    What is left of a pair counts `_pair_weight` times what is left of a triple, for ranks and sums:
    it is part of every triple with a third attribute, and where large triples came first they took
    the room of the tree from pairs that nothing else shows.

    Args:
        domain: of all attributes.
        gains: estimated L1 error of the model for each candidate, in records; may be negative.
        expected: counts under the model of each candidate, at each resolution at which it could be
            measured, the finest first; public.
        doubt: standard deviation of the noise in the gains.
        inherited: cliques that are in the tree already.
        sigma_of: share of the budget -> standard deviation of a marginal's noise.
        kappa: cost of a cell of few records, in its expected counts.
        largest_tree: most cells of the junction tree.

    Reference: McKenna et al. 2022, section 5.3 (expected noise of a marginal); here with a bound by
        the expected count, and all marginals at once.
    """

    weight = _pair_weight(domain)

    def value(clique: Clique, sigma: float) -> tuple[float, int]:
        left, level = expected[clique].worth(gains[clique], sigma=sigma, kappa=kappa, doubt=doubt)
        return left * (weight if len(clique) == 2 else 1.0), level

    best: tuple[float, Shortlist] | None = None
    for length in _SIZES:
        sigma = sigma_of(1 / length)
        net = {c: value(c, sigma) for c in gains}
        ranked = sorted((c for c in net if net[c][0] > 0), key=lambda c: -net[c][0])
        chosen = _fill(domain, ranked[: 4 * length + _SPARE], inherited, length, largest_tree)
        if not chosen:
            continue
        shares = _split([expected[c].tables[net[c][1]] for c in chosen], sigma_of, kappa)
        found = [value(c, sigma_of(share)) for c, share in zip(chosen, shares, strict=True)]
        total = sum(gain for gain, _ in found)
        if best is None or total > best[0]:
            levels = tuple(level for _, level in found)
            best = total, Shortlist(cliques=tuple(chosen), shares=tuple(shares), levels=levels)
        if len(chosen) < length:
            break  # longer lists only buy the same marginals with less budget each
    return None if best is None else best[1]


def covering(
    listed: Shortlist | None,
    model: GraphicalModel,
    gains: Mapping[Clique, float],
    expected: Mapping[Clique, Resolved],
    *,
    doubt: float,
    sigma_of: Callable[[float], float],
    kappa: float,
    largest_tree: int,
) -> Shortlist | None:
    """Return a list that leaves no attribute alone that seems to depend on another.

    An attribute that the list lacks joins it with its pair of most gain, in the coarsest groups,
    which cost next to nothing: a table whose columns are all of one piece can teach a classifier
    what the same table with one column of chance cannot. Where no gain is beyond doubt it stays
    alone.

    Args:
        listed: what is bought for its gains; None: nothing.
        model: what is known; cliques of several attributes in it count as listed.
        gains: estimated L1 error of the model for each candidate, in records; may be negative.
        expected: counts under the model of each candidate, at each resolution; public.
        doubt: standard deviation of the noise in the gains.
        sigma_of: share of the budget -> standard deviation of a marginal's noise.
        kappa: cost of a cell of few records, in its expected counts.
        largest_tree: most cells of the junction tree.
    """
    cliques, levels = (list(listed.cliques), list(listed.levels)) if listed else ([], [])
    joined = {a for clique in (*cliques, *model.cliques) if len(clique) > 1 for a in clique}
    bought = len(cliques)
    for clique in sorted((c for c in gains if gains[c] > doubt), key=lambda c: -gains[c]):
        alone = not joined.issuperset(clique)
        if alone and tree_fits(model.domain, [*model.cliques, *cliques, clique], largest_tree):
            cliques.append(clique)
            levels.append(expected[clique].coarsest)
            joined.update(clique)
    if len(cliques) == bought:
        return listed
    tables = [
        expected[c].tables[level] if c in expected else model.marginal(c)
        for c, level in zip(cliques, levels, strict=True)
    ]
    shares = _split(tables, sigma_of, kappa)
    return Shortlist(cliques=tuple(cliques), shares=tuple(shares), levels=tuple(levels))


def _pair_weight(domain: Domain) -> float:
    """Return what a pair counts beside a triple: the root of the number of triples that hold it.

    All of them would be too many: what a pair says of a triple the others in it may say too.
    """
    return sqrt(max(1, len(informative(domain)) - 2))


def _fill(
    domain: Domain,
    ranked: Sequence[Clique],
    inherited: Sequence[Clique],
    length: int,
    largest_tree: int,
) -> list[Clique]:
    """Return the first `length` of `ranked` that fit into a tree together, skipping the others."""
    chosen: list[Clique] = []
    for clique in ranked:
        if len(chosen) == length:
            break
        if tree_fits(domain, [*inherited, *chosen, clique], largest_tree):
            chosen.append(clique)
    return chosen


def _split(
    expected: Sequence[NDArray[np.float64]], sigma_of: Callable[[float], float], kappa: float
) -> list[float]:
    """Return shares of the budget by the number of cells that noise costs."""

    def weigh(shares: Sequence[float]) -> list[int]:
        return [
            max(1, int((kappa * counts > MEAN_SIZE * sigma_of(share)).sum()))
            for counts, share in zip(expected, shares, strict=True)
        ]

    return split_budget(len(expected), weigh)
