"""Correction of p-values for how many there are."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return `p_values` adjusted for their number: at most alpha where Holm rejects at alpha.

    Reference: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = largest
    return adjusted
