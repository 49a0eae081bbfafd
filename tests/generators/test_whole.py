"""Small joint tables: everything is measured, by what it is worth, and nothing is chosen."""

from itertools import combinations
from math import sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import dpsynth
from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.queries import FitErrorsQuery, MarginalQuery
from dpsynth.data.domain import Domain
from dpsynth.data.table import Table
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.generators.marginal.whole import FIRST_SHARE, Whole
from dpsynth.pgm.effects import Effects
from dpsynth.pgm.estimation import estimate_total
from dpsynth.privacy.budget import Neighbouring
from tests.generators.planted import fit
from tests.tables import coded_table

BINARY = Domain(sizes={f"c{i}": 2 for i in range(8)})


def whole_of(domain: Domain, **parameters: Any) -> Whole | None:
    return Whole.of(domain, **{"most_cells": 2**17, "most_effects": 2048, **parameters})


def correlated(rows: int, *, seed: int) -> NDArray[np.int64]:
    """Ten answers that follow two traits, and one that is the parity of the first two."""
    rng = np.random.default_rng(seed)
    traits = rng.normal(size=(rows, 2))
    loadings = np.random.default_rng(99).normal(size=(2, 10))
    codes = (traits @ loadings + rng.normal(size=(rows, 10)) > 0.7).astype(np.int64)
    parity = codes[:, 0] ^ codes[:, 1] ^ (rng.random(rows) < 0.05)
    return np.column_stack([codes, parity])


def table_of(rows: int, *, seed: int = 1) -> Table:
    return coded_table(correlated(rows, seed=seed), (2,) * 11)


def error(model: Any, codes: NDArray[np.int64]) -> float:
    """Mean total variation of all triples of a model's expected counts."""
    assert isinstance(model, GraphicalSyntheticModel)
    found: list[float] = []
    for axes in combinations(range(codes.shape[1]), 3):
        real = np.zeros((2, 2, 2))
        np.add.at(real, tuple(codes[:, axes].T), 1 / len(codes))
        made = model.model.marginal(tuple(f"c{i}" for i in axes))
        found.append(0.5 * float(np.abs(made / made.sum() - real).sum()))
    return float(np.mean(found))


def test_everything_is_measured_nothing_is_scored_and_all_is_spent() -> None:
    model, private, seen = fit(TwoStage(), table_of(5000), epsilon=1.0)
    assert isinstance(model, GraphicalSyntheticModel)
    assert not any(isinstance(o.query, FitErrorsQuery) for o in seen)
    assert private.remaining < 1e-5 * private.ledger.capacity
    names = private.domain.attributes
    bought = [o for o in seen if isinstance(o.query, MarginalQuery | InteractionQuery)]
    charged = [
        o.query.clique for o in bought if isinstance(o.query, MarginalQuery | InteractionQuery)
    ]
    assert sorted(charged) == sorted(m.clique for m in model.measurements)
    effects = Effects.of(private.domain, model.measurements, total=None).effects
    assert all(pair in effects for pair in combinations(names, 2))
    assert model.model.cliques == (names,)
    spent = sum(private.ledger.accountant.cost(o.event) for o in bought[: len(names)])
    assert spent == pytest.approx(FIRST_SHARE * private.ledger.capacity, rel=1e-6)


@pytest.mark.parametrize("relation", list(Neighbouring))
def test_attributes_are_topped_up_by_what_the_number_of_records_does_not_say(
    relation: Neighbouring,
) -> None:
    """Where it is public they are marginals: a row that moves changes both as much."""
    made = dpsynth.synthesize(
        table_of(5000), epsilon=0.15, delta=1e-9, seed=1, relation=relation
    ).model
    assert isinstance(made, GraphicalSyntheticModel)
    ones = [m.centred for m in made.measurements if len(m.clique) == 1]
    topped_up = [False] * 11 if relation is Neighbouring.REPLACE else [False] * 11 + [True] * 11
    assert ones == [False] * 11 + topped_up


