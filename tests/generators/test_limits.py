"""Ceilings on time and memory: obeyed by giving up utility, and nowhere else to be seen."""

from math import inf
from time import monotonic, sleep

import numpy as np
import pytest

import dpsynth
from dpsynth import GENERATORS, Limits
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, NoRecordsError
from dpsynth.generators import limits
from dpsynth.generators.marginal.mst import Mst
from dpsynth.generators.marginal.mwem import Mwem
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.pgm.objective import Objective
from tests.generators.planted import PLANTED, SIZES, planted_table
from tests.tables import coded_table

GRAPHICAL = ["independent", "mst", "mwem", "aim", "aim_gdp", "tree", "two_stage"]
WIDE = Domain(sizes={f"c{i}": 40 for i in range(10)})


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process hold 100 MiB now, and have held 110."""
    monkeypatch.setattr(limits, "held_mb", lambda _: 100.0)
    monkeypatch.setattr(limits, "resident_mb", lambda _: 110.0)


def test_without_limits_there_is_no_hurry_and_no_end() -> None:
    assert not limits.hurried()
    assert limits.fit_until(last=False) == inf
    generator = TwoStage()
    assert limits.resized(generator, WIDE, Limits()) is generator


def test_a_fit_within_a_fit_has_its_own_time() -> None:
    with limits.running(Limits(seconds=1e-9)):
        assert limits.hurried()
        with limits.running(Limits()):
            assert not limits.hurried()
        with limits.running(Limits(seconds=1000)):
            assert not limits.hurried()
            most, last = limits.fit_until(last=False), limits.fit_until(last=True)
            assert monotonic() + 490 < most < monotonic() + 501 < last < monotonic() + 901
        assert limits.hurried()


def test_time_that_has_gone_before_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [600.0]
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])
    with limits.running(Limits(seconds=1000), since=0.0):
        assert limits.time_for(400)
        assert not limits.time_for(401)
        # Half of what the fit began with, 400 seconds, and not of all.
        hurried = []
        for now[0] in (600.0, 799.0, 801.0, 1001.0):
            hurried.append(limits.hurried())
        assert hurried == [False, False, True, True]
    with limits.running(Limits(seconds=1000), since=-500.0):
        assert limits.hurried(), "there was no time before it began"


def test_time_counts_from_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[float] = []

    def fit(_: Mst, private: object, **__: object) -> None:
        now = monotonic()
        half = limits.fit_until(last=False) - now
        began.append(now + 2 * half - 1000)
        raise NoRecordsError("no fit is needed")

    monkeypatch.setattr("dpsynth.generators.base.check_usable", lambda *_, **__: sleep(0.2))
    monkeypatch.setattr(Mst, "fit", fit)
    called = monotonic()
    with pytest.raises(NoRecordsError):
        dpsynth.synthesize(
            planted_table(50), generator="mst", epsilon=1, limits=Limits(seconds=1000)
        )
    assert called <= began[0] + 1e-6 < called + 0.1


@pytest.mark.usefixtures("held")
def test_less_memory_is_a_smaller_tree_by_powers_of_two() -> None:
    def most(memory_mb: float) -> int:
        return limits.resized(TwoStage(), WIDE, Limits(memory_mb=memory_mb)).largest_tree

    # Of 10, 20 and 150 MiB 30 are set aside. 2^13 cells take 3.75 MiB and 45 pairs 1.1, 2^14 and
    # the pairs 8.6; 2^16 cells take 30 and bring 120 triples of 64,000 cells, 117 more.
    assert [most(m) for m in (111, 136, 140, 250, 10_000)] == [1, 2**13, 2**14, 2**15, 2**20]


@pytest.mark.usefixtures("held")
def test_what_was_held_before_the_fit_is_refused_before_anything_is_spent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Mst, "fit", lambda *_, **__: pytest.fail("the fit began"))
    with pytest.raises(InvalidValueError, match=r"memory_mb is 109, but it must be at least 110"):
        dpsynth.synthesize(
            planted_table(), generator="mst", epsilon=1, limits=Limits(memory_mb=109)
        )


@pytest.mark.parametrize("field", ["seconds", "memory_mb"])
@pytest.mark.parametrize("value", [0.0, -1.0, inf, float("nan")])
def test_limits_that_are_none_are_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidValueError, match=field):
        Limits(**{field: value})


@pytest.mark.parametrize("name", GRAPHICAL)
@pytest.mark.parametrize("limit", [Limits(seconds=1e-9), Limits(seconds=1e6)])
def test_any_time_gives_a_model_for_the_whole_budget(name: str, limit: Limits) -> None:
    table = planted_table(500)
    fit = dpsynth.synthesize(table, generator=name, epsilon=1, seed=0, limits=limit)
    assert 0.9 <= fit.receipt.epsilon_spent <= 1
    assert len(fit.sample(50)) == 50
    if limit.seconds == 1e6:
        free = dpsynth.synthesize(table, generator=name, epsilon=1, seed=0)
        assert fit.sample(50).frame.equals(free.sample(50).frame)


@pytest.mark.parametrize("name", ["mwem", "aim", "aim_gdp", "two_stage"])
def test_a_model_made_in_a_hurry_knows_the_strongest_dependences(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the loops are in a hurry here: the estimation has its time, so that nothing is measured.
    own = GENERATORS.get(name).__module__
    module = "dpsynth.generators.marginal.rounds" if "aim" in name else own
    monkeypatch.setattr(f"{module}.hurried", lambda: True)
    fit = dpsynth.synthesize(planted_table(), generator=name, epsilon=50, seed=0)
    cliques = fit.model.model.cliques  # pyright: ignore[reportAttributeAccessIssue]
    assert len(cliques) == len(SIZES) - 1, "a spanning tree"
    assert set(PLANTED) <= set(cliques)


def test_a_late_estimation_makes_few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, counts = [], Objective.counts

    def counted(self: Objective, multipliers: np.ndarray) -> tuple[float, np.ndarray]:
        calls.append(None)
        return counts(self, multipliers)

    monkeypatch.setattr(Objective, "counts", counted)
    # Many codes that hardly occur: a fit of a few frequent ones ends before it could be late.
    codes = np.random.default_rng(0).geometric(0.3, (500, 4)) - 1
    table = coded_table(np.minimum(codes, 59), (60,) * 4)
    fitted_in = {}
    for seconds in (1e-9, 1e6):
        calls.clear()
        dpsynth.synthesize(
            table, generator="independent", epsilon=10, seed=0, limits=Limits(seconds=seconds)
        )
        fitted_in[seconds] = len(calls)
    assert 25 <= fitted_in[1e-9] <= 45 < fitted_in[1e6]


def test_a_small_memory_leaves_mwem_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "held_mb", lambda _: 100.0)
    monkeypatch.setattr(limits, "resident_mb", lambda _: 100.0)
    codes = np.random.default_rng(0).integers(0, 40, (200, 3))
    table = coded_table(codes, (40, 40, 40))
    fit = dpsynth.synthesize(
        table, generator=Mwem(), epsilon=1, seed=0, limits=Limits(memory_mb=101)
    )
    assert fit.generator.largest_tree == 1  # pyright: ignore[reportAttributeAccessIssue]
    assert fit.model.model.tree.cells == 120  # pyright: ignore[reportAttributeAccessIssue]
