"""How densely a table lies around a record: a product kernel on categories and on ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.records import distances, plain_records
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn

if TYPE_CHECKING:
    from dpsynth.data.table import Table

_SHARE = 0.1
_NARROWEST = 1e-3
"""Distances of ranks below this one are none: it keeps the width of repeating records above 0."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel:
    """The kernel exp(-distance / width), with numbers replaced by their ranks among a reference.

    The distance is a sum over columns, so the kernel is a product over them: equal or unequal for
    categories, Laplace's for ranks. On ranks a skewed column counts as much as any other. The width
    is a point's own: a tenth of its distance from the nearest reference record. An attacker looks
    for single records and not for a smooth law, and a synthetic record at a given distance says
    much where the population is dense and little where it is not.

    Args:
        columns: as distances compare them.
        rising: values of each column of numbers in the reference, in rising order; None for
            categories.
        reference: its records, placed.

    Reference: D. Terrell and D. Scott, Variable Kernel Density Estimation (1992), section 2, the
    balloon estimator.
    """

    columns: tuple[Column, ...]
    rising: tuple[NDArray[np.float64] | None, ...]
    reference: NDArray[np.float64]

    @classmethod
    def of(cls, columns: Sequence[Column], reference: NDArray[np.float64]) -> "Kernel":
        """Return the kernel that a reference sets.

        Args:
            columns: of the schema.
            reference: plain records.
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
        return cls(columns=ranked, rising=rising, reference=_placed(reference, rising))

    def place(self, records: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return plain records with ranks, from 0 to 1, for numbers."""
        return _placed(records, self.rising)

    def widths(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the width of the kernel at each of `points`; placed."""
        nearest = [b.min(axis=1) for b in distances(self.columns, points, self.reference)]
        return np.maximum(_SHARE * np.concatenate(nearest).astype(np.float64), _NARROWEST)

    def log_sum(
        self,
        points: NDArray[np.float64],
        records: NDArray[np.float64],
        *,
        widths: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the logarithm of the kernel's sum over `records`, at each of `points`; placed."""
        found: list[NDArray[np.float64]] = []
        done = 0
        for block in distances(self.columns, points, records):
            width = widths[done : done + len(block)]
            done += len(block)
            nearest = block.min(axis=1, keepdims=True)
            total = np.exp((nearest - block) / width[:, None].astype(np.float32)).sum(axis=1)
            found.append(np.log(total) - nearest[:, 0].astype(np.float64) / width)
        return np.concatenate(found)


def _placed(
    records: NDArray[np.float64], rising: Sequence[NDArray[np.float64] | None]
) -> NDArray[np.float64]:
    placed = np.array(records, order="F")
    for i, known in enumerate(rising):
        if known is None:
            continue
        if known.size:
            below, up_to = (np.searchsorted(known, records[:, i], s) for s in ("left", "right"))
            ranks = (below + up_to) / (2 * known.size)
        else:
            ranks = np.full(len(records), 0.5)
        placed[:, i] = np.where(np.isnan(records[:, i]), np.nan, ranks)
    return placed


def kernel_at(
    points: "Table", *, population: "Table"
) -> tuple[Kernel, NDArray[np.float64], NDArray[np.float64]]:
    """Return the kernel that a population sets, the points placed, and its width at each of them.

    Args:
        points: records.
        population: other records, the reference of the kernel.
    """
    kernel = Kernel.of(points.schema.columns, plain_records(population))
    placed = kernel.place(plain_records(points))
    return kernel, placed, kernel.widths(placed)


def release_densities(
    releases: Sequence["Table"], points: "Table", *, population: "Table"
) -> NDArray[np.float64]:
    """Return the logarithm of the density that each release has at each point, up to a constant.

    Args:
        releases: tables.
        points: records.
        population: other records, the reference of the kernel.
    """
    kernel, placed, widths = kernel_at(points, population=population)
    return np.array(
        [
            kernel.log_sum(placed, kernel.place(plain_records(r)), widths=widths) - np.log(len(r))
            for r in releases
        ]
    )
