"""Samples of the records that satisfy conditions, in the proportions that a user asks for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.conditions import Span
from dpsynth.data.encoding import Codec, Codes, check_ranges
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import SyntheticModel
from dpsynth.pgm.blocks import BLOCK_ROWS, part_of
from dpsynth.pgm.sampling import systematic_counts
from dpsynth.sampling.sifting import law_of
from dpsynth.sampling.strata import Request, Strata, stratify


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Records of a model that satisfy a request; sampling them is post-processing, hence free.

    With several strata each gets its share of the rows, rounded down or up, and is drawn from its
    own conditional law.

    Args:
        strata: what a sample is made of.
    """

    strata: Strata

    @classmethod
    def of(cls, model: SyntheticModel, request: Request, *, rng: np.random.Generator) -> Self:
        """Return what `request` asks of `model`.

        Args:
            model: any fitted model. One whose conditional laws are unknown is sifted.
            request: conditions and proportions.
            rng: of the pilot rows of a model that is sifted.

        Raises:
            InvalidValueError: a condition that cuts a bin of a column in an order.
            DpsynthError: as of `stratify`.
        """
        strata = stratify(law_of(model, rng=rng), request)
        for stratum in strata.parts:
            check_ranges(model.schema, stratum.ranges)
        return cls(strata=strata)

    @property
    def total(self) -> float:
        """Expected number of records of the model that satisfy the conditions."""
        return self.strata.total

    def sample(self, n: int | None, *, rng: np.random.Generator) -> Table:
        """Return `n` records.

        Args:
            n: number of rows, at least 1; None for as many as the model has of them.
            rng: source of randomness; privacy does not depend on it.

        Raises:
            InvalidValueError: n below 1.
            RareConditionError: a model that is sifted has too few rows that satisfy the conditions.
        """
        return _joined(list(self.sample_blocks(n, rng=rng)))

    def sample_blocks(self, n: int | None, *, rng: np.random.Generator) -> Iterator[Table]:
        """Yield the records that `sample` returns, in tables of bounded size; errors as there."""
        n = max(1, round(self.total)) if n is None else n
        if n < 1:
            raise InvalidValueError("n", n, "at least 1")
        law, codec = self.strata.law, Codec(schema=self.strata.law.schema)
        if len(self.strata.parts) > 1:
            return self._mixed_blocks(codec, n, rng=rng)
        only = self.strata.parts[0]
        blocks = (law.given(only.evidence) if only.evidence else law).codes_in_blocks(n, rng=rng)
        return (codec.decode(codes, rng=rng, ranges=only.ranges) for codes in blocks)

    def _mixed_blocks(self, codec: Codec, n: int, *, rng: np.random.Generator) -> Iterator[Table]:
        shares = np.array([[stratum.share for stratum in self.strata.parts]])
        left = systematic_counts(shares, np.array([n]), rng=rng)
        for start in range(0, n, BLOCK_ROWS):
            # Each block is itself in proportion, and together they have whole numbers of rows.
            counts = part_of(left, np.array([min(BLOCK_ROWS, n - start)]), rng=rng)
            left -= counts
            yield self._mixed(codec, counts[0], rng=rng)

    def _mixed(self, codec: Codec, counts: NDArray[np.int64], *, rng: np.random.Generator) -> Table:
        """Return records of all strata, `counts` of each, in random order."""
        groups: dict[tuple[tuple[str, Span], ...], list[Codes]] = {}
        for stratum, count in zip(self.strata.parts, counts, strict=True):
            if count:
                law = self.strata.law.given(stratum.evidence)
                codes = law.sample_codes(int(count), rng=rng)
                groups.setdefault(tuple(sorted(stratum.ranges.items())), []).append(codes)
        tables = [
            codec.decode_blocks(codes, rng=rng, ranges=dict(ranges))
            for ranges, codes in groups.items()
        ]
        return _joined(tables).take(rng.permutation(int(counts.sum())))


def _joined(tables: Sequence[Table]) -> Table:
    """Return the records of tables of one schema, one behind the other."""
    import pandas as pd

    if len(tables) == 1:
        return tables[0]
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    return Table(schema=tables[0].schema, frame=frame)
