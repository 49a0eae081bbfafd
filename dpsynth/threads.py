"""Linear algebra in one thread, so that its last digits are the same whatever the machine is."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the linear algebra inside run in one thread; also a decorator.

    Sums that several threads share out are added up in an order that depends on their number, and
    a fit carries a difference in the last digit to what it chooses next. Vectors are short here:
    threads that wait for one another, or for a core that something else uses, cost up to ten times
    what they bring.
    """
    with _pools().limit(limits=1, user_api="blas"):
        yield


@cache
def _pools() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    # NumPy and SciPy bring a library each, and one that is loaded later is not among those found.
    import_module("scipy.optimize")
    return ThreadpoolController()
