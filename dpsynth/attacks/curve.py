"""How well scores tell used records from unused ones: area, and hits at few false alarms."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.statistics import clopper_pearson
from dpsynth.evaluation.intervals import auc_score

LOW_FALSE_POSITIVE_RATE = 0.01


def area(used: NDArray[np.float64], unused: NDArray[np.float64]) -> dict[str, float]:
    """Return the area under the ROC curve with its 95% interval; nothing where a kind is absent."""
    if not (used.size and unused.size):
        return {}
    found = auc_score(used, unused)
    return {"auc": found.value, "auc_lower": found.lower, "auc_upper": found.upper}


def low_rates(
    calibration: NDArray[np.float64],
    used: NDArray[np.float64],
    unused: NDArray[np.float64],
    *,
    false_positive_rate: float,
) -> dict[str, float]:
    """Return both rates at a threshold that few of `calibration` exceed, with 95% intervals.

    The threshold comes from scores that neither rate is read off: chosen on the scores that it
    is judged by, it flatters the attack.

    Args:
        calibration: scores of unused records that choose the threshold.
        used, unused: scores that the rates are read off.
        false_positive_rate: share of `calibration` above the threshold.
    """
    if calibration.size == 0:
        return {}
    threshold = float(np.quantile(calibration, 1 - false_positive_rate))
    found: dict[str, float] = {}
    for name, scores in (("tpr_at_low_fpr", used), ("low_fpr", unused)):
        if scores.size:
            above = scores > threshold
            interval = clopper_pearson(int(above.sum()), above.size)
            found[name] = float(above.mean())
            found[f"{name}_lower"], found[f"{name}_upper"] = interval.lower, interval.upper
    return found
