"""The one door: it charges first, draws second, shows nothing, and never overspends."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.best_fit import BestFitQuery
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import CountQuery, MarginalQuery, WorstFitQuery
from dpsynth.data.domain import Clique
from dpsynth.errors import (
    BudgetExceededError,
    InvalidValueError,
    LedgerError,
    PrivacyError,
    UnknownNameError,
    UnsupportedEventError,
)
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import DpSgdEvent, GaussianEvent, GdpEvent, LaplaceEvent, NoiseLaw
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise
from tests.tables import coded_table, dependent_codes

SIZES = (2, 3, 4)
FILTERS = ("zcdp", "gdp", "pure")


class Curated:
    """A curator with the generator behind its noise in reach."""

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        accountant: str = "zcdp",
        relation: Neighbouring = Neighbouring.ADD_REMOVE,
        n: int = 500,
        observer: Callable[[Observation], None] | None = None,
    ) -> None:
        codes = dependent_codes(n, SIZES, rng=np.random.default_rng(7))
        self.rng = np.random.default_rng(3)
        self.private = PrivateData(
            coded_table(codes, SIZES),
            Budget(epsilon=epsilon, delta=1e-9, relation=relation),
            noise=ResearchNoise(rng=self.rng),
            accountant=accountant,
            observer=observer,
        )

    def state(self) -> tuple[object, ...]:
        ledger = self.private.ledger
        return (str(self.rng.bit_generator.state), ledger.to_json(), ledger.remaining)


def flat(clique: tuple[str, ...]) -> np.ndarray:
    sizes: dict[str, int] = dict(zip(("c0", "c1", "c2"), SIZES, strict=True))
    return np.full([sizes[a] for a in clique], 1.0)


ACCESSES: dict[str, Callable[[PrivateData, float], Any]] = {
    "marginal": lambda p, a: p.marginal(("c0", "c2"), sigma=p.sigma_for(a)),
    "marginals": lambda p, a: p.marginals(
        [("c0",), ("c1", "c2")], sigmas=[p.sigma_for(a, queries=2)] * 2
    ),
    "interactions": lambda p, a: p.interactions(
        [("c0", "c1"), ("c1", "c2")],
        sigmas=[
            p.sigma_for(a, queries=2) * p.interaction_noise((p.domain.sizes[c], p.domain.sizes[d]))
            for c, d in (("c0", "c1"), ("c1", "c2"))
        ],
    ),
    "count": lambda p, a: p.count(sigma=p.sigma_for(a)),
    "select_worst": lambda p, a: p.select_worst(
        [("c0", "c1"), ("c1", "c2")], flat, epsilon=p.selection_epsilon_for(a)
    ),
    "select_weighted": lambda p, a: p.select_worst(
        [("c0", "c1"), ("c1", "c2")],
        flat,
        epsilon=p.selection_epsilon_for(a),
        weights=[0.5, 1.0],
    ),
    "select_best": lambda p, a: p.select_best(
        BestFitQuery(cliques=(("c0",),), candidates=((flat(("c0",)),), (np.zeros(2),))),
        epsilon=p.selection_epsilon_for(a),
    ),
    "fit_errors": lambda p, a: p.fit_errors([("c0", "c1"), ("c1", "c2")], flat, amount=a),
    "select_dependent": lambda p, a: p.select_dependent(
        [("c0", ("c1",)), ("c0", ("c1", "c2"))], epsilon=p.selection_epsilon_for(a)
    ),
}


@pytest.mark.parametrize("accountant", FILTERS)
@pytest.mark.parametrize("access", ACCESSES)
def test_a_refused_access_changes_nothing(access: str, accountant: str) -> None:
    curated = Curated(accountant=accountant)
    before = curated.state()
    with pytest.raises(BudgetExceededError):
        ACCESSES[access](curated.private, curated.private.remaining * 1.01)
    assert curated.state() == before
    ACCESSES[access](curated.private, curated.private.remaining)
    assert curated.state() != before


@pytest.mark.parametrize("accountant", FILTERS)
@pytest.mark.parametrize("access", ACCESSES)
def test_an_access_costs_what_it_was_asked_to(access: str, accountant: str) -> None:
    private = Curated(accountant=accountant).private
    wanted = private.remaining * 0.3
    ACCESSES[access](private, wanted)
    assert private.ledger.spent == pytest.approx(wanted, rel=1e-6)
    assert private.ledger.spent <= wanted


def test_several_marginals_are_charged_together_or_not_at_all() -> None:
    curated = Curated()
    before = curated.state()
    affordable = curated.private.sigma_for(curated.private.remaining * 0.9)
    with pytest.raises(BudgetExceededError):
        curated.private.marginals([("c0",), ("c1",)], sigmas=[affordable, affordable])
    assert curated.state() == before


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([*ACCESSES, "allot", "child"]), st.floats(0.01, 1.3)),
        min_size=1,
        max_size=12,
    ),
    accountant=st.sampled_from(FILTERS),
)
@settings(max_examples=80, deadline=None)
def test_no_sequence_of_accesses_exceeds_the_budget(
    steps: list[tuple[str, float]], accountant: str
) -> None:
    private = Curated(accountant=accountant, n=40).private
    capacity = private.ledger.capacity
    children: list[PrivateData] = []
    for name, share in steps:
        amount = share * 0.5 * capacity
        try:
            if name == "allot" and private.remaining > 0:
                children.append(private.allot(min(1.0, amount / private.remaining)))
            elif name == "child" and children:
                ACCESSES["marginal"](children[-1], amount)
            elif name in ACCESSES:
                ACCESSES[name](private, amount)
        except BudgetExceededError:
            pass
        assert private.ledger.spent <= capacity
        assert private.ledger.epsilon_spent() <= 1.0 + 1e-9
    for child in children:
        assert child.ledger.spent <= child.ledger.capacity
    # Everything bought, by the parent itself and by children, stays inside the one budget.
    own = sum(e.cost for e in private.ledger.entries if e.label != "allotment")
    assert own + sum(c.ledger.spent for c in children) <= capacity


def test_the_whole_budget_can_be_spent_in_parts() -> None:
    for accountant in FILTERS:
        private = Curated(accountant=accountant, epsilon=0.37).private
        whole = private.remaining
        for share in (1 / 3, 1 / 7, 0.1):
            sigma = private.sigma_for(whole * share, queries=3)
            private.marginals([("c0",), ("c1",), ("c2",)], sigmas=[sigma] * 3)
        private.marginal(("c0",), sigma=private.sigma_for(private.remaining))
        assert private.remaining < whole * 1e-9


def test_what_is_wrong_is_refused_before_it_is_charged() -> None:
    curated = Curated()
    before = curated.state()
    private = curated.private
    wrong: list[tuple[type[Exception], Callable[[], object]]] = [
        (UnknownNameError, lambda: private.marginal(("c9",), sigma=1e3)),
        (InvalidValueError, lambda: private.marginal((), sigma=1e3)),
        (InvalidValueError, lambda: private.marginal(("c0", "c0"), sigma=1e3)),
        (InvalidValueError, lambda: private.marginal(("c0",), sigma=0.0)),
        (InvalidValueError, lambda: private.marginal(("c0",), sigma=float("inf"))),
        (InvalidValueError, lambda: private.marginals([("c0",)], sigmas=[])),
        (InvalidValueError, lambda: private.marginals([], sigmas=[])),
        (InvalidValueError, lambda: private.count(sigma=float("nan"))),
        (InvalidValueError, lambda: private.select_worst([], flat, epsilon=0.1)),
        (InvalidValueError, lambda: private.select_worst([("c0",), ("c1",)], flat, epsilon=-1.0)),
        (
            InvalidValueError,
            lambda: private.select_worst([("c0",), ("c1",)], lambda c: np.ones(9), epsilon=0.1),
        ),
        (
            InvalidValueError,
            lambda: private.select_worst([("c0",), ("c1",)], flat, epsilon=0.1, weights=[1.0, 2.0]),
        ),
        (InvalidValueError, lambda: private.fit_errors([], flat, amount=1e-3)),
        (InvalidValueError, lambda: private.fit_errors([("c0",)], flat, amount=0.0)),
        (
            InvalidValueError,
            lambda: private.fit_errors([("c0",)], lambda c: np.ones(9), amount=1e-3),
        ),
        (
            UnknownNameError,
            lambda: private.fit_errors([("c9",)], lambda c: np.ones(2), amount=1e-3),
        ),
        (InvalidValueError, lambda: private.select_dependent([("c0", ("c0",))], epsilon=0.1)),
        (InvalidValueError, lambda: private.allot(0.0)),
        (InvalidValueError, lambda: private.allot(1.5)),
        (InvalidValueError, lambda: private.sigma_for(0.0)),
        (InvalidValueError, lambda: private.sigma_for(1e-3, queries=0)),
        (InvalidValueError, lambda: private.selection_epsilon_for(float("nan"))),
    ]
    for error, access in wrong:
        with pytest.raises(error):
            access()
    assert curated.state() == before


def test_the_charge_comes_before_the_noise_and_the_observer_between_them() -> None:
    seen: list[tuple[str, str, int]] = []
    curated: list[Curated] = []

    def observe(observation: Observation) -> None:
        at = str(curated[0].rng.bit_generator.state)
        seen.append((observation.label, at, len(curated[0].private.ledger.entries)))

    curated.append(Curated(observer=observe))
    start = str(curated[0].rng.bit_generator.state)
    curated[0].private.marginal(("c0",), sigma=20.0, label="first")
    assert seen == [("first", start, 1)]
    assert str(curated[0].rng.bit_generator.state) != start


def test_observers_see_public_terms_only() -> None:
    seen: list[Observation] = []
    private = Curated(observer=seen.append).private
    private.marginals([("c0",), ("c1",)], sigmas=[30.0, 40.0])
    private.count(sigma=50.0)
    private.select_worst([("c0",), ("c1",)], flat, epsilon=0.1)
    assert [type(o.query) for o in seen] == [
        MarginalQuery,
        MarginalQuery,
        CountQuery,
        WorstFitQuery,
    ]
    assert [o.event.sigma for o in seen[:3]] == [30.0, 40.0, 50.0]  # type: ignore[attr-defined]
    assert set(vars(seen[0])) == {"label", "event", "query"}


def test_answers_are_counts_plus_noise_of_the_stated_size() -> None:
    # Noise of standard deviation 0.01 leaves counts recognisable; the budget is huge for it.
    private = Curated(epsilon=1e6).private
    answer = private.marginal(("c2", "c0"), sigma=0.01)
    assert answer.clique == ("c2", "c0")
    assert answer.values.shape == (4, 2)
    codes = dependent_codes(500, SIZES, rng=np.random.default_rng(7))
    exact = np.histogram2d(codes[:, 2], codes[:, 0], bins=[np.arange(5), np.arange(3)])[0]
    assert np.abs(answer.values - exact).max() < 0.1
    assert abs(private.count(sigma=0.01) - 500) < 0.1


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("accountant", FILTERS)
def test_events_carry_the_sensitivity_of_the_relation(
    accountant: str, relation: Neighbouring
) -> None:
    seen: list[Observation] = []
    private = Curated(accountant=accountant, relation=relation, observer=seen.append).private
    private.marginal(("c0",), sigma=100.0)
    event = seen[0].event
    replaced = relation is Neighbouring.REPLACE
    if accountant == "pure":
        assert isinstance(event, LaplaceEvent)
        assert event.scale == pytest.approx(100 / np.sqrt(2))
        assert event.sensitivity == (2 if replaced else 1)
    else:
        assert isinstance(event, GaussianEvent)
        assert event.sigma == 100
        assert event.sensitivity == pytest.approx(np.sqrt(2) if replaced else 1)


@pytest.mark.parametrize(
    ("accountant", "law"),
    [("zcdp", NoiseLaw.DISCRETE), ("gdp", NoiseLaw.ROUNDED), ("pure", NoiseLaw.DISCRETE)],
)
def test_released_counts_are_integers_of_the_accountants_law(
    accountant: str, law: NoiseLaw
) -> None:
    seen: list[Observation] = []
    table = coded_table(np.zeros((9, 3), dtype=int), SIZES)
    budget = Budget(epsilon=1, delta=1e-9)
    private = PrivateData(
        table, budget, noise=ReleaseNoise(), accountant=accountant, observer=seen.append
    )
    answer = private.marginal(("c0", "c1"), sigma=30.0)
    assert np.array_equal(answer.values, np.rint(answer.values))
    assert seen[0].event.law is law  # type: ignore[attr-defined]
    assert private.receipt().mode == "release"


@pytest.mark.parametrize("relation", list(Neighbouring))
def test_selections_are_drawn_as_their_scores_allow(
    relation: Neighbouring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charge knows the epsilon alone: a score that is called monotone would cost the half."""
    drawn: list[dict[str, Any]] = []

    def watched(noise: ResearchNoise, scores: np.ndarray, **terms: Any) -> int:
        drawn.append(terms)
        return len(scores) - 1

    def predict(clique: Clique) -> np.ndarray:
        return np.zeros([private.domain.sizes[a] for a in clique])

    monkeypatch.setattr(ResearchNoise, "exponential_mechanism", watched)
    private = Curated(relation=relation).private
    replaced = relation is Neighbouring.REPLACE
    pairs = [("c0", "c1"), ("c1", "c2")]
    assert private.select_worst(pairs, predict, epsilon=0.1) == pairs[1]
    private.select_dependent([("c0", ("c1",)), ("c1", ("c2",))], epsilon=0.2)
    worst, dependent = (2.0, 3.0 * (1 + 2**-20)) if replaced else (1.0, 2.0 * (1 + 2**-20))
    assert drawn == [
        {"epsilon": 0.1, "sensitivity": worst, "monotone": False},
        {"epsilon": 0.2, "sensitivity": dependent, "monotone": False},
    ]


