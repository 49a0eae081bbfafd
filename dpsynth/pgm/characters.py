"""Effects of a small domain as sums of waves: characters, whose products are characters again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod, sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Characters:
    """An orthonormal basis of effects, over a domain whose cells all fit into memory.

    The effect of a set S of attributes is a table over their M codes whose sums along any axis are
    0. Waves cos(a . x) and sin(a . x), where x_i turns by 2 pi / n_i a code and a_i is not 0 for
    any attribute in S, span such tables; their length over the M cells is the root of M, or of
    M / 2 where a and -a differ. Divided by it they are the functions here. The product of two waves
    is a sum of two waves, so one Fourier transform gives the expectations of all of them and all
    their covariances.

    Args:
        shape: numbers of codes of the attributes.
        sets: for each effect the axes of its attributes, at least one, ascending.

    Reference: Barak et al. 2007, section 2 (marginals of binary attributes by their Fourier
        coefficients); Diaconis 1988, chapter 8 (any numbers of codes).
    """

    shape: tuple[int, ...]
    sets: tuple[tuple[int, ...], ...]

    @cached_property
    def cells(self) -> tuple[int, ...]:
        """The number of cells of each effect's table."""
        return tuple(prod(self.shape[i] for i in axes) for axes in self.sets)

    @cached_property
    def owners(self) -> NDArray[np.intp]:
        """For each function the index of its effect; those of one effect stand together."""
        lengths = [prod(self.shape[i] - 1 for i in axes) for axes in self.sets]
        return np.asarray(np.repeat(np.arange(len(self.sets)), lengths), dtype=np.intp)

    @cached_property
    def _waves(self) -> tuple[NDArray[np.intp], NDArray[np.bool_], Array]:
        """For each function its frequencies, one an axis; whether it is a sine; its factor."""
        frequencies: list[list[int]] = []
        sines: list[bool] = []
        factors: list[float] = []
        for axes, cells in zip(self.sets, self.cells, strict=True):
            for of in product(*(range(1, self.shape[i]) for i in axes)):
                back = tuple(self.shape[i] - a for i, a in zip(axes, of, strict=True))
                row = [0] * len(self.shape)
                for i, a in zip(axes, min(of, back), strict=True):
                    row[i] = a
                frequencies.append(row)
                sines.append(of > back)
                factors.append(sqrt((1 if of == back else 2) / cells))
        return np.array(frequencies, dtype=np.intp), np.array(sines), np.array(factors)

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        return np.asarray(np.ravel_multi_index(tuple(self._waves[0].T), self.shape), dtype=np.intp)

    @cached_property
    def _products(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Where the differences and the sums of any two functions' frequencies are."""
        frequencies = self._waves[0]
        found = [np.zeros((len(frequencies),) * 2, dtype=np.int32) for _ in range(2)]
        for i, size in enumerate(self.shape):
            step = prod(self.shape[i + 1 :])
            of = frequencies[:, i].astype(np.int32)
            found[0] += step * ((of[:, None] - of) % size)
            found[1] += step * ((of[:, None] + of) % size)
        return found[0], found[1]

    def coefficients(self, values: Sequence[Array]) -> Array:
        """Return the coefficients of effects, each an array over its own attributes' codes."""
        frequencies, sines, factors = self._waves
        found: list[Array] = []
        for index, (axes, table) in enumerate(zip(self.sets, values, strict=True)):
            own = self.owners == index
            transform = _transform(table)[tuple(frequencies[own][:, axes].T)]
            found.append(factors[own] * np.where(sines[own], -transform.imag, transform.real))
        return np.concatenate(found) if found else np.empty(0)

    def tables(self, coefficients: Array) -> list[Array]:
        """Return each effect over its own attributes' codes: what `coefficients` takes."""
        frequencies, sines, factors = self._waves
        waves = factors * coefficients * np.where(sines, -1j, 1)
        found: list[Array] = []
        for index, axes in enumerate(self.sets):
            own = self.owners == index
            spectrum = np.zeros([self.shape[i] for i in axes], dtype=np.complex128)
            np.add.at(spectrum, tuple(frequencies[own][:, axes].T), waves[own])
            found.append(_sums(spectrum))
        return found

    def sums(self, coefficients: Array) -> Array:
        """Return for each cell of the domain the sum of the functions, times their coefficients."""
        _, sines, factors = self._waves
        spectrum = np.zeros(prod(self.shape), dtype=np.complex128)
        np.add.at(spectrum, self._places, factors * coefficients * np.where(sines, -1j, 1))
        return _sums(spectrum.reshape(self.shape))

    def expectations(self, law: Array) -> Array:
        """Return the sum over all cells of each function times `law`."""
        _, sines, factors = self._waves
        transform = _transform(law).ravel()[self._places]
        return factors * np.where(sines, -transform.imag, transform.real)

    def covariances(self, law: Array) -> Array:
        """Return the covariance matrix of the functions where cells have the probabilities `law`.

        By cos a cos b = (cos(a - b) + cos(a + b)) / 2, and likewise with sines.
        """
        _, sines, factors = self._waves
        transform = _transform(law).ravel()
        apart, together = (transform[places] for places in self._products)
        row, column = sines[:, None], sines[None, :]
        cosines = np.where(row & column, -1.0, 1.0) * together.real + apart.real
        mixed = np.where(column, 1.0, -1.0) * apart.imag - together.imag
        found = 0.5 * factors[:, None] * factors * np.where(row == column, cosines, mixed)
        means = self.expectations(law)
        return found - means[:, None] * means


def _transform(values: Array) -> NDArray[np.complex128]:
    """Return the sum over all cells x of `values` times exp(-i a . x), for every a."""
    from scipy.fft import fftn

    return np.asarray(fftn(values), dtype=np.complex128)


def _sums(spectrum: NDArray[np.complex128]) -> Array:
    """Return for every cell x the real part of the sum over all a of `spectrum` exp(i a . x)."""
    from scipy.fft import ifftn

    return np.asarray(ifftn(spectrum, norm="forward"), dtype=np.complex128).real
