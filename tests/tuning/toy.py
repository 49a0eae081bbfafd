"""A generator that fits in a moment: noisy 1-way marginals under a plan, and columns apart."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.schedule import Measurements
from dpsynth.data.schema import Schema
from dpsynth.errors import TrainingError
from dpsynth.generators.base import Generator, SyntheticModel

NAME = "tests.tuning.toy:Toy"


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Rows(SyntheticModel):
    """Rows drawn from given ones."""

    schema: Schema
    total: float
    codes: NDArray[np.integer[Any]]

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return self.codes[rng.integers(0, len(self.codes), n)]

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {"total": np.array(self.total), "codes": self.codes}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(schema=schema, total=float(arrays["total"]), codes=arrays["codes"])


@final
@dataclass(frozen=True, kw_only=True)
class Toy(Generator):
    """Columns of a noisy law each, mixed with the uniform one.

    Args:
        smoothing: part of the uniform law; 1 forgets what was measured.
        columns: how many are measured.
        diverges: whether the fit ends as training that diverged.
    """

    smoothing: float = 0.0
    columns: int = 6
    diverges: bool = False

    name: ClassVar[str] = NAME
    accountant: ClassVar[str] = "rdp"
    reference: ClassVar[str] = "none"
    model: ClassVar[type[SyntheticModel]] = Rows

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> Rows:
        label = "one-way marginals"
        plan = [Measurements(share=1.0, queries=self.columns, label=label)]
        cliques = [(a,) for a in private.domain.attributes[: self.columns]]
        sigmas = private.schedule(plan) * len(cliques)
        found = private.marginals(cliques, sigmas=sigmas, label=label)
        warnings.warn("a run was fitted", UserWarning, stacklevel=2)
        if self.diverges:
            raise TrainingError(1, 3, 1.0, None)
        columns = []
        for size, noisy in zip(private.domain.shape, found, strict=False):
            law = np.maximum(noisy.values, 1.0)
            law = (1.0 - self.smoothing) * law / law.sum() + self.smoothing / size
            columns.append(rng.choice(size, 500, p=law))
        codes = np.stack(columns, axis=1)
        return Rows(schema=private.schema, total=float(found[0].values.sum()), codes=codes)
