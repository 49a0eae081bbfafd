"""A mechanism as attacks run it again: from a table to a release, at a budget."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.privacy.budget import Neighbouring
from dpsynth.synthesis import synthesize

if TYPE_CHECKING:
    from dpsynth.data.table import Table
    from dpsynth.generators.base import Generator


def mechanism(
    generator: "Generator",
    *,
    epsilon: float,
    delta: float,
    relation: str | Neighbouring = Neighbouring.ADD_REMOVE,
    accountant: str | None = None,
) -> "Callable[..., Table]":
    """Return the way from a table to a release: a fit at this budget, and a sample of its size.

    The function takes a Table and `rng`, which seeds research mode: it is for attacks that run a
    mechanism again, never for a release. Arguments and errors as of `synthesize`.
    """

    def release(table: "Table", *, rng: np.random.Generator) -> "Table":
        return synthesize(
            table,
            generator=generator,
            epsilon=epsilon,
            delta=delta,
            seed=int(rng.integers(2**62)),
            relation=relation,
            accountant=accountant,
        ).sample()

    return release
