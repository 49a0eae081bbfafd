"""What `residual`, `margnet` and `dpmerf` release: mixtures of products, with their schema."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import TractableModel
from dpsynth.pgm.evidence import Evidence
from dpsynth.pgm.junction_tree import CELL_CEILING
from dpsynth.pgm.product_mixture import ProductMixture


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureSyntheticModel(TractableModel):
    """Mixtures over parts of the attributes, independent of one another.

    Args:
        schema: the public description of the records.
        parts: every attribute of the schema's domain is in exactly one; all have the same total.

    Raises:
        InvalidValueError: attributes that are missing, unknown or in two parts.
    """

    schema: Schema
    parts: tuple[ProductMixture, ...]

    def __post_init__(self) -> None:
        named = [a for part in self.parts for a in part.domain.attributes]
        if sorted(named) != sorted(self.schema.domain.attributes):
            raise InvalidValueError("parts", tuple(named), "every attribute, each in one part")

    @property
    def total(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The size to sample when the user names none."""
        return self.parts[0].total

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        domain = self.schema.domain
        dtype = np.min_scalar_type(max(domain.shape) - 1)
        rows = np.empty((n, len(domain.shape)), dtype=dtype, order="F")
        for part in self.parts:
            rows[:, domain.axes(part.domain.attributes)] = part.sample(n, rng=rng)
        return rows

    @property
    def tractable(self) -> bool:
        # Under constraints rows are mended after they were drawn, and no law is known.
        return not self.schema.constraints

    def given(self, evidence: Evidence) -> "MixtureSyntheticModel":
        for attribute in evidence:
            self.schema.column(attribute)  # refuses unknown attributes
        own = [{a: evidence[a] for a in p.domain.attributes if a in evidence} for p in self.parts]
        parts = [part.given(e) if e else part for part, e in zip(self.parts, own, strict=True)]
        share = prod(part.total / self.total for part in parts)
        total = max(self.total * share, float(np.finfo(np.float64).tiny))
        return replace(self, parts=tuple(replace(part, total=total) for part in parts))

    def marginal(self, attributes: Clique) -> NDArray[np.float64]:
        domain = self.schema.domain.project(attributes)
        if len(domain.attributes) < len(attributes):
            raise InvalidValueError("attributes", attributes, "each named once")
        if domain.cells > CELL_CEILING:
            raise InvalidValueError(
                "cells of the marginal", domain.cells, f"at most {CELL_CEILING}"
            )
        found = np.full(domain.shape, self.total)
        for part in self.parts:
            own = tuple(a for a in attributes if a in part.domain.sizes)
            shape = [domain.sizes[a] if a in own else 1 for a in attributes]
            found *= part.marginal(own).reshape(shape) / part.total
        return found

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        home = {a: i for i, part in enumerate(self.parts) for a in part.domain.attributes}
        found = {"part": np.array([home[a] for a in self.schema.domain.attributes])}
        for i, part in enumerate(self.parts):
            found |= {f"{name}_{i}": array for name, array in part.arrays().items()}
        return found

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        domain, home = schema.domain, arrays["part"]
        parts: list[ProductMixture] = []
        for i in range(int(home.max()) + 1):
            inside = [a for a, part in zip(domain.attributes, home, strict=True) if part == i]
            names = ("total", "components", "weights")
            own = {n: arrays[f"{n}_{i}"] for n in names if f"{n}_{i}" in arrays}
            parts.append(ProductMixture.from_arrays(domain.project(inside), own))
        return cls(schema=schema, parts=tuple(parts))
