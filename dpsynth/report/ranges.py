"""The ends of a metric's range, which no interval of a mean of scores passes."""

from typing import TYPE_CHECKING

from dpsynth.registry import METRICS

if TYPE_CHECKING:
    from pandas import DataFrame


def range_of(scores: "DataFrame") -> tuple[float, float]:
    """Return the least and the largest value that the metric of these rows can have.

    Args:
        scores: rows of one metric.

    Returns:
        Infinite ends where the metric is not in the registry of this installation.
    """
    name = str(scores["identity"].iloc[0]).partition("(")[0]
    if name not in METRICS:
        return float("-inf"), float("inf")
    metric = METRICS.get(name)
    return float(metric.minimum), float(metric.maximum)
