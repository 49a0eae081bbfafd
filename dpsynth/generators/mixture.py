"""The model that `residual` releases: mixtures of products side by side, with their schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import SyntheticModel
from dpsynth.pgm.product_mixture import ProductMixture


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureSyntheticModel(SyntheticModel):
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
            own = {name: arrays[f"{name}_{i}"] for name in ("total", "components")}
            parts.append(ProductMixture.from_arrays(domain.project(inside), own))
        return cls(schema=schema, parts=tuple(parts))
