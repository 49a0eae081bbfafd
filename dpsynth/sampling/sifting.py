"""Conditional rows of any model: sifted from rows of the whole, with a bound on how many."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.data.encoding import Codes
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError, RareConditionError
from dpsynth.generators.base import SyntheticModel, TractableModel
from dpsynth.pgm.blocks import BLOCK_ROWS
from dpsynth.pgm.evidence import Evidence, Likelihood, likelihoods
from dpsynth.pgm.independent_rows import cell_of

PILOT_ROWS = 2**14
"""Rows of the whole that tell which combinations of codes a model has, and how often."""

MOST_ROWS = 2**20
"""Rows that may be drawn for a sample of any size."""

MOST_ROWS_EACH = 2_000
"""Rows that may be drawn for each row that is asked for, when that is more."""

_BATCH = 2**16


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SiftedModel:
    """The records of a model that satisfy evidence, found by drawing until there are enough.

    Rows follow the conditional law exactly; the total and marginals are those of the pilot rows.

    Args:
        model: of all records.
        pilot: rows of it.
        evidence: what is known of the records, by attribute.
    """

    model: SyntheticModel
    pilot: Codes
    evidence: Mapping[str, Likelihood] = field(default_factory=dict[str, Likelihood])

    @property
    def schema(self) -> Schema:
        return self.model.schema

    @property
    def total(self) -> float:
        """Expected number of such records."""
        return self.model.total * float(self._pilot_weights.mean())

    @cached_property
    def _pilot_weights(self) -> NDArray[np.float64]:
        return self._weights(self.pilot)

    def _weights(self, codes: Codes) -> NDArray[np.float64]:
        """Return the probability with which each row is kept."""
        found = np.ones(len(codes))
        for attribute, likelihood in self.evidence.items():
            (axis,) = self.schema.domain.axes((attribute,))
            found *= likelihood.values[codes[:, axis]]
        return found

    def given(self, evidence: Evidence) -> Self:
        """Return the records that satisfy more evidence; errors as of `TractableModel.given`."""
        both = dict(self.evidence)
        for attribute, values in likelihoods(self.schema.domain, evidence).items():
            new = Likelihood(values=values)
            both[attribute] = both[attribute] * new if attribute in both else new
        likelihoods(self.schema.domain, both)  # refuses a contradiction
        return replace(self, evidence=both)

    def marginal(self, attributes: Clique) -> NDArray[np.float64]:
        """Return the expected counts of `attributes` that the pilot rows suggest.

        Raises:
            RareConditionError: none of them satisfies the evidence.
        """
        if self.total == 0:
            raise RareConditionError(1, 0, len(self.pilot))
        domain = self.schema.domain
        cells, shape = cell_of(domain, self.pilot, attributes), domain.project(attributes).shape
        counts = np.zeros(prod(shape))
        np.add.at(counts, cells, self._pilot_weights)
        return counts.reshape(shape) * (self.model.total / len(self.pilot))

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> Codes:
        """Return `n` rows of codes.

        Raises:
            RareConditionError: fewer satisfy the evidence among as many rows as may be drawn.
        """
        most = max(MOST_ROWS, MOST_ROWS_EACH * n)
        kept: list[Codes] = []
        found, drawn = 0, 0
        while found < n:
            if drawn >= most:
                raise RareConditionError(n, found, drawn)
            # As many as the rate so far suggests, to within reason.
            expected = (n - found) * (drawn + 1) / (found + 1)
            size = int(min(max(expected, 256), _BATCH, most - drawn))
            codes = rows_of(self.model, size, rng=rng)
            codes = codes[rng.random(size) < self._weights(codes)]
            # Any order in which the model returns its rows must not decide which ones are left.
            kept.append(codes[rng.permutation(len(codes))[: n - found]])
            found, drawn = found + len(kept[-1]), drawn + size
        return np.concatenate(kept)

    def codes_in_blocks(self, n: int, *, rng: np.random.Generator) -> Iterator[Codes]:
        """Yield `n` rows of codes in blocks of bounded size; errors as of `sample_codes`."""
        if n < 1:
            raise InvalidValueError("n", n, "at least 1")
        sizes = (min(BLOCK_ROWS, n - start) for start in range(0, n, BLOCK_ROWS))
        return (self.sample_codes(size, rng=rng) for size in sizes)


Law: TypeAlias = TractableModel | SiftedModel
"""A model that can be asked for conditional laws."""


def law_of(model: SyntheticModel, *, rng: np.random.Generator) -> Law:
    """Return `model` itself where its conditional laws are known, or else a way to sift it.

    Args:
        model: any fitted model.
        rng: source of the pilot rows of a model that has to be sifted.
    """
    if isinstance(model, TractableModel) and model.tractable:
        return model
    return SiftedModel(model=model, pilot=rows_of(model, PILOT_ROWS, rng=rng))


def rows_of(model: SyntheticModel, n: int, *, rng: np.random.Generator) -> Codes:
    """Return `n` rows of codes as they leave the model, mended where constraints forbid them."""
    return np.concatenate(list(model.codes_in_blocks(n, rng=rng)))
