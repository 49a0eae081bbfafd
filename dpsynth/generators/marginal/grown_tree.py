"""A junction tree grown from the errors of pairs, and what to measure inside it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import sqrt
from sys import maxsize

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.hosts import Hosting
from dpsynth.generators.marginal.resolution import Resolved
from dpsynth.generators.marginal.shortlist import Shortlist
from dpsynth.pgm.junction_tree import JunctionTree

_PRICES = (0, 1, 2, 4, 8, 16, 32)
_MISFITS = 40


def hosted_shortlist(
    domain: Domain,
    gains: Mapping[Clique, float],
    expected: Mapping[Clique, NDArray[np.float64]],
    *,
    inherited: Sequence[Clique],
    sigma_of: Callable[[float], float],
    kappa: float,
    largest_tree: int,
    largest_clique: int,
) -> Shortlist | None:
    """Return pairs and triples of the best tree that are worth what they cost (`Hosting`).

    Args:
        domain: of all attributes.
        gains: estimated error of each pair, in records.
        expected: counts of each pair under the present model; public.
        inherited: cliques that are in the tree already.
        sigma_of: share of the budget -> standard deviation of a marginal's noise.
        kappa: most that a cell costs, in expected counts.
        largest_tree: most cells of the tree.
        largest_clique: most cells of one of its cliques.
    """
    tree = best_tree(
        domain,
        gains,
        inherited=inherited,
        largest_tree=largest_tree,
        largest_clique=largest_clique,
    )
    held = {pair: gains[pair] for pair in _inside(tree, 2) if pair in gains}
    triples = [t for t in _inside(tree, 3) if all(pair in held for pair in combinations(t, 2))]
    return Hosting(
        domain=domain,
        gains=held,
        expected=expected,
        cliques=[*held, *triples],
        sigma_of=sigma_of,
        kappa=kappa,
    ).shortlist()


def error_left(
    domain: Domain,
    gains: Mapping[Clique, float],
    expected: Mapping[Clique, Resolved],
    found: Shortlist,
    *,
    sigma_of: Callable[[float], float],
    kappa: float,
) -> float:
    """Return the estimated L1 error of all pairs together once `found` is measured, in records.

    A pair inside a measured clique has what noise costs it there, wherever that is least; but never
    more than its error now, which every other pair keeps. A pair that is measured in groups keeps
    what these do not show.

    Args:
        domain, gains, sigma_of, kappa: as of `hosted_shortlist`.
        expected: counts of each pair under the present model at each resolution; public.
        found: what would be measured.
    """
    left = dict(gains)
    for clique, share, level in zip(found.cliques, found.shares, found.levels, strict=True):
        cells, sigma = domain.cells_of(clique), sigma_of(share)
        if level > 0:
            missed = left[clique] * (1 - expected[clique].kept[level])
            cost = expected[clique].cost(level, sigma=sigma, kappa=kappa)
            left[clique] = min(left[clique], missed + cost)
            continue
        for pair in combinations(clique, 2):
            if pair in left:
                inside = sigma * sqrt(cells / domain.cells_of(pair))
                cost = expected[pair].cost(0, sigma=inside, kappa=kappa)
                left[pair] = min(left[pair], cost)
    return sum(left.values())


def best_tree(
    domain: Domain,
    gains: Mapping[Clique, float],
    *,
    inherited: Sequence[Clique] = (),
    largest_tree: int,
    largest_clique: int,
) -> JunctionTree:
    """Return, of the trees grown for several prices, the one whose cliques hold most error.

    Args:
        domain: of all attributes.
        gains: noisy error of each pair, in records; those below 0 hold nothing.
        inherited: cliques that every tree has.
        largest_tree: most cells of the tree.
        largest_clique: most cells of one of its cliques.
    """
    tried: list[list[Clique]] = []
    bare = JunctionTree.build(domain, inherited)
    best, most = bare, 0.0
    for price in _PRICES:
        net = {pair: gain - price * domain.project(pair).cells for pair, gain in gains.items()}
        ranked = sorted((pair for pair in net if net[pair] > 0), key=lambda pair: -net[pair])
        if any(before[: len(ranked)] == ranked for before in tried):
            continue  # would be the beginning of a tree that was grown already
        tried.append(ranked)
        tree = _grown(bare, ranked, largest_tree=largest_tree, largest_clique=largest_clique)
        held = sum(max(0.0, gains.get(pair, 0.0)) for pair in _inside(tree, 2))
        if held > most:
            best, most = tree, held
    return best


def _grown(
    bare: JunctionTree, ranked: Sequence[Clique], *, largest_tree: int, largest_clique: int
) -> JunctionTree:
    """Return `bare` with the pairs in `ranked` that fit, one after the other.

    It gives up where none of a run of pairs fits: such a tree is full, and asking takes time.
    """
    domain, tree, chosen, misfits = bare.domain, bare, list[Clique](), 0
    for pair in ranked:
        if any(set(pair) <= set(clique) for clique in tree.cliques):
            continue
        larger = JunctionTree.build(domain, [*bare.cliques, *chosen, pair], ceiling=maxsize)
        grown = [clique for clique in larger.cliques if clique not in bare.cliques]
        widest = max(map(domain.cells_of, grown), default=0)
        if larger.cells <= largest_tree and widest <= largest_clique:
            tree, misfits = larger, 0
            chosen.append(pair)
        elif (misfits := misfits + 1) == _MISFITS:
            break
    return tree


def _inside(tree: JunctionTree, size: int) -> list[Clique]:
    """Return every set of `size` attributes inside a clique of the tree, each once."""
    return list(dict.fromkeys(c for clique in tree.cliques for c in combinations(clique, size)))
