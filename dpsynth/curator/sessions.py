"""Accesses of many steps: each is checked, charged as a whole, told to the observer, and opened."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from dpsynth.curator.answering import Answering
from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.sgd import SgdPlan, SgdSession, refuse_mismatch
from dpsynth.curator.teachers import VotePlan, VotingSession
from dpsynth.errors import LedgerError

if TYPE_CHECKING:
    from dpsynth.privacy.receipt import Receipt


def dpsgd_session(
    answering: Answering,
    plan: SgdPlan,
    network: CheckedNetwork,
    *,
    rows: float,
    label: str,
    receipt: "Callable[[], Receipt]",
) -> SgdSession:
    """Return what `PrivateData.dpsgd` does.

    Args:
        answering, plan, network, label: as there.
        rows: the number of records to divide by: public, or bought; never the true one under
            add/remove.
        receipt: returns the receipt of what has been spent.

    Raises:
        InvalidValueError: a network that was checked for something else, or `rows` below 1.
        LedgerError: it is not the next event of the reserved plan.
        RecordsElsewhereError: the records are not in memory.
        TrainingError: an earlier run, which is gone on with, failed; it is not tried again.
        UnsupportedEventError: the accountant has no bound for it (filters have none), or a unit
            has several rows: clipping each row would not bound the unit.
    """
    codes = answering.trained_on(plan.event)
    refuse_mismatch(network, plan, domain=answering.pricing.domain, rows=rows)
    answering.ledger.charge(label, plan.event)
    answering.tell(label, plan.event, plan)
    return SgdSession(
        codes=codes,
        network=network,
        plan=plan,
        rows=rows,
        noise=answering.noise,
        receipt=receipt,
        kept=answering.journal.training(label, plan.event) if answering.journal else None,
    )


def voting_session(
    answering: Answering, plan: VotePlan, *, amount: float, label: str
) -> VotingSession:
    """Return what `PrivateData.teachers` does.

    Raises:
        LedgerError: answers are kept for another run: votes are not.
        RecordsElsewhereError: the records are not in memory.
    """
    if answering.journal is not None:
        raise LedgerError(label, "votes of teachers have no checkpoint")
    event = plan.priced(answering.pricing, amount)
    codes = answering.records("a vote of teachers")
    answering.ledger.charge(label, event)
    answering.tell(label, event, plan)
    return VotingSession(
        codes=codes,
        domain=answering.pricing.domain,
        plan=plan,
        event=event,
        noise=answering.noise,
    )
