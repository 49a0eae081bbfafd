"""Counterfactual copies: what is not caused stays, what is caused follows the graph."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data.constraints import Forbidden
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, DpsynthError, InvalidValueError, UnknownNameError
from dpsynth.generators.marginal.bayesian_network import BayesianNetworkModel
from dpsynth.generators.neural.decoder_model import DecoderModel
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.sampling.causal_graph import CausalGraph
from dpsynth.sampling.counterfactual import abducted, counterfactuals, cumulative_laws

SCHEMA = Schema(
    columns=(
        CategoricalColumn(name="sex", categories=("female", "male")),
        IntegerColumn(name="age", lower=0, upper=11, bins=4),
        CategoricalColumn(name="job", categories=("a", "b", "c"), missing=True),
        FloatColumn(name="income", lower=0.0, upper=1.0, bins=4),
    )
)
# A causes of all: age -> sex, age -> job <- sex, (sex, job) -> income.
FAMILIES = (
    ("age", ()),
    ("sex", ("age",)),
    ("job", ("age", "sex")),
    ("income", ("sex", "job")),
)
GRAPH = {child: list(parents) for child, parents in FAMILIES if parents}


def network() -> BayesianNetworkModel:
    rng = np.random.default_rng(0)
    sizes = SCHEMA.domain.sizes
    tables = tuple(
        rng.dirichlet(np.full(sizes[child], 0.7), size=int(np.prod([sizes[p] for p in parents])))
        for child, parents in FAMILIES
    )
    return BayesianNetworkModel(schema=SCHEMA, total=100.0, families=FAMILIES, tables=tables)


def rows_of(model: BayesianNetworkModel, n: int, *, seed: int = 1) -> Table:
    return model.sample(n, rng=np.random.default_rng(seed))


def copies(rows: Table, *, seed: int = 2, graph: Any = GRAPH, **do: Any) -> pd.DataFrame:
    causes = CausalGraph.of(SCHEMA, graph)
    rng = np.random.default_rng(seed)
    return counterfactuals(network(), rows, do=do, graph=causes, rng=rng).frame


@pytest.mark.parametrize("column", SCHEMA.names)
def test_doing_what_was_observed_changes_nothing(column: str) -> None:
    rows = rows_of(network(), 3000)
    same: dict[str, Any] = {column: rows.frame[column]}
    pd.testing.assert_frame_equal(copies(rows, **same), rows.frame)


def test_rows_that_the_model_rules_out_stay_too() -> None:
    model = network()
    kept = [
        np.where(table < table.max(axis=1, keepdims=True), 0.0, table) for table in model.tables
    ]
    tables = tuple(table / table.sum(axis=1, keepdims=True) for table in kept)
    model = BayesianNetworkModel(schema=SCHEMA, total=1.0, families=FAMILIES, tables=tables)
    rng = np.random.default_rng(3)
    codes = np.stack([rng.integers(0, size, 500) for size in SCHEMA.domain.shape], axis=1)
    rows = Codec(schema=SCHEMA).decode(codes, rng=rng)
    graph = CausalGraph.of(SCHEMA, GRAPH)
    found = counterfactuals(model, rows, do={"age": rows.frame["age"]}, graph=graph, rng=rng)
    pd.testing.assert_frame_equal(found.frame, rows.frame)


def test_only_what_is_caused_changes() -> None:
    rows = rows_of(network(), 2000)
    frame = copies(rows, sex="male")
    pd.testing.assert_series_equal(frame["age"], rows.frame["age"])
    assert frame["sex"].eq("male").all()
    men = rows.frame["sex"].eq("male")
    pd.testing.assert_frame_equal(frame[men], rows.frame[men])
    assert not frame["job"].equals(rows.frame["job"])
    alone = copies(rows, graph={"job": ["age"]}, sex="male")
    pd.testing.assert_frame_equal(alone.drop(columns="sex"), rows.frame.drop(columns="sex"))
    # What is done to an effect does not reach its causes, and cuts it off from them.
    both = copies(rows, sex="male", job=None)
    assert both["job"].isna().all()
    pd.testing.assert_series_equal(both["age"], rows.frame["age"])
    # A number within the same bin is another value and no other cause.
    moved = copies(rows, age=np.where(rows.frame["age"] % 3 == 0, rows.frame["age"] + 1, 0))
    same = (moved["age"] // 3) == (rows.frame["age"] // 3)
    assert same.sum() > 300
    pd.testing.assert_frame_equal(
        moved[same].drop(columns="age"), rows.frame[same].drop(columns="age")
    )


def truncated(table: np.ndarray, *, seen: bool) -> np.ndarray:
    """The law of all codes under do(sex = male), or given that sex is male was seen."""
    male = table[1] / table[1].sum()
    if seen:
        return male
    age = table.sum(axis=(0, 2, 3))
    return male * (age / male.sum(axis=(1, 2)))[:, None, None]


# 40,000 rows, seeds 1 and 2; alpha = 1e-5 two-sided over at most 64 cells (|z| < 5.4;
# systematic rounding of the rows only lowers the variance). The control takes seeing for doing.
@pytest.mark.statistical
@pytest.mark.parametrize("seen", [False, True])
def test_copies_follow_the_truncated_factorisation(seen: bool) -> None:
    model = network()
    frame = copies(rows_of(model, 40_000), sex="male")
    codes = Codec(schema=SCHEMA).encode(Table.from_frame(SCHEMA, frame)).astype(np.int64)
    shape = SCHEMA.domain.shape
    counts = np.bincount(np.ravel_multi_index(tuple(codes.T), shape), minlength=np.prod(shape))
    table = model.marginal(SCHEMA.domain.attributes) / model.total
    expected = 40_000 * truncated(table, seen=seen).ravel()
    found = counts.reshape(shape)[1].ravel()
    assert counts.sum() == found.sum()
    z = (found - expected) / np.sqrt(np.maximum(expected, 1.0))
    assert bool(np.abs(z).max() < 5.4) is not seen


def test_noise_is_shared() -> None:
    """Codes move one way where laws are ordered, and their law is that of the other causes."""
    laws = cumulative_laws(np.array([[6.0, 3.0, 1.0], [2.0, 3.0, 5.0]]))
    rng = np.random.default_rng(0)
    codes = rng.choice(3, size=5000, p=[0.6, 0.3, 0.1])
    order = abducted(laws[np.zeros(5000, int)], codes, rng.random(5000))
    assert abs(order.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 5000)  # the noise itself is uniform
    moved = (laws[1] <= order[:, None]).sum(axis=1)
    assert (moved >= codes).all()
    assert np.abs(np.bincount(moved) / 5000 - [0.2, 0.3, 0.5]).max() < 5 * 0.5 / np.sqrt(5000)


def test_what_the_model_rules_out_has_a_place() -> None:
    laws = cumulative_laws(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 2.0]]))
    assert laws[0].tolist() == [0.0, 1.0, 1.0]
    np.testing.assert_allclose(laws[1], [0.25, 0.5, 1.0])  # no such causes: the law of all rows
    codes, ones = np.array([0, 1, 2]), np.full(3, 1 - 1e-17)
    order = abducted(laws[[0, 0, 0]], codes, ones)
    assert (order < 1).all()
    assert (laws[[2, 2, 2]] <= order[:, None]).sum(axis=1).tolist() == [0, 2, 2]


@pytest.mark.parametrize(
    ("do", "graph", "error", "sentence"),
    [
        ({"sx": "male"}, GRAPH, UnknownNameError, "did you mean 'sex'"),
        ({"sex": "mal"}, GRAPH, UnknownNameError, "did you mean 'male'"),
        ({"sex": None}, GRAPH, DataError, "'sex'"),
        ({"age": 12}, GRAPH, DataError, "'age'"),
        ({"age": [1, 2]}, GRAPH, InvalidValueError, "2 values"),
        ({}, GRAPH, InvalidValueError, "a mapping from columns"),
        ({"sex": "male"}, {"jb": ["sex"]}, UnknownNameError, "did you mean 'job'"),
        ({"sex": "male"}, {"job": ["sx"]}, UnknownNameError, "did you mean 'sex'"),
        ({"sex": "male"}, {"job": "sex"}, InvalidValueError, "a list of columns"),
        ({"sex": "male"}, {"job": ["sex", "sex"]}, InvalidValueError, "each named once"),
        ({"sex": "male"}, {"job": ["job"]}, InvalidValueError, "job -> job"),
        ({"sex": "male"}, {"job": ["sex"], "sex": ["job"]}, InvalidValueError, "without a cycle"),
        ({"sex": "male"}, ["job"], InvalidValueError, "a mapping"),
    ],
)
def test_mistakes_are_one_sentence(
    do: dict[str, Any], graph: Any, error: type[DpsynthError], sentence: str
) -> None:
    rows = rows_of(network(), 20)
    with pytest.raises(error, match=sentence) as raised:
        copies(rows, graph=graph, **do)
    assert "\n" not in str(raised.value)


def test_a_model_without_laws_is_refused() -> None:
    decoder = Perceptron(weights=(np.zeros((14, 2)),), biases=(np.zeros(14),))
    model = DecoderModel(schema=SCHEMA, total=1.0, decoders=(decoder,))
    causes = CausalGraph.of(SCHEMA, GRAPH)
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidValueError, match="DecoderModel"):
        counterfactuals(model, rows_of(network(), 5), do={"sex": "male"}, graph=causes, rng=rng)


def test_too_many_causes_are_refused() -> None:
    wide = Schema(columns=tuple(IntegerColumn(name=f"x{i}", lower=0, upper=99) for i in range(5)))
    model = BayesianNetworkModel(
        schema=wide,
        total=1.0,
        families=tuple((a, ()) for a in wide.names),
        tables=tuple(np.full((1, 100), 0.01) for _ in wide.names),
    )
    rng = np.random.default_rng(0)
    causes = CausalGraph.of(wide, {"x4": ["x0", "x1", "x2", "x3"]})
    with pytest.raises(InvalidValueError, match="causes of 'x4'"):
        counterfactuals(model, model.sample(9, rng=rng), do={"x0": 1}, graph=causes, rng=rng)


def test_a_copy_that_a_constraint_forbids_is_refused_and_not_left_out() -> None:
    rule = Forbidden(when={"sex": "male", "job": "c"})
    schema = replace(SCHEMA, constraints=(rule,), on_violation="drop")
    table = Table.from_frame(schema, rows_of(network(), 2000).frame)
    model = dpsynth.synthesize(table, generator="independent", epsilon=5.0, seed=0)
    rows = model.sample(300)
    found = model.counterfactuals(rows, do={"sex": "male"}, graph={"job": ["sex"]}).frame
    assert len(found) == 300
    assert not found["job"].eq("c").any()
    for graph in ({}, {"income": ["sex"]}):
        with pytest.raises(DataError, match=r"'job': 'c'.*forbids it"):
            model.counterfactuals(rows, do={"sex": "male"}, graph=graph)


def test_through_the_front_door() -> None:
    table = rows_of(network(), 3000)
    model = dpsynth.synthesize(table, generator="two_stage", epsilon=20.0, seed=0)
    before = model.receipt.to_json()
    rows = model.sample(50)
    first = model.counterfactuals(rows, do={"sex": "male"}, graph=GRAPH).frame
    assert first["sex"].eq("male").all()
    assert not first.drop(columns="sex").equals(rows.frame.drop(columns="sex"))
    pd.testing.assert_series_equal(first["age"], rows.frame["age"])
    for given in (rows.frame, 50):  # rows that are sampled first are those of `sample`
        again = model.counterfactuals(given, do={"sex": "male"}, graph=GRAPH).frame
        pd.testing.assert_frame_equal(again, first)
    # The noise is not the stream that the rows were drawn from.
    rng = np.random.default_rng(model.sampling_seed)
    same = model.counterfactuals(rows, do={"sex": "male"}, graph=GRAPH, rng=rng).frame
    assert not same.equals(first)
    assert model.receipt.to_json() == before
