"""How densely a table lies around a record: a product kernel on categories and on ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.records import distances, plain_records
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn

if TYPE_CHECKING:
    from dpsynth.data.table import Table

_NARROWEST = 0.05
_PROBED = 500
"""Reference records, at most, whose distances set the kernel's width."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel:
    """The kernel exp(-distance / width), with numbers replaced by their ranks among a reference.

    The distance is a sum over columns, so the kernel is a product over them: equal or unequal for
    categories, Laplace's for ranks. On ranks a skewed column counts as much as any other. The width
    is half the median distance of reference records from their nearest neighbours: narrower than
    the best estimate of the population's density would be, since an attacker looks for single
    records and not for a smooth law.

    Args:
        columns: as distances compare them.
        reference: values of each column of numbers in rising order; None for categories.
        width: of the kernel, a distance.
    """

    columns: tuple[Column, ...]
    reference: tuple[NDArray[np.float64] | None, ...]
    width: float

    @classmethod
    def of(cls, columns: Sequence[Column], reference: NDArray[np.float64]) -> "Kernel":
        """Return the kernel that a reference sets.

        Args:
            columns: of the schema.
            reference: plain records, in random order.
        """
        rising = tuple(
            None if isinstance(c, CategoricalColumn) else np.sort(numbers[~np.isnan(numbers)])
            for c, numbers in zip(columns, reference.T, strict=True)
        )
        ranked = tuple(
            c
            if isinstance(c, CategoricalColumn)
            else FloatColumn(name=c.name, lower=0.0, upper=1.0, missing=c.missing)
            for c in columns
        )
        bare = cls(columns=ranked, reference=rising, width=1.0)
        placed = bare.place(reference[:_PROBED])
        if len(placed) < 2:
            return bare
        nearest = [
            np.partition(block, 1, axis=1)[:, 1] for block in distances(ranked, placed, placed)
        ]
        width = max(0.5 * float(np.median(np.concatenate(nearest))), _NARROWEST)
        return cls(columns=ranked, reference=rising, width=width)

    def place(self, records: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return plain records with ranks, from 0 to 1, for numbers."""
        placed = np.array(records, order="F")
        for i, rising in enumerate(self.reference):
            if rising is None:
                continue
            if rising.size:
                below, up_to = (
                    np.searchsorted(rising, records[:, i], s) for s in ("left", "right")
                )
                ranks = (below + up_to) / (2 * rising.size)
            else:
                ranks = np.full(len(records), 0.5)
            placed[:, i] = np.where(np.isnan(records[:, i]), np.nan, ranks)
        return placed

    def log_sum(
        self, points: NDArray[np.float64], records: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the logarithm of the kernel's sum over `records`, at each of `points`; placed."""
        found: list[NDArray[np.float64]] = []
        for block in distances(self.columns, points, records):
            nearest = block.min(axis=1, keepdims=True)
            total = np.exp((nearest - block) / np.float32(self.width)).sum(axis=1)
            found.append(np.log(total) - nearest[:, 0].astype(np.float64) / self.width)
        return np.concatenate(found)


def release_densities(
    releases: Sequence["Table"], points: "Table", *, known: "Table", rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the logarithm of the density that each release has at each point, up to a constant.

    Args:
        releases: tables.
        points: records.
        known: the reference of the kernel.
        rng: source of the part of it that sets the width.
    """
    kernel = Kernel.of(known.schema.columns, plain_records(known.take(rng.permutation(len(known)))))
    placed = kernel.place(plain_records(points))
    return np.array(
        [kernel.log_sum(placed, kernel.place(plain_records(r))) - np.log(len(r)) for r in releases]
    )
