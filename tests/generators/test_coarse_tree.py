"""A tree of pairs picked one by one, where the errors of all pairs at once would be noise."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from dpsynth.curator.merging import MergedQuery
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.constraints import Within
from dpsynth.data.table import Table
from dpsynth.generators.base import SyntheticModel
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal import coarse_tree, two_stage
from dpsynth.generators.marginal.tree_plan import merged
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ResearchNoise
from tests.generators.planted import fit
from tests.tables import coded_table

COLUMNS, CODES = 24, 12


def alike(rows: int, *, codes: int = CODES, rules: tuple[Within, ...] = ()) -> Table:
    """Columns near one hidden number, which orders their codes; the first is never above it."""
    rng = np.random.default_rng(3)
    hidden = rng.integers(0, codes, (rows, 1))
    drawn = np.clip(hidden + rng.integers(-1, 2, (rows, COLUMNS)), 0, codes - 1)
    drawn[:, 0] = np.minimum(drawn[:, 0], drawn[:, 1])
    return coded_table(drawn, (codes,) * COLUMNS, constraints=rules)


def mean_correlation(model: SyntheticModel) -> float:
    drawn = model.sample_codes(5000, rng=np.random.default_rng(9)).astype(float)
    found = np.corrcoef(drawn.T)
    return float(np.mean([found[i, j] for i, j in combinations(range(COLUMNS), 2)]))


def kinds(seen: list[Observation]) -> Counter[str]:
    """Return how many queries of each kind there were, whatever view they were asked of."""
    return Counter(type(bare(o.query)).__name__ for o in seen)


def bare(query: object) -> object:
    return bare(query.query) if isinstance(query, MergedQuery) else query


def pairs_of(model: SyntheticModel) -> list[NoisyMarginal]:
    assert isinstance(model, GraphicalSyntheticModel)
    return [m for m in model.measurements if len(m.clique) == 2]


def test_columns_of_a_small_wide_table_are_tied_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same budget and noise without a tree."""
    table = alike(600)
    model, private, seen = fit(TwoStage(label="c5"), table, epsilon=1.0)
    asked = kinds(seen)
    assert asked["WorstFitQuery"] == asked["InteractionQuery"] == COLUMNS - 1
    assert asked["FitErrorsQuery"] == 0
    assert private.remaining < 1e-5 * private.ledger.capacity
    cost = sum(private.ledger.accountant.cost(o.event) for o in seen)
    assert cost == pytest.approx(private.ledger.capacity, rel=1e-5)
    names = {name.split()[0]: name.split()[0] for m in pairs_of(model) for name in m.clique}
    joined = merged(names, [tuple(n.split()[0] for n in m.clique) for m in pairs_of(model)])
    assert len(names) == COLUMNS
    assert len(set(joined.values())) == 1  # all in one tree
    assert mean_correlation(model) > 0.2
    monkeypatch.setattr(two_stage, "coarse_tree", lambda *_, **__: [])
    alone, _, _ = fit(TwoStage(label="c5"), table, epsilon=1.0)
    assert abs(mean_correlation(alone)) < 0.05


def test_without_a_label_all_is_for_one_way_marginals() -> None:
    _, _, seen = fit(TwoStage(), alike(600), epsilon=1.0)
    assert set(kinds(seen)) == {"MarginalQuery"}


def test_pairs_are_measured_in_two_or_three_groups() -> None:
    model, _, _ = fit(TwoStage(label="c5"), alike(600), epsilon=1.0)
    assert {size for m in pairs_of(model) for size in m.values.shape} == {2, 3}


def test_two_codes_are_no_groups() -> None:
    model, _, seen = fit(TwoStage(largest_joint=1, label="c5"), alike(1200, codes=2), epsilon=0.3)
    assert kinds(seen)["WorstFitQuery"] == len(pairs_of(model)) == COLUMNS - 1
    assert not any(m.grouped for m in pairs_of(model))


def test_what_constraints_rule_out_stays_out() -> None:
    table = alike(600, rules=(Within(when={"c1": 0}, then={"c0": 0}),))
    model, _, seen = fit(TwoStage(label="c5"), table, epsilon=1.0)
    assert kinds(seen)["WorstFitQuery"] > COLUMNS // 2
    drawn = model.sample_codes(5000, rng=np.random.default_rng(9))
    low = drawn[:, 1] == 0
    assert low.any()
    assert not drawn[low, 0].any()


def test_nothing_is_picked_where_a_pick_is_noise_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scale of a pick is .39 of the records; the control allows that."""
    _, private, seen = fit(TwoStage(label="c5"), alike(600), epsilon=0.35)
    assert set(kinds(seen)) == {"MarginalQuery"}
    assert private.remaining < 1e-5 * private.ledger.capacity
    monkeypatch.setattr(coarse_tree, "_DROWNED", 0.5)
    _, _, seen = fit(TwoStage(label="c5"), alike(600), epsilon=0.35)
    assert kinds(seen)["WorstFitQuery"] == COLUMNS - 1


@pytest.mark.parametrize(
    ("relation", "picks"), [(Neighbouring.ADD_REMOVE, COLUMNS - 1), (Neighbouring.REPLACE, 0)]
)
def test_scores_that_a_unit_moves_by_more_have_more_noise(
    relation: Neighbouring, picks: int
) -> None:
    """The scale of a pick is .28 of the records, or twice that."""
    seen: list[Observation] = []
    private = PrivateData(
        alike(600),
        Budget(epsilon=0.5, delta=1e-9, relation=relation),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
        accountant="gdp",
        observer=seen.append,
    )
    TwoStage(label="c5").fit(private, rng=np.random.default_rng(1))
    assert kinds(seen)["WorstFitQuery"] == picks
