"""Rows from a calibrated junction tree, column by column, with nearly noise-free rounding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.pgm.grouping import mixed_radix, shuffled_by_group
from dpsynth.pgm.junction_tree import JunctionTree


def sample_codes(
    tree: JunctionTree,
    marginals: Sequence[NDArray[np.float64]],
    n: int,
    *,
    rng: np.random.Generator,
) -> NDArray[np.integer[Any]]:
    """Return `n` rows of codes, one column an attribute of the tree's domain.

    Attributes are drawn from the root of the tree outwards, the reverse of an elimination order.
    The rows that agree on an attribute's neighbours share its values out by systematic sampling:
    each value gets its expected number of rows, rounded down or up without bias.

    Args:
        tree: where the marginals live.
        marginals: probabilities of each clique's cells, consistent with one another.
        n: number of rows, at least 1.
        rng: source of the rounding and of the order within a group.

    Reference: McKenna, Miklau & Sheldon 2021, section 4.4 (column-wise sampling); Madow 1949
    (systematic sampling).
    """
    domain = tree.domain
    dtype = np.min_scalar_type(max(domain.shape) - 1)
    rows = np.empty((n, len(domain.attributes)), dtype=dtype, order="F")
    for clique, separator, marginal in zip(tree.cliques, tree.separators, marginals, strict=True):
        known: Clique = separator
        for attribute in (a for a in clique if a not in separator):
            joint = ordered(clique, marginal, (*known, attribute))
            key = mixed_radix(rows, domain.axes(known), joint.shape[:-1])
            column = draw(key, joint.reshape(-1, joint.shape[-1]), rng=rng)
            rows[:, domain.axes((attribute,))[0]] = column
            known = (*known, attribute)
    return rows


def ordered(
    clique: Clique, marginal: NDArray[np.float64], attributes: Clique
) -> NDArray[np.float64]:
    """Return the marginal of `attributes`, axes in that order."""
    gone = tuple(i for i, a in enumerate(clique) if a not in attributes)
    left = [a for a in clique if a in attributes]
    return marginal.sum(axis=gone).transpose([left.index(a) for a in attributes])


def draw(
    key: NDArray[np.int64], joint: NDArray[np.float64], *, rng: np.random.Generator
) -> NDArray[np.integer[Any]]:
    """Return a value for each row, with systematic rounding in each group.

    Args:
        key: the group of each row.
        joint: weights of the values, one row a group.
        rng: source of the rounding and of the order within a group.
    """
    members = np.bincount(key, minlength=len(joint))
    groups = np.flatnonzero(members)
    counts = systematic_counts(conditional(joint[groups]), members[groups], rng=rng)
    return assigned(key, counts, groups=len(joint), rng=rng)


def conditional(joint: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows of `joint`, each divided by its sum."""
    mass = joint.sum(axis=1, keepdims=True)
    # Only rounding below the smallest float can put rows into a group without mass.
    return np.where(mass > 0, joint, 1.0) / np.where(mass > 0, mass, joint.shape[1])


def assigned(
    key: NDArray[np.int64],
    counts: NDArray[np.int64],
    *,
    groups: int,
    rng: np.random.Generator,
) -> NDArray[np.integer[Any]]:
    """Return a value for each row, so that each group gets as many of each value as `counts` says.

    Args:
        key: the group of each row.
        counts: one row for each group that has members, in the order of groups; a column a value.
        groups: number of groups, those without members too.
        rng: decides which rows of a group get which value.
    """
    present, sizes = counts.shape
    codes = np.arange(sizes, dtype=np.min_scalar_type(sizes - 1))
    column = np.empty(len(key), dtype=codes.dtype)
    order = shuffled_by_group(key, groups, rng=rng)
    column[order] = np.repeat(np.tile(codes, present), counts.ravel())
    return column


def systematic_counts(
    shares: NDArray[np.float64], members: NDArray[np.integer[Any]], *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return how many of each group's rows get each value; rows of the result sum to `members`.

    Each entry is its expectation rounded down or up, and equals it on average; a share of 0 gets
    no row.

    Args:
        shares: probabilities of the values, one row a group.
        members: number of rows in each group.
        rng: one uniform offset a group.
    """
    cumulative = np.cumsum(shares, axis=1) * members[:, None]
    offset = rng.random((len(members), 1))
    edges = np.floor(cumulative + offset).astype(np.int64)
    # Exact, whatever the floating-point sum of the shares is; values after the last share above 0
    # have the same cumulative share as that one, and so no part of the difference.
    np.copyto(edges, members[:, None], where=cumulative == cumulative[:, -1:])
    np.minimum(edges, members[:, None], out=edges)
    return np.diff(edges, axis=1, prepend=0)