def test_selection_finds_what_stands_out() -> None:
    private = Curated(epsilon=1000).private
    worst = private.select_worst([("c0",), ("c1",), ("c2",)], lambda c: flat(c) * 0, epsilon=5.0)
    assert worst in {("c0",), ("c1",), ("c2",)}  # all miss all 500 records: a tie
    exact: dict[tuple[str, ...], np.ndarray] = {}
    exact |= {c: private.marginal(c, sigma=0.05).values for c in [("c0",), ("c1",)]}
    picks = [
        private.select_worst(
            [("c0",), ("c1",), ("c2",)], lambda c: exact.get(c, flat(c)), epsilon=5.0
        )
        for _ in range(10)
    ]
    assert picks == [("c2",)] * 10
    pair = private.select_dependent([("c0", ()), ("c1", ("c0",))], epsilon=5.0)
    assert pair == ("c1", ("c0",))


def test_penalties_count_against_a_candidate() -> None:
    private = Curated(epsilon=1000).private
    pick = private.select_worst(
        [("c0",), ("c1",)], lambda c: flat(c) * 0, epsilon=5.0, penalties=[0.0, 200.0]
    )
    assert pick == ("c0",)


def test_a_single_candidate_is_no_choice_and_costs_nothing() -> None:
    curated = Curated()
    before = curated.state()
    assert curated.private.select_worst([("c0",)], flat, epsilon=0.5) == ("c0",)
    assert curated.private.select_dependent([("c0", ("c1",))], epsilon=9.0) == ("c0", ("c1",))
    assert curated.state() == before


