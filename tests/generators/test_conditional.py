"""The model of marginal generators: conditional samples, decoded under the schema."""

import numpy as np
import pytest

from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.errors import ContradictionError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.estimation import estimate

SCHEMA = Schema(
    columns=(
        CategoricalColumn(name="colour", categories=("red", "green", "blue"), missing=True),
        IntegerColumn(name="age", lower=0, upper=11),
        FloatColumn(name="income", lower=0.0, upper=1.0, bins=4),
    )
)


def model() -> GraphicalSyntheticModel:
    impossible = {("colour", "age"): np.zeros((4, 12), dtype=bool)}
    impossible["colour", "age"][1, 3:] = True  # nothing green is older than 2
    fitted = estimate(SCHEMA.domain, [], total=100.0, impossible=impossible)
    return GraphicalSyntheticModel(schema=SCHEMA, model=fitted)


def test_rows_given_evidence() -> None:
    some = model().given({"colour": [1, 3], "age": range(3, 6)})
    table = some.sample(90, rng=np.random.default_rng(0))
    assert table.frame["colour"].isna().all()  # green is ruled out, so that missing is left
    assert table.frame["age"].value_counts().to_dict() == {3: 30, 4: 30, 5: 30}
    codes = Codec(schema=SCHEMA).encode(table)
    assert set(codes[:, 2]) == {0, 1, 2, 3}
    assert some.total == pytest.approx(100.0 * 3 / 39)
    assert model().given({}).total == pytest.approx(100.0)


def test_impossible_evidence_is_refused() -> None:
    with pytest.raises(ContradictionError, match="'colour', 'age'"):
        model().given({"colour": 1, "age": 7})
