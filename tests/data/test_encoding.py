"""The codec: codes survive decoding, values stay in their bin, and wide tables are fast."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, Column, FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError

BOUND = st.integers(1 - 2**53, 2**53 - 1)
REAL = st.floats(-1e300, 1e300, allow_nan=False)


@st.composite
def integer_columns(draw: st.DrawFn) -> IntegerColumn:
    lower, upper = sorted((draw(BOUND), draw(st.one_of(BOUND, st.integers(-50, 50)))))
    most = min(upper - lower + 1, 500)
    bins = draw(st.one_of(st.none(), st.integers(1, most)))
    return IntegerColumn(name="x", lower=lower, upper=upper, bins=bins, missing=draw(st.booleans()))


@st.composite
def float_columns(draw: st.DrawFn) -> FloatColumn:
    # Subnormal widths are left out: the schema refuses bins that no two floats tell apart.
    lower, width = draw(REAL), draw(st.floats(0, 1e300, allow_subnormal=False))
    upper = lower + max(width, abs(lower) * 1e-6) if width else lower
    return FloatColumn(
        name="x",
        lower=lower,
        upper=upper,
        bins=draw(st.integers(1, 200)),
        missing=draw(st.booleans()),
    )


@st.composite
def categorical_columns(draw: st.DrawFn) -> CategoricalColumn:
    integers = st.integers(1 - 2**53, 2**53 - 1)
    kind = draw(st.sampled_from([st.text(min_size=1), integers, st.booleans()]))
    categories = draw(st.lists(kind, min_size=1, max_size=20, unique=True))
    return CategoricalColumn(name="x", categories=tuple(categories), missing=draw(st.booleans()))


COLUMNS = st.one_of(integer_columns(), float_columns(), categorical_columns())


@given(column=COLUMNS, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=120, deadline=None)
def test_codes_survive_decoding_and_encoding(column: Column, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codec = Codec(schema=Schema(columns=(column,)))
    codes = rng.integers(0, column.size, (40, 1))
    table = codec.decode(codes, rng=rng)
    assert np.array_equal(codec.encode(table), codes)
    again = codec.decode(codec.encode(table), rng=rng)
    assert np.array_equal(codec.encode(again), codes)
    values = table.frame["x"]
    if not isinstance(column, CategoricalColumn):
        assert values.dropna().between(column.lower, column.upper).all()
    assert values.isna().any() <= column.missing


def test_categories_keep_the_declared_order() -> None:
    column = CategoricalColumn(name="c", categories=("b", "a", "z"), missing=True)
    schema = Schema(columns=(column,))
    table = Table.from_frame(schema, pd.DataFrame({"c": ["a", None, "b", "", "z"]}))
    assert Codec(schema=schema).encode(table).ravel().tolist() == [1, 3, 0, 3, 2]
    assert table.frame["c"].cat.categories.tolist() == ["b", "a", "z"]


def test_decoding_is_uniform_within_a_bin_and_reaches_every_integer() -> None:
    schema = Schema(columns=(IntegerColumn(name="n", lower=-3, upper=8, bins=3),))
    table = Codec(schema=schema).decode(
        np.repeat([[0], [1], [2]], 400, axis=0), rng=np.random.default_rng(0)
    )
    values = table.frame["n"].to_numpy()
    assert values.dtype == np.int64
    assert [set(values[i : i + 400]) for i in (0, 400, 800)] == [
        {-3, -2, -1, 0},
        {1, 2, 3, 4},
        {5, 6, 7, 8},
    ]


def test_bounds_fall_into_the_first_and_last_bin() -> None:
    schema = Schema(columns=(FloatColumn(name="x", lower=0, upper=1, bins=4, missing=True),))
    frame = pd.DataFrame({"x": [0.0, 0.25, 0.499, 1.0, np.nan]})
    codes = Codec(schema=schema).encode(Table.from_frame(schema, frame))
    assert codes.ravel().tolist() == [0, 1, 1, 3, 4]
    assert codes.dtype == np.uint8


@pytest.mark.parametrize(
    "codes",
    [np.zeros((3, 2), int), np.zeros(3, int), np.zeros((3, 1)), np.array([[4]]), np.array([[-1]])],
)
def test_codes_that_the_domain_lacks_are_refused(codes: np.ndarray) -> None:
    codec = Codec(schema=Schema(columns=(IntegerColumn(name="n", lower=0, upper=3),)))
    with pytest.raises(InvalidValueError):
        codec.decode(codes, rng=np.random.default_rng(0))


def test_a_table_under_other_columns_is_refused() -> None:
    narrow = Schema(columns=(IntegerColumn(name="n", lower=0, upper=3),))
    wide = Schema(columns=(IntegerColumn(name="n", lower=0, upper=4),))
    table = Table.from_frame(narrow, pd.DataFrame({"n": [1]}))
    with pytest.raises(InvalidValueError, match="same columns"):
        Codec(schema=wide).encode(table)


def test_bins_of_uneven_width_reach_every_integer() -> None:
    schema = Schema(columns=(IntegerColumn(name="n", lower=0, upper=10, bins=3),))
    codec, rng = Codec(schema=schema), np.random.default_rng(0)
    drawn = codec.decode(np.repeat([[0], [1], [2]], 400, axis=0), rng=rng)
    assert set(drawn.frame["n"]) == set(range(11))
    codes = codec.encode(Table.from_frame(schema, pd.DataFrame({"n": range(11)})))
    widths = np.bincount(codes.ravel())
    assert widths.max() - widths.min() == 1


def test_rounding_keeps_values_in_bins_of_a_few_floats() -> None:
    # Eight floating-point numbers a bin: one draw in sixteen would round up into the next bin.
    column = FloatColumn(name="x", lower=1.0, upper=1.0 + 2**-40, bins=500)
    codec = Codec(schema=Schema(columns=(column,)))
    codes = np.repeat(np.arange(500), 100)[:, None]
    table = codec.decode(codes, rng=np.random.default_rng(0))
    assert np.array_equal(codec.encode(table), codes)


@given(column=st.one_of(integer_columns(), float_columns()), data=st.data())
@settings(max_examples=120, deadline=None)
def test_numbers_stay_in_their_range_and_in_their_bin(column: Column, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    codec = Codec(schema=Schema(columns=(column,)))
    codes = rng.integers(0, column.size, (200, 1))
    values = codec.decode(codes, rng=rng).frame["x"]
    present = values.dropna().sort_values()
    if not len(present):
        return
    low, high = sorted(present.sample(2, replace=True, random_state=1).tolist())
    inside = (values.isna() | values.between(low, high)).fillna(True).to_numpy(dtype=bool)
    drawn = codec.decode(codes[inside], rng=rng, ranges={"x": (low, high)})
    np.testing.assert_array_equal(codec.encode(drawn), codes[inside])
    again = drawn.frame["x"]
    assert again.dropna().between(low, high).all()
    np.testing.assert_array_equal(again.isna(), values[inside].isna())


def test_a_range_is_cut_out_of_the_law_of_its_bin() -> None:
    column = IntegerColumn(name="x", lower=0, upper=9, bins=2)
    codec = Codec(schema=Schema(columns=(column,)))
    codes = np.tile([[0], [1]], (3000, 1))
    drawn = codec.decode(codes, rng=np.random.default_rng(0), ranges={"x": (3, 5)}).frame["x"]
    counts = drawn.value_counts()
    assert counts.index.sort_values().tolist() == [3, 4, 5]
    assert counts[5] == 3000  # all that is left of the second bin
    assert abs(counts[3] - 1500) < 5 * np.sqrt(750)  # half of the first, within five deviations


def test_a_range_that_misses_a_bin_is_refused() -> None:
    columns = (
        IntegerColumn(name="x", lower=0, upper=9, bins=2),
        FloatColumn(name="y", lower=0.0, upper=1.0, bins=2),
    )
    codec = Codec(schema=Schema(columns=columns))
    rng = np.random.default_rng(0)
    for ranges in ({"x": (7, 9)}, {"y": (0.5, 1.0)}, {"x": (20, 30)}):
        with pytest.raises(InvalidValueError, match=r"the range of '[xy]'"):
            codec.decode(np.array([[0, 0]]), rng=rng, ranges=ranges)
