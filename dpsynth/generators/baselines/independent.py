"""Independent columns: the floor that any generator of joint distributions must pass."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.generators.base import Generator, SyntheticModel
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.one_ways import measure_one_ways


@final
@dataclass(frozen=True, kw_only=True)
class Independent(Generator):
    """Noisy one-way marginals, sampled independently of one another.

    Relation: both. Sensitivity: one row is in one cell of each of the d marginals; each is a
    charge of its own with the sensitivity of `MarginalQuery`, and they compose.
    Cost: the whole budget in d equal parts, so sigma grows with the square root of d.
    Reference: the strategy of all 1-way marginals; McKenna et al. 2022, section 6 ("Independent").
    """

    name: ClassVar[str] = "independent"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "McKenna et al. 2022, section 6"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        measured = measure_one_ways(private, amount=private.remaining)
        return GraphicalSyntheticModel.of(private, fitted(private, measured), measured)
