"""Runs of which only the best leaves: paid for at once, each part sold through a door of its own.

A run is a few parts, each a plan of its own. What a part will ask is learned by rehearsing it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from dpsynth.curator.answering import Answering
from dpsynth.curator.rehearsal import rehearse
from dpsynth.errors import LedgerError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import ComposedEvent, Event, RepeatedEvent
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.stopping import drawn_runs


def rehearsed(
    answering: Answering, fit: Callable[[Answering], object], budget: Budget
) -> ComposedEvent | None:
    """Return what `fit` reserves under `budget`, which depends on public facts alone.

    No answer is drawn, and no ledger that counts is charged.

    Args:
        answering: of the records, under an accountant of plans.
        fit: asks, and lets the exceptions of its questions pass.
        budget: what the fit is given.

    Returns:
        The events of its plan, or None where it asks nothing.

    Raises:
        PrivacyError, InvalidValueError: the fit cannot reserve a plan under this budget.
    """

    own = _bound(answering, budget, only=None)
    if not rehearse(lambda stop: fit(replace(own, observer=stop))):
        return None
    return ComposedEvent(events=tuple(event for _, event in own.ledger.plan))


def repeated(
    answering: Answering, event: RepeatedEvent, budgets: Sequence[Budget], *, label: str
) -> list[list[Answering]]:
    """Charge all runs, draw how many there are, and return what answers each part of each.

    Relation: whatever the accountant's bound of one run is for. Sensitivity: of the run's events.
    Cost: that of the event, for the number of runs is drawn independently of the records, each run
    asks what the event states and nothing more, and the caller releases one run's outcome alone,
    the best by a score that was paid for within the run.

    Args:
        answering: of the records.
        event: its run has one composed event for each of `budgets`.
        budgets: what each part's own questions are scaled to; the event alone is what is paid.
        label: the ledger's.

    Raises:
        LedgerError: the event is not the next of the reserved plan, or a journal would tell of
            every run.

    Reference: Papernot & Steinke 2022, Theorems 2 and 6.
    """
    if answering.journal is not None:
        raise LedgerError(label, "runs of which only the best is released have no checkpoint")
    answering.ledger.charge(label, event)
    runs = drawn_runs(event, answering.noise)
    parts = list(zip(budgets, event.run, strict=True))
    return [[_bound(answering, budget, only=part) for budget, part in parts] for _ in range(runs)]


def _bound(answering: Answering, budget: Budget, *, only: Event | None) -> Answering:
    """Return what answers under a ledger of its own, which takes that plan and no other."""
    accountant = make_accountant(answering.pricing.accountant.name, budget)
    pricing = replace(answering.pricing, accountant=accountant)
    return replace(answering, ledger=Ledger(accountant, only=only), pricing=pricing)