@pytest.mark.parametrize("epsilon", [0.3, 1.0, 5.0])
def test_it_errs_less_than_stages_do(epsilon: float) -> None:
    """Four splits of noise (seeds 0 to 3) on 10,000 records; means of all triples."""
    codes = correlated(10_000, seed=2)
    table = coded_table(codes, (2,) * 11)
    means = []
    for generator in (TwoStage(), TwoStage(largest_joint=1)):
        fits = [fit(generator, table, epsilon=epsilon, seed=s)[0] for s in range(4)]
        means.append(np.mean([error(model, codes) for model in fits]))
    assert means[0] < 0.95 * means[1]


def test_a_triple_whose_pairs_show_nothing_is_found() -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 2, (5000, 5))
    codes[:, 2] = codes[:, 0] ^ codes[:, 1]
    model, _, _ = fit(TwoStage(), coded_table(codes, (2,) * 5), epsilon=2.0)
    assert isinstance(model, GraphicalSyntheticModel)
    joint = model.model.marginal(("c0", "c1", "c2")) / model.total
    assert sum(joint[i, j, 1 - (i ^ j)] for i in (0, 1) for j in (0, 1)) < 0.05


@pytest.mark.parametrize(
    ("generator", "epsilon"),
    [
        pytest.param(TwoStage(largest_joint=2**10), 1.0, id="a joint table too large"),
        pytest.param(TwoStage(largest_tree=2**12), 1.0, id="little room"),
        pytest.param(TwoStage(), 0.002, id="noise that drowns pairs"),
        pytest.param(TwoStage(one_way_share=0.08), 0.002, id="no more for one-ways"),
        pytest.param(TwoStage(one_way_share=0.01), 0.002, id="less for one-ways"),
    ],
)
def test_others_have_stages(generator: TwoStage, epsilon: float) -> None:
    model, private, _ = fit(generator, table_of(2000), epsilon=epsilon)
    assert isinstance(model, GraphicalSyntheticModel)
    assert model.model.cliques != (private.domain.attributes,)
    assert private.remaining < 1e-5 * private.ledger.capacity


@pytest.mark.parametrize(("codes", "whole"), [(2, True), (8, True), (60, False)])
def test_columns_of_many_codes_have_stages_at_a_budget_that_is_enough_for_few(
    codes: int, whole: bool
) -> None:
    rng = np.random.default_rng(4)
    sizes = (2, 2, 2, 2, codes)
    columns = [rng.integers(0, size, 8000) for size in sizes]
    model, private, _ = fit(TwoStage(), coded_table(np.column_stack(columns), sizes), epsilon=0.3)
    assert isinstance(model, GraphicalSyntheticModel)
    assert (model.model.cliques == (private.domain.attributes,)) is whole


def test_pure_epsilon_has_stages() -> None:
    made = dpsynth.synthesize(table_of(2000), epsilon=1.0, delta=0.0, accountant="pure", seed=1)
    assert isinstance(made.model, GraphicalSyntheticModel)
    assert made.model.model.cliques != (made.model.schema.names,)


def test_large_tables_and_large_pairs_are_not_small() -> None:
    assert whole_of(BINARY) is not None
    assert whole_of(BINARY, most_cells=255) is None
    assert whole_of(BINARY, most_effects=8 + 28 + 28) is not None  # half of the triples
    assert whole_of(BINARY, most_effects=8 + 28 + 27) is None
    pairs = Domain(sizes={"a": 2, "b": 3})
    assert whole_of(pairs, most_effects=3 + 2) is not None
    assert whole_of(pairs, most_effects=3 + 1) is None
    assert whole_of(Domain(sizes={"a": 5, "b": 1})) is None


def test_triples_have_the_room_that_pairs_leave_smaller_ones_first() -> None:
    domain = Domain(sizes={"a": 2, "b": 4, "c": 2, "d": 3})
    assert [len(c) for c in _found(domain, 2048)].count(3) == 4
    pairs = 1 + 3 + 1 + 2 + (3 + 1 + 2 + 3 + 6 + 2)
    room = pairs + 2 + 3  # of (a, c, d) and (a, b, c)
    assert [c for c in _found(domain, room) if len(c) == 3] == [("a", "c", "d"), ("a", "b", "c")]


def _found(domain: Domain, most_effects: int) -> tuple[tuple[str, ...], ...]:
    whole = whole_of(domain, most_effects=most_effects)
    assert whole is not None
    return whole.cliques


