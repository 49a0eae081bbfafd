"""The model that marginal generators release: a graphical model with its schema."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.data.schema import Schema
from dpsynth.generators.base import BlockSampler, TractableModel
from dpsynth.generators.limits import fit_until, time_for
from dpsynth.pgm.blocks import BLOCK_ROWS
from dpsynth.pgm.estimation import estimate, estimate_total
from dpsynth.pgm.evidence import Evidence
from dpsynth.pgm.measurement import NoisyMarginal, measurement_arrays, measurements_from
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.redrawing import pair_cells, redrawn
from dpsynth.pgm.uncertainty import Uncertainty

# More rows than any table has; noise at a tiny epsilon can suggest them all the same.
TOTAL_CEILING = 2.0**30
# Rows times the square of columns up to which codes are drawn anew; the same of trees of pairs, of
# which those that are cliques are rounded as well without; seconds for each on a slow machine, and
# the most cells of all pairs together.
_MOST_REDRAWN = 2**24
_MOST_OF_PAIRS = 2**22
_SECONDS_EACH = 3e-7
_MOST_PAIR_CELLS = 2**20


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class GraphicalSyntheticModel(TractableModel, BlockSampler):
    """A graphical model fitted to noisy marginals.

    Args:
        schema: the public description of the records.
        model: the distribution over the schema's domain, whose attributes are its first; more may
            follow, which are groups of their codes.
        measurements: the noisy marginals that it was fitted to, private outputs too; they say how
            far it may be from the records.
        public_total: the model's total is a public number, not a noisy one.
        redraw: whether some codes of rows are drawn anew (`redrawn`) where rows are few enough.
    """

    schema: Schema
    model: GraphicalModel
    measurements: tuple[NoisyMarginal, ...] = ()
    public_total: bool = False
    redraw: bool = False

    @classmethod
    def of(
        cls, private: PrivateData, model: GraphicalModel, measurements: Sequence[NoisyMarginal]
    ) -> Self:
        """Return what is released of `model`, which was fitted to `measurements`.

        Codes of its rows are drawn anew where the limit of time, if there is one, allows it.
        """
        work = model.total * len(private.schema.names) ** 2
        return cls(
            schema=private.schema,
            model=model,
            measurements=tuple(measurements),
            public_total=private.public_rows is not None,
            redraw=time_for(min(work, _MOST_REDRAWN) * _SECONDS_EACH),
        )

    @property
    def total(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The size to sample when the user names none."""
        return self.model.total

    def uncertainty(self, *, rng: np.random.Generator, draws: int = 32) -> Uncertainty:
        """Return standard errors and intervals of any marginal; they cost nothing.

        Args:
            rng: source of the draws for marginals that were not measured.
            draws: their number, at least 2.

        Raises:
            InvalidValueError: a model saved without its measurements, or made without any.
        """
        return Uncertainty(
            model=self.model,
            measurements=self.measurements,
            public_total=self.public_total,
            rng=rng,
            draws=draws,
        )

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        rows, columns = self.model.sample(n, rng=rng), len(self.schema.names)
        if self._redraws(n):
            rows = redrawn(self.model, rows, attributes=columns, rng=rng)
        return rows[:, :columns]

    def code_blocks(
        self, n: int, *, rng: np.random.Generator
    ) -> Iterator[NDArray[np.integer[Any]]]:
        if self._redraws(n):
            return iter([self.sample_codes(n, rng=rng)])
        return (rows[:, : len(self.schema.names)] for rows in self.model.blocks(n, rng=rng))

    def _redraws(self, n: int) -> bool:
        """Return whether codes of `n` rows are drawn anew."""
        columns, model = len(self.schema.names), self.model
        simple = all(len(clique) < 3 for clique in model.tree.cliques)
        return (
            self.redraw
            and n <= BLOCK_ROWS
            and n * columns**2 <= (_MOST_OF_PAIRS if simple else _MOST_REDRAWN)
            and pair_cells(model.domain, attributes=columns) <= _MOST_PAIR_CELLS
        )

    @property
    def tractable(self) -> bool:
        return True

    def given(self, evidence: Evidence) -> "GraphicalSyntheticModel":
        """Return the model of the records in which some attributes have certain codes.

        It has no measurements: those are of all records, and say nothing about a part's errors.
        Its codes are not drawn anew: parts are many and small. Otherwise as `TractableModel.given`.
        """
        return replace(self, model=self.model.given(evidence), measurements=(), redraw=False)

    def marginal(self, attributes: Clique) -> NDArray[np.float64]:
        return self.model.marginal(attributes)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        domain = self.model.domain
        added = domain.attributes[len(self.schema.names) :]
        return {
            **self.model.arrays(),
            **measurement_arrays(domain, self.measurements),
            "public_total": np.array(self.public_total),
            "redraw": np.array(self.redraw),
            "added_names": np.array(added, dtype=np.str_),
            "added_sizes": np.array([domain.sizes[a] for a in added], dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        sizes = dict(schema.domain.sizes)
        if "added_names" in arrays:
            pairs = zip(arrays["added_names"], arrays["added_sizes"], strict=True)
            sizes |= {str(name): int(size) for name, size in pairs}
        domain = Domain(sizes=sizes)
        model = GraphicalModel.from_arrays(domain, arrays)
        if "public_total" not in arrays:  # saved before measurements were kept
            return cls(schema=schema, model=model)
        return cls(
            schema=schema,
            model=model,
            measurements=measurements_from(domain, arrays),
            public_total=bool(arrays["public_total"]),
            redraw=bool(arrays.get("redraw", False)),  # models saved before have none
        )


def total_of(private: PrivateData, measurements: Sequence[NoisyMarginal]) -> float:
    """Return the public number of records, or else what the noisy counts say, at least 1."""
    if private.public_rows is not None:
        return float(private.public_rows)
    return min(estimate_total(measurements), TOTAL_CEILING)


def without_zeros(
    private: PrivateData, measurements: Sequence[NoisyMarginal]
) -> list[NoisyMarginal]:
    """Return measurements of codes with 0 in the cells that constraints inside them rule out."""
    found: list[NoisyMarginal] = []
    for marginal in measurements:
        values = marginal.values
        for clique, zeros in private.impossible.items():
            if set(clique) <= set(marginal.clique):
                own = [a for a in marginal.clique if a in clique]
                ruled_out = zeros.transpose([clique.index(a) for a in own])
                shape = [private.domain.sizes[a] if a in own else 1 for a in marginal.clique]
                values = np.where(ruled_out.reshape(shape), 0.0, values)
        found.append(replace(marginal, values=values))
    return found


def fitted(
    private: PrivateData,
    measurements: Sequence[NoisyMarginal],
    *,
    start: GraphicalModel | None = None,
    steps: int = 300,
    last: bool = False,
) -> GraphicalModel:
    """Return the graphical model that fits `measurements`; post-processing only.

    Args:
        private: for its public facts, what the schema's constraints rule out among them.
        measurements: what was bought, at least one.
        start: a model to start from.
        steps: largest number of steps of the optimiser.
        last: whether no other fit will follow, so that it may take all the time that is left.
    """
    return estimate(
        private.domain,
        measurements,
        total=total_of(private, measurements),
        start=start,
        impossible=private.impossible,
        steps=steps,
        until=fit_until(last=last),
    )
