"""Linear algebra in one thread, so that its last digits are the same whatever the machine is."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, final

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
    _GATE.enter()
    try:
        yield
    finally:
        _GATE.leave()


@final
class _Gate:
    """Counts who is inside, since the setting is the process's: the last to leave gives it back."""

    def __init__(self) -> None:
        self._lock, self._inside, self._limit = Lock(), 0, ExitStack()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._limit.enter_context(_pools().limit(limits=1, user_api="blas"))
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.close()


_GATE = _Gate()


@cache
def _pools() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    # NumPy and SciPy bring a library each, and one that is loaded later is not among those found.
    import_module("scipy.optimize")
    return ThreadpoolController()
