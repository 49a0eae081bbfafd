"""The door to units with many events: two tables, one ledger, one unit of privacy."""

from dataclasses import replace
from typing import NoReturn, final

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.linked_tables import LinkedTables
from dpsynth.errors import InvalidValueError, PrivacyError, UnsupportedEventError
from dpsynth.privacy.accountant import Filter, make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import NoiseSource
from dpsynth.privacy.receipt import Receipt


@final
class LinkedPrivateData:
    """Two doors that spend allotted parts of one budget: to units, and to their events.

    Privacy: neighbours differ in one unit with all its events. What is asked of `units` sees at
    most one row come, go or change, and what is asked of `events` at most `max_rows_per_unit`
    (`LinkedTables`, `kept_rows`), which is what each door's sensitivities are scaled by. Both parts
    are charged to the one ledger before either door opens, and a door never spends more than its
    part; the filter's composition theorem covers all answers of both, in whatever order.

    Args:
        tables: the records.
        budget: the guarantee, for the unit that the schema names.
        noise: source of all privacy noise, and of the choice among a unit's events.
        units_share: part of the budget for the units, above 0 and below 1.
        accountant: "zcdp", "gdp" or "pure".

    Attributes:
        schema: the public description.
        units: the door to one row a unit, with the number of its events and the first.
        events: the door to one row an event that has one before it.

    Raises:
        InvalidValueError: a share outside its range, or another unit than the schema's.
        UnsupportedEventError: an accountant of fixed plans, which cannot be shared out.

    Reference: Rogers, Roth, Ullman & Vadhan 2016 (privacy filters); McSherry 2009 (queries of
        tables derived from one source, each with its stability).
    """

    def __init__(
        self,
        tables: LinkedTables,
        budget: Budget,
        *,
        noise: NoiseSource,
        units_share: float,
        accountant: str = "gdp",
    ) -> None:
        if not 0.0 < units_share < 1.0:
            raise InvalidValueError("units_share", units_share, "above 0 and below 1")
        chosen = linked_accountant(accountant, budget)
        self.schema: LinkedSchema = tables.schema
        self._noise = noise
        self._ledger = ledger = Ledger(chosen)
        shares = (("units", units_share), ("events", 1.0 - units_share))
        allotted = [(label, chosen.allotment(share * chosen.capacity)) for label, share in shares]
        for label, event in allotted:
            ledger.charge(label, event)
        first, second = (chosen.part(event) for _, event in allotted)
        single = replace(budget, max_rows_per_unit=1)
        self.units = PrivateData(
            tables.starts, single, noise=noise, accountant=replace(first, budget=single)
        )
        # A unit of one event has no transition, so that their number is a secret under REPLACE too.
        self.events = PrivateData(
            tables.transitions, budget, noise=noise, accountant=second, rowless=True
        )

    def __repr__(self) -> str:
        return f"LinkedPrivateData({self.units!r}, {self.events!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise PrivacyError("private data cannot be copied or pickled: its ledger must stay unique")

    @property
    def ledger(self) -> Ledger:
        """The ledger of both tables: what each was allotted."""
        return self._ledger

    def receipt(self) -> Receipt:
        """Return the account of the whole; `units.receipt()` and `events.receipt()` give each
        part's charges one by one."""
        schema = self.schema
        unprotected = (*schema.starts.inferred, *schema.transitions.inferred)
        return self._ledger.receipt(mode=self._noise.mode, unprotected=unprotected)


def linked_accountant(name: str, budget: Budget) -> Filter:
    """Return the accountant called `name`, where its budget can be shared out.

    Raises:
        UnknownNameError: no such accountant.
        InvalidValueError: a budget that it cannot keep.
        UnsupportedEventError: it serves fixed plans only.
    """
    made = make_accountant(name, budget)
    if not isinstance(made, Filter):
        rule = "it serves one fixed plan; choose 'zcdp', 'gdp' or 'pure'"
        raise UnsupportedEventError(name, "two tables under one budget", rule)
    return made
