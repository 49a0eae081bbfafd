"""PrivBayes grows a network that is acyclic, within its limits, and follows the dependences."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.constraints import Within
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.graphical import without_zeros
from dpsynth.generators.marginal.bayesian_network import BayesianNetworkModel, conditional
from dpsynth.generators.marginal.privbayes import PrivBayes, useful_parents, with_partners
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.generators.planted import PLANTED, SIZES, fit, pair_error, planted_table
from tests.tables import coded_schema, coded_table

TABLE = planted_table()


def network(**fields: Any) -> BayesianNetworkModel:
    model, _, _ = fit(PrivBayes(**fields), TABLE)
    assert isinstance(model, BayesianNetworkModel)
    return model


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_parents_come_first_and_are_few(degree: int) -> None:
    model = network(degree=degree)
    known: set[str] = set()
    for child, parents in model.families:
        assert set(parents) <= known
        assert len(parents) <= degree
        known.add(child)
    assert known == {f"c{i}" for i in range(len(SIZES))}


def test_planted_dependences_become_edges() -> None:
    edges = {tuple(sorted((c, p))) for c, parents in network().families for p in parents}
    assert edges >= set(PLANTED)


def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE)
    assert pair_error(TABLE, network()) < 0.3 * pair_error(TABLE, floor)


def test_only_useful_parents_compete() -> None:
    domain = Domain(sizes={"a": 2, "b": 3, "c": 10})
    found = list(useful_parents(domain, ("a", "b", "c"), degree=2, largest=20.0))
    assert found == [(), ("a",), ("b",), ("c",), ("a", "b"), ("a", "c")]
    assert list(useful_parents(domain, ("c",), degree=2, largest=1.0)) == [()]


def test_large_tables_do_not_compete_at_a_small_budget() -> None:
    # 4000 records and noise of hundreds: any table with parents is below the usefulness asked for.
    model, _, _ = fit(PrivBayes(usefulness=50.0), TABLE, epsilon=0.1)
    assert isinstance(model, BayesianNetworkModel)
    assert all(not parents for _, parents in model.families)


def test_shares_add_up_to_the_budget() -> None:
    _, private, _ = fit(PrivBayes(structure_share=0.25), TABLE)
    costs = {e.label: 0.0 for e in private.ledger.entries}
    for entry in private.ledger.entries:
        costs[entry.label] += entry.cost
    whole = private.ledger.capacity
    assert costs["select parents"] == pytest.approx(0.25 * whole)
    assert sum(costs.values()) == pytest.approx(whole)


def test_wide_tables_lower_the_degree() -> None:
    assert PrivBayes()._affordable_degree(6) == 3
    assert PrivBayes()._affordable_degree(60) == 1
    attributes, degree = 20, PrivBayes(candidates=5000)._affordable_degree(20)
    pairs = sum(1 for _ in combinations(range(attributes), degree + 1)) * (degree + 1)
    assert pairs <= 5000


def test_counts_become_conditional_laws() -> None:
    values = np.array([[30.0, 10.0], [-5.0, 0.0], [0.0, 20.0]])
    rows = conditional(values, 60.0)
    np.testing.assert_allclose(rows.sum(axis=1), 1.0)
    np.testing.assert_allclose(rows[0], [0.75, 0.25])
    np.testing.assert_allclose(rows[1], [0.5, 0.5])  # no mass left: the overall law
    np.testing.assert_allclose(rows[2], [0.0, 1.0])


def test_a_network_out_of_order_is_refused() -> None:
    schema = coded_schema((2, 2))
    tables = (np.full((2, 2), 0.5), np.full((1, 2), 0.5))
    with pytest.raises(InvalidValueError, match="parents first"):
        BayesianNetworkModel(
            schema=schema, total=1.0, families=(("c0", ("c1",)), ("c1", ())), tables=tables
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("structure_share", 0.0),
        ("structure_share", 0.995),
        ("usefulness", 0.0),
        ("noise_weight", -0.5),
        ("degree", 0),
        ("candidates", 0),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        PrivBayes(**{field: value})


def test_impossible_cells_are_taken_out_of_its_tables() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (2000, 2))
    codes[:, 1] = np.where(codes[:, 0] == 0, 0, codes[:, 1])
    rule = Within(when={"c0": 0}, then={"c1": 0})
    table = coded_table(codes, (4, 4), constraints=(rule,))
    private = PrivateData(
        table, Budget(epsilon=0.05, delta=1e-9), noise=ResearchNoise(rng=np.random.default_rng(1))
    )
    noisy = private.marginal(("c1", "c0"), sigma=private.sigma_for(private.remaining))
    (found,) = without_zeros(private, [noisy])
    assert (noisy.values[1:, 0] != 0).all()
    assert (found.values[1:, 0] == 0).all()
    assert np.array_equal(found.values[:, 1:], noisy.values[:, 1:])
    assert found.values[0, 0] == noisy.values[0, 0]
    one = NoisyMarginal(clique=("c1",), values=noisy.values[:, 0], sigma=1.0)
    (alone,) = without_zeros(private, [one])
    assert np.array_equal(alone.values, noisy.values[:, 0])


def test_parents_that_constraints_tie_to_a_child_come_first() -> None:
    """Where they are among those to choose from; otherwise any parents do."""
    sets: list[tuple[str, ...]] = [(), ("a",), ("b",), ("d",), ("a", "b"), ("a", "d")]
    assert with_partners(iter(sets), []) == sets
    assert with_partners(iter(sets), [{"c", "e"}]) == sets
    assert with_partners(iter(sets), [{"a", "c"}]) == [("a",), ("a", "b"), ("a", "d")]
    assert with_partners(iter(sets), [{"a", "c"}, {"c", "b", "e"}]) == [("a", "b")]
    assert with_partners(iter(sets[:4]), [{"a", "c"}, {"c", "b"}]) == [("a",), ("b",)]
