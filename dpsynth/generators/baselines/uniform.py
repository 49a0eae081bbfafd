"""Uniform: the floor that knows nothing but the schema and a noisy number of records."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.generators.base import Generator, SyntheticModel
from dpsynth.generators.graphical import TOTAL_CEILING, GraphicalSyntheticModel
from dpsynth.pgm.estimation import estimate


@final
@dataclass(frozen=True, kw_only=True)
class Uniform(Generator):
    """Every record of the domain that no constraint forbids is equally likely.

    Relation: both. Under ADD_REMOVE the number of records is secret and is bought, with the whole
    budget, as one count; its sensitivity is the most rows of a unit (`CountQuery`). Where the
    number is public nothing is spent.
    Reference: none; the baseline of Hardt, Ligett & McSherry 2012, Figure 1, before any round.
    """

    name: ClassVar[str] = "uniform"
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "Hardt, Ligett & McSherry 2012, Figure 1 (the starting point)"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        total = private.public_rows
        if total is None:
            count = private.count(sigma=private.sigma_for(private.remaining))
            total = min(max(1.0, count), TOTAL_CEILING)
        model = estimate(private.domain, (), total=float(total), impossible=private.impossible)
        return GraphicalSyntheticModel(schema=private.schema, model=model)
