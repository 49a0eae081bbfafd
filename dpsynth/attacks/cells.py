"""Cells of any set of columns, told apart by sums of random numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def salted(
    tables: Sequence[NDArray[np.integer[Any]]], *, rng: np.random.Generator
) -> list[NDArray[np.uint64]]:
    """Return the tables with codes times a random odd number of 64 bits, one a column.

    Two records are in the same cell of some columns where their sums over those columns are equal.
    Sums wrap around; those of two different cells collide with probability 2^-64 times the largest
    power of two in a difference of codes: never, in practice.

    Args:
        tables: codes, all of the same columns.
        rng: source of the numbers.
    """
    columns = tables[0].shape[1]
    salt = 2 * rng.integers(2**63, size=columns, dtype=np.uint64) + np.uint64(1)
    return [codes.astype(np.uint64) * salt for codes in tables]