@pytest.mark.parametrize("accountant", FILTERS)
def test_an_allotment_is_charged_at_once_and_bounds_the_child(accountant: str) -> None:
    private = Curated(accountant=accountant).private
    whole = private.remaining
    child = private.allot(0.25)
    assert private.remaining == pytest.approx(0.75 * whole)
    assert child.remaining == pytest.approx(0.25 * whole)
    assert child.remaining <= 0.25 * whole
    child.marginal(("c0",), sigma=child.sigma_for(child.remaining))
    with pytest.raises(BudgetExceededError):
        child.count(sigma=child.sigma_for(0.01 * whole))
    assert private.remaining == pytest.approx(0.75 * whole)
    assert child.schema is private.schema
    assert child.ledger is not private.ledger


def test_the_number_of_records_is_public_under_replace_only() -> None:
    assert Curated().private.public_rows is None
    assert Curated(relation=Neighbouring.REPLACE).private.public_rows == 500
    codes = np.zeros((6, 3), dtype=int)
    declared = coded_table(codes, SIZES, public_rows=8)
    noise = ResearchNoise(rng=np.random.default_rng(0))
    budget = Budget(epsilon=1, delta=1e-9)
    assert PrivateData(declared, budget, noise=noise).public_rows == 8
    # A person may have one row or three, so neighbours under REPLACE differ in their size.
    table = coded_table(codes, SIZES, unit="person", max_rows_per_unit=3)
    several = Budget(
        epsilon=1, delta=1e-9, relation=Neighbouring.REPLACE, unit="person", max_rows_per_unit=3
    )
    assert PrivateData(table, several, noise=noise).public_rows is None


