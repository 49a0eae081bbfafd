"""Claims of a fixed number: those that a score is surest of."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError


def check_share(claims: float) -> None:
    """Refuse a share of claims that is none.

    Raises:
        InvalidValueError: not between 0 and 1, ends excluded.
    """
    if not 0 < claims < 1:
        raise InvalidValueError("claims", claims, "between 0 and 1")


def surest(
    scores: NDArray[np.float64], share: float, *, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return which scores are among the highest of their row, one in each row at least.

    Args:
        scores: the last axis is ranked. Equal ones, of which there are many where records repeat,
            rank in random order.
        share: of the scores of a row that are claimed.
        rng: breaks ties.
    """
    falling = np.lexsort((rng.random(scores.shape), -scores), axis=-1)
    count = max(round(share * scores.shape[-1]), 1)
    claim = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(claim, falling[..., :count], values=True, axis=-1)
    return claim
