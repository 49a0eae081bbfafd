"""Workloads: which marginals a user cares about."""

from collections.abc import Sequence
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