def test_units_of_budget_schema_and_records_must_agree() -> None:
    noise = ResearchNoise(rng=np.random.default_rng(0))
    codes = np.zeros((6, 3), dtype=int)
    budget = Budget(epsilon=1, delta=1e-9)
    with pytest.raises(InvalidValueError, match="unit"):
        PrivateData(
            coded_table(codes, SIZES, unit="person", max_rows_per_unit=3), budget, noise=noise
        )
    two = Budget(epsilon=1, delta=1e-9, unit="c2", max_rows_per_unit=2)
    with pytest.raises(InvalidValueError, match="max_rows_per_unit"):
        PrivateData(coded_table(codes, SIZES, unit="c2", max_rows_per_unit=3), two, noise=noise)
    table = coded_table(codes, SIZES, unit="c2", max_rows_per_unit=2)
    bounded = PrivateData(table, two, noise=noise)  # six rows of one unit, of which two stay
    assert bounded._answering.counter.rows == 2


def test_it_has_no_length_shows_no_records_and_cannot_be_copied() -> None:
    private = Curated().private
    with pytest.raises(TypeError):
        len(private)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        iter(private)  # type: ignore[call-overload]
    assert "500" not in repr(private)
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(PrivacyError, match="copied or pickled"):
            duplicate(private)