def test_every_effect_has_the_precision_that_one_level_gives_it() -> None:
    """By least squares of all that was bought, with what triples show of pairs, to 1%."""
    table = table_of(20_000)
    levels: dict[int, list[float]] = {1: [], 2: [], 3: []}
    model, _, _ = fit(TwoStage(), table, epsilon=0.035)
    assert isinstance(model, GraphicalSyntheticModel)
    total = estimate_total(model.measurements[:11])  # of those that were bought first
    ones = [m for m in model.measurements if len(m.clique) == 1 and not m.centred]
    levels[0] = [total**2 * sum(0.5 / m.sigma**2 for m in ones) / (2 * sqrt(165))]
    effects = Effects.of(table.schema.domain, model.measurements, total=None).effects
    for clique, effect in effects.items():
        if clique:
            cells, order = 2 ** len(clique), len(clique)
            precision = total**2 / effect.variance + (0 if order < 3 else (cells / 0.4) ** 2)
            levels[order].append(precision / (cells * sqrt({1: 45, 2: 9, 3: 1}[order])))
    found = [of for own in levels.values() for of in own]
    assert len(found) == 1 + 11 + 55 + 165
    assert max(found) < 1.01 * min(found)


def test_stages_that_follow_have_what_one_way_marginals_leave() -> None:
    """What was bought to see whether all can be measured is part of their share."""
    generator = TwoStage(
        one_way_share=0.3, most_one_way_share=0.3, drowned_pairs=1e9, merge_below=1e-9
    )
    codes = correlated(2000, seed=1)
    many = np.random.default_rng(5).integers(0, 60, len(codes))
    table = coded_table(np.column_stack([codes, many]), (*(2,) * 11, 60))
    _, private, seen = fit(generator, table, epsilon=0.2)
    errors = next(i for i, o in enumerate(seen) if isinstance(o.query, FitErrorsQuery))
    before = sum(private.ledger.accountant.cost(o.event) for o in seen[:errors])
    assert before == pytest.approx(0.3 * private.ledger.capacity, rel=1e-6)


@pytest.mark.parametrize(
    ("cells", "triples"), [(2**21, 3), (2**20, 2), (2**19, None), (2**16, None)]
)
def test_a_smaller_tree_leaves_room_for_fewer_effects(cells: int, triples: int | None) -> None:
    """36 coefficients of attributes, 486 of pairs, 729 of each triple; 10,000 cells."""
    domain = Domain(sizes=dict.fromkeys("abcd", 10))
    whole = TwoStage(largest_tree=cells)._whole(domain)  # pyright: ignore[reportPrivateUsage]
    found = None if whole is None else sum(len(c) == 3 for c in whole.cliques)
    assert found == triples


def test_rare_codes_that_always_come_together_are_not_taken_for_rarer() -> None:
    """Two codes of the same 3 in 100 records; mean share of both over 8 fits (seeds 0 to 7)."""
    rng = np.random.default_rng(11)
    codes, hit = rng.integers(0, 2, (8000, 4)), rng.random(8000) < 0.03
    codes[hit] = [1, 2, 2, 0]
    table = coded_table(codes, (2, 3, 3, 2))
    shares: list[float] = []
    for seed in range(8):
        model, _, _ = fit(TwoStage(), table, epsilon=0.1, seed=seed)
        assert isinstance(model, GraphicalSyntheticModel)
        assert model.model.cliques == (("c0", "c1", "c2", "c3"),)
        shares.append(float(model.model.marginal(("c1", "c2"))[2, 2] / model.total))
    assert 0.01 < np.mean(shares) < 0.04


def test_a_fit_is_the_same_for_a_seed_and_can_be_saved() -> None:
    table = table_of(3000)
    first, second = (fit(TwoStage(), table, epsilon=1.0, seed=7)[0] for _ in range(2))
    assert isinstance(first, GraphicalSyntheticModel)
    assert isinstance(second, GraphicalSyntheticModel)
    assert (first.model.potentials[0] == second.model.potentials[0]).all()
    again = GraphicalSyntheticModel.from_arrays(table.schema, first.arrays())
    drawn = [m.sample_codes(500, rng=np.random.default_rng(4)) for m in (first, again)]
    assert (drawn[0] == drawn[1]).all()
