"""Workloads: which marginals a user cares about, and which ones help to answer them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError


def all_k_ways(attributes: Sequence[str], k: int) -> list[Clique]:
    """Return every set of k attributes, or the one of all when there are fewer than k.

    Args:
        attributes: in the order that cliques are to have.
        k: at least 1.
    """
    if k < 1:
        raise InvalidValueError("k", k, "at least 1")
    return list(combinations(attributes, min(k, len(attributes))))


def downward_closure(workload: Iterable[Clique]) -> list[Clique]:
    """Return every non-empty subset of the workload's cliques, small ones first.

    Reference: McKenna et al. 2022, section 4 (candidates of AIM).
    """
    found: dict[Clique, None] = {}
    for clique in workload:
        for size in range(1, len(clique) + 1):
            found.update(dict.fromkeys(combinations(clique, size)))
    return sorted(found, key=len)


def overlap_weights(candidates: Iterable[Clique], workload: Sequence[Clique]) -> dict[Clique, int]:
    """Return for each candidate how many attributes it shares with the workload's cliques, summed.

    Reference: McKenna et al. 2022, equation 1 (w_r).
    """
    appearances = Counter(attribute for clique in workload for attribute in clique)
    return {candidate: sum(appearances[a] for a in candidate) for candidate in candidates}
