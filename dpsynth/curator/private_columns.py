"""The door to raw columns: what a schema leaves open is bought here, before records have codes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.cells import Cells
from dpsynth.curator.column_queries import (
    ColumnHistogram,
    ColumnQuery,
    ColumnTree,
    ColumnValues,
)
from dpsynth.curator.frequent import FrequentValues
from dpsynth.curator.journal import Journal, Write
from dpsynth.curator.observation import Observation
from dpsynth.curator.pricing import Pricing, share
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.private_tree import tree_for
from dpsynth.curator.public_records import PublicRecords
from dpsynth.curator.queries import ROW_CEILING, MarginalQuery
from dpsynth.curator.raw_columns import FrameColumns, RawColumns
from dpsynth.curator.rehearsal import rehearse
from dpsynth.curator.unit import check_unit, kept_rows
from dpsynth.data.domain import Domain
from dpsynth.data.identity import unit_numbers
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.data.table import check_names
from dpsynth.errors import DataError, NoRecordsError, PrivacyError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import Event, GdpEvent, NoiseLaw, PureEvent
from dpsynth.privacy.failure import allowed_failure
from dpsynth.privacy.filters import part_of, whole_filter
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import NoiseSource

if TYPE_CHECKING:
    import pandas as pd


Array: TypeAlias = NDArray[np.float64]

# Exact draws made at once: one alone costs as much as hundreds.
_DRAWN = 2**10

# Texts are kept as bytes: an array of texts would cut them at their last zeros.
_PACKED = np.uint8


@final
class PrivateColumns:
    """Raw records under an open schema, which can only be asked about single columns, for a price.

    Every value is converted and checked on construction, before anything is spent. Of a unit with
    more rows than the budget allows, as many as it does are kept, by sampling (`kept_rows`).

    Args:
        records: a frame, or raw columns that were checked already.
        schema: what is public about them.
        budget: the guarantee that everything bought here and later keeps together.
        noise: source of all privacy noise.
        accountant: its name: "zcdp", "gdp" or "pure", as what is bought depends on what was seen;
            or one of plans, of which a part has to be reserved first (`reserve`).
        units: as of `Table`, of a frame.
        set_aside: delta that pays for frequent values (`Accountant`).
        observer: as of `PrivateData`, to which it goes on.

    Raises:
        UnknownNameError, DataError: records that do not fit the schema.
        InvalidValueError: the budget's unit of privacy is not the schema's, or has fewer rows.
    """

    def __init__(
        self,
        records: "pd.DataFrame | RawColumns",
        schema: OpenSchema,
        budget: Budget,
        *,
        noise: NoiseSource,
        accountant: str = "zcdp",
        units: NDArray[np.int64] | None = None,
        set_aside: float = 0.0,
        observer: Callable[[Observation], None] | None = None,
    ) -> None:
        check_unit(schema.declared, budget)
        if not isinstance(records, RawColumns):
            records = _bounded(records, schema, budget, noise=noise, units=units)
        if records.rows >= ROW_CEILING:
            raise DataError(None, "too many rows", f"there may be at most {ROW_CEILING - 1}")
        records.check_units(budget)
        self._records = records
        self.schema, self.budget = schema, budget
        self._noise, self._observer = noise, observer
        self._journal: Journal | None = None
        self.ledger = Ledger(make_accountant(accountant, budget, set_aside=set_aside))
        self._paying = self.ledger

    def __repr__(self) -> str:
        name = self.ledger.accountant.name
        return f"PrivateColumns({self.schema.names}, {self.budget}, {name})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise PrivacyError("private data cannot be copied or pickled: its ledger must stay unique")

    @property
    def remaining(self) -> float:
        """What is left of what columns can be bought with, in that currency."""
        return self._paying.remaining

    @property
    def capacity(self) -> float:
        """What all of the budget is worth in the currency that columns are bought in: of Gaussian
        DP where there is a plan (`reserve`), else of the ledger."""
        return whole_filter(self.ledger.accountant).capacity

    @property
    def selects(self) -> bool:
        """Whether frequent values can be asked for: without a delta nothing pays for them."""
        return allowed_failure(self.ledger.accountant, 1) > 0

    @property
    def public_rows(self) -> int | None:
        """The number of records where it is no secret, as of `PrivateData`."""
        replaced = self.budget.relation is Neighbouring.REPLACE
        if replaced and self.budget.max_rows_per_unit == 1:
            return self._records.rows
        return self.schema.declared.public_rows

    def keep_in(self, parts: Mapping[str, bytes], write: Write) -> None:
        """Keep each answer before it is given, here and at the door of `private_data`, and take
        from `parts` what was given: arguments and errors as of `Answering.kept`."""
        self._journal = Journal.of(self.ledger, parts, write, self._noise)

    def reserve(
        self, amount: float, fit: Callable[[PrivateData], object], *, label: str, selects: bool
    ) -> None:
        """Reserve a part of a plan for what is bought here, and behind it what `fit` will reserve.

        The fit is rehearsed with stand-ins for the open columns (`OpenSchema.declared`), and later
        has to reserve the very same: its plan must follow from public facts alone, since the bound
        of a plan holds for events that are fixed beforehand.

        Cost: the part is one mu-GDP event, whatever is asked within and however that depends on
        answers (`part_of`); all frequent values that will be asked for fail with the part's own
        probability at most, which is charged with it, once (`privacy.failure`).

        Args:
            amount: what may be spent here, as mu^2.
            fit: reserves a plan and asks, under the same accountant.
            label: the ledger's.
            selects: whether frequent values will be asked for.

        Raises:
            PrivacyError, InvalidValueError: the fit has no plan, or none that fits beside the part;
                nothing was spent.
        """
        accountant = self.ledger.accountant
        failing = allowed_failure(accountant, 1) if selects else 0.0
        part = GdpEvent(mu=sqrt(amount), failure=failing)
        trial, ledger = (Ledger(accountant, ahead=((label, part),)) for _ in range(2))
        records = self._records.under(self.schema.declared)

        def rehearsal(stop: Callable[[Observation], None]) -> object:
            own = PrivateData(records, self.budget, noise=self._noise, ledger=trial, observer=stop)
            return fit(own)

        rehearse(rehearsal)
        ledger.reserve(trial.plan[len(trial.ahead) :])
        self.ledger, self._paying = ledger, Ledger(part_of(accountant, part))
        ledger.opened(self._paying, label, part)

    def sigma_for(self, amount: float) -> float:
        """Return the standard deviation of the noise of a histogram that costs `amount`."""
        return self._pricing(1).sigma(share(amount, "queries", 1))

    def histogram(self, name: str, cells: Cells, *, sigma: float, label: str) -> Array:
        """Return noisy numbers of records in `cells` of a column of numbers: a one-way marginal.

        Args:
            name: the column.
            cells: public.
            sigma: standard deviation of the noise in each cell, in records.
            label: the ledger's.

        Raises:
            BudgetExceededError: the budget does not cover it; nothing has changed.
        """
        return self._count(ColumnHistogram(name=name, cells=cells), sigma, label)

    def decimals(self, name: str, *, sigma: float) -> Array:
        """Return noisy numbers of values of a column by how many decimals they need, as
        `decimals_needed` sorts them: a one-way marginal."""
        query = ColumnHistogram(name=name, cells=None)
        return self._count(query, sigma, f"decimals of {name}")

    def frequent(
        self, name: str, *, sigma: float, parts: int
    ) -> tuple[Sequence[str] | Array, Array]:
        """Return values of a column that many records share, in order, and their noisy numbers.

        See `FrequentValues` for what it costs and what may be missing.

        Args:
            name: the column.
            sigma: standard deviation of the noise of each number, in records.
            parts: by how many such questions the allowed failure is to be shared.

        Raises:
            BudgetExceededError: the budget does not cover it; nothing has changed.
        """
        pricing = self._pricing(1)
        failure = allowed_failure(self._paying.accountant, parts)
        asked = FrequentValues(sigma=sigma, failure=failure)
        event = asked.event(pricing)

        def released(counts: NDArray[np.int64]) -> tuple[NDArray[np.intp], Array]:
            noise: Array = pricing.draw(event, counts.shape)
            kept = asked.released(counts, noise, pricing)
            return kept, (counts + noise)[kept].astype(np.float64)

        def drawn() -> list[NDArray[Any]]:
            texts = self._records.texts(name)
            if texts is not None:
                kept, noisy = released(texts.counts)
                return [_packed([texts.texts[int(i)] for i in kept]), noisy]
            values, found = list[Array](), list[Array]()
            for distinct, counts in self._records.numbers(name).distinct():
                kept, noisy = released(counts)
                values.append(distinct[kept])
                found.append(noisy)
            return [np.concatenate(values), np.concatenate(found)]

        query = ColumnValues(name=name, asked=asked)
        values, noisy = self._answered(f"frequent values of {name}", event, query, drawn)
        return (_unpacked(values) if values.dtype == _PACKED else values), noisy

    def tree(
        self, name: str, lower: float, upper: float, *, amount: float, narrowest: float
    ) -> list[float]:
        """Return edges that are closer where records are dense (`PrivateTree`).

        Args:
            name: a column of numbers.
            lower, upper: the first and last edge; public.
            amount: what it may cost, in the accountant's currency.
            narrowest: intervals of at most this width are not halved; public.

        Raises:
            BudgetExceededError: the budget does not cover it; nothing has changed.
        """
        discrete = self._noise.mode == "release"
        epsilon = 1.0 / self._pricing(1).filter.laplace_scale(amount, sensitivity=1.0)
        tree = tree_for(epsilon, self.budget, discrete=discrete)
        law = NoiseLaw.DISCRETE if discrete else NoiseLaw.CONTINUOUS
        query = ColumnTree(name=name, tree=tree, lower=lower, upper=upper, narrowest=narrowest)

        def draws() -> Iterator[float]:
            # What is drawn and not used would move the stream of a seed; there is none in release.
            while True:
                yield from self._noise.laplace(
                    tree.scale, _DRAWN if discrete else 1, law=law
                ).tolist()

        def grown() -> list[NDArray[Any]]:
            numbers = self._records.numbers(name)

            def below(number: float) -> int:
                if number == upper:  # what lies outside counts as if it lay at the ends
                    return numbers.present
                return 0 if number == lower else numbers.below(number)

            draw = draws().__next__
            return [np.array(tree.grow(below, lower, upper, narrowest=narrowest, draw=draw))]

        event = PureEvent(epsilon=epsilon)
        return self._answered(f"tree of {name}", event, query, grown)[0].tolist()

    def private_data(self, schema: Schema, *, public: PublicRecords | None = None) -> PrivateData:
        """Return the records under a schema that is closed now, with the same ledger.

        Args:
            schema: has the columns of `self.schema`.
            public: as of `PrivateData`.
        """
        return PrivateData(
            self._records.under(schema),
            self.budget,
            noise=self._noise,
            ledger=self.ledger,
            observer=self._observer,
            public=public,
            journal=self._journal,
        )

    def _count(self, query: ColumnHistogram, sigma: float, label: str) -> Array:
        pricing = self._pricing(query.size, query.name)
        event = pricing.event(MarginalQuery(clique=(query.name,)), sigma)

        def drawn() -> list[NDArray[Any]]:
            counts = query.exact(self._records)
            noise: Array = pricing.draw(event, counts.shape)
            return [counts + noise]

        return self._answered(label, event, query, drawn)[0]

    def _answered(
        self,
        label: str,
        event: Event,
        query: ColumnQuery,
        draw: Callable[[], list[NDArray[Any]]],
    ) -> list[NDArray[Any]]:
        """Charge, and return what was kept of this access; else tell the observer, draw, keep."""
        self._paying.charge(label, event)
        kept = self._journal.recalled(label, event) if self._journal else None
        if kept is not None:
            return kept
        if self._observer is not None:
            self._observer(Observation(label=label, event=event, query=query))
        answers = draw()
        if self._journal:
            self._journal.keep(label, event, answers)
        return answers

    def _pricing(self, size: int, name: str = "value") -> Pricing:
        domain = Domain(sizes={name: size})
        return Pricing(accountant=self._paying.accountant, noise=self._noise, domain=domain)


def _packed(texts: list[str]) -> NDArray[np.uint8]:
    """Return texts as bytes."""
    return np.frombuffer(json.dumps(texts).encode(), dtype=_PACKED)


def _unpacked(packed: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(json.loads(packed.tobytes()))


def _bounded(
    frame: "pd.DataFrame",
    schema: OpenSchema,
    budget: Budget,
    *,
    noise: NoiseSource,
    units: NDArray[np.int64] | None,
) -> FrameColumns:
    """Return the records of a frame, of each unit as many as the budget allows, by sampling."""
    named = check_names(schema.names, frame, unit=budget.unit)
    units = unit_numbers(budget.unit, named) if units is None else units
    if units is not None:
        kept = kept_rows(units, budget.max_rows_per_unit, noise.words(len(units)))
        named, units = named.iloc[kept].reset_index(drop=True), units[kept]
    if len(named) == 0:
        raise NoRecordsError()
    return FrameColumns(schema, named, units)
