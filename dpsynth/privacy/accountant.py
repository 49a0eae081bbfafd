"""The protocol of accountants, and the factory that makes them by name.

An accountant turns events into a number that can be compared with a budget. It is immutable: what
was spent is the ledger's to know.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from math import exp, fsum, isfinite, nextafter
from typing import ClassVar

from dpsynth.errors import InvalidValueError, UnknownNameError, UnsupportedEventError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import ComposedEvent, Event, NoiseLaw, RepeatedEvent

# The part of delta kept back for samplers that are not exact (`Event.sampling_distance`).
SAMPLING_SHARE = 2.0**-20
# Sigma, scale and allotted amounts are made this much cheaper than asked for, so that the rounding
# of a budget cut into parts never makes the last part unaffordable.
ALLOWANCE = 2.0**-40


@dataclass(frozen=True)
class Accountant(ABC):
    """Prices events in its own currency, for one budget.

    Args:
        budget: the guarantee to keep.
        ceiling: capacity of a part of the budget, in the currency; None for the whole of it.
        set_aside: a part of the budget's delta that pays for answers which can fail
            (`Event.failure`); the events themselves are held to what is left of delta.
        failing: of a part of the budget, the failure that its allotment was charged for.

    Attributes:
        capacity: what may be spent, in the currency; the safe side of what the budget allows.

    Class attributes:
        name: the name that `make_accountant` knows.
        currency: what costs are counted in ("rho", "mu^2", "epsilon").
        adaptive: whether events may be chosen after seeing answers (a filter), or must be fixed
            before the first one (a plan).
        gaussian_law: the law of Gaussian noise in release mode.
        reference: the theorem behind the guarantee.

    Raises:
        InvalidValueError: a budget that the accountant cannot keep (delta 0, most often), or a
            ceiling above the budget's capacity, or all of delta set aside, or a failure paid for
            that is none of a part.
    """

    name: ClassVar[str]
    currency: ClassVar[str]
    adaptive: ClassVar[bool]
    gaussian_law: ClassVar[NoiseLaw]
    reference: ClassVar[str]

    budget: Budget
    ceiling: float | None = field(default=None, kw_only=True)
    set_aside: float = field(default=0.0, kw_only=True)
    failing: float = field(default=0.0, kw_only=True)
    capacity: float = field(init=False)

    def __post_init__(self) -> None:
        most = self.budget.delta * (1.0 - SAMPLING_SHARE)
        if self.set_aside != 0.0 and not 0.0 < self.set_aside < most:
            raise InvalidValueError("set_aside", self.set_aside, f"at least 0 and below {most!r}")
        if self.failing != 0.0 and (self.ceiling is None or not 0.0 < self.failing < 1.0):
            rule = "at least 0 and below 1, and 0 for the whole of a budget"
            raise InvalidValueError("failing", self.failing, rule)
        capacity = self._whole_capacity()
        if self.ceiling is not None:
            if not 0.0 < self.ceiling <= capacity:
                rule = f"above 0 and at most the budget's capacity {capacity!r}"
                raise InvalidValueError("ceiling", self.ceiling, rule)
            capacity = self.ceiling
        object.__setattr__(self, "capacity", capacity)

    @property
    def delta(self) -> float:
        """Delta that the events themselves may use: the budget's, less what pays for sampling and
        for failures."""
        return nextafter(self.budget.delta * (1.0 - SAMPLING_SHARE) - self.set_aside, 0.0)

    @property
    def failure_delta(self) -> float:
        """What the failures of all answers may add up to: the delta set aside for them; of a part
        what its allotment states, which whoever sold it was charged for (`privacy.failure`)."""
        return self.set_aside if self.ceiling is None else self.failing

    @property
    def sampling_delta(self) -> float:
        """Delta that pays for the distance of samplers from their stated laws.

        A part of the budget has none: what was allotted to it states no distance, so that whatever
        its ledger let pass would be paid by nobody, and once more in each further part.
        """
        return self.budget.delta * SAMPLING_SHARE if self.ceiling is None else 0.0

    @property
    def payable_distance(self) -> float:
        """The total variation that `sampling_delta` pays for, 1 + e^epsilon times."""
        # exp overflows beyond 709; a distance that delta must pay e^700 times is never covered
        return self.sampling_delta / (1.0 + exp(min(self.budget.epsilon, 700.0)))

    @abstractmethod
    def _whole_capacity(self) -> float:
        """Return what the whole budget is worth in the currency, rounded down."""

    @abstractmethod
    def cost(self, event: Event) -> float:
        """Return the additive cost of `event` in the currency, rounded up.

        Raises:
            UnsupportedEventError: no valid bound is known, or costs do not add (plan accountants).
        """

    @abstractmethod
    def epsilon(self, events: Sequence[Event]) -> float:
        """Return the epsilon of all `events` together at the budget's delta, never below the truth.

        Raises:
            UnsupportedEventError: no valid bound is known for one of them.
        """


@dataclass(frozen=True)
class Filter(Accountant):
    """An additive accountant whose events may be chosen adaptively, up to a fixed total."""

    adaptive: ClassVar[bool] = True

    def part(self, allotment: Event) -> "Filter":
        """Return the accountant of the part that `allotment` bought: the same budget, but no more
        to spend than the allotment says (its cost was rounded up; the part is rounded down), no
        more failure than it states, and no sampler that is not exact."""
        return type(self)(
            self.budget,
            ceiling=self.cost(allotment) * (1.0 - 2.0**-48),
            set_aside=self.set_aside,
            failing=allotment.failure,
        )

    @abstractmethod
    def gaussian_sigma(self, amount: float, *, sensitivity: float) -> float:
        """Return the standard deviation of Gaussian noise that costs at most `amount`.

        Args:
            amount: above 0, in the currency.
            sensitivity: L2 sensitivity of the query.

        Raises:
            UnsupportedEventError: the accountant cannot bound Gaussian noise.
        """

    @abstractmethod
    def laplace_scale(self, amount: float, *, sensitivity: float) -> float:
        """Return the scale of Laplace noise that costs at most `amount`.

        Args:
            amount: above 0, in the currency.
            sensitivity: L1 sensitivity of the query.
        """

    @abstractmethod
    def selection_epsilon(self, amount: float) -> float:
        """Return the epsilon of an exponential mechanism that costs at most `amount`."""

    @abstractmethod
    def allotment(self, amount: float) -> Event:
        """Return the event by which a part of the budget that costs at most `amount` is allotted;
        its own cost is the capacity of that part."""


@dataclass(frozen=True)
class PlanAccountant(Accountant):
    """An accountant for plans that are fixed before the first answer; costs do not add."""

    adaptive: ClassVar[bool] = False
    currency: ClassVar[str] = "epsilon"

    def _whole_capacity(self) -> float:
        require_delta(self)
        return float(self.budget.epsilon)

    def cost(self, event: Event) -> float:
        raise UnsupportedEventError(
            self.name, event, "events of a fixed plan have no cost of their own; reserve the plan"
        )


def require_delta(accountant: Accountant) -> None:
    """Raise InvalidValueError when the budget's delta is 0, which `accountant` cannot keep."""
    if accountant.budget.delta == 0.0:
        rule = f"above 0 for the {accountant.name!r} accountant (only 'pure' keeps delta 0)"
        raise InvalidValueError("delta", accountant.budget.delta, rule)


