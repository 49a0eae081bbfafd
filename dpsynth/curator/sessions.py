"""Accesses of many steps: each is charged as a whole, told to the observer, and then opened."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from dpsynth.curator.answering import Answering
from dpsynth.curator.sgd import SgdPlan, SgdSession
from dpsynth.curator.teachers import VotePlan, VotingSession
from dpsynth.errors import LedgerError

if TYPE_CHECKING:
    from dpsynth.privacy.receipt import Receipt


def dpsgd_session(
    answering: Answering, plan: SgdPlan, *, label: str, receipt: "Callable[[], Receipt]"
) -> SgdSession:
    """Return what `PrivateData.dpsgd` does."""
    codes = answering.trained_on(plan.event)
    answering.ledger.charge(label, plan.event)
    answering.tell(label, plan.event, plan)
    return SgdSession(
        codes=codes,
        domain=answering.pricing.domain,
        plan=plan,
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