def test_no_public_attribute_holds_records() -> None:
    private = Curated().private
    public = {name: getattr(private, name) for name in dir(private) if not name.startswith("_")}
    held = {name for name, value in public.items() if not callable(value)}
    assert held == {
        "budget", "domain", "impossible", "ledger", "mode", "public", "public_rows", "remaining",
        "schema",
    }  # fmt: skip
    assert private.public is None


def test_a_part_of_a_plan_is_asked_adaptively_and_bounded_by_its_mu() -> None:
    private = Curated(accountant="pld").private
    part = GdpEvent(mu=0.1)
    training = DpSgdEvent(noise_multiplier=3.0, sample_rate=0.1, steps=5)
    with pytest.raises(LedgerError):
        private.allot(part)
    private.reserve([("start", part), ("dpsgd", training)])
    with pytest.raises(LedgerError):
        private.allot(GdpEvent(mu=0.05), label="start")
    child = private.allot(part, label="start")
    assert [entry.event for entry in private.ledger.entries] == [part]
    assert child.remaining == pytest.approx(0.1**2)
    assert child.remaining <= 0.1**2
    child.select_worst([("c0",), ("c1",)], flat, epsilon=0.1)
    child.marginal(("c0",), sigma=child.sigma_for(child.remaining))
    with pytest.raises(BudgetExceededError):
        child.count(sigma=50.0)
    with pytest.raises(LedgerError):
        private.allot(part, label="start")
    spent = private.ledger.accountant.epsilon([part])
    assert private.ledger.epsilon_spent() == pytest.approx(spent)


def test_plan_accountants_answer_what_was_reserved_and_nothing_else() -> None:
    private = Curated(accountant="pld").private
    with pytest.raises(UnsupportedEventError, match="fixed plans"):
        private.sigma_for(0.1)
    with pytest.raises(UnsupportedEventError):
        private.allot(0.5)
    with pytest.raises(LedgerError):
        private.count(sigma=100.0)
    private.reserve(
        [
            ("count", private.count_event(sigma=100.0)),
            ("marginal c0", private.marginal_event(("c0",), sigma=80.0)),
        ]
    )
    with pytest.raises(LedgerError):
        private.marginal(("c0",), sigma=80.0)
    private.count(sigma=100.0)
    with pytest.raises(LedgerError):
        private.marginal(("c1",), sigma=79.0)
    private.marginal(("c0",), sigma=80.0)
    assert private.ledger.epsilon_spent() <= 1.0


def test_a_plan_that_is_too_expensive_is_refused() -> None:
    private = Curated(accountant="pld").private
    with pytest.raises(BudgetExceededError):
        private.reserve([("count", private.count_event(sigma=0.5))])


def test_receipts_list_charges_and_what_is_unprotected() -> None:
    table = coded_table(np.zeros((5, 3), dtype=int), SIZES, inferred=("c0.lower",))
    noise = ResearchNoise(rng=np.random.default_rng(0))
    private = PrivateData(table, Budget(epsilon=1, delta=1e-9), noise=noise)
    private.count(sigma=40.0)
    receipt = private.receipt()
    assert [e.label for e in receipt.entries] == ["count"]
    assert "c0.lower" in receipt.unprotected
    assert receipt.not_for_release


@pytest.mark.statistical
@pytest.mark.parametrize("accountant", ["zcdp", "gdp", "pure"])
def test_errors_of_fit_cost_their_amount_and_carry_its_noise(accountant: str) -> None:
    """Mean square of 600 noises, seed 0: outside 1 +- .35 of its law with probability < 1e-3."""
    private = PrivateData(
        coded_table(np.zeros((50, 2), dtype=int), (2, 3)),
        Budget(epsilon=1.0, delta=0.0 if accountant == "pure" else 1e-9),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
        accountant=accountant,
    )
    cliques = [("c0",), ("c1",), ("c0", "c1")] * 200
    sizes = private.domain.sizes
    before = private.remaining
    errors, sigma = private.fit_errors(
        cliques, lambda c: np.zeros([sizes[a] for a in c]), amount=before / 4
    )
    assert private.remaining == pytest.approx(0.75 * before, rel=1e-6)
    spread = np.mean(((errors - 50) / sigma) ** 2)
    assert 0.65 < spread < 1.35
    assert not 0.65 < np.mean(((errors - 50) / (2 * sigma)) ** 2) < 1.35  # negative control
