"""Values within bins follow a curve of the bins' counts, and nothing but values moves."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.clock import Clock
from dpsynth.data.columns import FloatColumn, IntegerColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.interpolation import bins_of, curve_shares, interpolated, trust
from dpsynth.data.schema import Schema
from dpsynth.data.values import value_law

Array = NDArray[np.float64]
SMOOTH = FloatColumn(name="x", lower=-4.0, upper=4.0, bins=16)


def normal_counts(edges: Array, records: float = 20_000.0) -> Array:
    return records * np.diff(norm.cdf(edges))


def misplaced(column: FloatColumn) -> float:
    """Return the distance within bins between the column's law and the normal one (Wasserstein, in
    widths of a bin), weighed by how many records a bin has."""
    law, edges = value_law(column), float_edges(column)
    found = 0.0
    for b, (low, high) in enumerate(pairwise(edges)):
        at = np.linspace(low, high, 101)
        own = slice(law.first[b], law.first[b + 1])
        weight = np.diff(law.before)[own]
        held = [
            np.clip((at - s) / (e - s), 0, 1) for s, e in zip(law.lower, law.upper, strict=True)
        ]
        drawn = weight @ np.array(held[own]) / weight.sum()
        mass = norm.cdf(high) - norm.cdf(low)
        found += mass * np.abs(drawn - (norm.cdf(at) - norm.cdf(low)) / mass).mean()
    return found


def curved(counts: Array) -> FloatColumn:
    column = interpolated(SMOOTH, counts)
    assert isinstance(column, FloatColumn)
    return column


def test_on_smooth_counts_it_beats_uniform() -> None:
    uniform = misplaced(SMOOTH)
    exact = misplaced(curved(normal_counts(float_edges(SMOOTH))))
    assert exact < 0.25 * uniform
    # Noise of standard deviation 40 in each count, five seeds: still a clear gain on average.
    noisy = []
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(scale=40, size=16)
        noisy.append(misplaced(curved(normal_counts(float_edges(SMOOTH)) + noise)))
    assert np.mean(noisy) < 0.5 * uniform


@pytest.mark.parametrize("rough", [False, True])
def test_what_neighbours_do_not_predict_is_not_followed(rough: bool) -> None:
    """Flat counts with noise, and counts that leap: mean of 40 seeds; a wave is trusted."""
    edges = np.linspace(0.0, 1.0, 33)
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        counts = rng.exponential(600, 32) if rough else 600 + rng.normal(scale=30, size=32)
        found.append(trust(edges, counts))
    assert np.mean(found) < 0.15
    assert trust(edges, 600 * (1.2 + np.sin(9 * edges[1:]))) > 0.95


@st.composite
def columns(draw: st.DrawFn) -> FloatColumn | IntegerColumn:
    """A column with arbitrary edges, and pieces of some of its bins."""
    whole = draw(st.booleans())
    edges = sorted(draw(st.sets(st.integers(-(10**6), 10**6), min_size=4, max_size=12)))
    taken = draw(st.sets(st.integers(0, len(edges) - 2)))
    pieces = tuple((float(edges[b]), float(edges[b] + 1), 2.0) for b in sorted(taken))
    known: dict[str, Any] = {"name": "x", "pieces": pieces, "missing": draw(st.booleans())}
    if whole:
        clock = draw(st.sampled_from([None, Clock(kind="duration")]))
        last = edges[-1] - 1
        return IntegerColumn(lower=edges[0], upper=last, edges=tuple(edges), clock=clock, **known)
    decimals = draw(st.sampled_from([None, 0, 2]))
    return FloatColumn(
        lower=edges[0], upper=edges[-1], edges=tuple(edges), decimals=decimals, **known
    )


@given(column=columns(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_codes_whole_numbers_and_decimals_survive(
    column: FloatColumn | IntegerColumn, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.exponential(size=column.size) * rng.integers(0, 2, column.size)
    smooth = np.cumsum(rng.exponential(size=column.size))
    for mass in (counts, smooth):
        found = interpolated(column, mass)
        assert found == column  # codes mean the same
        law, before = value_law(found), value_law(column)
        assert np.allclose(law.mass, 1)  # all of a bin's values are within it
        given_bins = {low for low, _, _ in column.pieces}
        for b, low in enumerate(before.lower[before.first[:-1]]):
            if float(low) in given_bins:  # what was known stays as it was
                assert law.first[b + 1] - law.first[b] == 1
        codec = Codec(schema=Schema(columns=(found,)))
        codes = rng.integers(0, column.size, (80, 1))
        drawn = codec.decode(codes, rng=rng)
        assert np.array_equal(codec.encode(drawn), codes)
        if isinstance(column, FloatColumn) and column.decimals is not None:
            values = drawn.values("x").to_numpy()
            shown = np.round(values, column.decimals)
            assert np.array_equal(values, shown, equal_nan=True)


def test_decimals_coarser_than_parts_stay() -> None:
    """Parts are cut where drawn values can be, not between."""
    column = FloatColumn(name="x", lower=0.0, upper=8.0, bins=8, decimals=1)
    found = interpolated(column, np.arange(1.0, 9.0) ** 2)
    assert len(found.pieces) == 80
    drawn = Codec(schema=Schema(columns=(found,))).decode(
        np.repeat(np.arange(8), 50)[:, None], rng=np.random.default_rng(0)
    )
    assert all(float(f"{v:.1f}") == v for v in drawn.values("x"))


@given(
    mass=st.lists(st.floats(0, 1e6), min_size=3, max_size=12),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_shares_of_a_bin_are_one_and_none_is_negative(mass: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = np.cumsum(np.concatenate([[0.0], 10 ** rng.uniform(-6, 6, len(mass))]))
    ends = np.unique(np.concatenate([edges, rng.uniform(edges[0], edges[-1], 50)]))
    shares = curve_shares(edges, np.array(mass), ends)
    assert (shares >= 0).all()
    assert np.allclose(np.bincount(bins_of(edges, ends), weights=shares), 1)


def test_a_code_a_value_and_too_little_to_go_by_stay_as_they_are() -> None:
    counts = np.arange(1.0, 40.0)
    for column in (
        IntegerColumn(name="x", lower=0, upper=38),
        FloatColumn(name="x", lower=1.0, upper=1.0),
        FloatColumn(name="x", lower=0.0, upper=1.0, bins=1),
        FloatColumn(name="x", lower=0.0, upper=1.0, bins=2),
    ):
        assert interpolated(column, counts[: column.size]) is column
    assert interpolated(SMOOTH, np.zeros(16)) is SMOOTH


def test_very_unequal_and_very_far_edges_are_no_error() -> None:
    wide = FloatColumn(name="x", lower=-1e300, upper=1e300, edges=(-1e300, 1.0, 2.0, 4.0, 1e300))
    found = interpolated(wide, np.array([1.0, 2.0, 3.0, 4.0]))
    assert np.isfinite(found.pieces).all()
    far = IntegerColumn(name="x", lower=0, upper=2**53 - 1, bins=32)
    edges = integer_edges(far).astype(float)
    drawn = interpolated(far, np.exp(-edges[1:] / 2**51))
    codes = np.repeat(np.arange(32), 20)[:, None]
    codec = Codec(schema=Schema(columns=(drawn,)))
    assert np.array_equal(codec.encode(codec.decode(codes, rng=np.random.default_rng(0))), codes)
