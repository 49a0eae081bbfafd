"""Rows from a calibrated junction tree, column by column, with nearly noise-free rounding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.grouping import context_bits, mixed_radix, shuffled_by_group, spread_by_group
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
    each value gets its expected number of rows, rounded down or up without bias. Which rows get it
    is spread evenly over the other attributes (`context_of`), so that marginals across cliques are
    closer to the model than those of a random sample.

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
    done: list[str] = []
    for clique, separator, marginal in zip(tree.cliques, tree.separators, marginals, strict=True):
        known: Clique = separator
        for attribute in (a for a in clique if a not in separator):
            joint = ordered(clique, marginal, (*known, attribute))
            key = mixed_radix(rows, domain.axes(known), joint.shape[:-1])
            flat = joint.reshape(-1, joint.shape[-1])
            others = tuple(a for a in done if a not in known)
            context = context_of(rows, domain, others, groups=len(flat), rng=rng)
            column = draw(key, flat, context=context, rng=rng)
            rows[:, domain.axes((attribute,))[0]] = column
            known = (*known, attribute)
            done.append(attribute)
    return rows


def context_of(
    rows: NDArray[np.integer[Any]],
    domain: Domain,
    others: Clique,
    *,
    groups: int,
    rng: np.random.Generator,
) -> NDArray[np.uint64] | None:
    """Return what the rows of a group are ordered by before values are handed out to them.

    Given its group a row's value is independent of its other attributes. Handing values out at
    random gives that up to the error of a random sample; handing them out evenly over the values
    that some other attributes have, up to much less. Which ones is drawn anew for each column.

    Args:
        rows: codes; the columns of `others` are there.
        domain: of the rows.
        others: attributes outside of the group.
        groups: number of groups.
        rng: source of the choice.

    Returns:
        One number a row, or None where there is no other attribute.
    """
    room, chosen = 1 << context_bits(len(rows), groups), list[str]()
    for i in rng.permutation(len(others)):
        size = domain.sizes[others[i]]
        if room < size:
            break
        room //= size
        chosen.append(others[i])
    if not chosen:
        return None
    sizes = [domain.sizes[a] for a in chosen]
    return mixed_radix(rows, domain.axes(chosen), sizes).view(np.uint64)


def ordered(
    clique: Clique, marginal: NDArray[np.float64], attributes: Clique
) -> NDArray[np.float64]:
    """Return the marginal of `attributes`, axes in that order."""
    gone = tuple(i for i, a in enumerate(clique) if a not in attributes)
    left = [a for a in clique if a in attributes]
    return marginal.sum(axis=gone).transpose([left.index(a) for a in attributes])


def draw(
    key: NDArray[np.int64],
    joint: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    context: NDArray[np.uint64] | None = None,
) -> NDArray[np.integer[Any]]:
    """Return a value for each row, with systematic rounding in each group.

    Args:
        key: the group of each row.
        joint: weights of the values, one row a group.
        rng: source of the rounding and of the order within a group.
        context: as of `assigned`.
    """
    members = np.bincount(key, minlength=len(joint))
    groups = np.flatnonzero(members)
    counts = systematic_counts(conditional(joint[groups]), members[groups], rng=rng)
    return assigned(key, counts, groups=len(joint), rng=rng, context=context)


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
    context: NDArray[np.uint64] | None = None,
) -> NDArray[np.integer[Any]]:
    """Return a value for each row, so that each group gets as many of each value as `counts` says.

    Args:
        key: the group of each row.
        counts: one row for each group that has members, in the order of groups; a column a value.
        groups: number of groups, those without members too.
        rng: decides which rows of a group get which value.
        context: what values are spread evenly over (`context_of`); None: over nothing.
    """
    present, sizes = counts.shape
    codes = np.arange(sizes, dtype=np.min_scalar_type(sizes - 1))
    column = np.empty(len(key), dtype=codes.dtype)
    if context is None:
        order = shuffled_by_group(key, groups, rng=rng)
    else:
        order = spread_by_group(key, groups, context, rng=rng)
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
