"""Rows by group: who belongs where, in random order within each group."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Bits of randomness below which the packed sort gives way to two passes.
_FEWEST_BITS = 16


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
    packed = rng.integers(0, 1 << spare, len(key), dtype=np.uint64)
    packed |= key.astype(np.uint64) << np.uint64(spare)
    packed <<= np.uint64(place_bits)
    packed |= np.arange(len(key), dtype=np.uint64)
    packed.sort()
    packed &= np.uint64((1 << place_bits) - 1)
    return packed.view(np.int64)
