"""Models whose conditional laws are known: exact, whatever they are made of."""

from itertools import product

import numpy as np
import pytest

from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.errors import ContradictionError, InvalidValueError, UnknownNameError
from dpsynth.generators.base import TractableModel
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.bayesian_network import BayesianNetworkModel
from dpsynth.generators.mixture import MixtureSyntheticModel
from dpsynth.pgm.estimation import estimate
from dpsynth.pgm.evidence import Likelihood
from dpsynth.pgm.product_mixture import ProductMixture

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


def network() -> tuple[BayesianNetworkModel, np.ndarray]:
    """A network of the schema and its full table; some conditional probabilities are 0."""
    rng = np.random.default_rng(3)
    income = rng.dirichlet(np.ones(4), size=1)
    age = rng.dirichlet(np.full(12, 0.2), size=4)
    age[0, 3:] = 0.0
    age /= age.sum(axis=1, keepdims=True)
    colour = rng.dirichlet(np.ones(4), size=4 * 12)  # the parents are not in the domain's order
    found = BayesianNetworkModel(
        schema=SCHEMA,
        total=100.0,
        families=(("income", ()), ("age", ("income",)), ("colour", ("income", "age"))),
        tables=(income, age, colour),
    )
    table = np.einsum("i,ia,iac->cai", income[0], age, colour.reshape(4, 12, 4))
    return found, table


def mixture() -> tuple[MixtureSyntheticModel, np.ndarray]:
    """Two parts, one of them an attribute between those of the other, and their full table."""
    rng = np.random.default_rng(4)
    outer, inner = SCHEMA.domain.project(["colour", "income"]), SCHEMA.domain.project(["age"])
    colour, income = rng.dirichlet(np.ones(4), size=(2, 5)).astype(np.float32)
    age = rng.dirichlet(np.ones(12), size=3).astype(np.float32)
    joined = ProductMixture(
        domain=outer, total=100.0, components=np.concatenate([colour, income], axis=1)
    )
    alone = ProductMixture(domain=inner, total=100.0, components=age)
    table = np.einsum("kc,ki,ja->cai", colour, income, age, dtype=np.float64) / 15
    return MixtureSyntheticModel(schema=SCHEMA, parts=(joined, alone)), table


@pytest.mark.parametrize("make", [network, mixture])
@pytest.mark.parametrize("seed", range(4))
def test_any_tractable_model_equals_its_full_table(make, seed: int) -> None:
    whole, table = make()
    assert isinstance(whole, TractableModel)
    assert whole.tractable
    names = SCHEMA.domain.attributes
    np.testing.assert_allclose(whole.marginal(names), 100.0 * table, rtol=1e-5, atol=1e-9)
    rng = np.random.default_rng(seed)
    soft = Likelihood(values=rng.choice([0.0, 0.3, 1.0], size=12, p=[0.4, 0.3, 0.3]))
    left = table * soft.values[:, None]
    left[[0, 2]] = 0.0
    found = whole.given({"age": soft, "colour": [1, 3]})
    assert found.total == pytest.approx(100.0 * left.sum(), rel=1e-5)
    for size in (1, 2, 3):
        for wanted in product(names, repeat=size):
            if len(set(wanted)) < size:
                with pytest.raises(InvalidValueError, match="once"):
                    found.marginal(wanted)
                continue
            gone = tuple(i for i, a in enumerate(names) if a not in wanted)
            kept = [a for a in names if a in wanted]
            expected = left.sum(axis=gone).transpose([kept.index(a) for a in wanted])
            shares = found.marginal(wanted) / found.total
            np.testing.assert_allclose(shares, expected / left.sum(), atol=1e-6)
    again = type(found).from_arrays(SCHEMA, found.arrays())
    first, second = (m.sample_codes(300, rng=np.random.default_rng(1)) for m in (found, again))
    np.testing.assert_array_equal(first, second)
    assert set(first[:, 0]) <= {1, 3}
    assert soft.values[first[:, 1]].all()


@pytest.mark.parametrize("make", [network, mixture])
def test_evidence_that_no_column_can_have_is_refused(make) -> None:
    whole, _ = make()
    with pytest.raises(UnknownNameError, match="'agee'"):
        whole.given({"agee": 1})
    with pytest.raises(InvalidValueError, match="below 12"):
        whole.given({"age": 12})
    with pytest.raises(ContradictionError, match="'age'"):
        whole.given({"age": []})


def test_a_network_may_be_too_wide_to_be_tractable() -> None:
    wide = Schema(columns=tuple(IntegerColumn(name=f"x{i}", lower=0, upper=99) for i in range(5)))
    names = wide.names
    found = BayesianNetworkModel(
        schema=wide,
        total=1.0,
        families=(*((a, ()) for a in names[:4]), (names[4], names[:4])),
        tables=(*(np.full((1, 100), 0.01) for _ in range(4)), np.broadcast_to(0.01, (10**8, 100))),
    )
    assert not found.tractable
