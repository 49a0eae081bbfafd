"""Residual measures what it charges for, buys what stands out, and finds shared causes."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import dpsynth
from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.queries import FitErrorsQuery, MarginalQuery
from dpsynth.data.domain import Clique, Domain
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.marginal import residual
from dpsynth.generators.marginal.pair_list import NoiseCosts, choose_pairs, dependence, unexplained
from dpsynth.generators.marginal.residual import Residual
from dpsynth.generators.mixture import MixtureSyntheticModel
from dpsynth.pgm.effects import Effects
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.measurement import NoisyMarginal
from tests.generators.planted import PLANTED, fit, pair_error, planted_table
from tests.tables import coded_table

TABLE = planted_table()
BOUGHT = MarginalQuery | InteractionQuery
SMALL = Residual(rows=400, classes=60)


def alike_table(columns: int, n: int, *, sizes: int = 3) -> Table:
    """Columns that each follow a hidden class in two rows of three."""
    rng = np.random.default_rng(3)
    hidden = rng.integers(0, sizes, n)
    drawn = rng.integers(0, sizes, (n, columns))
    codes = np.where(rng.random((n, columns)) < 0.67, hidden[:, None], drawn)
    return coded_table(codes, [sizes] * columns)


def test_what_is_measured_is_what_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[NoisyMarginal] = []

    def noted(domain: Any, measurements: list[NoisyMarginal], *, total: None) -> Effects:
        used.extend(measurements)
        return Effects.of(domain, measurements, total=total)

    monkeypatch.setattr(residual, "Effects", type("Noted", (), {"of": staticmethod(noted)}))
    _, private, seen = fit(SMALL, TABLE, epsilon=5.0)
    asked = [o for o in seen if isinstance(o.query, BOUGHT)]
    assert [m.clique for m in used] == [o.query.clique for o in asked]  # pyright: ignore[reportAttributeAccessIssue]
    # What cliques hold beyond their one-way marginals is asked for times their cells.
    scales = [m.values.size if m.centred else 1 for m in used]
    sigmas = [m.sigma * scale for m, scale in zip(used, scales, strict=True)]
    assert sigmas == pytest.approx([o.event.sigma for o in asked])  # pyright: ignore[reportAttributeAccessIssue]
    assert {len(m.clique) for m in used if m.centred} == {2}
    # Under Gaussian DP each event costs (sensitivity / sigma)^2; errors and marginals are all.
    costs = [(o.event.sensitivity / o.event.sigma) ** 2 for o in seen]  # pyright: ignore[reportAttributeAccessIssue]
    capacity = private.ledger.capacity
    assert sum(costs) == pytest.approx(capacity - private.remaining, rel=1e-9)
    assert private.remaining < 1e-6 * capacity


def test_the_planted_pairs_are_bought_and_learned() -> None:
    floor, _, _ = fit(Independent(), TABLE)
    model, _, seen = fit(SMALL, TABLE)
    asked = {o.query.clique for o in seen if isinstance(o.query, BOUGHT)}
    assert set(PLANTED) <= asked
    assert pair_error(TABLE, model) < 0.3 * pair_error(TABLE, floor)


def test_where_noise_drowns_errors_only_one_ways_are_bought() -> None:
    model, _, seen = fit(SMALL, alike_table(30, 200), epsilon=0.2)
    assert not any(isinstance(o.query, FitErrorsQuery) for o in seen)
    assert {len(o.query.clique) for o in seen if isinstance(o.query, BOUGHT)} == {1}
    assert isinstance(model, MixtureSyntheticModel)
    assert [len(part.components) for part in model.parts] == [1]


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "epsilon", "bought"), [(200, 1.0, False), (90, 60.0, True)])
def test_wide_tables(columns: int, epsilon: float, bought: bool) -> None:
    table = alike_table(columns, 800, sizes=2)
    model, _, seen = fit(Residual(rows=100, classes=50), table, epsilon=epsilon)
    pairs = [o for o in seen if isinstance(o.query, BOUGHT) and len(o.query.clique) == 2]
    assert bool(pairs) == bought
    assert model.sample_codes(20, rng=np.random.default_rng(0)).shape == (20, columns)


def test_a_shared_cause_is_told_from_a_chain() -> None:
    """The number of components shows where the fit began."""

    def components(table: Table) -> int:
        model, _, _ = fit(SMALL, table, epsilon=4.0)
        assert isinstance(model, MixtureSyntheticModel)
        return len(model.parts[0].components)

    rng = np.random.default_rng(4)
    steps = rng.random((3000, 20)) < 0.8
    codes = rng.integers(0, 3, (3000, 20))
    for i in range(1, 20):
        codes[:, i] = np.where(steps[:, i], codes[:, i - 1], codes[:, i])
    assert components(alike_table(20, 3000)) == SMALL.classes
    assert components(coded_table(codes, [3] * 20)) == SMALL.rows


def test_pairs_of_attributes_that_are_too_wide_are_counted() -> None:
    # Of 4, 4, 3, 3, 5 and 2 codes five attributes have 16 together: five pairs have the widest.
    generator = Residual(rows=400, classes=60, largest_width=16)
    assert dpsynth.synthesize(TABLE, generator=generator, epsilon=1, seed=0).skipped == 5


def test_columns_beyond_the_width_stay_independent() -> None:
    model, _, seen = fit(Residual(rows=400, classes=60, largest_width=16), TABLE)
    asked = {o.query.clique for o in seen if isinstance(o.query, MarginalQuery)}
    assert ("c4",) in asked
    assert not any("c4" in clique for clique in asked if len(clique) > 1)
    assert isinstance(model, MixtureSyntheticModel)
    assert [part.domain.attributes for part in model.parts][1] == ("c4",)
    rows = model.sample_codes(4000, rng=np.random.default_rng(0))
    assert len(np.unique(rows[:, 4])) == 5


PAIRS: list[Clique] = [("a", "b"), ("b", "c"), ("a", "c")]


def test_what_a_path_implies_is_taken_off() -> None:
    distances = np.array([800.0, 500.0, 450.0])
    left = unexplained(PAIRS, distances, np.full(3, 1000.0))
    np.testing.assert_allclose(left, [800.0, 500.0, 450.0 - 1000.0 * 0.8 * 0.5])


def test_errors_that_noise_explains_are_drawn_to_their_mean() -> None:
    errors = np.random.default_rng(0).normal(300.0, 50.0, 2000)
    drawn = dependence(errors, 50.0, np.zeros(2000))
    assert drawn.std() < 10.0
    kept = dependence(errors, 1.0, np.zeros(2000))
    np.testing.assert_allclose(kept, errors, rtol=0.001)
    assert dependence(errors, 1.0, np.full(2000, 1e4)).max() == 0.0


@pytest.mark.parametrize(
    ("sigma", "single_error", "pairs"),
    [(1.0, 0.0, {("a", "b"), ("a", "c")}), (1.0, 1e9, set()), (1e5, 100.0, set())],
)
def test_a_list_is_worth_its_noise(sigma: float, single_error: float, pairs: set[Clique]) -> None:
    found = choose_pairs(
        PAIRS,
        np.array([900.0, 0.0, 500.0]),
        [np.full((3, 3), 1000.0)] * 3,
        np.ones(3),
        single_error=single_error,
        spent=0.2,
        sigma_of=lambda share: sigma / share**0.5,
    )
    assert set(found.pairs) == pairs
    assert sum(found.shares) + found.again == pytest.approx(1.0)


def test_of_two_pairs_that_gain_the_same_the_one_of_less_noise_is_cheaper() -> None:
    for sigma, pairs in ((150.0, PAIRS[1:2]), (10.0, PAIRS[:2])):
        found = choose_pairs(
            PAIRS,
            np.array([300.0, 300.0, 0.0]),
            [np.full((3, 3), 1000.0)] * 3,
            np.array([1.0, 0.5, 1.0]),
            single_error=0.0,
            spent=0.2,
            sigma_of=lambda share, sigma=sigma: sigma / share**0.5,
        )
        assert set(found.pairs) == set(pairs)
    shares = dict(zip(found.pairs, found.shares, strict=True))
    assert shares[PAIRS[1]] / shares[PAIRS[0]] == pytest.approx(0.5 ** (2 / 3))


def test_noise_costs_no_more_than_what_is_expected() -> None:
    expected = [np.array([1000.0, 1.0]), np.array([1000.0, 1000.0]), np.full(2, 1000.0)]
    costs = NoiseCosts.of(expected, np.array([1.0, 1.0, 0.5]), lowest=1.0, highest=100.0)
    few, many, less = costs.at(50.0)
    assert less == pytest.approx(0.5 * many, rel=0.02)
    assert many == pytest.approx(2 * 50 * (2 / np.pi) ** 0.5, rel=0.02)
    assert few == pytest.approx(2.0 + 50 * (2 / np.pi) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 0.0),
        ("error_share", 1.0),
        ("largest_width", 0),
        ("rows", 0),
        ("classes", 0),
    ],
)
def test_a_hyperparameter_out_of_its_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        Residual(**{field: value})


def test_its_forest_closes_no_ring_that_makes_too_large_a_tree(monkeypatch) -> None:
    """Columns of many codes on a chain of constraints, whose ends decide one another."""
    domain = Domain(sizes={f"c{i}": 40 for i in range(6)})
    tied = tuple(pairwise(domain.attributes))
    ends = NoisyMarginal(clique=("c0", "c5"), values=50.0 * np.eye(40), sigma=1.0)
    estimates = Effects.of(domain, [ends], total=None)
    grown = JunctionTree.build(domain, [*tied, ends.clique]).cells
    for most, forest in ((grown, [ends.clique]), (grown - 1, [])):
        monkeypatch.setattr(residual, "_LARGEST_TREE", most)
        assert residual._forest(estimates, [ends.clique], tied=tied) == forest
        assert residual._forest(estimates, [ends.clique], tied=()) == [ends.clique]
