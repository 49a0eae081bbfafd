"""A noisy marginal: what a curator releases and what estimation consumes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite, pi, prod, sqrt
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError

MEAN_SIZE = sqrt(2 / pi)
"""E|noise| of a Gaussian over its standard deviation; close enough for Laplace (0.71)."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NoisyMarginal:
    """Noisy counts of one clique.

    Args:
        clique: attributes, in the order of the axes of `values`.
        values: counts plus noise, one axis an attribute, in records.
        sigma: standard deviation of the noise in each cell, in records; public.
        groups: where codes were counted in groups: for each axis the group of each code of the
            attribute, from 0 with none left out, or None for an axis of single codes. Empty: all
            are.
        centred: the values are what the counts hold beyond their margins (`beyond_margins`),
            which they say nothing of.
    """

    clique: Clique
    values: NDArray[np.float64]
    sigma: float
    groups: tuple[tuple[int, ...] | None, ...] = ()
    centred: bool = False

    def __post_init__(self) -> None:
        if self.values.ndim != len(self.clique):
            raise InvalidValueError(
                "values", self.values.shape, f"an array with one axis for each of {self.clique}"
            )
        if not (isfinite(self.sigma) and self.sigma > 0):
            raise InvalidValueError("sigma", self.sigma, "a finite number above 0")

    @property
    def least_told(self) -> int:
        """The size of the smallest sets of attributes whose effects the values show."""
        return min(2, len(self.clique)) if self.centred else 0

    @property
    def grouped(self) -> bool:
        """Whether codes of any attribute were counted in groups."""
        return any(of is not None for of in self.groups)

    def shape(self, domain: Domain) -> tuple[int, ...]:
        """Return the shape that `values` have if they are of `domain`'s codes.

        Raises:
            UnknownNameError: an attribute that the domain lacks.
        """
        groups = self.groups or (None,) * len(self.clique)
        return tuple(
            size if g is None else max(g) + 1 if len(g) == size else 0
            for size, g in zip(domain.project(self.clique).shape, groups, strict=True)
        )

    def cells(self, domain: Domain) -> NDArray[np.intp] | None:
        """Return for each cell of the clique the cell of `values` that counts it; None: its own.

        Both are numbered along the axes in the domain's order.
        """
        if not self.grouped:
            return None
        key = domain.canonical(self.clique)
        order = [self.clique.index(a) for a in key]
        axes = [
            np.arange(domain.sizes[a]) if (g := self.groups[i]) is None else np.array(g)
            for a, i in zip(key, order, strict=True)
        ]
        shape = [self.values.shape[i] for i in order]
        return np.ravel_multi_index(np.ix_(*axes), shape).ravel()


def beyond_margins(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `values` less what their margins say of them: an orthogonal projection.

    One axis: less their mean. More: less what their one-way marginals say; what is left sums to 0
    along any axes that leave one, and is made of the interactions of two attributes and more.
    """
    mean = values.mean()
    if values.ndim == 1:
        return values - mean
    found = values + (values.ndim - 1) * mean
    for axis in range(values.ndim):
        others = tuple(i for i in range(values.ndim) if i != axis)
        found = found - values.mean(axis=others, keepdims=True)
    return found


def measurement_arrays(
    domain: Domain, measurements: Sequence[NoisyMarginal]
) -> dict[str, NDArray[Any]]:
    """Return measurements as plain arrays, for `measurements_from`."""
    widest = max((len(m.clique) for m in measurements), default=0)
    axes = [[*domain.axes(m.clique), *[-1] * (widest - len(m.clique))] for m in measurements]
    values = [m.values.ravel() for m in measurements]
    groups = [_all_groups(domain, m) for m in measurements]
    return {
        "measured": np.array(axes, dtype=np.int64).reshape(len(measurements), widest),
        "measured_values": np.concatenate(values) if values else np.empty(0),
        "measured_sigmas": np.array([m.sigma for m in measurements], dtype=np.float64),
        "measured_groups": np.array(list(chain.from_iterable(groups)), dtype=np.int64),
        "measured_centred": np.array([m.centred for m in measurements], dtype=np.bool_),
    }


def _all_groups(domain: Domain, measurement: NoisyMarginal) -> list[int]:
    """Return the groups of all axes, one after the other; an axis of single codes is its own."""
    groups = measurement.groups or (None,) * len(measurement.clique)
    pairs = zip(measurement.clique, groups, strict=True)
    return [g for a, of in pairs for g in (range(domain.sizes[a]) if of is None else of)]


def measurements_from(
    domain: Domain, arrays: Mapping[str, NDArray[Any]]
) -> tuple[NoisyMarginal, ...]:
    """Return the measurements that `arrays` came from.

    Raises:
        InvalidValueError: arrays that do not fit `domain` or one another.
    """
    table, sigmas = np.asarray(arrays["measured"]), np.asarray(arrays["measured_sigmas"])
    flat = np.asarray(arrays["measured_values"], dtype=np.float64)
    names = domain.attributes
    fits = table.ndim == 2 and sigmas.shape == (len(table),) and table.dtype.kind == "i"
    if not (fits and ((table >= -1) & (table < len(names))).all()):
        raise InvalidValueError("measured", table.shape, "one row of axes for each sigma")
    cliques = [tuple(names[axis] for axis in row if axis >= 0) for row in table]
    groups = _groups_from(domain, cliques, arrays.get("measured_groups"))
    centred = np.asarray(arrays.get("measured_centred", np.zeros(len(table), dtype=np.bool_)))
    if centred.shape != (len(table),) or centred.dtype != np.bool_:
        raise InvalidValueError("measured_centred", centred.shape, "one truth for each sigma")
    shapes = [
        tuple(domain.sizes[a] if g is None else max(g) + 1 for a, g in zip(c, of, strict=True))
        for c, of in zip(cliques, groups, strict=True)
    ]
    sizes = [prod(shape) for shape in shapes]
    if flat.shape != (sum(sizes),) or not np.isfinite(flat).all():
        raise InvalidValueError("measured_values", flat.shape, f"{sum(sizes)} finite numbers")
    parts = np.split(flat, np.cumsum(sizes)[:-1]) if sizes else []
    return tuple(
        NoisyMarginal(
            clique=clique,
            values=part.reshape(shape),
            sigma=float(sigma),
            groups=of if any(g is not None for g in of) else (),
            centred=bool(alone),
        )
        for clique, part, shape, sigma, of, alone in zip(
            cliques, parts, shapes, sigmas, groups, centred, strict=True
        )
    )


def _groups_from(
    domain: Domain, cliques: Sequence[Clique], flat: NDArray[Any] | None
) -> list[tuple[tuple[int, ...] | None, ...]]:
    """Return the groups of each clique's axes, None for an axis of single codes."""
    if flat is None:  # saved before codes were measured in groups
        return [(None,) * len(clique) for clique in cliques]
    sizes = [domain.sizes[a] for clique in cliques for a in clique]
    if flat.shape != (sum(sizes),) or flat.dtype.kind != "i" or (flat < 0).any():
        raise InvalidValueError("measured_groups", flat.shape, f"{sum(sizes)} groups of codes")
    parts = iter(np.split(flat, np.cumsum(sizes)[:-1]) if sizes else [])
    axes = [[next(parts) for _ in clique] for clique in cliques]
    return [
        tuple(
            None if np.array_equal(g, np.arange(len(g))) else tuple(int(x) for x in g) for g in of
        )
        for of in axes
    ]
