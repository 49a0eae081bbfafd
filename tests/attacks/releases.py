"""Releases to attack: one that leaks everything, one that leaks nothing."""

import numpy as np

from dpsynth.attacks.attack import AttackTarget, Refit
from dpsynth.data.table import Table
from tests.evaluation.laws import draw


def copier(train: Table, *, rng: np.random.Generator) -> Table:
    """Release the training table as it is: no privacy at all."""
    return train


def half_copier(train: Table, *, rng: np.random.Generator) -> Table:
    """Release the first half of the training table as it is."""
    return train.take(np.arange((len(train) + 1) // 2))


def stranger(train: Table, *, rng: np.random.Generator) -> Table:
    """Release other records of the same law: nothing about the training table."""
    return draw(len(train), rng=rng)


def target_of(
    refit: Refit, rows: int, *, rng: np.random.Generator, control: int | None = None
) -> AttackTarget:
    """Return a target whose release is made by `refit`."""
    train = draw(rows, rng=rng)
    return AttackTarget(
        train=train,
        control=draw(control or rows, rng=rng),
        synthetic=refit(train, rng=rng),
        refit=refit,
    )
