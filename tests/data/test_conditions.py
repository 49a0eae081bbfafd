"""Conditions: which values satisfy them, checked value by value, and how mistakes are told."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.clock import Clock
from dpsynth.data.conditions import Condition, parse_condition, parse_conditions, share_of_codes
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError, UnknownNameError

BINNED = IntegerColumn(name="age", lower=-3, upper=20, bins=7, missing=True)
SINGLE = IntegerColumn(name="age", lower=0, upper=20)
REAL = FloatColumn(name="income", lower=-1.0, upper=1.0, bins=8, missing=True)
TEXTS = CategoricalColumn(name="income", categories=("<=50K", ">50K", "other"), missing=True)
WORDS = CategoricalColumn(name="word", categories=("missing", " x"), missing=True)
NUMBERS = CategoricalColumn(name="code", categories=(3, 1, 2))
TRUTHS = CategoricalColumn(name="yes", categories=(True, False))


def holds(condition: Condition, value: float) -> bool:
    return any(low <= value <= high for low, high in condition.spans)


@pytest.mark.parametrize("column", [BINNED, SINGLE], ids=["binned", "single"])
@pytest.mark.parametrize(
    ("written", "rule"),
    [
        (">=5", lambda v: v >= 5),
        (" >= 4.5 ", lambda v: v >= 4.5),
        (">5", lambda v: v > 5),
        (">4.5", lambda v: v > 4.5),
        ("<3", lambda v: v < 3),
        ("<2.5", lambda v: v < 2.5),
        ("<=3", lambda v: v <= 3),
        ("7", lambda v: v == 7),
        ("=7", lambda v: v == 7),
        (7.0, lambda v: v == 7),
        (np.int64(7), lambda v: v == 7),
        ("!=7", lambda v: v != 7),
        ("!=", lambda v: True),
        ("4..9", lambda v: 4 <= v <= 9),
        ((4, 9.5), lambda v: 4 <= v <= 9.5),
        ((None, 9), lambda v: v <= 9),
        (("4", None), lambda v: v >= 4),
        ([1, 2, "15..16", ">=20"], lambda v: v in {1, 2, 15, 16, 20}),
        ({5, 6}, lambda v: v in {5, 6}),
        ("present", lambda v: True),
        (">=3, <9", lambda v: 3 <= v < 9),
        ("2..15,!=7", lambda v: 2 <= v <= 15 and v != 7),
        (range(2, 8), lambda v: 2 <= v < 8),
    ],
)
def test_integers_satisfy_what_is_written(column: IntegerColumn, written: Any, rule: Any) -> None:
    condition = parse_condition(column, written)
    inside = np.array([rule(v) for v in range(column.lower, column.upper + 1)])
    values = range(column.lower, column.upper + 1)
    assert [holds(condition, v) for v in values] == inside.tolist()
    assert not condition.missing
    opposite = ~condition
    assert [holds(opposite, v) for v in values] == (~inside).tolist()
    assert opposite.missing is column.missing
    check_parts(column, condition, inside)


def check_parts(column: IntegerColumn, condition: Condition, inside: np.ndarray) -> None:
    """The parts are disjoint, their shares are those of the values, and their ranges hold them."""
    values = np.arange(column.lower, column.upper + 1)
    bare = Table.from_frame(Schema(columns=(column,)), pd.DataFrame({column.name: values}))
    codes = Codec(schema=Schema(columns=(column,))).encode(bare)[:, 0]
    members = np.bincount(codes, minlength=column.size)
    expected = np.bincount(codes, weights=inside, minlength=column.size) / np.maximum(members, 1)
    parts = condition.parts()
    np.testing.assert_allclose(sum(p.likelihood for p in parts), expected, atol=1e-12)
    covered = np.zeros(values.size)
    for part in parts:
        low, high = part.span or (-np.inf, np.inf)
        covered += (part.likelihood[codes] > 0) & (values >= low) & (values <= high)
    np.testing.assert_array_equal(covered, inside)


@pytest.mark.parametrize(
    ("written", "spans"),
    [
        (">=.25", [(0.25, 1.0)]),
        ("<.25", [(-1.0, np.nextafter(0.25, -1))]),
        (">0.25", [(np.nextafter(0.25, 1), 1.0)]),
        ("-.5..0.5", [(-0.5, 0.5)]),
        (("<-.5", ">.5"), None),
        (["<=-.5", ">=.5"], [(-1.0, -0.5), (0.5, 1.0)]),
        ("!=0", [(-1.0, np.nextafter(0, -1)), (np.nextafter(0, 1), 1.0)]),
    ],
)
def test_real_numbers(written: Any, spans: list | None) -> None:
    if spans is None:  # a pair is a range, not a list of conditions
        with pytest.raises(InvalidValueError, match="'income'"):
            parse_condition(REAL, written)
        return
    assert list(parse_condition(REAL, written).spans) == spans


def test_a_range_of_whole_bins_needs_no_span() -> None:
    """Bins of a quarter: what starts and ends with them, to the last number, cuts none."""
    for written, cut in [("<.25", 0), ("-.5..0.5", 1), (">=0, <.5", 0), (">0", 1), ("<=.25", 1)]:
        condition = parse_condition(REAL, written)
        assert condition.cuts().sum() == cut
        (part,) = condition.parts()
        assert part.span == (condition.spans[0] if cut else None)


def test_shares_of_bins() -> None:
    expected = [0, 0, 0, 0.4, 1, 0.8, 0, 0, 0]
    np.testing.assert_allclose(share_of_codes(REAL, (-0.1, 0.45)), expected, atol=1e-12)
    constant = FloatColumn(name="x", lower=2.0, upper=2.0)
    assert share_of_codes(constant, (2.0, 2.0)).tolist() == [1.0]
    assert parse_condition(constant, 2).spans == ((2, 2),)


@pytest.mark.parametrize(
    ("column", "written", "codes"),
    [
        (TEXTS, ">50K", [1]),
        (TEXTS, "!=>50K", [0, 2]),
        (TEXTS, "!=", [0, 1, 2]),
        (TEXTS, ["other", None], [2, 3]),
        (TEXTS, ("other", "<=50K"), [0, 2]),
        (TEXTS, None, [3]),
        (TEXTS, "", [3]),
        (TEXTS, float("nan"), [3]),
        (TEXTS, "missing", [3]),
        (TEXTS, "present", [0, 1, 2]),
        (TEXTS, "!= other", [0, 1]),
        (WORDS, "missing", [0]),
        (WORDS, "!=missing", [1]),
        (WORDS, "!= x", [0]),
        (NUMBERS, 1, [1]),
        (NUMBERS, "1", [1]),
        (NUMBERS, {3, 2}, [0, 2]),
        (TRUTHS, True, [0]),
        (TRUTHS, "false", [1]),
    ],
)
def test_categories(column: CategoricalColumn, written: Any, codes: list[int]) -> None:
    (part,) = parse_condition(column, written).parts()
    assert np.flatnonzero(part.likelihood).tolist() == codes
    assert set(part.likelihood) <= {0.0, 1.0}
    assert part.span is None


def test_missing_numbers_are_asked_for_by_name_only() -> None:
    assert parse_condition(BINNED, None).missing
    assert parse_condition(BINNED, "missing") == parse_condition(BINNED, None)
    both = parse_condition(BINNED, [None, "<0"])
    assert both.missing
    assert both.parts()[0].likelihood[-1] == 1.0
    assert not parse_condition(BINNED, "!=").missing


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_the_algebra_is_that_of_sets(data: st.DataObject) -> None:
    column = data.draw(st.sampled_from([BINNED, SINGLE]))
    number = st.integers(column.lower, column.upper)

    def condition() -> Condition:
        return parse_condition(column, data.draw(st.lists(number, min_size=1, max_size=9)))

    one, other = condition(), condition()
    for value in range(column.lower, column.upper + 1):
        a, b = holds(one, value), holds(other, value)
        assert holds(one & other, value) is (a and b)
        assert holds(one | other, value) is (a or b)
        assert holds(~one, value) is not a
    assert ~~one == one


@pytest.mark.parametrize(
    ("column", "written", "error", "sentence"),
    [
        (BINNED, ">200", InvalidValueError, "'age' is '>200', .* whole number from -3 to 20"),
        (BINNED, (9, 4), InvalidValueError, "whole number"),
        (BINNED, "4.5", InvalidValueError, "whole number"),
        (BINNED, [], InvalidValueError, "'age'"),
        (SINGLE, None, InvalidValueError, "none is missing"),
        (SINGLE, "young", InvalidValueError, "a comparison like"),
        (SINGLE, ">=nan", InvalidValueError, "a comparison like"),
        (SINGLE, ">=1e999", InvalidValueError, "a comparison like"),
        (SINGLE, True, InvalidValueError, "a comparison like"),
        (SINGLE, (1, 2, 3), InvalidValueError, "a pair"),
        (SINGLE, object(), InvalidValueError, "a comparison like"),
        (SINGLE, {"low": 3}, InvalidValueError, "a comparison like"),
        (SINGLE, [3, 99], InvalidValueError, "99"),
        (REAL, 0.5, InvalidValueError, "a range of numbers from -1 to 1"),
        (TEXTS, ">50k", UnknownNameError, "category of 'income' '>50k'; did you mean '>50K'"),
        (TEXTS, "!=x", UnknownNameError, "category of 'income' 'x'"),
        (TEXTS, {"a": 1}, InvalidValueError, "'income'"),
        (TEXTS, b"other", InvalidValueError, "'income'"),
        (NUMBERS, None, InvalidValueError, "none is missing"),
        (NUMBERS, "missing", InvalidValueError, "none is missing"),
        (SINGLE, ">=3, <", InvalidValueError, "'>=3, <', .* a comparison like"),
        (SINGLE, ">9, <3", InvalidValueError, "whole number"),
    ],
)
def test_mistakes_are_one_sentence(
    column: Any, written: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence) as raised:
        parse_condition(column, written)
    assert "\n" not in str(raised.value)


def test_a_column_that_is_not_there() -> None:
    schema = Schema(columns=(BINNED, TEXTS))
    with pytest.raises(UnknownNameError, match="did you mean 'income'"):
        parse_conditions(schema, {"incme": 3})
    with pytest.raises(InvalidValueError, match="a mapping from columns"):
        parse_conditions(schema, "income=3")  # type: ignore[arg-type]


def test_times_are_compared_with_times() -> None:
    column = IntegerColumn(
        name="day", lower=10957, upper=11321, bins=10, clock=Clock(kind="date"), missing=True
    )
    found = parse_condition(column, ">=2000-07-01")
    assert found.spans == ((11139, 11321),)
    assert parse_condition(column, "2000-02-01..2000-02-29").spans == ((10988, 11016),)
    assert parse_condition(column, ("2000-02-01", None)).spans == ((10988, 11321),)
    assert parse_condition(column, ">=2000-02-01, <2000-03-01").spans == ((10988, 11016),)
    with pytest.raises(InvalidValueError, match="as '>=2000-01-01'"):
        parse_condition(column, ">=soon")
    stay = IntegerColumn(name="stay", lower=0, upper=10**6, clock=Clock(kind="duration"))
    assert parse_condition(stay, ">=00:01:00, <1 day, 2:30:00").spans == ((60, 95_399),)


def test_edges_and_values_are_those_of_the_spans() -> None:
    condition = parse_condition(BINNED, ["<0", "4..9", ">18"])
    values = np.arange(BINNED.lower, BINNED.upper + 1, dtype=np.float64)
    inside = [holds(condition, v) for v in values]
    assert condition.holds(values).tolist() == inside
    changes = [
        v for v, now, before in zip(values[1:], inside[1:], inside, strict=False) if now != before
    ]
    assert list(condition.edges()) == changes


def test_shares_follow_the_spread_of_values() -> None:
    column = FloatColumn(
        name="x", lower=0.0, upper=10.0, bins=2, pieces=((0.0, 0.0, 3.0), (0.0, 4.0, 1.0))
    )
    (part,) = parse_condition(column, 0).parts()
    assert part.likelihood.tolist() == [0.75, 0.0]
    (part,) = parse_condition(column, ">=2").parts()
    assert part.likelihood == pytest.approx([0.125, 1.0])


@pytest.mark.parametrize(
    ("written", "share"),
    [
        (3.5, 0.05),
        ("!=3.5", 3.95),
        (">3.5", 2.2),
        ("<3.5", 1.75),
        (">=3.5", 2.25),
        ([3.5, 3.6, 7.0], 0.15),
        ("3.45..3.65", 0.1),
    ],
)
def test_a_number_of_a_column_with_decimals_has_its_share(written: Any, share: float) -> None:
    column = FloatColumn(name="x", lower=0.0, upper=8.0, bins=4, decimals=1)
    found = sum(part.likelihood.sum() for part in parse_condition(column, written).parts())
    assert found == pytest.approx(share)
    with pytest.raises(InvalidValueError, match=r"a number of 1 decimals from 0 to 8"):
        parse_condition(column, 3.55)
    with pytest.raises(InvalidValueError, match="a single one has no share"):
        parse_condition(replace(column, decimals=None), 3.5)
