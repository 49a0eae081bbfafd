"""What noise costs a measured marginal, and how marginals best share a budget."""

from collections.abc import Callable, Sequence

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


def split_budget(count: int, weigh: Callable[[Sequence[float]], Sequence[float]]) -> list[float]:
    """Return shares that minimise sum_i n_i sigma_i, the noise of all marginals together.

    With sigma_i in proportion to 1 / sqrt(share_i), a Lagrange multiplier gives shares in
    proportion to n_i to the power 2/3. Numbers of cells that count only where noise is what they
    cost depend on the shares, hence the repetition.

    Args:
        count: how many marginals there are, at least one.
        weigh: shares -> n_i of each: weight times cells, at least 1.

    Returns:
        Positive shares that sum to 1.
    """
    shares = np.full(count, 1 / count)
    for _ in range(8):
        wanted = np.asarray(weigh(shares.tolist()), dtype=np.float64) ** (2 / 3)
        shares = 0.5 * shares + 0.5 * wanted / wanted.sum()
    return [float(share) for share in shares / shares.sum()]
