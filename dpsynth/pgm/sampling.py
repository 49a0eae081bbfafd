"""Rows from a calibrated junction tree, column by column, with nearly noise-free rounding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
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
            joint = _ordered(clique, marginal, (*known, attribute))
            key = _mixed_radix(rows, domain.axes(known), joint.shape[:-1])
            column = draw_column(key, joint.reshape(-1, joint.shape[-1]), n, rng=rng)
            rows[:, domain.axes((attribute,))[0]] = column
            known = (*known, attribute)
    return rows


def _ordered(
    clique: Clique, marginal: NDArray[np.float64], attributes: Clique
) -> NDArray[np.float64]:
    """Return the marginal of `attributes`, axes in that order."""
    gone = tuple(i for i, a in enumerate(clique) if a not in attributes)
    left = [a for a in clique if a in attributes]
    return marginal.sum(axis=gone).transpose([left.index(a) for a in attributes])


def _mixed_radix(
    rows: NDArray[np.integer[Any]], axes: Sequence[int], sizes: Sequence[int]
) -> NDArray[np.int64]:
    key = np.zeros(len(rows), dtype=np.int64)
    for axis, size in zip(axes, sizes, strict=True):
        key *= size
        key += rows[:, axis]
    return key


def draw_column(
    key: NDArray[np.int64], joint: NDArray[np.float64], n: int, *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return a value for each row, given the group `key` that it belongs to.

    Args:
        key: of each row, an index into `joint`.
        joint: weights of the values, one row a group, up to a factor.
        n: number of rows.
        rng: source of the rounding and of the order within a group.
    """
    groups, group_of_row, members = np.unique(key, return_inverse=True, return_counts=True)
    weights = joint[groups]
    mass = weights.sum(axis=1, keepdims=True)
    # A group that the model gives no mass at all can only hold rows that rounding put there.
    shares = np.where(mass > 0, weights, 1.0) / np.where(mass > 0, mass, weights.shape[1])
    counts = systematic_counts(shares, members, rng=rng)
    values = np.repeat(np.tile(np.arange(joint.shape[1]), len(groups)), counts.ravel())
    shuffled = rng.permutation(n)
    narrow = group_of_row.astype(np.min_scalar_type(len(groups)))  # 16 bits or less: radix sort
    order = shuffled[np.argsort(narrow[shuffled], kind="stable")]
    column = np.empty(n, dtype=np.int64)
    column[order] = values
    return column


def systematic_counts(
    shares: NDArray[np.float64], members: NDArray[np.integer[Any]], *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return how many of each group's rows get each value; rows of the result sum to `members`.

    Each entry is its expectation rounded down or up, and equals it on average.

    Args:
        shares: probabilities of the values, one row a group.
        members: number of rows in each group.
        rng: one uniform offset a group.
    """
    cumulative = np.cumsum(shares, axis=1) * members[:, None]
    offset = rng.random((len(members), 1))
    edges = np.floor(cumulative + offset).astype(np.int64)
    edges[:, -1] = members  # exact, whatever the floating-point sum of the shares is
    np.minimum(edges, members[:, None], out=edges)
    return np.diff(edges, axis=1, prepend=0)
