"""Values within bins follow the pieces, and codes survive whatever is drawn."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.binning import float_edges
from dpsynth.data.columns import FloatColumn, IntegerColumn, Piece
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.data.values import ValueLaw, draw_values, value_law
from dpsynth.errors import InvalidValueError, SchemaError


@st.composite
def unequal(draw: st.DrawFn) -> FloatColumn | IntegerColumn:
    """A column with bins and pieces between arbitrary edges."""
    whole = draw(st.booleans())
    points = sorted(draw(st.sets(st.integers(-(10**6), 10**6), min_size=2, max_size=12)))
    inner = draw(st.sets(st.sampled_from(points[1:-1]) if len(points) > 2 else st.nothing()))
    edges = [points[0], *sorted(inner), points[-1]]
    pieces: list[Piece] = []
    for low, high in pairwise(points):
        weight = draw(st.sampled_from([0.0, 0.5, 3.0]))
        atom = draw(st.booleans())
        pieces.append((low, low + 1 if whole else low, weight) if atom else (low, high, weight))
    missing = draw(st.booleans())
    if whole:
        return IntegerColumn(
            name="x",
            lower=edges[0],
            upper=edges[-1] - 1,
            edges=tuple(edges),
            pieces=tuple(pieces),
            missing=missing,
        )
    return FloatColumn(
        name="x",
        lower=edges[0],
        upper=edges[-1],
        edges=tuple(edges),
        pieces=tuple(pieces),
        decimals=draw(st.sampled_from([None, 0, 3])),
        missing=missing,
    )


@given(column=unequal(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_codes_survive_drawing(column: FloatColumn | IntegerColumn, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codec = Codec(schema=Schema(columns=(column,)))
    codes = rng.integers(0, column.size, (60, 1))
    drawn = codec.decode(codes, rng=rng)
    assert np.array_equal(codec.encode(drawn), codes)


def test_values_follow_the_weights() -> None:
    column = FloatColumn(
        name="x",
        lower=0.0,
        upper=10.0,
        edges=(0.0, 4.0, 10.0),
        pieces=((1.0, 1.0, 3.0), (2.0, 3.0, 1.0), (9.0, 9.0, 7.0)),
    )
    drawn = draw_values(column, np.repeat([0, 1], 4000), limits=None, rng=np.random.default_rng(0))
    first, second = drawn[:4000], drawn[4000:]
    assert (second == 9.0).all()
    # 4,000 draws at probability 3/4: five standard deviations are .034.
    assert abs((first == 1.0).mean() - 0.75) < 0.034
    assert ((first == 1.0) | ((first >= 2.0) & (first < 3.0))).all()


def test_equal_columns_with_other_pieces_are_not_mixed_up() -> None:
    fields = {"name": "x", "lower": 0.0, "upper": 4.0, "bins": 1}
    one = FloatColumn(**fields, pieces=((1.0, 1.0, 1.0),))  # type: ignore[arg-type]
    other = FloatColumn(**fields, pieces=((2.0, 2.0, 1.0),))  # type: ignore[arg-type]
    assert one == other
    rng = np.random.default_rng(0)
    zeros = np.zeros(3, dtype=np.int64)
    assert draw_values(one, zeros, limits=None, rng=rng).tolist() == [1.0] * 3
    assert draw_values(other, zeros, limits=None, rng=rng).tolist() == [2.0] * 3


def test_decimals_are_those_of_texts() -> None:
    column = FloatColumn(name="x", lower=0.0, upper=1.0, bins=3, decimals=2)
    drawn = draw_values(
        column, np.repeat([0, 1, 2], 300), limits=None, rng=np.random.default_rng(0)
    )
    assert all(float(f"{value:.2f}") == value for value in drawn)
    assert len(np.unique(drawn)) > 90


TENTHS = FloatColumn(
    name="x",
    lower=0.0,
    upper=1.0,
    bins=10,  # whose edges are tenths, and 0.30000000000000004
    pieces=((0.5, 0.5, 3.0), (0.5 + 2.0**-53, 0.6, 1.0)),
    decimals=1,
)
QUARTERS = FloatColumn(name="x", lower=-1.0, upper=5.0, edges=(-1.0, 1.5, 5.0), decimals=1)


@pytest.mark.parametrize("column", [TENTHS, QUARTERS])
def test_numbers_with_decimals_have_shares_like_whole_ones(column: FloatColumn) -> None:
    bins = column.size
    every = draw_values(
        column, np.repeat(np.arange(bins), 2000), limits=None, rng=np.random.default_rng(1)
    ).reshape(bins, 2000)
    known = np.arange(round(column.lower * 10), round(column.upper * 10) + 1) / 10
    bare = [0.5 + 2.0**-53, *float_edges(TENTHS)]  # lower ends of what holds no such number
    assert np.isin(every, [*known, *bare]).all()
    assert np.isin(every, known).mean() > 0.6
    ends = [column.lower, 0.3, 0.35, 0.5, 0.6, 1.4, 1.5, column.upper]
    spans = [(low, high) for low in ends for high in ends if low <= high <= column.upper]
    spans += [(np.nextafter(0.3, 1), column.upper), (column.lower, np.nextafter(0.3, 0))]
    for low, high in spans:
        found = value_law(column, (low, high)).mass
        # 2,000 draws a bin, 9 or 11 bins, about 40 spans: 5 standard deviations are below .056.
        assert found == pytest.approx(((every >= low) & (every <= high)).mean(axis=1), abs=0.056)
        possible = np.flatnonzero(found > 0)
        drawn = draw_values(
            column, np.repeat(possible, 2000), limits=(low, high), rng=np.random.default_rng(2)
        ).reshape(-1, 2000)
        assert ((drawn >= low) & (drawn <= high)).all()
        for code, values in zip(possible, drawn, strict=True):
            inside = every[code][(every[code] >= low) & (every[code] <= high)]
            assert set(values) == set(inside)


def test_limits_cut_bins_and_say_their_share() -> None:
    column = IntegerColumn(name="x", lower=0, upper=99, bins=10)
    law = value_law(column, (15, 40))
    assert np.allclose(law.mass, [0, 0.5, 1, 1, 0.1, 0, 0, 0, 0, 0])
    rng = np.random.default_rng(0)
    drawn = draw_values(column, np.repeat([1, 2, 4], 50), limits=(15, 40), rng=rng)
    assert drawn[:50].min() >= 15
    assert drawn[50:100].min() >= 20
    assert (drawn[100:] == 40).all()
    with pytest.raises(InvalidValueError, match="part of each bin"):
        draw_values(column, np.array([5]), limits=(15, 40), rng=rng)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"edges": (0.0, 2.0, 1.0, 4.0)}, "edges must rise"),
        ({"edges": (1.0, 4.0)}, "edges must rise"),
        ({"edges": (0.0, 2.0, 4.0), "bins": 5}, "bins must be left out"),
        ({"edges": "ab"}, "edges must be a list"),
        ({"pieces": ((1.0, 2.0),)}, "a piece is a list"),
        ({"pieces": ((2.0, 1.0, 1.0),)}, "in order"),
        ({"pieces": ((0.0, 2.0, 1.0), (1.0, 3.0, 1.0))}, "in order"),
        ({"pieces": ((0.0, 2.0, -1.0),)}, "at least 0"),
        ({"decimals": 99}, "decimals must be"),
        ({"dtype": "int8"}, "dtype must be"),
    ],
)
def test_a_wrong_field_is_one_sentence(fields: dict[str, object], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        FloatColumn(name="x", lower=0.0, upper=4.0, **fields)  # type: ignore[arg-type]


class Last:
    """A generator whose draws are the largest that there are."""

    def random(self, size: int) -> np.ndarray:
        return np.full(size, np.nextafter(1.0, 0.0))


def test_rounding_does_not_reach_the_next_bin() -> None:
    law = ValueLaw(
        lower=np.arange(3.0),
        upper=np.arange(3.0),
        first=np.array([0, 1, 2, 3]),
        before=np.array([0.0, 1e6, 1e6 + 1, 1e6 + 2]),
    )
    assert law.pick(np.array([0, 1, 2]), Last()).tolist() == [0, 1, 2]  # type: ignore[arg-type]
