"""Each invariant finds out a metric that was broken for it, and passes one that was not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dpsynth.data.table import Table
from dpsynth.evaluation.conformance import INVARIANTS, Subject, examine
from dpsynth.evaluation.marginals import OneWayTvd
from dpsynth.evaluation.sample import Sample

GOOD = Subject.of(OneWayTvd())


def tvd(real: Table, synthetic: Table, rng: np.random.Generator) -> float:
    return OneWayTvd()(real, synthetic, rng=rng).value


def _codes(table: Table) -> np.ndarray:
    return Sample.of(table).codes.astype(float)


def _crash_on_constants(real: Table, synthetic: Table, rng: np.random.Generator) -> float:
    if (np.ptp(_codes(synthetic), axis=0) == 0).all() and len(synthetic) > 1:
        raise ZeroDivisionError
    if len(real.schema.names) == 3 and (np.ptp(_codes(real), axis=0) == 0).any():
        return float("nan")
    return tvd(real, synthetic, rng)


def _without_missing(real: Table, synthetic: Table, rng: np.random.Generator) -> float:
    kept = np.flatnonzero(synthetic.frame.notna().all(axis=1).to_numpy())
    return tvd(real, synthetic.take(kept), rng) if len(kept) else 0.0


def _without_class(real: Table, synthetic: Table, rng: np.random.Generator) -> float:
    apart = OneWayTvd().distances(Sample.of(real), Sample.of(synthetic))
    return float(np.delete(apart, real.schema.names.index("ill")).mean())


def _by_position(real: Table, synthetic: Table, rng: np.random.Generator) -> float:
    first, second = Sample.of(real), Sample.of(synthetic)
    if first.schema.columns != second.schema.columns:
        raise ValueError
    apart = OneWayTvd().distances(first, second)
    weights = np.arange(1, len(apart) + 1)
    return float(apart @ weights / weights.sum())


def _any_columns(real: Table, synthetic: Table, rng: np.random.Generator) -> float:
    return float(OneWayTvd().distances(Sample.of(real), Sample.of(synthetic)).mean())


BROKEN: dict[str, Callable[[Table, Table, np.random.Generator], float]] = {
    "same_law": lambda real, synthetic, rng: 0.0,
    "identity": lambda real, synthetic, rng: 0.5 + tvd(real, synthetic, rng) / 2,
    "lost_class": _without_class,
    "lost_values": _without_missing,
    "unequal_sizes": lambda real, synthetic, rng: (
        tvd(real, synthetic, rng) + abs(len(synthetic) - 800) / 1000
    ),
    "row_order": lambda real, synthetic, rng: tvd(real, synthetic.take(np.arange(1)), rng),
    "column_order": _by_position,
    "formatting": lambda real, synthetic, rng: (
        tvd(real, synthetic, rng) / 2 + float(synthetic.frame.iloc[:, -1].sum()) % 1 / 100
    ),
    "constant_columns": _crash_on_constants,
    "one_row": lambda real, synthetic, rng: (
        tvd(real, synthetic, rng) if len(synthetic) > 1 else float("nan")
    ),
    "seeded": lambda real, synthetic, rng: (
        tvd(real, synthetic, rng) / 2 + float(np.random.default_rng().random()) / 100
    ),
    "monotone": lambda real, synthetic, rng: abs(tvd(real, synthetic, rng) - 0.12),
    "other_columns": _any_columns,
}


@pytest.mark.parametrize("invariant", BROKEN)
def test_a_metric_broken_for_it_is_found_out(invariant: str) -> None:
    broken = replace(GOOD, name=f"broken {invariant}", measure=BROKEN[invariant])
    assert invariant in examine(broken)


def test_a_metric_that_is_not_broken_passes_and_more_than_twelve_are_examined() -> None:
    assert examine(GOOD) == {}
    assert len(INVARIANTS) >= 12
