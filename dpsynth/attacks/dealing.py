"""The p-value of claims that several records may meet: re-deal the records at random."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 9_999
"""Most re-deals: enough that one release can alarm after a correction for some hundred attacks."""
BATCH = 500
EXCEEDANCES = 25
"""Re-deals as extreme as the release after which no more are made: it is no alarm."""


def permutation_p_value(
    matched: NDArray[np.bool_],
    excess: int,
    *,
    success: Literal["one", "any"],
    rng: np.random.Generator,
) -> float:
    """Return the p-value of `excess` under random re-deals of the records into two halves.

    Args:
        matched: claims x records; the first half of the records was used, the second was not.
        excess: claims that succeed among used records, less those among unused records.
        success: of a claim: it matches exactly one record of a half, or any.
        rng: source of the re-deals.

    Reference: J. Besag and P. Clifford, Sequential Monte Carlo p-values (1991), section 2: h / l
        when the h-th re-deal as extreme is the l-th made, else (1 + how many) / (1 + all).
    """
    from scipy.sparse import csr_matrix

    # Records that no claim matches change nothing, wherever they are dealt.
    relevant = np.asarray(matched.any(axis=0))
    if not relevant.any():
        return 1.0
    counts = csr_matrix(matched[:, relevant].astype(np.int32))
    total = matched.sum(axis=1)[:, None]
    half = np.arange(matched.shape[1]) < matched.shape[1] // 2
    extreme = 0
    for made in range(0, PERMUTATIONS, BATCH):
        halves = np.tile(half, (min(BATCH, PERMUTATIONS - made), 1))
        dealt = rng.permuted(halves, axis=1)[:, relevant].T.astype(np.int32)
        first = np.asarray(counts @ dealt)
        excesses = _succeed(first, success) - _succeed(total - first, success)
        places = np.flatnonzero(excesses >= excess)
        if extreme + len(places) >= EXCEEDANCES:
            return EXCEEDANCES / (made + int(places[EXCEEDANCES - extreme - 1]) + 1)
        extreme += len(places)
    return (1 + extreme) / (1 + PERMUTATIONS)


def _succeed(counts: NDArray[Any], success: Literal["one", "any"]) -> NDArray[np.intp]:
    return np.sum(counts == 1 if success == "one" else counts > 0, axis=0)
