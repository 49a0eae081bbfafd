"""The ledger: every unit of privacy that was spent, checked and recorded before it was spent.

It is append-only: no refund, no setter. Entries form a SHA-256 chain that starts from the budget
and the accountant. The chain shows that a stored ledger was cut, reordered or edited by accident or
in part; whoever can rewrite all of a file can also rewrite its digests, so keep the last digest
elsewhere when that matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import exp, fsum, isfinite, nextafter
from threading import Lock
from typing import TYPE_CHECKING, Literal, final

from dpsynth.errors import BudgetExceededError, LedgerError
from dpsynth.privacy.accountant import (
    Accountant,
    PlanAccountant,
    make_accountant,
    sampling_distance,
)
from dpsynth.privacy.breakdown import Breakdown, breakdown
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.event_json import (
    Json,
    budget_from_json,
    budget_to_json,
    canonical_json,
    event_from_json,
    event_to_json,
    float_from_json,
    object_from_text,
    sequence_from_json,
    text_from_json,
)
from dpsynth.privacy.events import ComposedEvent, Event, GdpEvent
from dpsynth.privacy.failure import failure
from dpsynth.privacy.trajectory import Trajectory, trajectories

if TYPE_CHECKING:
    from dpsynth.privacy.receipt import Receipt

FORMAT = "dpsynth-ledger-1"
# Costs that were computed on another machine, or with other versions, may differ by this much.
_AGREEMENT = 1e-6
Plan = tuple[tuple[str, Event], ...]
Parts = tuple[tuple[str, GdpEvent], ...]
_CHANGED = (
    "the plan is not the one that was reserved before the first answer, so that it depends on "
    "answers, which no bound of a fixed plan allows"
)


@final
@dataclass(frozen=True, kw_only=True)
class Entry:
    """One charge.

    Args:
        index: position in the ledger, from 0.
        label: what it was for.
        event: what was run.
        cost: in the accountant's currency. Under a plan accountant the first entry carries the cost
            of the whole plan, since plans have no additive cost; the others carry 0.
        previous: digest of the entry before; for the first, of the ledger's header.
        digest: SHA-256 of this entry and `previous`.
    """

    index: int
    label: str
    event: Event
    cost: float
    previous: str
    digest: str


@final
class Ledger:
    """A budget, and what was spent of it.

    Args:
        accountant: prices events, and holds the budget.
        only: what was paid for elsewhere: the one plan that may be reserved; None: any.
        ahead: what every plan of this ledger begins with, for somebody else than whoever reserves
            the rest: charged as soon as that is reserved, before there is an answer.
    """

    __slots__ = (
        "_accountant",
        "_ahead",
        "_entries",
        "_lock",
        "_only",
        "_parts",
        "_plan",
        "_plan_cost",
    )

    def __init__(
        self, accountant: Accountant, *, only: Event | None = None, ahead: Parts = ()
    ) -> None:
        self._accountant, self._only, self._ahead = accountant, only, ahead
        self._entries: tuple[Entry, ...] = ()
        self._plan: Plan = ()
        self._plan_cost = 0.0
        self._parts: dict[int, Ledger] = {}
        self._lock = Lock()

    @property
    def accountant(self) -> Accountant:
        return self._accountant

    @property
    def budget(self) -> Budget:
        return self._accountant.budget

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self._entries

    @property
    def plan(self) -> Plan:
        """What was reserved: labels and events, in the order in which they must be charged."""
        return self._plan

    @property
    def ahead(self) -> Parts:
        """The parts that a plan begins with, whoever reserves the rest."""
        return self._ahead

    @property
    def capacity(self) -> float:
        return self._accountant.capacity

    @property
    def spent(self) -> float:
        return fsum(entry.cost for entry in self._entries)

    @property
    def remaining(self) -> float:
        """What is left, in the currency, to the last bit that a charge of it would still fit."""
        if self._plan:
            return 0.0  # a plan is reserved once, and commits the ledger
        costs = [entry.cost for entry in self._entries]
        left = max(0.0, self.capacity - fsum(costs))
        while left > 0.0 and fsum([*costs, left]) > self.capacity:
            left = nextafter(left, 0.0)
        return left

    def reserve(self, plan: Sequence[tuple[str, Event]]) -> None:
        """Commit the ledger to a plan that is fixed before the first answer.

        Behind parts that were sold ahead, what was reserved may be stated once more by whoever
        follows it; that changes nothing.

        Args:
            plan: labels and events in the order in which they will be charged.

        Raises:
            LedgerError: the accountant is a filter, the plan is empty, one is reserved already, or
                another was paid for, or the answers of a part ahead have changed it.
            BudgetExceededError: the plan as a whole does not fit; nothing is reserved.
            UnsupportedEventError: the accountant has no bound for one of the events.
        """
        with self._lock:
            first = plan[0][0] if plan else "plan"
            if not isinstance(self._accountant, PlanAccountant):
                raise LedgerError(first, f"the {self._accountant.name} accountant takes no plan")
            if not plan:
                raise LedgerError(first, "a reserved plan must have at least one event")
            if self._ahead and self._plan:
                if self._plan[len(self._entries) :] == tuple(plan):
                    return
                raise LedgerError(first, _CHANGED)
            if self._plan:
                raise LedgerError(first, "a plan is reserved already")
            whole = (*self._ahead, *plan)
            events = [event for _, event in whole]
            if self._only not in (None, ComposedEvent(events=tuple(events))):
                raise LedgerError(first, "the plan is not the one that was paid for")
            self._check_sampling(first, events)
            cost = float(self._accountant.epsilon(events))
            self._check_capacity(first, cost)
            self._plan, self._plan_cost = whole, cost
            for label, event in self._ahead:
                self._append(label, event, self._planned_cost(label, event))

    def charge(self, label: str, event: Event) -> None:
        """Record `event`, provided that the budget covers it; call this before drawing any noise.

        A refused charge changes nothing.

        Args:
            label: what the event is for.
            event: what will be run.

        Raises:
            BudgetExceededError: the budget does not cover it.
            UnsupportedEventError: the accountant has no valid bound for it.
            LedgerError: it is not the next event of the reserved plan.
        """
        with self._lock:
            if isinstance(self._accountant, PlanAccountant):
                cost = self._planned_cost(label, event)
            else:
                cost = float(self._accountant.cost(event))
                self._check_capacity(label, cost)
                self._check_sampling(label, [*(e.event for e in self._entries), event])
            self._append(label, event, cost)

    def opened(self, part: "Ledger", label: str, event: Event) -> None:
        """Note, for `breakdowns`, that a charge (the last of this label and event that is not noted
        yet) is spent through a ledger of its own; it costs nothing more."""
        with self._lock:
            made = {i for i, e in enumerate(self._entries) if (e.label, e.event) == (label, event)}
            self._parts[max(made - self._parts.keys())] = part

    def _planned_cost(self, label: str, event: Event) -> float:
        index = len(self._entries)
        if not self._plan:
            rule = f"the {self._accountant.name} accountant charges only what was reserved first"
            raise LedgerError(label, rule)
        if index >= len(self._plan):
            raise LedgerError(label, f"all {index} events of the reserved plan are charged already")
        if self._plan[index] != (label, event):
            expected = self._plan[index][0]
            rule = f"the reserved plan continues with {expected!r}, or with another event"
            raise LedgerError(label, rule)
        return self._plan_cost if index == 0 else 0.0

    def _check_capacity(self, label: str, cost: float) -> None:
        total = fsum([*(entry.cost for entry in self._entries), cost])
        if not (isfinite(cost) and total <= self.capacity):
            raise BudgetExceededError(label, cost, self.remaining, self._accountant.currency)

    def _check_sampling(self, label: str, events: Sequence[Event]) -> None:
        distance, failed = sampling_distance(events), failure(events)
        allowed = self._accountant.failure_delta
        if allowed == 0.0:
            distance += failed  # nothing was set aside: it is a distance, whatever else it is
        elif failed > allowed:
            raise BudgetExceededError(label, failed, allowed, "delta")
        if distance == 0.0:
            return
        allowed = self._accountant.sampling_delta
        # exp overflows beyond 709; a distance that delta must pay e^700 times is never covered
        cost = (1.0 + exp(min(self.budget.epsilon, 700.0))) * distance * (1.0 + 2.0**-50)
        if cost > allowed:
            raise BudgetExceededError(label, cost, allowed, "delta")

    def _append(self, label: str, event: Event, cost: float) -> None:
        index = len(self._entries)
        previous = self._entries[-1].digest if self._entries else self._header_digest()
        body = _entry_body(index, label, event, cost)
        entry = Entry(
            index=index,
            label=label,
            event=event,
            cost=cost,
            previous=previous,
            digest=_digest(previous, body),
        )
        self._entries = (*self._entries, entry)

    def _header(self) -> Json:
        ceiling = self._accountant.ceiling
        header: Json = {
            "format": FORMAT,
            "accountant": self._accountant.name,
            "budget": budget_to_json(self.budget),
            "ceiling": None if ceiling is None else float(ceiling),
            "plan": [[label, event_to_json(event)] for label, event in self._plan],
        }
        if self._accountant.set_aside > 0.0:
            header["set_aside"] = float(self._accountant.set_aside)
        if self._accountant.failing > 0.0:
            header["failing"] = float(self._accountant.failing)
        return header

    def _header_digest(self) -> str:
        return _digest("", self._header())

    def epsilon_spent(self) -> float:
        """Return the epsilon, at the budget's delta, of everything charged so far."""
        entries = self._entries
        if not entries:
            return 0.0
        if self._plan and len(entries) == len(self._plan):
            return self._plan_cost
        return self._accountant.epsilon([entry.event for entry in entries])

    def trajectories(self) -> tuple[Trajectory, ...]:
        """Return how epsilon grows with the steps of each DP-SGD run that was charged."""
        return trajectories([entry.event for entry in self._entries], self._accountant)

    def breakdowns(self) -> tuple[Breakdown, ...]:
        """Return what was asked so far within each part that was charged as a whole."""
        found: list[Breakdown] = []
        for at, part in sorted(self._parts.items()):
            asked = [(entry.label, entry.event) for entry in part.entries]
            found.append(breakdown(at, self._entries[at].event, asked, self._accountant))
        return tuple(found)

    def to_json(self) -> str:
        """Return the ledger as JSON text, with its chain."""
        rows = [_entry_to_json(entry) for entry in self._entries]
        head = self._entries[-1].digest if self._entries else self._header_digest()
        return canonical_json({**self._header(), "entries": rows, "head": head})

    @classmethod
    def from_json(cls, text: str) -> "Ledger":
        """Return the ledger that `to_json` wrote, after pricing it anew and following its chain.

        It is a record of what was spent: two copies that are both charged on spend twice.

        Raises:
            LedgerError: an entry, its order, its cost or a digest is not what the chain says.
            BudgetExceededError: the entries exceed the budget.
            InvalidValueError: the text is not a ledger.
            UnknownNameError: an unknown accountant or event.
        """
        record = object_from_text("ledger", text)
        fields = {"format", "accountant", "budget", "ceiling", "plan", "entries", "head"}
        if set(record) - {"set_aside", "failing"} != fields or record["format"] != FORMAT:
            raise LedgerError("header", f"it must be a {FORMAT} record with all its fields")
        ceiling = record["ceiling"]
        accountant = make_accountant(
            text_from_json("accountant", record["accountant"]),
            budget_from_json(record["budget"]),
            ceiling=None if ceiling is None else float_from_json("ceiling", ceiling),
            set_aside=float_from_json("set_aside", record.get("set_aside", 0.0)),
            failing=float_from_json("failing", record.get("failing", 0.0)),
        )
        ledger = cls(accountant)
        plan = _plan_from_json(record["plan"])
        if plan:
            ledger.reserve(plan)
        for row in sequence_from_json("entries", record["entries"]):
            ledger._replay(row)
        head = ledger._entries[-1].digest if ledger._entries else ledger._header_digest()
        if record["head"] != head:
            raise LedgerError("head", "the last digest is not that of the entries")
        return ledger

    def _replay(self, row: object) -> None:
        text = canonical_json(row)
        record = object_from_text("entry", text)
        label = text_from_json("label", record.get("label"))
        event = event_from_json(record.get("event"))
        cost = float_from_json("cost", record.get("cost"))
        if isinstance(self._accountant, PlanAccountant):
            expected = self._planned_cost(label, event)
        else:
            expected = self._accountant.cost(event)
        if not abs(cost - expected) <= _AGREEMENT * expected:
            raise LedgerError(label, f"it costs {expected!r}, not {cost!r}")
        total = fsum([*(entry.cost for entry in self._entries), cost])
        if not total <= self.capacity * (1.0 + _AGREEMENT):
            raise BudgetExceededError(label, cost, self.remaining, self._accountant.currency)
        self._check_sampling(label, [*(entry.event for entry in self._entries), event])
        self._append(label, event, cost)
        if canonical_json(_entry_to_json(self._entries[-1])) != text:
            raise LedgerError(label, "the hash chain is broken here")

    def receipt(
        self, *, mode: Literal["research", "release"], unprotected: Sequence[str] = ()
    ) -> "Receipt":
        """Return the receipt of everything charged so far.

        Args:
            mode: "research" (seeded noise; the receipt is marked not for release) or "release".
            unprotected: quantities used that no charge covers (bounds drafted from public data).
        """
        from dpsynth.privacy.receipt import make_receipt

        return make_receipt(self, mode=mode, unprotected=unprotected)


def _entry_body(index: int, label: str, event: Event, cost: float) -> Json:
    return {"index": index, "label": label, "event": event_to_json(event), "cost": cost}


def _entry_to_json(entry: Entry) -> Json:
    body = _entry_body(entry.index, entry.label, entry.event, entry.cost)
    return {**body, "previous": entry.previous, "digest": entry.digest}


def _digest(previous: str, body: Json) -> str:
    return sha256((previous + canonical_json(body)).encode()).hexdigest()


def _plan_from_json(value: object) -> Plan:
    plan: list[tuple[str, Event]] = []
    for item in sequence_from_json("plan", value):
        pair = sequence_from_json("plan item", item)
        if len(pair) != 2:
            raise LedgerError("plan", "each item must be a label and an event")
        plan.append((text_from_json("label", pair[0]), event_from_json(pair[1])))
    return tuple(plan)
