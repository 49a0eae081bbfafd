"""What a fit will reserve, learned before anything is answered: it is stopped at its first access.

A plan is reserved when nothing has been drawn, so that a fit can be run that far for nothing.
"""

from collections.abc import Callable
from typing import final

from dpsynth.curator.observation import Observation


@final
class _PlanReservedError(Exception):
    """Ends a rehearsal."""


def rehearse(fit: Callable[[Callable[[Observation], None]], object]) -> bool:
    """Run `fit` up to its first access, and return whether there was one.

    Args:
        fit: asks under a ledger of its own, with the observer that it is given, and lets the
            exceptions of its questions pass.

    Raises:
        PrivacyError, InvalidValueError: the fit cannot reserve a plan.
    """

    def stop(seen: Observation) -> None:
        del seen
        raise _PlanReservedError

    try:
        fit(stop)
    except _PlanReservedError:
        return True
    return False
