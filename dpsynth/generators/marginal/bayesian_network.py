"""The model that PrivBayes releases: conditional tables along an order of the attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import TractableModel
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.evidence import Evidence, combine
from dpsynth.pgm.grouping import mixed_radix
from dpsynth.pgm.junction_tree import CELL_CEILING
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.sampling import draw
from dpsynth.pgm.triangulation import count_cells, triangulated


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class BayesianNetworkModel(TractableModel):
    """A Bayesian network: each attribute given parents that come before it.

    Args:
        schema: the public description of the records.
        total: the size to sample when the user names none.
        families: (child, parents), parents before their children; each attribute is a child once.
        tables: probabilities of the child's codes, one row a combination of the parents' codes in
            mixed radix, the last parent fastest; rows sum to 1.

    Raises:
        InvalidValueError: families out of order, or tables that do not fit them.
    """

    schema: Schema
    total: float
    families: tuple[tuple[str, Clique], ...]
    tables: tuple[NDArray[np.float64], ...]

    def __post_init__(self) -> None:
        sizes = self.schema.domain.sizes
        known: set[str] = set()
        for (child, parents), table in zip(self.families, self.tables, strict=True):
            if child in known or not known.issuperset(parents):
                raise InvalidValueError("families", (child, parents), "parents first, each once")
            known.add(child)
            shape = (prod(sizes[a] for a in parents), sizes[child])
            if table.shape != shape:
                raise InvalidValueError(f"table of {child!r}", table.shape, f"of shape {shape}")
        if known != set(sizes):
            raise InvalidValueError("families", sorted(known), f"one for each of {list(sizes)}")

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        domain = self.schema.domain
        axis = {a: i for i, a in enumerate(domain.attributes)}
        dtype = np.min_scalar_type(max(domain.shape) - 1)
        rows = np.empty((n, len(axis)), dtype=dtype, order="F")
        for (child, parents), table in zip(self.families, self.tables, strict=True):
            sizes = [domain.sizes[a] for a in parents]
            key = mixed_radix(rows, domain.axes(parents), sizes)
            rows[:, axis[child]] = draw(key, table, rng=rng)
        return rows

    @property
    def tractable(self) -> bool:
        if self.schema.constraints:  # rows are mended after they were drawn: no law is known
            return False
        domain = self.schema.domain
        return count_cells(domain, triangulated(domain, self._cliques)) <= CELL_CEILING

    def given(self, evidence: Evidence) -> GraphicalSyntheticModel:
        graphical = GraphicalSyntheticModel(schema=self.schema, model=self._graphical)
        return graphical.given(evidence)

    def marginal(self, attributes: Clique) -> NDArray[np.float64]:
        return self._graphical.marginal(attributes)

    @cached_property
    def _cliques(self) -> tuple[Clique, ...]:
        """The families, in the domain's order."""
        domain = self.schema.domain
        return tuple(domain.canonical((child, *parents)) for child, parents in self.families)

    @cached_property
    def _graphical(self) -> GraphicalModel:
        """The same law as a graphical model, whose tree marries the parents of each child."""
        domain = self.schema.domain
        potentials: list[NDArray[np.float64]] = []
        families = zip(self.families, self._cliques, self.tables, strict=True)
        for (child, parents), clique, table in families:
            axes = [(*parents, child).index(a) for a in clique]
            shares = table.reshape([domain.sizes[a] for a in (*parents, child)]).transpose(axes)
            potential = np.full(shares.shape, -np.inf)
            potentials.append(np.log(shares, out=potential, where=shares > 0))
        cliques, summed = combine(domain, (self._cliques, potentials))
        return GraphicalModel(
            domain=domain, total=self.total, cliques=cliques, potentials=tuple(summed)
        )

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        axis = {a: i for i, a in enumerate(self.schema.domain.attributes)}
        return {
            "total": np.array(self.total),
            "order": np.array([axis[child] for child, _ in self.families], dtype=np.int64),
            "parents": np.array(
                [axis[a] for _, parents in self.families for a in parents], dtype=np.int64
            ),
            "degrees": np.array([len(parents) for _, parents in self.families], dtype=np.int64),
            "tables": np.concatenate([table.ravel() for table in self.tables]),
        }

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        names, sizes = schema.domain.attributes, schema.domain.sizes
        ends = np.cumsum(arrays["degrees"])[:-1]
        parents = [tuple(names[i] for i in part) for part in np.split(arrays["parents"], ends)]
        children = [names[i] for i in arrays["order"]]
        shapes = [
            (prod(sizes[a] for a in family), sizes[child])
            for child, family in zip(children, parents, strict=True)
        ]
        flat = np.asarray(arrays["tables"], dtype=np.float64)
        if flat.size != sum(map(prod, shapes)):
            raise InvalidValueError("tables", flat.shape, f"of {sum(map(prod, shapes))} numbers")
        cuts = np.cumsum([prod(shape) for shape in shapes])[:-1]
        tables = [t.reshape(s) for t, s in zip(np.split(flat, cuts), shapes, strict=True)]
        return cls(
            schema=schema,
            total=float(arrays["total"]),
            families=tuple(zip(children, parents, strict=True)),
            tables=tuple(tables),
        )


def conditional(values: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    """Return the rows of P(last axis | other axes) that noisy counts suggest.

    The counts are first moved to the nearest non-negative ones of sum `total`, which takes off
    every cell what the positive noise in empty cells would add. A combination of parents that is
    left without mass gets the child's overall distribution.

    Args:
        values: noisy counts, the child on the last axis.
        total: number of records they should sum to, above 0.
    """
    counts = _projected(values.ravel(), total).reshape(-1, values.shape[-1])
    overall = counts.sum(axis=0) / total
    mass = counts.sum(axis=1, keepdims=True)
    rows = np.where(mass > 0, counts / np.where(mass > 0, mass, 1.0), overall)
    return rows / rows.sum(axis=1, keepdims=True)


def _projected(values: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    """Return the point nearest to `values` among the non-negative ones of sum `total`.

    Reference: Duchi, Shalev-Shwartz, Singer & Chandra 2008, Figure 1.
    """
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - total) / np.arange(1, values.size + 1)
    last = int(np.flatnonzero(ordered > excess)[-1]) if (ordered > excess).any() else 0
    return np.maximum(values - excess[last], 0.0)
