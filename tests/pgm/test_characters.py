"""Waves as a basis of effects: against sums over all cells."""

from itertools import combinations
from math import prod

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.pgm.characters import Characters
from dpsynth.pgm.effects import centred

Array = NDArray[np.float64]

SHAPES = [(2, 2, 2, 2), (2, 3, 4), (5, 3, 2, 6), (3, 1, 4), (7,)]


def basis_of(shape: tuple[int, ...]) -> Characters:
    axes = [i for i, size in enumerate(shape) if size > 1]
    return Characters(shape=shape, sets=tuple(s for k in (1, 2, 3) for s in combinations(axes, k)))


def functions(basis: Characters) -> Array:
    """One row a function, one column a cell."""
    rows = [basis.sums(row).ravel() for row in np.eye(len(basis.owners))]
    return np.array(rows)


def law_of(shape: tuple[int, ...]) -> Array:
    law = np.random.default_rng(prod(shape)).random(shape) ** 3
    return law / law.sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_functions_are_orthonormal_over_the_cells_of_their_effect(shape: tuple[int, ...]) -> None:
    basis = basis_of(shape)
    found, cells = functions(basis), np.array(basis.cells)[basis.owners]
    scaled = found * np.sqrt(cells / prod(shape))[:, None]
    assert np.abs(scaled @ scaled.T - np.eye(len(found))).max() < 1e-12
    assert len(found) == sum(prod(shape[i] - 1 for i in axes) for axes in basis.sets)


@pytest.mark.parametrize("shape", SHAPES)
def test_expectations_and_covariances_are_those_of_sums_over_all_cells(
    shape: tuple[int, ...],
) -> None:
    basis, law = basis_of(shape), law_of(shape)
    rows, p = functions(basis), law.ravel()
    means = rows @ p
    assert np.abs(basis.expectations(law) - means).max() < 1e-12
    wanted = (rows * p) @ rows.T - np.outer(means, means)
    assert np.abs(basis.covariances(law) - wanted).max() < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_coefficients_of_a_law_s_effects_are_its_expectations(shape: tuple[int, ...]) -> None:
    basis, law = basis_of(shape), law_of(shape)
    effects = [
        centred(law.sum(axis=tuple(i for i in range(len(shape)) if i not in axes)))
        for axes in basis.sets
    ]
    assert np.abs(basis.coefficients(effects) - basis.expectations(law)).max() < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_tables_of_coefficients_are_the_effects_that_they_were_taken_of(
    shape: tuple[int, ...],
) -> None:
    basis, rng = basis_of(shape), np.random.default_rng(4)
    effects = [centred(rng.normal(size=[shape[i] for i in axes])) for axes in basis.sets]
    found = basis.tables(basis.coefficients(effects))
    for table, effect in zip(found, effects, strict=True):
        np.testing.assert_allclose(table, effect, atol=1e-12)


def test_no_sets_have_no_functions() -> None:
    basis = Characters(shape=(2, 3), sets=())
    assert basis.coefficients([]).shape == basis.owners.shape == (0,)
