"""How many events units have: bought for itself, and kept to whatever a generator makes of it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import IntegerColumn
from dpsynth.data.table import Table
from dpsynth.generators.marginal.rare_codes import likely_counts
from dpsynth.pgm.estimation import estimate_total
from dpsynth.pgm.sampling import systematic_counts

if TYPE_CHECKING:
    from dpsynth.curator.private_data import PrivateData


def bought_numbers(private: "PrivateData", number: str, *, share: float) -> NDArray[np.float64]:
    """Return the share of units with each number of events, from the least number on.

    Relation: both. Sensitivity and proof: `MarginalQuery`, of one row a unit.
    Cost: `share` of what is left, one charge.

    Args:
        private: the door to units.
        number: the column that says how many events they have.
        share: above 0 and below 1.
    """
    measured = private.marginal(
        (number,), sigma=private.sigma_for(private.remaining * share), label=number
    )
    total = private.public_rows or max(1.0, estimate_total([measured]))
    counts = likely_counts([measured], private.schema, total=float(total))[number]
    return counts / counts.sum()


def renumbered(
    units: Table, number: str, shares: NDArray[np.float64], *, rng: np.random.Generator
) -> Table:
    """Return `units` with numbers of events that follow `shares`, to within rounding.

    Units keep their order by number, so that whatever goes with a large number still does.

    Args:
        units: synthetic units.
        number: the column.
        shares: probability of each number from the column's lower bound on.
        rng: source of the rounding, and of the order of units with equal numbers.
    """
    column = units.schema.column(number)
    assert isinstance(column, IntegerColumn)  # made by the linked schema
    frame = units.frame
    (counts,) = systematic_counts(shares[None, :], np.array([len(frame)]), rng=rng)
    order = np.lexsort((rng.random(len(frame)), frame[number].to_numpy(dtype=np.int64)))
    values = np.empty(len(frame), dtype=np.int64)
    values[order] = np.repeat(column.lower + np.arange(len(counts)), counts)
    return Table(schema=units.schema, frame=frame.assign(**{number: values}))
