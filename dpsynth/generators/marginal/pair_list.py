"""Which pairs to measure out of all, with no junction tree to fit: gain against noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.pgm.measurement import MEAN_SIZE

Array = NDArray[np.float64]

_AGAIN = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_GROWTH = 1.15
_GRID = 24


@final
@dataclass(frozen=True, kw_only=True)
class PairList:
    """What to buy from the rest of a budget.

    Args:
        pairs: to measure; none where noise would drown them all.
        shares: of the rest, one a pair.
        again: share of the rest for measuring the 1-ways again.
    """

    pairs: tuple[Clique, ...]
    shares: tuple[float, ...]
    again: float


def dependence(errors: Array, blur: float, floors: Array) -> Array:
    """Return estimated L1 distances of pairs from independence, from noisy ones.

    The errors are drawn towards their mean, as far as the spread between them is what noise alone
    would give (empirical Bayes); then what noise and sampling do to independent columns is taken
    off, in squares.

    Args:
        errors: of the pairs under independence, in records.
        blur: standard deviation of their noise.
        floors: what independent columns would show.

    Reference: Efron & Morris 1973 (shrinkage with an estimated prior).
    """
    spread = float(errors.var())
    kept = max(0.0, 1.0 - blur**2 / spread) if spread > 0 else 0.0
    likely = np.maximum(errors.mean() + kept * (errors - errors.mean()), 0.0)
    return np.sqrt(np.maximum(likely**2 - floors**2, 0.0))


def unexplained(pairs: Sequence[Clique], distances: Array, largest: Array) -> Array:
    """Return `distances` less what a spanning tree of the strongest pairs is likely to imply.

    Where a meets b and b meets c, a and c look dependent too. Along a path of a tree the
    dependence shrinks by a factor an edge, for which the distance over its largest value stands;
    the product over the path is taken off all pairs that are no edges.

    Args:
        pairs: all of them.
        distances: from independence, in records.
        largest: what each would be if one attribute decided the other.
    """
    names = sorted({a for pair in pairs for a in pair})
    index = {a: i for i, a in enumerate(names)}
    ends = np.array([(index[a], index[b]) for a, b in pairs])
    ratios = np.clip(distances / np.maximum(largest, 1e-9), 0.0, 1.0)
    implied, home = np.eye(len(names)), np.arange(len(names))
    edges: list[int] = []
    for k in np.argsort(-ratios, kind="stable"):
        first, second = ends[k]
        if home[first] == home[second]:
            continue
        one, other = np.flatnonzero(home == home[first]), np.flatnonzero(home == home[second])
        block = np.outer(implied[one, first], implied[second, other]) * ratios[k]
        implied[np.ix_(one, other)], implied[np.ix_(other, one)] = block, block.T
        home[other] = home[first]
        edges.append(int(k))
    explained = implied[ends[:, 0], ends[:, 1]] * largest
    explained[edges] = 0.0
    return np.maximum(distances - explained, 0.0)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseCosts:
    """L1 norm that noise leaves in each of many pairs, for any standard deviation.

    A cell of few records costs no more than twice its expected count: a fit without negative
    counts pulls it back. Costs are tabulated, and read off between the entries.

    Args:
        grid: logarithms of standard deviations, in records, rising.
        costs: of each pair (rows) at each of them, in records.
    """

    grid: Array
    costs: Array

    @classmethod
    def of(
        cls, expected: Sequence[Array], noise: Array, *, lowest: float, highest: float
    ) -> "NoiseCosts":
        """Return the costs of pairs of these expected counts, for noise between two bounds.

        Args:
            expected: counts of each pair, in records.
            noise: of each pair, in the standard deviation that is asked for.
            lowest: least standard deviation that will be asked for, above 0.
            highest: the greatest.
        """
        grid = np.linspace(np.log(lowest), np.log(highest), _GRID)
        sizes = MEAN_SIZE * np.exp(grid)
        costs = np.array(
            [
                [np.minimum(2 * e, relative * size).sum() for size in sizes]
                for e, relative in zip(expected, noise, strict=True)
            ]
        )
        return cls(grid=grid, costs=costs)

    def at(self, sigma: float) -> Array:
        """Return the cost of every pair at one standard deviation."""
        place = np.clip((np.log(sigma) - self.grid[0]) / (self.grid[1] - self.grid[0]), 0, None)
        left = min(int(place), len(self.grid) - 2)
        part = min(float(place) - left, 1.0)
        return (1 - part) * self.costs[:, left] + part * self.costs[:, left + 1]


def choose_pairs(
    pairs: Sequence[Clique],
    gains: Array,
    expected: Sequence[Array],
    noise: Array,
    *,
    single_error: float,
    spent: float,
    sigma_of: Callable[[float], float],
) -> PairList:
    """Return the list that takes most off the L1 errors of all pairs together.

    A pair whose counts are g from their prediction and whose noise is N in L1 norm keeps an error
    of about g N / sqrt(g^2 + N^2) once the two are weighed against each other. Lists of many
    lengths are tried, those of most gain at equal noise, with several parts of the rest kept back
    for the 1-ways, whose error falls with the root of what was spent on them.

    Args:
        pairs: all candidates.
        gains: g of each, in records.
        expected: counts of each if its attributes were independent.
        noise: of what is bought of each, in that of a marginal of the same cost.
        single_error: L1 error that the 1-ways' noise causes, summed over all pairs.
        spent: what the 1-ways have cost so far, as a share of the rest.
        sigma_of: share of the rest -> standard deviation of a marginal's noise.

    Reference: McKenna et al. 2022, section 5.3 (expected noise of a marginal); Xiao et al. 2023
        (noise allocated in closed form), here for mean size in place of variance.
    """
    top = int(np.log(len(pairs)) / np.log(_GROWTH))
    lengths = sorted({min(len(pairs), round(_GROWTH**k)) for k in range(top + 2)})
    lowest, highest = sigma_of(1.0), sigma_of(0.2 / len(pairs))
    costs = NoiseCosts.of(expected, noise, lowest=lowest, highest=highest)
    best, chosen, kept = -1.0, np.empty(0, dtype=np.intp), 1.0
    for again in _AGAIN:
        saved = single_error * (1.0 - np.sqrt(spent / (spent + again)))
        if again == 1.0:
            lengths = [0]
        for length in lengths:
            gained, order = saved, np.empty(0, dtype=np.intp)
            if length:
                cost = costs.at(sigma_of((1.0 - again) / length))
                left = gains * (1.0 - cost / np.hypot(gains, cost))
                order = np.argsort(-left, kind="stable")[:length]
                gained += float(left[order].sum())
            if gained > best:
                best, chosen, kept = gained, order, again
    listed = [int(i) for i in chosen]
    return PairList(
        pairs=tuple(pairs[i] for i in listed),
        shares=_shares([expected[i] for i in listed], noise[listed], sigma_of, rest=1.0 - kept),
        again=kept,
    )


def _shares(
    expected: Sequence[Array], noise: Array, sigma_of: Callable[[float], float], *, rest: float
) -> tuple[float, ...]:
    """Return shares that sum to `rest`, in proportion to the cells that noise costs, to the 2/3.

    Minimises sum cells * sigma under sum 1 / sigma^2 = const; which cells pay in full is seen at
    equal noise.
    """
    if not expected:
        return ()
    even = MEAN_SIZE * sigma_of(rest / len(expected))
    paying = [
        max(1, int((2 * e > even * relative).sum()))
        for e, relative in zip(expected, noise, strict=True)
    ]
    wanted = (noise * np.array(paying)) ** (2 / 3)
    return tuple(float(share) for share in rest * wanted / wanted.sum())
