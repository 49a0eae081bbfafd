"""A view in groups: one ledger, the same sensitivity, and counts that are sums of counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.counting import CellCounter
from dpsynth.curator.merging import MergedQuery, Merging
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import FitErrorsQuery, MarginalQuery, Query
from dpsynth.data.domain import Domain
from dpsynth.errors import BudgetExceededError, InvalidValueError, UnknownNameError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ResearchNoise
from tests.tables import coded_table, dependent_codes

SIZES = (4, 3, 6)
CODES = dependent_codes(400, SIZES, rng=np.random.default_rng(0))
GROUPS = {"c0": (0, 1, 1, 0), "c2": (2, 1, 0, 0, 0, 1)}
DOMAIN = Domain(sizes={"c0": 4, "c1": 3, "c2": 6})


def door(seen: list[Observation] | None = None, *, epsilon: float = 1.0) -> PrivateData:
    return PrivateData(
        coded_table(CODES, SIZES),
        Budget(epsilon=epsilon, delta=1e-9),
        noise=ResearchNoise(rng=np.random.default_rng(1)),
        accountant="gdp",
        observer=None if seen is None else seen.append,
    )


def test_the_view_counts_groups() -> None:
    view = door(epsilon=1e4).merged(GROUPS)
    assert view.domain == Domain(sizes={"c0 (groups)": 2, "c1": 3, "c2 (groups)": 3})
    found = view.marginal(("c2 (groups)", "c1"), sigma=0.01).values
    exact = CellCounter(CODES, DOMAIN).counts(("c2", "c1"))
    for group in range(3):
        own = [code for code, of in enumerate(GROUPS["c2"]) if of == group]
        assert found[group] == pytest.approx(exact[own].sum(axis=0), abs=0.1)


def test_there_is_one_ledger_and_the_price_is_the_same() -> None:
    seen: list[Observation] = []
    private = door(seen)
    view = private.merged(GROUPS)

    def predict(clique: tuple[str, ...]) -> np.ndarray:
        return np.zeros([view.domain.sizes[a] for a in clique])

    assert view.sigma_for(0.1) == private.sigma_for(0.1)
    view.marginal(("c0 (groups)",), sigma=60.0)
    paid = private.ledger.spent
    private.marginal(("c0",), sigma=60.0)
    assert private.ledger.spent == pytest.approx(2 * paid)
    assert view.remaining == private.remaining
    spent, heard = private.ledger.spent, len(seen)
    for refused in (
        lambda: view.marginal(("c1",), sigma=0.1),
        lambda: view.fit_errors([("c1",)], lambda _: np.zeros(3), amount=2 * view.remaining),
        lambda: view.select_worst([("c1",), ("c0 (groups)",)], predict, epsilon=50.0),
    ):
        with pytest.raises(BudgetExceededError):
            refused()
    # Nothing was charged, and nothing was asked of the records.
    assert (private.ledger.spent, len(seen)) == (spent, heard)
    assert view.public_rows is None


def test_the_observer_hears_of_the_records_own_codes() -> None:
    seen: list[Observation] = []
    view = door(seen, epsilon=1e4).merged(GROUPS).merged({"c2 (groups)": (0, 0, 1)})
    answer = view.marginal(("c1", "c2 (coarser groups)"), sigma=0.01)
    (heard,) = seen
    assert isinstance(heard.query, Query)
    assert heard.query.exact(CODES, DOMAIN) == pytest.approx(answer.values, abs=0.1)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Budget, np.ndarray, np.ndarray]:
    relation, k = draw(st.sampled_from(list(Neighbouring))), draw(st.integers(1, 3))
    row = st.tuples(*(st.integers(0, size - 1) for size in SIZES))

    def rows(least: int, most: int) -> np.ndarray:
        found = draw(st.lists(row, min_size=least, max_size=most))
        return np.array(found, dtype=np.uint8).reshape(-1, len(SIZES))

    others, one = np.repeat(rows(0, 10), draw(st.sampled_from([1, 20])), axis=0), rows(1, k)
    other = rows(1, k) if relation is Neighbouring.REPLACE else one[:0]
    unit = "record" if k == 1 else "person"
    budget = Budget(epsilon=1, delta=1e-9, relation=relation, unit=unit, max_rows_per_unit=k)
    return budget, np.vstack([others, one]), np.vstack([others, other])


def asked(kind: str) -> Query:
    clique = ("c0 (groups)", "c2 (groups)")
    if kind == "marginal":
        return MarginalQuery(clique=clique)
    predictions = (np.full((2, 3), 11.0), np.full((3,), 7.0))
    return FitErrorsQuery(candidates=(clique, ("c1",)), predictions=predictions)


@pytest.mark.parametrize("kind", ["marginal", "errors"])
def test_neighbours_stay_neighbours(kind: str) -> None:
    query = MergedQuery(query=asked(kind), merging=Merging(groups=GROUPS))
    worst = 0.0

    @given(neighbours())
    @settings(max_examples=150, deadline=None, derandomize=True)
    def search(pair: tuple[Budget, np.ndarray, np.ndarray]) -> None:
        nonlocal worst
        budget, one, other = pair
        change = np.linalg.norm((query.exact(one, DOMAIN) - query.exact(other, DOMAIN)).ravel())
        assert change <= query.sensitivity(budget) * (1 + 1e-9)
        worst = max(worst, float(change) / query.sensitivity(budget))

    search()
    assert worst > 0.6  # it is not vacuous


def test_a_name_is_never_taken_twice() -> None:
    domain = Domain(sizes={"a": 3, "a (groups)": 2})
    merging = Merging(groups={"a": (0, 0, 1)})
    assert list(merging.tables(domain)) == ["a (groups)'", "a (groups)"]
    again = Merging(groups={"a (groups)": (0, 0)})
    assert list(again.tables(domain)) == ["a", "a (coarser groups)"]


@pytest.mark.parametrize(
    ("error", "groups"),
    [
        (InvalidValueError, {"c0": (0, 2, 2, 0)}),
        (InvalidValueError, {"c0": (0, 1, 1)}),
        (InvalidValueError, {"c0": ()}),
        (InvalidValueError, {"c0": (0, -1, 0, 0)}),
        (UnknownNameError, {"c9": (0, 0)}),
    ],
)
def test_groups_that_do_not_fit_are_refused(error: type[Exception], groups: dict) -> None:
    private = door()
    with pytest.raises(error):
        private.merged(groups)
    assert private.ledger.spent == 0
