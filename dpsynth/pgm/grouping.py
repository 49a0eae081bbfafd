"""Rows by group: who belongs where, in random order within each group."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Bits of randomness below which the packed sort gives way to two passes.
_FEWEST_BITS = 16
# The fractional part of the golden ratio, in 64 bits.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mixed_radix(
    rows: NDArray[np.integer[Any]], axes: Sequence[int], sizes: Sequence[int]
) -> NDArray[np.int64]:
    """Return one number for the codes that each row has in `axes`, the last axis fastest."""
    key = np.zeros(len(rows), dtype=np.int64)
    for axis, size in zip(axes, sizes, strict=True):
        key *= size
        key += rows[:, axis]
    return key


def shuffled_by_group(
    key: NDArray[np.int64], groups: int, *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the positions of `key`'s entries, group after group, in random order within each.

    Group, random bits and position are packed into one integer each, whose plain sort is many
    times as fast as a permutation and a stable sort. Entries of a group with the same random bits
    stay in the order of their positions; that says nothing about the rows, which are in random
    order themselves.

    Args:
        key: the group of each entry, from 0.
        groups: number of groups.
        rng: source of the order.
    """
    place_bits = max(1, (len(key) - 1).bit_length())
    spare = 64 - place_bits - max(1, (groups - 1).bit_length())
    if spare < _FEWEST_BITS:
        shuffled = rng.permutation(len(key))
        return shuffled[np.argsort(key[shuffled], kind="stable")]
    noise = rng.integers(0, 1 << spare, len(key), dtype=np.uint64)
    return _packed_order(key.astype(np.uint64), noise, spare, place_bits)


def spread_by_group(
    key: NDArray[np.int64],
    groups: int,
    context: NDArray[np.uint64],
    *,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the positions of `key`'s entries, group after group, neighbours in context far apart.

    Whoever hands out values in this order, the same ones one after the other, spreads each value
    evenly over the contexts of a group: the n-th entry in the order of contexts takes the place
    that the fractional part of n times the golden ratio has among all of them. Places are turned
    by a random number in each group, so that every entry is equally likely to have any.

    Args:
        key: the group of each entry, from 0.
        groups: number of groups.
        context: what entries of a group are ordered by, below 2 to the power `context_bits`.
        rng: source of the turns.

    Reference: Niederreiter 1992, section 3.1 (discrepancy of multiples of the golden ratio).
    """
    n = len(key)
    place_bits = max(1, (n - 1).bit_length())
    group = key.astype(np.uint64)
    order = _packed_order(group, context, context_bits(n, groups), place_bits)
    members = np.bincount(key, minlength=groups)
    starts = np.cumsum(members) - members
    sorted_key = key[order]
    first = starts[sorted_key]
    within = np.arange(n) - first
    bits = context_bits(n, groups)
    turned = (within.astype(np.uint64) * _GOLDEN) >> np.uint64(64 - bits)
    places = _packed_order(sorted_key.astype(np.uint64), turned, bits, place_bits)
    turns = rng.integers(0, np.maximum(members, 1))
    return order[places[first + (within + turns[sorted_key]) % members[sorted_key]]]


def context_bits(n: int, groups: int) -> int:
    """Return how many bits `spread_by_group` has for the context of `n` entries, at most 32."""
    place_bits, group_bits = max(1, (n - 1).bit_length()), max(1, (groups - 1).bit_length())
    return min(32, 64 - place_bits - group_bits)


def _packed_order(
    group: NDArray[np.uint64], minor: NDArray[np.uint64], minor_bits: int, place_bits: int
) -> NDArray[np.int64]:
    """Return the positions in the order of group, then of `minor`, by one plain sort."""
    packed = (group << np.uint64(minor_bits)) | minor
    packed <<= np.uint64(place_bits)
    packed |= np.arange(len(group), dtype=np.uint64)
    packed.sort()
    packed &= np.uint64((1 << place_bits) - 1)
    return packed.view(np.int64)
