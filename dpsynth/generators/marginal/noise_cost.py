"""What noise costs a measured marginal: an error that its counts bound."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.pgm.measurement import MEAN_SIZE


def noise_cost(expected: NDArray[np.float64], *, sigma: float, kappa: float) -> float:
    """Return the L1 error that noise leaves in a fitted marginal, in records.

    The noise of a cell is sigma sqrt(2/pi) on average, but the fit has no negative counts and the
    right total, so a noisy cell of few records is pulled back to near 0 and ends about as wrong as
    it is large.

    Args:
        expected: counts that are expected in its cells; public.
        sigma: standard deviation of the noise in each cell, in records.
        kappa: most that a cell costs, in its expected counts; infinite for the noise alone.

    Reference: McKenna et al. 2022, equation 1 (kappa infinite); the bound is this project's.
    """
    noise = MEAN_SIZE * sigma
    if kappa == np.inf:
        return noise * expected.size
    return float(np.minimum(noise, kappa * expected).sum())
