"""Records on their way in: what a curator counts, once they keep what the budget is about."""

from typing import TYPE_CHECKING

from dpsynth.curator.blocks import BlockCounter, StoredRecords
from dpsynth.curator.counting import CellCounter, Counter
from dpsynth.curator.queries import ROW_CEILING
from dpsynth.curator.unit import bounded, check_counted_unit, check_unit
from dpsynth.data.encoding import Codec
from dpsynth.errors import DataError, InvalidValueError
from dpsynth.privacy.accountant import Accountant, accountant_of
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from dpsynth.data.table import Table


def admitted(records: "Table | StoredRecords", budget: Budget, noise: NoiseSource) -> Counter:
    """Return what counts `records`, encoded under their own schema, of each unit as many as it may
    have: more are left out by sampling.

    Raises:
        InvalidValueError: the budget's unit of privacy is not the schema's.
        DataError: records that can only be counted break the schema's promise about a unit, or
            there are too many.
    """
    check_unit(records.schema, budget)
    codec = Codec(schema=records.schema)
    if isinstance(records, StoredRecords):
        counter = BlockCounter(records.blocks, codec.domain)
        check_counted_unit(counter, records.schema, budget)
    else:
        counter = CellCounter(bounded(records, codec.encode(records), noise), codec.domain)
    if counter.rows >= ROW_CEILING:
        raise DataError(None, "too many rows", f"there may be at most {ROW_CEILING - 1}")
    return counter


def ledger_of(budget: Budget, accountant: str | Accountant, charged: Ledger | None) -> Ledger:
    """Return a new ledger of `budget`, or the one that was charged already.

    Raises:
        UnknownNameError: no such accountant.
        InvalidValueError: an accountant or a ledger of another budget.
    """
    if charged is None:
        return Ledger(accountant_of(budget, accountant))
    if charged.budget != budget:
        raise InvalidValueError("budget", budget, "the ledger's")
    return charged
