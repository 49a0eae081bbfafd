"""What the part of a budget that one charge bought was spent on: of which, never in addition.

A part is charged as a whole before anything is asked within it, whatever that turns out to be
(`filters.part_of`). What was asked is told beside the charge in shares of it, which are no charges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import final

from dpsynth.errors import LedgerError
from dpsynth.privacy.accountant import Accountant
from dpsynth.privacy.event_json import (
    Json,
    canonical_json,
    event_from_json,
    event_to_json,
    float_from_json,
    integer_from_json,
    object_from_text,
    sequence_from_json,
    text_from_json,
)
from dpsynth.privacy.events import Event
from dpsynth.privacy.filters import part_of

NOTE = "shares of what the entry was charged for; nothing here is charged in addition"
# What was computed on another machine, or with other versions, may differ by this much.
_AGREEMENT = 1e-6
# A smaller share would be told as 0.00%.
_SHOWN = 5e-5
Asked = Sequence[tuple[str, Event]]


@final
@dataclass(frozen=True, kw_only=True)
class Purchase:
    """One question that was asked within a part.

    Args:
        label: what it was for.
        event: what was run.
        share: of what the whole part costs, in the part's currency: above 0, at most 1.
    """

    label: str
    event: Event
    share: float


@final
@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """What one entry of a ledger was spent on.

    Args:
        entry: position of the entry in the ledger.
        currency: that the part was spent in, in which its purchases add up: "mu^2", "rho", ...
        amount: what the whole part costs in it.
        purchases: in the order in which they were asked.
    """

    entry: int
    currency: str
    amount: float
    purchases: tuple[Purchase, ...]

    @property
    def unused(self) -> float:
        """The share that nothing was asked for; it was charged all the same."""
        return max(0.0, 1.0 - fsum(each.share for each in self.purchases))

    def lines(self) -> list[str]:
        """Return lines for people, to stand below the entry; none where it was one question."""
        if len(self.purchases) == 1 and self.unused < _SHOWN:
            return []
        name, whole = self._spoken(1.0)
        head = f"all within this line's {name} {whole:.4g}, nothing of it in addition"
        if name == "mu":
            head += "; shares are of mu^2, which adds up"
        lines = [f"         {head}:"]
        for each in self.purchases:
            part = f"{name} {self._spoken(each.share)[1]:.4g}"
            lines.append(f"         of which {each.share:7.2%}  {part:<14} {each.label}")
        if self.unused >= _SHOWN:
            lines.append(f"         of which {self.unused:7.2%}  {'':<14} not used")
        return lines

    def _spoken(self, share: float) -> tuple[str, float]:
        """Return a share as people state it: of Gaussian DP as mu, which is a root."""
        amount = share * self.amount
        return ("mu", sqrt(amount)) if self.currency == "mu^2" else (self.currency, amount)

    def to_json(self) -> Json:
        """Return the breakdown as a JSON object."""
        return {
            "entry": self.entry,
            "note": NOTE,
            "currency": self.currency,
            "amount_of_entry": self.amount,
            "of_which": [
                {
                    "label": each.label,
                    "share_of_entry": each.share,
                    "event": event_to_json(each.event),
                }
                for each in self.purchases
            ],
            "share_unused": self.unused,
        }

    @classmethod
    def from_json(cls, record: Json) -> "Breakdown":
        """Return what `to_json` wrote; InvalidValueError where it is something else."""
        purchases: list[Purchase] = []
        for row in sequence_from_json("of_which", record.get("of_which")):
            each = object_from_text("purchase", canonical_json(row))
            purchases.append(
                Purchase(
                    label=text_from_json("label", each.get("label")),
                    event=event_from_json(each.get("event")),
                    share=float_from_json("share_of_entry", each.get("share_of_entry")),
                )
            )
        return cls(
            entry=integer_from_json("entry", record.get("entry")),
            currency=text_from_json("currency", record.get("currency")),
            amount=float_from_json("amount_of_entry", record.get("amount_of_entry")),
            purchases=tuple(purchases),
        )


def breakdown(entry: int, allotment: Event, asked: Asked, accountant: Accountant) -> Breakdown:
    """Return what a part was spent on.

    Args:
        entry: position of its charge in the ledger.
        allotment: the event of that charge.
        asked: labels and events of what was asked within.
        accountant: of the ledger.

    Raises:
        LedgerError: they cost more than the part.
        UnsupportedEventError: the part cannot price one of them.
    """
    part = part_of(accountant, allotment)
    whole = part.cost(allotment)
    purchases = tuple(
        Purchase(label=label, event=event, share=part.cost(event) / whole) for label, event in asked
    )
    if not fsum(each.share for each in purchases) <= 1.0 + _AGREEMENT:
        raise LedgerError("breakdown", f"what was asked within entry {entry} costs more than it")
    return Breakdown(entry=entry, currency=part.currency, amount=whole, purchases=purchases)


def agree(stated: Sequence[Breakdown], events: Sequence[Event], accountant: Accountant) -> bool:
    """Return whether breakdowns are what their own events say, of entries that there are.

    Args:
        stated: of a receipt.
        events: of its ledger.
        accountant: the ledger's.

    Raises:
        LedgerError, UnsupportedEventError: as of `breakdown`.
    """
    entries = [one.entry for one in stated]
    if entries != sorted(set(entries)) or not all(0 <= at < len(events) for at in entries):
        return False
    for one in stated:
        asked = [(each.label, each.event) for each in one.purchases]
        own = breakdown(one.entry, events[one.entry], asked, accountant)
        pairs = [(one.amount, own.amount)]
        pairs += [(p.share, q.share) for p, q in zip(one.purchases, own.purchases, strict=True)]
        close = all(abs(x - y) <= _AGREEMENT * y for x, y in pairs)
        if one.currency != own.currency or not close:
            return False
    return True
