"""The three steps of every access, in this order: charge, tell the observer, draw."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import Counter
from dpsynth.curator.journal import Journal, Write
from dpsynth.curator.knowledge import Zeros, zeros_of_groups
from dpsynth.curator.merging import MergedQuery, Merging
from dpsynth.curator.observation import Observation
from dpsynth.curator.pricing import Pricing
from dpsynth.curator.queries import AdditiveQuery, Query
from dpsynth.curator.sgd import SgdPlan
from dpsynth.curator.teachers import VotePlan
from dpsynth.data.domain import Clique
from dpsynth.errors import RecordsElsewhereError, UnsupportedEventError
from dpsynth.privacy.events import ComposedEvent, Event, ExponentialEvent
from dpsynth.privacy.filters import part_of
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import NoiseSource


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Answering:
    """What a curator answers with.

    Args:
        ledger: is charged.
        pricing: makes the events; knows the domain.
        noise: is drawn.
        counter: the records.
        observer: told of each access between charge and draw; None: nobody.
        mergings: how the codes of `counter` were made from those of the records, first to last.
        impossible: cells that no record can be in, in the codes of `counter`.
        journal: what was answered before, and keeps each answer; None: nothing is kept.
    """

    ledger: Ledger
    pricing: Pricing
    noise: NoiseSource
    counter: Counter
    observer: Callable[[Observation], None] | None = None
    mergings: tuple[Merging, ...] = ()
    impossible: Zeros = field(default_factory=dict[Clique, NDArray[np.bool_]])
    journal: Journal | None = None

    def merged(self, merging: Merging) -> "Answering":
        """Return what answers about merged codes, from the same ledger."""
        domain = self.pricing.domain
        tables = merging.tables(domain)
        counter = self.counter.recoded(tables)
        return replace(
            self,
            counter=counter,
            pricing=replace(self.pricing, domain=counter.domain),
            mergings=(*self.mergings, merging),
            impossible=zeros_of_groups(self.impossible, domain, tables),
        )

    def part(self, label: str, event: Event) -> "Answering":
        """Charge all of an allotment, and return what answers from a ledger of its own over it."""
        accountant = part_of(self.pricing.accountant, event)
        self.ledger.charge(label, event)
        own = Ledger(accountant)
        self.ledger.opened(own, label, event)
        return replace(self, ledger=own, pricing=replace(self.pricing, accountant=accountant))

    def measure(
        self, asked: Sequence[tuple[str, AdditiveQuery, float]], together: str | None = None
    ) -> list[NDArray[np.float64]]:
        """Charge all of `asked` (label, query, sigma) at once, then answer each with noise."""
        events = [self.pricing.event(query, sigma) for _, query, sigma in asked]
        whole: Event = events[0] if len(asked) == 1 else ComposedEvent(events=tuple(events))
        name = together or (asked[0][0] if len(asked) == 1 else f"{len(asked)} marginals")
        self.ledger.charge(name, whole)
        kept = self.journal.recalled(name, whole) if self.journal else None
        if kept is not None:
            return kept
        self.counter.prepare(clique for _, query, _ in asked for clique in query.counted)
        answers: list[NDArray[np.float64]] = []
        for (label, query, _), event in zip(asked, events, strict=True):
            self.tell(label, event, query)
            exact = query.evaluate(self.counter)
            answers.append(exact + self.pricing.draw(event, exact.shape))
        if self.journal:
            self.journal.keep(name, whole, answers)
        return answers

    def select(self, label: str, query: Query, candidates: int, epsilon: float) -> int:
        """Return a candidate's position by the exponential mechanism; a single one is free."""
        query.check(self.pricing.domain)
        event = ExponentialEvent(epsilon=epsilon)
        if candidates == 1:
            return 0
        self.ledger.charge(label, event)
        kept = self.journal.recalled(label, event) if self.journal else None
        if kept is not None:
            return int(kept[0])
        self.tell(label, event, query)
        chosen = self.noise.exponential_mechanism(
            query.evaluate(self.counter),
            epsilon=epsilon,
            sensitivity=query.sensitivity(self.pricing.accountant.budget),
            monotone=False,
        )
        if self.journal:
            self.journal.keep(label, event, [np.array(chosen)])
        return chosen

    def kept(self, parts: Mapping[str, bytes], write: Write) -> "Answering":
        """Return what keeps each answer before it gives it, and takes from `parts` what was given.

        Args:
            parts: what an earlier run kept, by `write`; empty at first.
            write: makes all parts durable, whole or not at all; they are as sensitive as answers.

        Raises:
            LedgerError: as of `Journal.of`.
        """
        return replace(self, journal=Journal.of(self.ledger, parts, write, self.noise))

    def records(self, what: str) -> NDArray[np.integer[Any]]:
        """Return the encoded records.

        Args:
            what: needs them, for the sentence of the error.

        Raises:
            RecordsElsewhereError: they are not in memory.
        """
        try:
            return self.counter.codes
        except RecordsElsewhereError as elsewhere:
            raise RecordsElsewhereError(what, elsewhere.where) from None

    def trained_on(self, event: Event) -> NDArray[np.integer[Any]]:
        """Return the records that DP-SGD trains on.

        Raises:
            UnsupportedEventError: a unit has several rows.
            RecordsElsewhereError: they are not in memory.
        """
        if self.pricing.accountant.budget.max_rows_per_unit != 1:
            rule = "a unit may have several rows, and clipping bounds the gradient of one"
            raise UnsupportedEventError(self.pricing.accountant.name, event, rule)
        return self.records("DP-SGD")

    def tell(self, label: str, event: Event, asked: Query | SgdPlan | VotePlan) -> None:
        """Tell the observer of an access, in terms of the records' own codes."""
        if self.observer is None:
            return
        if isinstance(asked, Query):
            for merging in reversed(self.mergings):
                asked = MergedQuery(query=asked, merging=merging)
        self.observer(Observation(label=label, event=event, query=asked))
