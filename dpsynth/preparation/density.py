"""Where the values of a column lie within intervals: frequent values and counts, bought."""

from collections.abc import Callable, Mapping
from math import inf

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.cells import Cells
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.preparation.spread import Spread, nonnegative, supported, told

Array = NDArray[np.float64]


def bought_spread(
    private: PrivateColumns,
    name: str,
    bounds: tuple[float, float],
    leaves: Callable[[], Array],
    *,
    whole: bool,
    amounts: Mapping[str, float],
    selections: int,
    bins: Array | None = None,
) -> tuple[Spread, float]:
    """Return where the values lie, and the standard deviation of the noise in a count of them.

    Values that many records share are looked for first; what is left is counted by intervals.

    Args:
        private: the door to the raw columns.
        name: a column of numbers.
        bounds: the least and the largest value.
        leaves: makes the edges of the intervals, and pays for them if need be.
        whole: whether values are whole numbers.
        amounts: what the steps "values" (if wanted) and "spread" may cost.
        selections: how many columns look for frequent values.
        bins: edges of declared bins, within which alone counts matter; None: there are none yet.
    """
    atoms, counted, sigma_values = np.empty(0), np.empty(0), inf
    if "values" in amounts:
        sigma_values = private.sigma_for(amounts["values"])
        values, counted = private.frequent(name, sigma=sigma_values, parts=selections)
        atoms = np.asarray(values, dtype=np.float64)
        kept = (atoms >= bounds[0]) & (atoms <= bounds[1])
        atoms, counted = atoms[kept], counted[kept]
    edges = leaves()
    sigma = private.sigma_for(amounts["spread"])
    cells = Cells(edges=edges, atoms=atoms)
    noisy = private.histogram(name, cells, sigma=sigma, label=f"spread of {name}")
    # Two answers about each atom, weighed by their precision.
    trust = sigma**-2 / (sigma**-2 + sigma_values**-2)
    at = trust * noisy[cells.intervals : -1] + (1 - trust) * counted
    inside = noisy[: cells.intervals]
    if bins is None:
        inside = nonnegative(supported(inside, sigma))
    else:
        inside = told(inside, edges, bins=bins, atoms=atoms, sigma=sigma)
    found = Spread(edges=edges, inside=inside, atoms=atoms, at=np.maximum(at, 0.0), whole=whole)
    return found, sigma
