"""Whether a control is one: enough records, and none of them used."""

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.attacks.attack import fisher_p_value
from dpsynth.attacks.records import plain_records, record_keys
from dpsynth.errors import OverlapError, SmallControlError

if TYPE_CHECKING:
    from dpsynth.data.table import Table

LEAK = 0.1
"""Share of the used records that a release gives away, which a control must be able to show."""
OVERLAP_LEVEL = 1e-6


def smallest_control(attacks: int, *, alpha: float = 0.05, leak: float = LEAK) -> int:
    """Return how many control records let each of several attacks find a leak.

    The least number, twice over, of people of each kind for which success on `leak` of those who
    were used, and on no one else, is an alarm after Bonferroni's correction. Twice, since attacks
    on membership use half of the control as their reference.

    Args:
        attacks: how many are judged together.
        alpha: chance of a false alarm among all of them.
        leak: share of used records on which they succeed.
    """
    size = 1
    while fisher_p_value(ceil(leak * size), size, 0, size) > alpha / attacks:
        size += 1
    return 2 * size


def check_control(train: "Table", control: "Table", *, attacks: int) -> int:
    """Return how many control records equal a training record, where that may be coincidence.

    Control records may equal training records by coincidence, as training records equal each other:
    where a record has no more than its chance of a double, both do so equally often. Fisher's exact
    test of that, at level 1e-6, takes records for independent, which at such a level is no matter.

    Args:
        train, control: all records of each.
        attacks: how many are to be judged together.

    Raises:
        SmallControlError: fewer control records than `smallest_control` says.
        OverlapError: more control records in the training table than coincidence explains.
    """
    needed = smallest_control(attacks)
    if len(control) < needed:
        raise SmallControlError(len(control), needed)
    keys, counts = np.unique(record_keys(plain_records(train)), return_counts=True)
    shared = int(np.isin(record_keys(plain_records(control)), keys).sum())
    doubles = int(counts[counts > 1].sum())
    expected = doubles / len(train) * len(control)
    if fisher_p_value(shared, len(control), doubles, len(train)) <= OVERLAP_LEVEL:
        raise OverlapError(shared, len(control), expected)
    return shared
