"""Associations of mixed columns, by hand and against pandas."""

from math import floor

import numpy as np
import pytest

from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.evaluation.correlation import associations
from dpsynth.evaluation.sample import Sample
from tests.evaluation.laws import SCHEMA, codes_of, draw

PAIRS = [(a, b) for i, a in enumerate(SCHEMA.names) for b in SCHEMA.names[i + 1 :]]


def association(first: str, second: str, table_rows: int = 4000) -> float:
    rng = np.random.default_rng(0)
    found = associations(Sample.of(draw(table_rows, rng=rng)))
    return float(found[PAIRS.index((first, second))])


def test_numbers_have_pearsons_correlation_over_complete_records() -> None:
    rng = np.random.default_rng(0)
    frame = draw(4000, rng=rng).frame
    # Eight bins each, represented by their mid-points; no value lies on the upper bound.
    income, spend = (frame["income"] * 8).apply(floor), (frame["spend"] * 4).apply(floor)
    assert association("income", "spend") == pytest.approx(income.corr(spend))
    visits = frame["visits"].astype("float64")
    assert association("visits", "spend") == pytest.approx(visits.corr(spend))


def test_categories_have_cramers_v_without_bias() -> None:
    columns = tuple(CategoricalColumn(name=n, categories=tuple("abcdef")) for n in "xyz")
    rng = np.random.default_rng(1)
    independent = [
        associations(Sample(schema=Schema(columns=columns), codes=rng.integers(6, size=(60, 3))))
        for _ in range(200)
    ]
    # Uncorrected, Cramer's V of 60 records in 36 cells is about .29 under independence.
    assert np.mean(independent) < 0.1
    same = np.repeat(np.arange(6), 10)
    codes = np.column_stack([same, same[::-1], rng.integers(6, size=60)])
    found = associations(Sample(schema=Schema(columns=columns), codes=codes))
    assert found[0] == pytest.approx(1.0)


def test_a_category_and_a_number_have_the_correlation_ratio() -> None:
    columns = (
        CategoricalColumn(name="group", categories=("a", "b")),
        IntegerColumn(name="value", lower=0, upper=9, missing=True),
    )
    codes = np.array([[0, 0], [0, 2], [1, 8], [1, 10], [1, 6]])
    found = associations(Sample(schema=Schema(columns=columns), codes=codes))
    # Group means 1 and 7 about the mean 4: between 36, total 40; the missing value is left out.
    assert found[0] ** 2 == pytest.approx(1 - (1 - 36 / 40) * 3 / 2)


def test_a_constant_column_is_associated_with_nothing() -> None:
    rng = np.random.default_rng(2)
    table = draw(100, rng=rng)
    for column in range(len(SCHEMA.columns)):
        codes = codes_of(table).copy()
        codes[:, column] = 1
        found = associations(Sample(schema=SCHEMA, codes=codes))
        touched = [SCHEMA.names[column] in pair for pair in PAIRS]
        assert (found[touched] == 0).all()
        assert np.isfinite(found).all()
