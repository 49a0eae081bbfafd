"""What noisy marginals say of all pairs: the law of largest entropy along a tree of them."""

from collections.abc import Sequence
from itertools import combinations
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.one_hot import OneHot

_ROUNDS = 50
# Of a cell under independence, what is left of it at least: no code is ruled out by noise.
_FLOOR = 1e-3


def tree_pairs(
    domain: Domain, shares: NDArray[np.float64], measured: Sequence[NoisyMarginal], total: float
) -> NDArray[np.float64]:
    """Return the probabilities of all pairs of codes, blocks as `OneHot` lays them out.

    Measured pairs with most mutual information span a forest (Chow & Liu 1968). Along its paths
    each attribute depends on its neighbours alone, which of all laws with these pairs is the one of
    largest entropy; attributes of different trees are independent. Blocks of an attribute with
    itself are those of two independent draws.

    Args:
        domain: the attributes.
        shares: each attribute's law, all side by side, none of them 0.
        measured: counts of single codes.
        total: number of records that they count.
    """
    layout = OneHot(domain=domain)
    own = {a: shares[layout.columns[a]] for a in domain.attributes}
    forest = _Forest(own)
    joints = {
        (a, b): _joint(gap, own[a], own[b])
        for (a, b), gap in _means(domain, measured, total).items()
    }
    for first, second in sorted(joints, key=lambda p: -_information(joints[p], own, p)):
        forest.join(first, second, joints[first, second])
    found = np.outer(shares, shares)
    for (a, b), joint in forest.pairs.items():
        found[layout.columns[a], layout.columns[b]] = joint
        found[layout.columns[b], layout.columns[a]] = joint.T
    return found


@final
class _Forest:
    """Trees of attributes, with the laws of all pairs inside each of them."""

    def __init__(self, own: dict[str, NDArray[np.float64]]) -> None:
        self._own = own
        self._trees = {a: [a] for a in own}
        self.pairs: dict[tuple[str, str], NDArray[np.float64]] = {}

    def join(self, first: str, second: str, joint: NDArray[np.float64]) -> None:
        """Make one tree of two, along an edge with law `joint`; nothing where they are one."""
        left, right = self._trees[first], self._trees[second]
        if left is right:
            return
        for a in left:
            towards = self._given(a, first)
            for b in right:
                self.pairs[a, b] = towards @ joint @ self._given(b, second).T
        whole = left + right
        self._trees |= dict.fromkeys(whole, whole)

    def _given(self, attribute: str, known: str) -> NDArray[np.float64]:
        """Return the law of `attribute` for each code of `known`, one column a code."""
        if attribute == known:
            return np.eye(len(self._own[known]))
        joint = self.pairs.get((attribute, known))
        return (self.pairs[known, attribute].T if joint is None else joint) / self._own[known]


def _means(
    domain: Domain, measured: Sequence[NoisyMarginal], total: float
) -> dict[Clique, tuple[NDArray[np.float64], float]]:
    """Return each measured pair's shares and their variance, over all marginals that hold it."""
    sums: dict[Clique, NDArray[np.float64]] = {}
    weights: dict[Clique, float] = {}
    order = {a: i for i, a in enumerate(domain.attributes)}
    for marginal in measured:
        for pair in combinations(sorted(marginal.clique, key=order.__getitem__), 2):
            axes = [marginal.clique.index(a) for a in pair]
            others = tuple(i for i in range(len(marginal.clique)) if i not in axes)
            values = marginal.values.sum(others)
            values = values if axes[0] < axes[1] else values.T
            weight = values.size / marginal.values.size * (total / marginal.sigma) ** 2
            sums[pair] = sums.get(pair, 0.0) + weight * values / total
            weights[pair] = weights.get(pair, 0.0) + weight
    return {pair: (sums[pair] / weights[pair], 1 / weights[pair]) for pair in sums}


def _joint(
    mean: tuple[NDArray[np.float64], float],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return a law with given margins near a noisy one, which is shrunk by what is noise."""
    product = np.outer(rows, columns)
    gap = mean[0] - product
    kept = max(0.0, 1 - mean[1] / max(float((gap**2).mean()), 1e-300))
    joint = np.maximum(product + kept * gap, _FLOOR * product)
    for _ in range(_ROUNDS):
        joint *= (rows / joint.sum(1))[:, None]
        joint *= columns / joint.sum(0)
    return joint


def _information(
    joint: NDArray[np.float64], own: dict[str, NDArray[np.float64]], pair: Clique
) -> float:
    return float((joint * np.log(joint / np.outer(own[pair[0]], own[pair[1]]))).sum())
