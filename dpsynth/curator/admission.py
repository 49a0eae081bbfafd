"""Records on their way in: what a curator counts, once they keep what the budget is about."""

from typing import TYPE_CHECKING

from dpsynth.curator.blocks import BlockCounter, StoredRecords
from dpsynth.curator.counting import CellCounter, Counter
from dpsynth.curator.queries import ROW_CEILING
from dpsynth.curator.unit import check_counted_unit, check_unit
from dpsynth.data.encoding import Codec
from dpsynth.errors import DataError
from dpsynth.privacy.budget import Budget

if TYPE_CHECKING:
    from dpsynth.data.table import Table


def admitted(records: "Table | StoredRecords", budget: Budget) -> Counter:
    """Return what counts `records`, encoded under their own schema.

    Raises:
        InvalidValueError: the budget's unit of privacy is not the schema's.
        DataError: the records break the schema's promise about a unit, or are too many.
    """
    codec = Codec(schema=records.schema)
    if isinstance(records, StoredRecords):
        counter = BlockCounter(records.blocks, codec.domain)
        check_counted_unit(counter, records.schema, budget)
    else:
        check_unit(records, budget)
        counter = CellCounter(codec.encode(records), codec.domain)
    if counter.rows >= ROW_CEILING:
        raise DataError(None, "too many rows", f"there may be at most {ROW_CEILING - 1}")
    return counter
