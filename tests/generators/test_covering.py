"""No attribute is left alone that seems to depend on another, and none is joined for nothing."""

import numpy as np
import pytest

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.marginal.resolution import Resolved
from dpsynth.generators.marginal.shortlist import Shortlist, covering
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.pgm.model import GraphicalModel
from tests.generators.planted import fit
from tests.tables import coded_table

DOMAIN = Domain(sizes={"a": 9, "b": 9, "c": 9, "d": 9})
GROUPS = [{name: np.arange(9) // width for name in DOMAIN.sizes} for width in (2, 4)]
LISTED = Shortlist(cliques=(("a", "b"),), shares=(1.0,), levels=(0,))
GAINS = {("a", "b"): 900.0, ("a", "c"): 30.0, ("b", "c"): 80.0, ("c", "d"): 60.0, ("a", "d"): 70.0}


def model(*pairs: Clique) -> GraphicalModel:
    inside = {attribute for pair in pairs for attribute in pair}
    cliques = [*((a,) for a in DOMAIN.attributes if a not in inside), *pairs]
    potentials = tuple(np.zeros(DOMAIN.project(c).shape) for c in cliques)
    return GraphicalModel(
        domain=DOMAIN, total=8100.0, cliques=tuple(cliques), potentials=potentials
    )


def covered(
    listed: Shortlist | None = LISTED,
    known: GraphicalModel | None = None,
    *,
    doubt: float = 20.0,
    tree: int = 10_000,
) -> Shortlist | None:
    expected = {c: Resolved.of(c, np.full((9, 9), 100.0), GROUPS) for c in GAINS}
    return covering(
        listed,
        known or model(),
        GAINS,
        expected,
        doubt=doubt,
        sigma_of=lambda share: 3.0 / share**0.5,
        kappa=2.0,
        largest_tree=tree,
    )


def test_what_is_alone_joins_by_its_best_pair_in_the_coarsest_groups() -> None:
    found = covered()
    assert found is not None
    assert found.cliques == (("a", "b"), ("b", "c"), ("a", "d"))
    assert found.levels == (0, 2, 2)
    assert sum(found.shares) == pytest.approx(1.0)
    # Nine cells against 81: shares in proportion to their powers 2/3.
    assert found.shares[0] / found.shares[1] == pytest.approx(9 ** (2 / 3), rel=0.02)


def test_what_is_not_beyond_doubt_stays_alone() -> None:
    assert covered(doubt=75.0) == Shortlist(
        cliques=(("a", "b"), ("b", "c")),
        shares=covered(doubt=75.0).shares,  # pyright: ignore[reportOptionalMemberAccess]
        levels=(0, 2),
    )
    assert covered(doubt=100.0) is LISTED
    assert covered(None, doubt=1000.0) is None


def test_what_the_model_holds_already_is_not_alone() -> None:
    found = covered(known=model(("c", "d")))
    assert found is LISTED


def test_no_more_joins_than_the_tree_can_hold() -> None:
    assert covered(tree=100) is LISTED


def test_without_a_list_all_join_that_can() -> None:
    found = covered(None)
    assert found is not None
    assert set(found.cliques) == {("a", "b"), ("b", "c"), ("a", "d")}
    assert set(found.levels) == {2}


@pytest.mark.statistical
def test_a_weak_column_is_not_drawn_by_chance() -> None:
    """Two columns copy each other, and a third leans on one of them: too little for its noise.

    Mean correlation of the third with it over 8 fits (seeds 0 to 7) in 3,000 rows: a sample of
    independent columns has one of standard deviation .0065 in the mean, so .05 is beyond 7 of
    them. Control: `independent`, which stays within 3."""
    rng = np.random.default_rng(3)
    first = rng.integers(0, 24, 3000)
    leaning = np.where(rng.random(3000) < 0.12, first, rng.integers(0, 24, 3000))
    noise = rng.integers(0, 2, (3000, 2))
    table = coded_table(np.column_stack([first, first, leaning, noise]), (24, 24, 24, 2, 2))

    def correlation(generator: TwoStage | Independent) -> float:
        found: list[float] = []
        for seed in range(8):
            drawn = fit(generator, table, epsilon=0.8, seed=seed)[0].sample_codes(
                3000, rng=np.random.default_rng(seed)
            )
            found.append(float(np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1]))
        return float(np.mean(found))

    assert correlation(TwoStage()) > 0.05
    assert abs(correlation(Independent())) < 0.02
