"""The order of tests on several workers, each of which begins with a share of all of them."""

from collections.abc import Callable, Sequence
from itertools import chain, groupby
from typing import Any, TypeVar

T = TypeVar("T")


def dealt(
    items: Sequence[T], workers: int, *, file: Callable[[T], Any], slow: Callable[[T], bool]
) -> list[T]:
    """Return `items` such that each worker's share begins with files that have slow tests.

    What is stolen from a worker is the end of its share. So the last tests of all are quick ones,
    and no worker is left with long ones when the others have nothing to do. Files stay together,
    since their tests have fixtures in common.

    Args:
        items: tests, those of a file one after the other.
        workers: so many have equal shares, in order.
        file: returns what tells the file of a test.
        slow: whether a test is slow.
    """
    files = [list(of) for _, of in groupby(items, key=file)]
    long = [of for of in files if any(map(slow, of))]
    quick = list(chain.from_iterable(of for of in files if not any(map(slow, of))))
    found: list[T] = []
    for worker in range(workers):
        mine = list(chain.from_iterable(long[worker::workers]))
        room = max(0, (len(items) - len(found)) // (workers - worker) - len(mine))
        found += mine + quick[:room]
        del quick[:room]
    return found + quick
