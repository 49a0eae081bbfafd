"""Where random bits come from: blocks of 64-bit words, of the system or of a seeded generator."""

import os
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Words: TypeAlias = Callable[[int], NDArray[np.uint64]]
"""`words(n)` returns n independent uniform 64-bit words."""


def system_words(n: int) -> NDArray[np.uint64]:
    """Return `n` words of the operating system's cryptographic generator."""
    return np.frombuffer(os.urandom(8 * n), dtype=np.uint64)


def generator_words(rng: np.random.Generator) -> Words:
    """Return a source that reads its words from `rng`: the same samplers, reproducible."""

    def words(n: int) -> NDArray[np.uint64]:
        return np.frombuffer(rng.bytes(8 * n), dtype=np.uint64)

    return words


def random_signs(n: int, words: Words) -> NDArray[np.float64]:
    """Return `n` independent signs, -1.0 or 1.0 with probability 1/2 each."""
    bits = np.unpackbits(words(-(-n // 64)).view(np.uint8), count=n)
    return np.where(bits, -1.0, 1.0)


def uniform_below(bound: int, n: int, words: Words) -> NDArray[np.int64]:
    """Return `n` exactly uniform integers of [0, bound), by rejection of masked words.

    Args:
        bound: from 1 to 2**62.
        n: how many.
        words: the source of random bits.
    """
    mask = np.uint64((1 << (bound - 1).bit_length()) - 1)
    kept = np.empty(0, dtype=np.int64)
    while kept.size < n:
        draws = (words(2 * (n - kept.size) + 8) & mask).astype(np.int64)
        kept = np.concatenate([kept, draws[draws < bound]])
    return kept[:n]