def check_amount(amount: float) -> None:
    """Raise InvalidValueError unless `amount` is a finite number above 0."""
    if not (isfinite(amount) and amount > 0.0):
        raise InvalidValueError("amount", amount, "a finite number above 0")


def sampling_distance(events: Iterable[Event]) -> float:
    """Return the summed distance of `events`, nested ones included, from the laws they state.

    Of a random number of runs it is the expected number times that of one: runs that are coupled
    with their stated laws part from them with at most that probability, by the union bound.
    """
    distances: list[float] = []
    pending = [(event, 1.0) for event in events]
    while pending:
        event, times = pending.pop()
        distances.append(times * event.sampling_distance)
        match event:
            case ComposedEvent():
                pending.extend((part, times) for part in event.events)
            case RepeatedEvent():
                expected = times * event.mean_runs * (1.0 + 2.0**-48)
                pending.extend((part, expected) for part in event.run)
            case _:
                pass
    return fsum(distances)


def flattened(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events, with composed ones replaced by their parts."""
    for event in events:
        if isinstance(event, ComposedEvent):
            yield from flattened(event.events)
        else:
            yield event


ADAPTIVE = ("zcdp", "gdp", "pure")
"""Accountants that take charges chosen after seeing answers."""

_ACCOUNTANTS = {
    "zcdp": "dpsynth.privacy.filters:ZcdpFilter",
    "gdp": "dpsynth.privacy.filters:GdpFilter",
    "pure": "dpsynth.privacy.filters:PureFilter",
    "pld": "dpsynth.privacy.pld:PldAccountant",
    "bounded_range": "dpsynth.privacy.bounded_range:BoundedRangeAccountant",
    "rdp": "dpsynth.privacy.renyi:RdpAccountant",
}


def make_accountant(
    name: str,
    budget: Budget,
    *,
    ceiling: float | None = None,
    set_aside: float = 0.0,
    failing: float = 0.0,
) -> Accountant:
    """Return the accountant called `name` for `budget`.

    Args:
        name: "zcdp", "gdp", "pure" (adaptive filters), "pld", "bounded_range" or "rdp" (fixed
            plans).
        budget: the guarantee to keep.
        ceiling: capacity of a part of the budget; None for the whole.
        set_aside: delta that pays for answers which can fail.
        failing: of a part, the failure that its allotment was charged for.

    Raises:
        UnknownNameError: no such accountant; the message lists close matches.
        InvalidValueError: a budget that it cannot keep.
    """
    if name not in _ACCOUNTANTS:
        raise UnknownNameError("accountant", name, _ACCOUNTANTS)
    module, _, attribute = _ACCOUNTANTS[name].partition(":")
    cls = getattr(import_module(module), attribute)
    made: Accountant = cls(budget, ceiling=ceiling, set_aside=set_aside, failing=failing)
    return made


def accountant_of(budget: Budget, accountant: str | Accountant) -> Accountant:
    """Return the accountant of that name for `budget`, or `accountant` itself when it is one.

    Raises:
        UnknownNameError: no such accountant.
        InvalidValueError: a budget that it cannot keep, or an accountant of another budget.
    """
    if isinstance(accountant, str):
        return make_accountant(accountant, budget)
    if accountant.budget != budget:
        raise InvalidValueError("budget of the accountant", accountant.budget, f"{budget}")
    return accountant
