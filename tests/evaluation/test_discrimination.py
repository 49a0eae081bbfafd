"""Discrimination: chance for one law, also where records repeat, and what is seen of another."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.schema import CategoricalColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.discrimination import ClassifierTwoSample, PropensityRatio
from tests.evaluation.laws import corrupt, draw


def narrow(n: int, *, rng: np.random.Generator) -> Table:
    """Return records of nine kinds, each of which occurs many times."""
    columns = tuple(CategoricalColumn(name=c, categories=("x", "y", "z")) for c in "ab")
    frame = pd.DataFrame({c: rng.choice(list("xyz"), size=n) for c in "ab"})
    return Table.from_frame(Schema(columns=columns), frame)


@pytest.mark.statistical
@pytest.mark.parametrize("law", [draw, narrow])
def test_one_law_scores_at_chance(law) -> None:
    """Mean area of 12 pairs of 300 records: deviation of one is .024, of the mean .007; four of
    them. Clipping at .5 raises the mean by .4 of .024. Stratified folds scored
    .56 for a pair of 600."""
    rng = np.random.default_rng(0)
    metric = ClassifierTwoSample(rounds=10)
    areas = [metric(law(300, rng=rng), law(300, rng=rng), rng=rng).value for _ in range(12)]
    assert np.mean(areas) < 0.5 + 0.4 * 0.024 + 4 * 0.007


def test_dependence_is_seen_by_trees_and_single_columns_by_both() -> None:
    rng = np.random.default_rng(1)
    real, fresh = draw(1000, rng=rng), draw(1000, rng=rng)
    order = [rng.permutation(1000) for _ in real.schema.names]
    frame = fresh.frame
    apart = Table.from_frame(
        real.schema,
        pd.DataFrame({n: frame[n].array[o] for n, o in zip(real.schema.names, order, strict=True)}),
    )
    trees, propensity = ClassifierTwoSample(), PropensityRatio()
    assert trees(real, apart, rng=rng).lower > 0.55
    assert propensity(real, apart, rng=rng).value < 3
    assert propensity(real, corrupt(fresh, 0.5, rng=rng), rng=rng).lower > 3


@pytest.mark.parametrize("parameters", [{"folds": 1}, {"most": 1}])
def test_parameters_out_of_range_are_named(parameters) -> None:
    for kind in (ClassifierTwoSample, PropensityRatio):
        with pytest.raises(InvalidValueError, match=next(iter(parameters))):
            kind(**parameters)
