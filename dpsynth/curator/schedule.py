"""A fit's accesses, stated before the first of them: how many of which kind, for which shares.

A generator whose steps are known beforehand asks once for the noise of all of them
(`PrivateData.schedule`). Filters sell each step its share as they sell anything else; accountants
of fixed plans price the whole in its order, and reserve it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import TypeAlias, final

from dpsynth.curator.pricing import Pricing, share
from dpsynth.curator.queries import MarginalQuery
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.accountant import Filter
from dpsynth.privacy.calibration import largest_scale
from dpsynth.privacy.events import ComposedEvent, Event, ExponentialEvent
from dpsynth.privacy.filters import ZcdpFilter
from dpsynth.privacy.ledger import Ledger


@final
@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Marginals of equal noise, bought by one call of `marginals` (or of `marginal`).

    Args:
        share: part of the budget for all of them.
        queries: how many; which ones may depend on earlier answers.
        label: the ledger's.
    """

    share: float
    queries: int
    label: str


@final
@dataclass(frozen=True, kw_only=True)
class Selections:
    """Selections of equal epsilon, each among two candidates or more: a single candidate is chosen
    for nothing, and must not be scheduled.

    Args:
        share: part of the budget for all of them.
        rounds: how many.
        label: the ledger's.
    """

    share: float
    rounds: int
    label: str


Step: TypeAlias = Measurements | Selections


def buy_schedule(pricing: Pricing, ledger: Ledger, steps: Sequence[Step]) -> list[float]:
    """Return sigma of each step's measurements, or epsilon of its selections.

    Under a filter nothing is charged yet, and a step costs its share of what remains. Under an
    accountant of fixed plans costs do not add, and shares are of rho: a Gaussian of a quarter of
    the variance is four times as dear, and so is a selection of twice the epsilon. The whole is
    scaled until it fits, and reserved; steps must follow in this order, under these labels.

    Args:
        pricing: makes the events.
        ledger: what remains, or where the plan is reserved.
        steps: with shares that are above 0 and at most 1 in sum.

    Raises:
        InvalidValueError: no steps, wrong shares, a step of fewer than one access, or nothing left.
        LedgerError: a plan is reserved already.
        UnsupportedEventError: the accountant has no bound for what a step needs.
    """
    total = fsum(step.share for step in steps)
    if not (all(step.share > 0.0 for step in steps) and 0.0 < total <= 1.0 + 2.0**-50):
        shares = tuple(step.share for step in steps)
        raise InvalidValueError("shares", shares, "one or more, above 0, at most 1 in sum")
    if isinstance(pricing.accountant, Filter):
        return _levels(pricing, steps, ledger.remaining)
    rates = replace(pricing, accountant=ZcdpFilter(pricing.accountant.budget))
    whole = rates.accountant.capacity

    def events(scale: float) -> list[Event]:
        levels = _levels(rates, steps, whole * scale)
        return [event for _, event in (*ledger.ahead, *_plan(pricing, steps, levels))]

    levels = _levels(rates, steps, whole * largest_scale(pricing.accountant, events))
    ledger.reserve(_plan(pricing, steps, levels))
    return levels


def _levels(pricing: Pricing, steps: Sequence[Step], amount: float) -> list[float]:
    """Return the noise of each step that costs its share of `amount` under a filter."""
    levels: list[float] = []
    for step in steps:
        part = amount * step.share
        match step:
            case Measurements():
                levels.append(pricing.sigma(share(part, "queries", step.queries)))
            case Selections():
                each = share(part, "rounds", step.rounds)
                levels.append(pricing.filter.selection_epsilon(each))
    return levels


def _plan(
    pricing: Pricing, steps: Sequence[Step], levels: Sequence[float]
) -> list[tuple[str, Event]]:
    """Return the charges that the steps will make; the cost of a marginal is that of any other."""
    any_marginal = MarginalQuery(clique=pricing.domain.attributes[:1])
    plan: list[tuple[str, Event]] = []
    for step, level in zip(steps, levels, strict=True):
        match step:
            case Measurements(queries=1):
                plan.append((step.label, pricing.event(any_marginal, level)))
            case Measurements():
                parts = (pricing.event(any_marginal, level),) * step.queries
                plan.append((step.label, ComposedEvent(events=parts)))
            case Selections():
                plan += [(step.label, ExponentialEvent(epsilon=level))] * step.rounds
    return plan
