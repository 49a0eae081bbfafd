"""Bounds of a column of numbers, from noisy counts of magnitudes."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.cells import Cells, magnitude_edges
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.data.open_columns import OpenNumber

_FALSE_ALARM = 1e-3
"""Probability that noise alone moves a bound, and makes the range far too wide."""


def bought_bounds(
    private: PrivateColumns, column: OpenNumber, amount: float
) -> tuple[float, float]:
    """Return bounds that few records lie outside, a known one as it is.

    Noisy counts of values between powers of two, of both signs, are one histogram; the outermost
    intervals that hold more records than noise explains are the bounds. They are up to twice as
    wide as the values.

    Args:
        private: the door to the raw columns.
        column: what is known of it.
        amount: what they may cost, in the accountant's currency.

    Reference: Wilson et al. 2020, section 5.1.1 (approximate bounds).
    """
    edges = magnitude_edges(whole=column.whole, lower=column.lower, upper=column.upper)
    cells = Cells(edges=edges, atoms=np.array([0.0]))
    sigma = private.sigma_for(amount)
    counts = private.histogram(column.name, cells, sigma=sigma, label=f"bounds of {column.name}")
    held = significant(counts[:-1], sigma)
    if not held.any():
        held = counts[:-1] == counts[:-1].max()
    lows = [*edges[:-1][held[:-1]], *([0.0] if held[-1] else [])]
    step = 1.0 if column.whole else 0.0
    highs = [*(edges[1:][held[:-1]] - step), *([0.0] if held[-1] else [])]
    least, most = column.reach
    lower = max(min(lows), least) if column.lower is None else column.lower
    upper = min(max(highs), most) if column.upper is None else column.upper
    return (float(lower), float(max(upper, lower)))


def significant(counts: NDArray[np.float64], sigma: float) -> NDArray[np.bool_]:
    """Return which noisy counts are larger than the noise of all together leaves likely."""
    from scipy.special import ndtri  # half of what a sweep takes to start

    return counts > -float(ndtri(_FALSE_ALARM / len(counts))) * sigma
