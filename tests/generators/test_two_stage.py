"""Two stages buy what is dependent, see what pairs cannot show, and leave what noise drowns."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.queries import FitErrorsQuery, MarginalQuery
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.grown_tree import error_left
from dpsynth.generators.marginal.resolution import Resolved
from dpsynth.generators.marginal.shortlist import Shortlist, shortlist
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.pgm.measurement import MEAN_SIZE
from dpsynth.privacy.events import GaussianEvent
from tests.generators.planted import PLANTED, fit, pair_error, planted_table
from tests.tables import coded_table

TABLE = planted_table()
DOMAIN = Domain(sizes={"a": 4, "b": 4, "c": 4})


def staged(**parameters: Any) -> TwoStage:
    """Return the mechanism with its stages, however small the joint table is."""
    return TwoStage(largest_joint=1, **parameters)


def measured(seen) -> list[tuple[str, ...]]:
    kinds = MarginalQuery | InteractionQuery
    return [o.query.clique for o in seen if isinstance(o.query, kinds)]


def test_the_planted_pairs_are_bought_in_the_first_stage() -> None:
    _, _, seen = fit(staged(first_share=0.6), TABLE, epsilon=1.0)
    stages = [i for i, o in enumerate(seen) if isinstance(o.query, FitErrorsQuery)]
    assert len(stages) == 2
    bought = measured(seen[stages[0] : stages[1]])
    assert set(bought) >= set(PLANTED)
    assert len(bought) <= 6  # noise may make a few of the other 13 look worth it


def test_pairs_of_columns_that_hardly_vary_are_not_asked_where_noise_hides_them() -> None:
    codes = np.random.default_rng(4).integers(0, 4, (20_000, 6))
    codes[:, 1] = codes[:, 0]
    codes[:, 3:] = np.random.default_rng(5).random((20_000, 3)) < 0.02  # two differ in 4 of 100
    table = coded_table(codes, (4, 4, 4, 2, 2, 2))
    asked: list[tuple[tuple[str, ...], ...]] = []
    for epsilon in (0.03, 10.0):
        _, _, seen = fit(staged(), table, epsilon=epsilon)
        asked.append(next(o.query for o in seen if isinstance(o.query, FitErrorsQuery)).candidates)
        assert ("c0", "c1") in measured(seen)
    assert set(combinations(("c0", "c1", "c2"), 2)) <= set(asked[0])
    assert not set(combinations(("c3", "c4", "c5"), 2)) & set(asked[0])
    assert len(asked[1]) == 15


@pytest.mark.parametrize(("epsilon", "share"), [(0.05, 0.25), (0.08, None), (2.0, 0.1)])
def test_a_single_stage_pays_more_for_its_errors_where_they_are_noisy(
    epsilon: float, share: float | None
) -> None:
    codes = np.random.default_rng(4).integers(0, 4, (5000, 5))
    codes[:, 1] = codes[:, 0]
    # One-ways get .3 and no more, so that what the stage has is known.
    generator = staged(drowned_triples=1e-9, drowned_pairs=1e9, most_one_way_share=0.3)
    _, private, seen = fit(generator, coded_table(codes, (4,) * 5), epsilon=epsilon)
    spent_on = spent(private, seen, FitErrorsQuery) / 0.7
    if share is None:
        assert 0.11 < spent_on < 0.24
    else:
        assert spent_on == pytest.approx(share, rel=1e-3)


def test_a_triple_whose_pairs_show_nothing_is_found() -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 2, (5000, 5))
    codes[:, 2] = codes[:, 0] ^ codes[:, 1]
    table = coded_table(codes, (2,) * 5)
    model, _, seen = fit(staged(), table, epsilon=2.0)
    assert ("c0", "c1", "c2") in measured(seen)
    assert isinstance(model, GraphicalSyntheticModel)
    joint = model.model.marginal(("c0", "c1", "c2")) / model.total
    odd = sum(joint[i, j, 1 - (i ^ j)] for i in (0, 1) for j in (0, 1))
    assert odd < 0.05
    # Negative control: pairs alone leave the half of it that chance gives.
    blind, _, _ = fit(staged(most_sets=1), table, epsilon=2.0)
    assert isinstance(blind, GraphicalSyntheticModel)
    missed = blind.model.marginal(("c0", "c1", "c2")) / blind.total
    assert sum(missed[i, j, 1 - (i ^ j)] for i in (0, 1) for j in (0, 1)) > 0.4


def test_everything_is_spent_and_the_shares_are_kept() -> None:
    for epsilon in (0.01, 1.0, 50.0):
        _, private, _ = fit(staged(), TABLE, epsilon=epsilon)
        assert private.remaining < 1e-5 * private.ledger.capacity
    costs = {entry.label: entry.cost for entry in private.ledger.entries}
    rest = private.ledger.capacity * 0.7
    assert costs["errors of 15 marginals"] == pytest.approx(rest * 0.65 * 0.1, rel=1e-6)


def test_what_no_stage_wants_goes_to_the_one_way_marginals() -> None:
    # Every combination once: exactly independent, and 256 cells of a pair cost more in noise than
    # noisy 1-ways can err. Cells of few records are made to cost their whole noise too.
    codes = np.indices((16,) * 3).reshape(3, -1).T
    drowned = staged(kappa=1e9, one_way_error=0.99)
    _, private, seen = fit(drowned, coded_table(codes, (16,) * 3), epsilon=0.5)
    assert measured(seen) == [("c0",), ("c1",), ("c2",)] * 2
    assert private.remaining < 1e-5 * private.ledger.capacity


def spent(private, seen, kind: type) -> float:
    """Return the part of the budget that went to queries of `kind`, or to 1-ways for marginals."""
    cost = sum(
        private.ledger.accountant.cost(o.event)
        for o in seen
        if isinstance(o.query, kind) and len(getattr(o.query, "clique", ("one",))) == 1
    )
    return cost / private.ledger.capacity


@pytest.mark.parametrize(
    ("epsilon", "one_ways", "stages"), [(0.1, 1.0, 0), (1.0, 0.7, 1), (10.0, 0.3, 2)]
)
def test_noise_decides_how_much_goes_to_one_ways_and_how_many_stages_there_are(
    epsilon: float, one_ways: float, stages: int
) -> None:
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 12, (2000, 8))
    codes[:, 1] = codes[:, 0]
    _, private, seen = fit(TwoStage(), coded_table(codes, (12,) * 8), epsilon=epsilon)
    assert sum(isinstance(o.query, FitErrorsQuery) for o in seen) == stages
    assert spent(private, seen, MarginalQuery) == pytest.approx(one_ways, abs=0.01)


def test_attributes_of_many_codes_get_less_noise() -> None:
    table = coded_table(np.zeros((500, 3), dtype=int), (2, 16, 54))
    _, _, seen = fit(staged(), table, epsilon=1.0)
    sigmas = [o.event.sigma for o in seen[:3] if isinstance(o.event, GaussianEvent)]
    # Precisions in proportion to 2, 16, 54 to the power 2/3.
    assert (sigmas[0] / sigmas[2]) ** 2 == pytest.approx(27 ** (2 / 3), rel=0.03)
    assert (sigmas[0] / sigmas[1]) ** 2 == pytest.approx(8 ** (2 / 3), rel=0.03)


def test_the_error_that_a_list_leaves() -> None:
    gains = {("a", "b"): 100.0, ("a", "c"): 60.0, ("b", "c"): 3.0}
    expected = {pair: Resolved.of(pair, np.full((4, 4), 50.0), ()) for pair in gains}

    def left(*cliques: tuple[str, ...], sigma: float) -> float:
        found = Shortlist(
            cliques=cliques, shares=(1 / len(cliques),) * len(cliques), levels=(0,) * len(cliques)
        )
        return error_left(
            DOMAIN, gains, expected, found, sigma_of=lambda s: sigma / s**0.5, kappa=2.0
        )

    noise = MEAN_SIZE * 16  # of a pair at sigma 1
    assert left(("a", "b"), sigma=1.0) == pytest.approx(noise + 63.0)
    # Inside a triple a pair is a sum of four cells; none gets worse than it is.
    assert left(("a", "b", "c"), sigma=1.0) == pytest.approx(2 * 2 * noise + 3.0)
    both = left(("a", "b"), ("a", "b", "c"), sigma=1.0)
    assert both == pytest.approx(2**0.5 * noise + 2**0.5 * 2 * noise + 3.0)


def test_a_label_gets_the_marginals_that_predict_it() -> None:
    """The pair that shows the label gains less than its noise, twice that is more."""
    rng = np.random.default_rng(8)
    codes = rng.integers(0, 6, (3000, 4))
    hit = rng.random(3000) < 0.03
    codes[hit, 0] = codes[hit, 3]
    table = coded_table(codes, (6,) * 4)

    def bought(generator: TwoStage) -> int:
        found = [measured(fit(generator, table, epsilon=0.6, seed=s)[2]) for s in range(6)]
        return sum(any({"c0", "c3"} <= set(clique) for clique in one) for one in found)

    assert bought(staged()) < bought(staged(label="c3", label_weight=4.0))


def test_an_unknown_label_is_refused_before_anything_is_spent() -> None:
    with pytest.raises(UnknownNameError, match="colour"):
        fit(TwoStage(label="colour"), TABLE)


def test_the_tree_stays_below_its_limit() -> None:
    model, _, _ = fit(TwoStage(largest_tree=60), TABLE)
    assert isinstance(model, GraphicalSyntheticModel)
    assert model.model.tree.cells <= 60


def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE)
    model, _, _ = fit(TwoStage(), TABLE)
    assert pair_error(TABLE, model) < 0.3 * pair_error(TABLE, floor)


def listed(
    gains: dict[tuple[str, ...], float],
    *,
    sigma: float,
    expected: float,
    tree: int = 200,
    domain: Domain = DOMAIN,
) -> Shortlist:
    found = attempted(gains, sigma=sigma, expected=expected, tree=tree, domain=domain)
    assert found is not None
    return found


def attempted(
    gains: dict[tuple[str, ...], float],
    *,
    sigma: float,
    expected: float,
    tree: int = 200,
    domain: Domain = DOMAIN,
) -> Shortlist | None:
    return shortlist(
        domain,
        gains,
        {c: Resolved.of(c, np.full([4] * len(c), expected), ()) for c in gains},
        doubt=0.0,
        inherited=[("a",), ("b",), ("c",)],
        sigma_of=lambda share: sigma / share**0.5,
        kappa=2.0,
        largest_tree=tree,
    )


def test_a_list_holds_what_gains_more_than_its_noise() -> None:
    gains = {("a", "b"): 100.0, ("b", "c"): 100.0, ("a", "c"): 1.0}
    found = listed(gains, sigma=1.0, expected=50.0)
    assert set(found.cliques) == {("a", "b"), ("b", "c")}
    assert found.shares == pytest.approx((0.5, 0.5))
    assert attempted(gains, sigma=1000.0, expected=50.0) is None
    # Cells of few records cost no more than a multiple of their counts, whatever the noise.
    assert attempted(gains, sigma=1000.0, expected=0.5) is not None


def test_a_list_fits_into_the_tree() -> None:
    gains = {("a", "b"): 100.0, ("a", "b", "c"): 200.0}
    assert listed(gains, sigma=0.1, expected=50.0).cliques[0] == ("a", "b", "c")
    assert listed(gains, sigma=0.1, expected=50.0, tree=40).cliques == (("a", "b"),)


def test_a_pair_counts_for_the_triples_that_hold_it() -> None:
    gains = {("a", "b"): 100.0, ("b", "c", "d"): 150.0}

    def bought(attributes: str) -> tuple[tuple[str, ...], ...]:
        domain = Domain(sizes=dict.fromkeys(attributes, 4))
        room = 64 + 4 * (len(attributes) - 3)  # for the triple and the others alone, or the pair
        return listed(gains, sigma=0.1, expected=50.0, tree=room, domain=domain).cliques

    assert bought("abcd") == (("b", "c", "d"),)
    assert bought("abcdefgh") == (("a", "b"),)


def test_larger_marginals_get_larger_shares() -> None:
    gains = {("a",): 100.0, ("b", "c"): 300.0}
    found = listed(gains, sigma=1.0, expected=1e4)
    shares = dict(zip(found.cliques, found.shares, strict=True))
    # Effective cells 4 and 16: shares in proportion to their powers 2/3.
    assert shares["b", "c"] / shares["a",] == pytest.approx(4 ** (2 / 3), rel=0.02)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 0.0),
        ("first_share", 1.0),
        ("error_share", 1.0),
        ("kappa", 0.0),
        ("kappa", float("inf")),
        ("largest_tree", 0),
        ("largest_marginal", 0),
        ("most_sets", 0),
        ("drowned_pairs", 0.0),
        ("label_weight", 0.5),
    ],
)
def test_a_hyperparameter_out_of_its_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        TwoStage(**{field: value})
