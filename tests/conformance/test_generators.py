"""What every generator of the registry must keep; a new one gets these tests for its line there."""

import math

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.registry import GENERATORS
from dpsynth.synthesis import Synthesis
from tests.conformance.short import narrow, short

NEURAL = tuple(name for name in GENERATORS if ".neural." in GENERATORS.target(name))
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in NEURAL else name for name in GENERATORS
]
DPSGD = tuple(name for name in NEURAL if GENERATORS.get(name).accountant == "pld")
MIXED = Schema(
    columns=(
        CategoricalColumn(name="colour", categories=("red", "green", "blue"), missing=True),
        IntegerColumn(name="age", lower=0, upper=11),
        FloatColumn(name="income", lower=0.0, upper=1.0, bins=4),
        CategoricalColumn(name="only", categories=("same",)),
    )
)


def mixed(n: int) -> Table:
    rng = np.random.default_rng(5)
    colour = np.array(["red", "green", "blue", None], dtype=object)[rng.integers(0, 4, n)]
    age = rng.integers(0, 12, n)
    frame = {"colour": colour, "age": age, "income": age / 12 + rng.random(n) / 12, "only": "same"}
    return Table.from_frame(MIXED, pd.DataFrame(frame))


def coded(columns: int, rows: int) -> Table:
    rng = np.random.default_rng(7)
    names = [f"x{i}" for i in range(columns)]
    schema = Schema(columns=tuple(IntegerColumn(name=c, lower=0, upper=4) for c in names))
    return Table.from_frame(
        schema, pd.DataFrame(rng.integers(0, 5, size=(rows, columns)), columns=names)
    )


def needs_torch(name: str) -> None:
    if name in NEURAL:
        pytest.importorskip("torch", reason="the extra 'neural' is not installed")


def fit(name: str, table: Table, *, epsilon: float = 1.0, seed: int = 0) -> Synthesis:
    """Return a model that was hardly trained: nobody asks what it has learned."""
    needs_torch(name)
    return dpsynth.synthesize(table, generator=narrow(name), epsilon=epsilon, seed=seed)


@pytest.mark.parametrize("name", NEURAL)
def test_a_sweep_without_torch_leaves_it_out(name: str) -> None:
    assert "torch" in GENERATORS.get(name).requires


@pytest.mark.parametrize("name", NEURAL)
def test_it_says_what_it_minimises_and_how_that_is_paid_for(name: str) -> None:
    said = GENERATORS.get(name).__doc__ or ""
    for heading in ("Loss", "Relation:", "Sensitivit", "Accounting:", "Cost:", "Reference:"):
        assert f" {heading}" in said, heading


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("epsilon", [0.001, 1.0, 100.0])
def test_stays_within_its_budget(name: str, epsilon: float) -> None:
    receipt = fit(name, mixed(60), epsilon=epsilon).receipt
    assert 0.9 * epsilon <= receipt.epsilon_spent <= epsilon
    assert receipt.spent <= receipt.capacity
    # Under a plan the first entry carries the cost of all; everywhere the entries are the sum.
    assert math.fsum(e.cost for e in receipt.entries) == pytest.approx(receipt.spent, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_decide_everything(name: str) -> None:
    table = mixed(60)
    first, again, other = (fit(name, table, seed=s).sample(40).frame for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


@pytest.mark.parametrize("name", NAMES)
def test_honours_the_schema_and_sampling_is_free(name: str) -> None:
    model = fit(name, mixed(60))
    before = model.receipt.to_json()
    rows = model.sample(50)
    assert rows.schema == MIXED  # a Table validates its records when it is made
    assert len(rows) == 50
    assert model.receipt.to_json() == before


@pytest.mark.parametrize("name", NAMES)
def test_every_conditional_row_satisfies_its_condition(name: str) -> None:
    model = fit(name, mixed(60), epsilon=5.0)
    before = model.receipt.to_json()
    where = {"colour": ["red", None], "age": (2, 9), "income": ">0.3", "only": "same"}
    rows = model.sample(200, where=where).frame
    assert len(rows) == 200
    assert (rows["colour"].isna() | rows["colour"].eq("red")).all()
    assert rows["age"].between(2, 9).all()
    assert rows["income"].gt(0.3).all()
    even = model.sample(90, where={"age": "!=0"}, balance=["colour"]).frame
    sizes = even["colour"].value_counts(dropna=False)
    assert sizes.max() - sizes[sizes > 0].min() <= 1
    assert even["age"].ne(0).all()
    income = model.sample(100, shares={"income": {"<=0.4": 0.8}}).frame["income"]
    assert income.le(0.4).sum() == 80
    assert model.receipt.to_json() == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("columns", "rows"), [(1, 50), (3, 2), pytest.param(60, 100, marks=pytest.mark.slow)]
)
def test_narrow_short_and_wide_tables(name: str, columns: int, rows: int) -> None:
    assert len(fit(name, coded(columns, rows)).sample(20)) == 20


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_samples_the_same_rows(name: str, tmp_path) -> None:
    model = fit(name, mixed(60))
    model.save(tmp_path / "model")
    loaded = Synthesis.load(tmp_path / "model")
    pd.testing.assert_frame_equal(model.sample(30).frame, loaded.sample(30).frame)
    assert loaded.receipt == model.receipt


@pytest.mark.parametrize("name", NAMES)
def test_utility_rises_with_epsilon(name: str) -> None:
    """A tiny budget must do worse than a huge one on 1-ways; `uniform` knows none and stays."""
    table = mixed(2000)
    codec = Codec(schema=MIXED)
    real = codec.encode(table)[:, 1].astype(np.int64)

    needs_torch(name)

    def error(epsilon: float) -> float:
        model = dpsynth.synthesize(table, generator=short(name), epsilon=epsilon, seed=0)
        codes = codec.encode(model.sample(4000))[:, 1].astype(np.int64)
        shares = [np.bincount(c, minlength=12) / len(c) for c in (real, codes)]
        return 0.5 * float(np.abs(shares[0] - shares[1]).sum())

    if name == "uniform":
        pytest.skip("uniform measures no marginal")
    assert error(20.0) < error(0.005)
