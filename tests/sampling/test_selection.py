"""Samples with conditions and proportions: the law is exactly the model's, cut and re-weighted."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.errors import ContradictionError, InvalidValueError, UnknownNameError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.model import GraphicalModel
from dpsynth.sampling.selection import Selection
from dpsynth.sampling.strata import Request
from tests.pgm.brute_force import probabilities, random_potentials

SCHEMA = Schema(
    columns=(
        CategoricalColumn(name="colour", categories=("red", "green", "blue"), missing=True),
        IntegerColumn(name="age", lower=0, upper=11, bins=4, missing=True),
        FloatColumn(name="income", lower=0.0, upper=1.0, bins=4),
        CategoricalColumn(name="sex", categories=("female", "male")),
    )
)
DOMAIN = SCHEMA.domain
CLIQUES = maximal_cliques(DOMAIN, [("colour", "age"), ("age", "income"), ("income", "sex")])
POTENTIALS = random_potentials(DOMAIN, CLIQUES, rng=np.random.default_rng(1), scale=1.0)
GREEN, MALE = 1, 1


def model(*, zeros: bool = False) -> GraphicalSyntheticModel:
    potentials = [p.copy() for p in POTENTIALS]
    if zeros:  # nothing green is older than 2
        potentials[CLIQUES.index(("colour", "age"))][GREEN, 1:] = -np.inf
    fitted = GraphicalModel(
        domain=DOMAIN, total=1000.0, cliques=CLIQUES, potentials=tuple(potentials)
    )
    return GraphicalSyntheticModel(schema=SCHEMA, model=fitted)


def table_of(whole: GraphicalSyntheticModel) -> np.ndarray:
    table = probabilities(DOMAIN, whole.model.cliques, whole.model.potentials)
    assert table is not None
    return table


# Shares of the values of each code that satisfy the conditions, counted by hand.
AGE_4_UP = [0, 2 / 3, 1, 1, 0]
WHERE: dict[str, tuple[dict[str, Any], dict[str, list[float]]]] = {
    "a category": ({"colour": "green"}, {"colour": [0, 1, 0, 0]}),
    "missing": ({"colour": None}, {"colour": [0, 0, 0, 1]}),
    "categories": (
        {"colour": ["green", None], "sex": "!=male"},
        {"colour": [0, 1, 0, 1], "sex": [1, 0]},
    ),
    "whole bins": ({"age": ">=6"}, {"age": [0, 0, 1, 1, 0]}),
    "a bin cut": ({"age": ">=4"}, {"age": AGE_4_UP}),
    "both ends cut": (
        {"age": (4, 10), "income": ">0.6"},
        {"age": [0, 2 / 3, 1, 2 / 3, 0], "income": [0, 0, 0.6, 1]},
    ),
    "one value": (
        {"age": 7, "colour": "red"},
        {"age": [0, 0, 1 / 3, 0, 0], "colour": [1, 0, 0, 0]},
    ),
    "not one value": ({"age": "!=7"}, {"age": [1, 1, 2 / 3, 1, 0]}),
    "values here and there": ({"age": [0, 1, 11, None]}, {"age": [2 / 3, 0, 0, 1 / 3, 1]}),
    "here and there twice": (
        {"age": [0, 5], "income": ["<0.1", ">=0.7"]},
        {"age": [1 / 3, 1 / 3, 0, 0, 0], "income": [0.4, 0, 0.2, 1]},
    ),
}


def satisfies(frame: pd.DataFrame, where: dict[str, Any]) -> bool:
    rules = {
        "green": lambda v: v == "green",
        "None": lambda v: v.isna(),
        "['green', None]": lambda v: (v == "green") | v.isna(),
        "!=male": lambda v: v != "male",
        ">=6": lambda v: v >= 6,
        ">=4": lambda v: v >= 4,
        "(4, 10)": lambda v: v.between(4, 10),
        ">0.6": lambda v: v > 0.6,
        "7": lambda v: v == 7,
        "red": lambda v: v == "red",
        "!=7": lambda v: v != 7,
        "[0, 1, 11, None]": lambda v: v.isin([0, 1, 11]) | v.isna(),
        "[0, 5]": lambda v: v.isin([0, 5]),
        "['<0.1', '>=0.7']": lambda v: (v < 0.1) | (v >= 0.7),
    }
    return all(bool(rules[str(c)](frame[name]).fillna(False).all()) for name, c in where.items())


def select(whole: GraphicalSyntheticModel, **request: Any) -> Selection:
    return Selection.of(whole, Request(**request), rng=np.random.default_rng(0))


def law_of(found: Selection) -> np.ndarray:
    """The law of codes that the strata add up to, exactly."""
    law = np.zeros(DOMAIN.shape)
    for stratum in found.strata.parts:
        part = found.strata.law.given(stratum.evidence)
        law += stratum.share * part.marginal(DOMAIN.attributes) / part.total
    return law


def cut(table: np.ndarray, shares: dict[str, list[float]]) -> np.ndarray:
    for name, share in shares.items():
        axis = DOMAIN.axes((name,))[0]
        table = table * np.reshape(share, [-1 if i == axis else 1 for i in range(table.ndim)])
    return table


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("where", "shares"), WHERE.values(), ids=WHERE)
def test_the_law_is_the_model_s_own_given_the_condition(
    where: dict[str, Any], shares: dict[str, list[float]], zeros: bool
) -> None:
    whole = model(zeros=zeros)
    left = cut(table_of(whole), shares)
    found = select(whole, where=where)
    np.testing.assert_allclose(law_of(found), left / left.sum(), atol=1e-12)
    assert found.total == pytest.approx(1000.0 * left.sum(), rel=1e-9)
    table = found.sample(700, rng=np.random.default_rng(2))
    assert len(table) == 700
    assert satisfies(table.frame, where)


# 60,000 rows, seed 3: systematic rounding leaves less than sampling error, which is a TVD of about
# .012 over 160 cells. The control compares with the law without the condition.
@pytest.mark.parametrize("wrong", [False, True])
def test_rows_have_the_conditional_marginals(wrong: bool) -> None:
    whole = model()
    where, shares = WHERE["here and there twice"]
    rows = select(whole, where=where).sample(60_000, rng=np.random.default_rng(3))
    codes = Codec(schema=SCHEMA).encode(rows).astype(np.int64)
    drawn = np.bincount(np.ravel_multi_index(tuple(codes.T), DOMAIN.shape), minlength=DOMAIN.cells)
    law = table_of(whole) if wrong else cut(table_of(whole), shares)
    distance = 0.5 * np.abs(drawn / 60_000 - (law / law.sum()).ravel()).sum()
    assert bool(distance < 0.012) is not wrong
    # Within bins that a condition cuts, the values left are uniform: ages 0 and 5 are of two bins.
    incomes = rows.frame["income"]
    low = incomes[incomes < 0.1]
    assert abs(low.mean() - 0.05) < 5 * 0.1 / np.sqrt(12 * len(low))


def test_balance_gives_each_combination_the_same_number_of_rows() -> None:
    whole = model(zeros=True)
    found = select(whole, balance=["colour", "sex"])
    frame = found.sample(803, rng=np.random.default_rng(4)).frame
    sizes = frame.groupby(["colour", "sex"], observed=False, dropna=False).size()
    assert len(sizes) == 8
    assert set(sizes) == {100, 101}
    table = table_of(whole)
    weights = 1 / table.sum(axis=(1, 2), keepdims=True) / 8
    np.testing.assert_allclose(law_of(found), table * weights, atol=1e-12)


def test_balance_leaves_out_what_the_model_rules_out() -> None:
    found = select(model(zeros=True), balance=["colour", "age"])
    sizes = found.sample(16 * 5, rng=np.random.default_rng(4)).frame.assign(
        young=lambda f: f["age"].lt(3)
    )
    assert (sizes["colour"] == "green").sum() == 5
    assert sizes.loc[sizes["colour"] == "green", "young"].all()
    assert len(found.strata.parts) == 16


def test_balance_within_a_condition() -> None:
    whole = model()
    found = select(whole, where={"age": ">=4"}, balance=["sex", "age"])
    left = cut(table_of(whole), {"age": AGE_4_UP})
    cells = left.sum(axis=(0, 2), keepdims=True)
    expected = np.divide(left, cells, out=np.zeros_like(left), where=cells > 0) / 6
    np.testing.assert_allclose(law_of(found), expected, atol=1e-12)
    frame = found.sample(600, rng=np.random.default_rng(0)).frame
    assert frame["age"].min() >= 4
    assert frame["sex"].value_counts().tolist() == [300, 300]


def test_balance_over_a_column_that_a_condition_cuts_twice() -> None:
    whole = model()
    found = select(whole, where={"age": ["<=3", ">=8"]}, balance=["age"])
    left = cut(table_of(whole), {"age": [1, 1 / 3, 1 / 3, 1, 0]})
    cells = left.sum(axis=(0, 2, 3), keepdims=True)
    expected = np.divide(left, cells, out=np.zeros_like(left), where=cells > 0) / 4
    np.testing.assert_allclose(law_of(found), expected, atol=1e-12)
    ages = found.sample(400, rng=np.random.default_rng(0)).frame["age"]
    assert (ages // 3).value_counts().tolist() == [100] * 4
    assert (ages.le(3) | ages.ge(8)).all()


def test_shares_reweigh_and_change_nothing_else() -> None:
    whole = model()
    found = select(whole, shares={"age": {">=4": 0.6, None: 0.1}})
    frame = found.sample(1000, rng=np.random.default_rng(5)).frame
    assert frame["age"].ge(4).sum() == 600
    assert frame["age"].isna().sum() == 100
    table, law = table_of(whole), np.zeros(DOMAIN.shape)
    for shares, share in ((AGE_4_UP, 0.6), ([0, 0, 0, 0, 1], 0.1), ([1, 1 / 3, 0, 0, 0], 0.3)):
        part = cut(table, {"age": list(shares)})
        law += share * part / part.sum()
    np.testing.assert_allclose(law_of(found), law, atol=1e-12)
    assert found.total == pytest.approx(1000.0)


def test_shares_of_two_columns_are_raked() -> None:
    whole = model()
    request = {"sex": {"male": 0.2}, "colour": {"red": 0.5, "blue": 0.5}}
    found = select(whole, shares=request)
    law, before = law_of(found).sum(axis=(1, 2)), table_of(whole).sum(axis=(1, 2))
    np.testing.assert_allclose(law.sum(axis=0), [0.8, 0.2], atol=1e-10)
    np.testing.assert_allclose(law.sum(axis=1), [0.5, 0, 0.5, 0], atol=1e-10)
    ratios = [t[0, 0] * t[2, 1] / (t[0, 1] * t[2, 0]) for t in (law, before)]
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-8)  # the association stays
    assert (
        select(whole, shares={"sex": {"male": 1}})
        .sample(9, rng=np.random.default_rng(0))
        .frame["sex"]
        .eq("male")
        .all()
    )


def test_everything_together() -> None:
    request: dict[str, Any] = {
        "where": {"age": ["<=4", ">=10"], "income": ">=.3"},
        "balance": ["sex"],
        "shares": {"colour": {"red": 0.75}, "age": {"<2": 0.5}},
    }
    frame = select(model(), **request).sample(1000, rng=np.random.default_rng(6)).frame
    assert frame["sex"].value_counts().tolist() == [500, 500]
    assert frame["colour"].eq("red").sum() == pytest.approx(750, abs=4)
    assert frame["age"].lt(2).sum() == pytest.approx(500, abs=4)
    assert (frame["age"].le(4) | frame["age"].ge(10)).all()
    assert frame["income"].ge(0.3).all()


def test_blocks_are_each_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpsynth.sampling.selection.BLOCK_ROWS", 50)
    wanted = {"red": 0.41, "green": 0.32, "blue": 0.17}
    found = select(model(), shares={"colour": wanted})
    tables = list(found.sample_blocks(1010, rng=np.random.default_rng(7)))
    assert [len(table) for table in tables] == [50] * 20 + [10]
    colours = [table.frame["colour"] for table in tables]
    for colour, share in wanted.items():
        counts = [int(values.eq(colour).sum()) for values in colours]
        assert abs(sum(counts) - 1010 * share) < 1  # blocks share out the rows of the whole
        assert all(abs(count - 50 * share) < 1.5 for count in counts[:-1])


def test_rows_of_strata_are_mixed() -> None:
    sex = select(model(), balance=["sex"]).sample(400, rng=np.random.default_rng(8)).frame["sex"]
    changes = (sex.to_numpy()[1:] != sex.to_numpy()[:-1]).sum()
    assert 150 < changes < 250  # 1 if they were one behind the other; within five deviations of 200


@pytest.mark.parametrize(
    ("request_", "error", "sentence"),
    [
        ({"where": {"sx": "male"}}, UnknownNameError, "did you mean 'sex'"),
        ({"where": {"sex": "mal"}}, UnknownNameError, "did you mean 'male'"),
        ({"balance": ["sx"]}, UnknownNameError, "did you mean 'sex'"),
        ({"balance": "sex"}, InvalidValueError, "a list of columns"),
        ({"balance": ["sex", "sex"]}, InvalidValueError, "each named once"),
        ({"shares": {"sx": {"male": 0.5}}}, UnknownNameError, "did you mean 'sex'"),
        ({"shares": {"sex": {"mal": 0.5}}}, UnknownNameError, "did you mean 'male'"),
        ({"shares": {"sex": {"male": 1.5}}}, InvalidValueError, "from 0 to 1"),
        ({"shares": {"sex": {"male": "half"}}}, InvalidValueError, "from 0 to 1"),
        ({"shares": {"sex": 0.5}}, InvalidValueError, "a mapping"),
        ({"shares": {"sex": {"male": 0.7, "female": 0.7}}}, InvalidValueError, "at most 1"),
        ({"shares": {"sex": {"male": 0.7, "female": 0.2}}}, InvalidValueError, "1 in all"),
        ({"shares": {"age": {">=4": 0.5, "<6": 0.2}}}, InvalidValueError, "disjoint"),
        ({"shares": {"sex": {"male": 0.5}}, "balance": ["sex"]}, InvalidValueError, "balanced"),
        (
            {"shares": {"sex": {"male": 0.5}}, "where": {"sex": "female"}},
            InvalidValueError,
            "where",
        ),
        ({"where": {"colour": "green", "age": ">=3"}}, ContradictionError, "'colour', 'age'"),
        ({"where": {"colour": "green", "age": [4, 6]}}, ContradictionError, "conditions"),
        (
            {"where": {"colour": "green"}, "shares": {"age": {"<3": 0.5}}},
            ContradictionError,
            "shares of 'age'",
        ),
        (
            {"shares": {"colour": {"green": 0.9}, "age": {"<3": 0.5}}},
            ContradictionError,
            "'colour' and shares of 'age'",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    request_: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence) as raised:
        select(model(zeros=True), **request_)
    assert "\n" not in str(raised.value)


def test_no_rows_are_refused() -> None:
    for request in ({"where": {"sex": "male"}}, {"balance": ["sex"]}):
        with pytest.raises(InvalidValueError, match="n is 0"):
            select(model(), **request).sample(0, rng=np.random.default_rng(0))
