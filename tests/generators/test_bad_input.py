"""Tables at the edge of what can be: each is fitted, or refused in one sentence; none is costly."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.domain import Domain
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import (
    DataError,
    InvalidValueError,
    UnknownNameError,
)
from dpsynth.generators.marginal import workload
from dpsynth.generators.marginal.workload import SkippedCliquesWarning, affordable
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.tables import coded_table

NAMES = [
    "uniform",
    "independent",
    "mwem",
    "privbayes",
    "mst",
    "aim",
    "aim_gdp",
    "tree",
    "two_stage",
]


def table_of(sizes: tuple[int, ...], rows: int) -> Table:
    rng = np.random.default_rng(0)
    columns = tuple(
        CategoricalColumn(name=f"c{i}", categories=tuple(range(n))) for i, n in enumerate(sizes)
    )
    codes = {c.name: rng.integers(0, c.size, rows) for c in columns}
    return Table.from_frame(Schema(columns=columns), pd.DataFrame(codes))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("sizes", "rows"),
    [((4, 3, 5), 1), ((4, 3, 5), 2), ((1, 4, 1, 3), 50), ((1, 1), 50), ((100,) * 12, 30)],
    ids=["a row", "two rows", "constant columns", "nothing but constants", "10^24 cells"],
)
def test_small_constant_and_astronomic_tables_are_fitted(
    name: str, sizes: tuple[int, ...], rows: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if name.startswith("aim"):  # which wants triples, and says that they have too many cells
            warnings.simplefilter("ignore", SkippedCliquesWarning)
        fit = dpsynth.synthesize(table_of(sizes, rows), generator=name, epsilon=1, seed=0)
    assert len(fit.sample(20)) == 20
    assert fit.receipt.epsilon_spent <= 1


@pytest.mark.parametrize("name", ["uniform", "independent", "privbayes"])
def test_two_hundred_columns_are_fitted(name: str) -> None:
    fit = dpsynth.synthesize(table_of((5,) * 200, 30), generator=name, epsilon=1, seed=0)
    assert len(fit.sample(20).frame.columns) == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_of_wide_columns_does_not_blow_up_memory(name: str) -> None:
    table = table_of((500, 500, 3), 200)
    warnings.simplefilter("ignore", SkippedCliquesWarning)  # pytest puts the filters back
    tracemalloc.start()
    try:
        fit = dpsynth.synthesize(table, generator=name, epsilon=1, seed=0)
        fit.sample(20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 250 * 2**20, f"{peak / 2**20:.0f} MiB"


@pytest.mark.parametrize("name", ["mst", "mwem", "aim", "aim_gdp", "tree", "two_stage"])
def test_a_pair_above_the_ceiling_is_left_out_said_once_and_counted(name: str, tmp_path) -> None:
    # 3,000 x 3,000 cells are over every default; what else there is gets measured.
    with pytest.warns(SkippedCliquesWarning) as said:
        fit = dpsynth.synthesize(table_of((3000, 3000, 2), 100), generator=name, epsilon=1, seed=0)
    (warning,) = [w.message for w in said if isinstance(w.message, SkippedCliquesWarning)]
    skipped = (2, 7) if name.startswith("aim") else (1, 3)  # aim has the triple, too
    assert (warning.skipped, warning.among) == skipped
    assert str(warning).startswith(f"{skipped[0]} of {skipped[1]} sets of attributes are left out")
    assert 0.9 <= fit.receipt.epsilon_spent <= 1
    assert fit.skipped == warning.skipped
    fit.save(tmp_path / "model")
    assert dpsynth.load(tmp_path / "model").skipped == warning.skipped


def test_nothing_is_counted_where_nothing_is_left_out() -> None:
    for name in NAMES:
        fit = dpsynth.synthesize(table_of((4, 3, 5), 50), generator=name, epsilon=1, seed=0)
        assert fit.skipped == 0


def test_too_many_candidates_lose_the_large_and_the_distant() -> None:
    domain = Domain(sizes={"a": 10, "b": 10, "c": 10, "d": 10, "e": 2})
    pairs = workload.all_k_ways(domain.attributes, 2)
    with pytest.warns(SkippedCliquesWarning, match="4 of 10") as said:
        kept = affordable(domain, pairs, most_cells=100, together=300)
    # Four pairs of 20 cells come first, then two of those of 100, neighbours: 280 cells.
    assert kept == [("a", "b"), ("a", "e"), ("b", "c"), ("b", "e"), ("c", "e"), ("d", "e")]
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert affordable(domain, pairs, most_cells=100) == pairs


def test_a_column_that_does_not_exist_is_named() -> None:
    private = PrivateData(
        coded_table(np.zeros((5, 2), dtype=int), (3, 4)),
        Budget(epsilon=1, delta=1e-9),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
    )
    with pytest.raises(UnknownNameError, match=r"unknown attribute 'c7'; did you mean"):
        private.marginal(("c0", "c7"), sigma=1.0)
    with pytest.raises(UnknownNameError, match="'c7'"):
        private.select_worst([("c0",), ("c7",)], lambda c: np.zeros(3), epsilon=0.1)
    with pytest.raises(UnknownNameError, match="'c7'"):
        private.fit_errors([("c0", "c7")], lambda c: np.zeros((3, 4)), amount=0.001)
    with pytest.raises(InvalidValueError, match="each named once"):
        private.marginal(("c0", "c0"), sigma=1.0)
    assert not private.ledger.entries, "a refusal costs nothing"


def test_no_rows_are_refused() -> None:
    schema = coded_table(np.zeros((1, 2), dtype=int), (3, 4)).schema
    frame = pd.DataFrame({"c0": [], "c1": []})
    with pytest.raises(DataError, match="table has 'no rows', but at least one is needed"):
        dpsynth.synthesize(frame, schema=schema, epsilon=1)
