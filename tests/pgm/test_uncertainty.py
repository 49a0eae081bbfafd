"""Standard errors and intervals: coverage in simulation, exact cases, and what is refused."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.pgm.estimation import estimate
from dpsynth.pgm.independent_rows import frequencies, independent_rows
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.uncertainty import Estimate, Uncertainty
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget
from tests.pgm.brute_force import CLIQUE_SETS, DOMAIN, TOTAL, indicators, measure, random_potentials

Interval = tuple[NDArray[np.float64], NDArray[np.float64]]
Answers = dict[Clique, tuple[Estimate, NDArray[np.float64]]]


def chain(sizes: Sequence[int], *, zipf: float, strength: float, total: float) -> GraphicalModel:
    """A chain of dependent attributes whose codes become rarer as they grow."""
    rng = np.random.default_rng(1)
    names = [f"x{i}" for i in range(len(sizes))]
    cliques = tuple(pairwise(names))
    potentials = []
    for first, second in pairwise(sizes):
        rare = -zipf * np.log(np.arange(1, second + 1))
        potentials.append(strength * rng.normal(size=(first, second)) + rare)
    potentials[0] -= zipf * np.log(np.arange(1, sizes[0] + 1))[:, None]
    domain = Domain(sizes=dict(zip(names, sizes, strict=True)))
    return GraphicalModel(domain=domain, total=total, cliques=cliques, potentials=tuple(potentials))


def randhie() -> GraphicalModel:
    """The model of a spanning tree that `mst` fits to real records at epsilon 1."""
    pytest.importorskip("statsmodels", reason="the extra 'datasets' is not installed")
    import dpsynth
    from dpsynth.generators.graphical import GraphicalSyntheticModel

    data = dpsynth.DATASETS.get("randhie")()
    fitted = dpsynth.synthesize(data.table, generator="mst", epsilon=1, seed=0).model
    assert isinstance(fitted, GraphicalSyntheticModel)
    return fitted.model


def dense() -> GraphicalModel:
    return chain([4] * 8, zipf=0.5, strength=0.7, total=20_000.0)


def sparse() -> GraphicalModel:
    """More than half of its measured cells expect fewer records than the noise has."""
    return chain([12, 12, 10, 12], zipf=2.0, strength=2.0, total=20_000.0)


TRUTHS = {"dense": dense, "sparse": sparse, "randhie": randhie}
REPEATS = {"dense": 8, "sparse": 12, "randhie": 2}


@cache
def answers_of(name: str) -> list[Answers]:
    """What is said of all pairs in the simulation, for several tests."""
    return list(trials(TRUTHS[name](), repeats=REPEATS[name], understate=1.0))


def trials(truth: GraphicalModel, *, repeats: int, understate: float) -> Iterator[Answers]:
    """Yield what is said of all pairs, beside their counts in the records, at epsilon 1.

    Args:
        truth: where the records come from.
        repeats: number of tables.
        understate: what the standard deviations that the fit is told are multiplied by.
    """
    attributes = truth.domain.attributes
    cliques = [*((a,) for a in attributes), *truth.cliques]
    budget = Budget(epsilon=1.0, delta=1e-9)
    sigma = np.sqrt(len(cliques) / make_accountant("gdp", budget).capacity)
    size = round(truth.total)
    for repeat in range(repeats):
        rng = np.random.default_rng([7, repeat])
        rows = independent_rows(truth.tree, truth.calibration.marginals, size, rng=rng)
        counts = {
            c: size * frequencies(truth.domain, rows, c)
            for c in [*cliques, *combinations(attributes, 2)]
        }
        noisy = [
            NoisyMarginal(
                clique=c,
                values=counts[c] + rng.normal(0, sigma, counts[c].shape),
                sigma=understate * sigma,
            )
            for c in cliques
        ]
        uncertainty = Uncertainty(
            model=estimate(truth.domain, noisy),
            measurements=noisy,
            public_total=False,
            rng=rng,
            draws=16,
        )
        answers = uncertainty.marginals(combinations(attributes, 2))
        yield {clique: (answer, counts[clique]) for clique, answer in answers.items()}


def rates(
    found: Iterable[Answers], interval: Callable[[Estimate], Interval] = Estimate.interval
) -> dict[str, float]:
    """Return the share of cells inside their intervals, by kind of cell."""
    inside: dict[str, list[NDArray[np.bool_]]] = {}
    for answers in found:
        for answer, counts in answers.values():
            lower, upper = interval(answer)
            hit = (lower <= counts + 1e-9) & (counts <= upper + 1e-9)
            kind = "measured" if answer.draws is None else "unmeasured"
            large = counts > answer.standard_error
            inside.setdefault(kind, []).append(hit.ravel())
            inside.setdefault(f"{kind}, large", []).append(hit[large])
            inside.setdefault(f"{kind}, small", []).append(hit[~large])
    joined = {kind: np.concatenate(hits) for kind, hits in inside.items()}
    return {kind: float(hits.mean()) for kind, hits in joined.items() if hits.size}


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", TRUTHS)
def test_nominal_95_percent_intervals_cover_93_to_97(name: str) -> None:
    """Alpha 1e-3: the coverage of one table has a deviation of .02 at most between tables (of .01
    for the many cells of randhie), so the mean of 8 is within .02 by 2.8 deviations of it or more.
    Seed 7. The control: standard deviations stated at half their size."""
    found = rates(answers_of(name))
    assert 0.93 <= found["measured"] <= 0.97
    assert 0.93 <= found["unmeasured"] <= 0.97
    halved = rates(trials(TRUTHS[name](), repeats=1, understate=0.5))
    assert halved["measured"] < 0.85
    assert halved["unmeasured"] < found["unmeasured"]


@pytest.mark.slow
@pytest.mark.statistical
def test_small_and_large_cells_are_both_covered() -> None:
    """12 tables, seed 7, 5,160 measured and 4,896 unmeasured cells: either kind within .92 and .97.
    The control: about the fit itself, small cells are covered nearly always."""

    def plain(answer: Estimate) -> Interval:
        reach = 1.96 * answer.standard_error
        return answer.fitted - reach, answer.fitted + reach

    found = rates(answers_of("sparse"))
    for kind in ("measured", "unmeasured"):
        for size in ("large", "small"):
            assert 0.92 <= found[f"{kind}, {size}"] <= 0.97
    about = rates(answers_of("sparse"), plain)
    assert about["measured"] > 0.97
    assert about["measured, small"] > 0.99


def uncertainty_of(
    cliques: list[Clique], *, sigma: float = 2.0, public_total: bool = False, draws: int = 32
) -> Uncertainty:
    measurements = measure(cliques, sigma=sigma)
    total = TOTAL if public_total else None
    return Uncertainty(
        model=estimate(DOMAIN, measurements, total=total),
        measurements=measurements,
        public_total=public_total,
        rng=np.random.default_rng(3),
        draws=draws,
    )


def test_a_single_measurement_has_the_error_of_its_noise() -> None:
    uncertainty = uncertainty_of([("a", "b")])
    np.testing.assert_allclose(uncertainty.standard_error(("b", "a")), 2.0)
    np.testing.assert_allclose(uncertainty.standard_error(("a",)), 2.0 * np.sqrt(3))
    answer = uncertainty.marginals([("a", "b")])[("a", "b")]
    np.testing.assert_allclose(answer.unbiased, uncertainty.measurements[0].values)
    assert answer.draws is None


def test_more_measurements_and_a_public_total_lower_it() -> None:
    once = uncertainty_of([("a", "b")]).standard_error(("a",))
    assert (uncertainty_of([("a", "b"), ("a", "c")]).standard_error(("a",)) < once).all()
    known = uncertainty_of([("a", "b")], public_total=True).standard_error(("a",))
    np.testing.assert_allclose(known, 2.0 * np.sqrt(3) * np.sqrt(0.5))


def exactly(cliques: list[Clique], *, total: float, sigma: float) -> Uncertainty:
    """Measurements that happen to have no noise, of a smooth table."""
    potentials = tuple(random_potentials(DOMAIN, cliques, rng=np.random.default_rng(2), scale=0.5))
    truth = GraphicalModel(
        domain=DOMAIN, total=total, cliques=tuple(cliques), potentials=potentials
    )
    measurements = [NoisyMarginal(clique=c, values=truth.marginal(c), sigma=sigma) for c in cliques]
    return Uncertainty(
        model=truth,
        measurements=measurements,
        public_total=False,
        rng=np.random.default_rng(3),
        draws=600,
    )


@pytest.mark.slow
@pytest.mark.statistical
def test_unmeasured_errors_are_those_of_the_full_table() -> None:
    """Alpha 1e-4: a variance from 600 draws, seed 3, is within 25% (4.3 deviations) for each of 8
    cells. The control: the answer for the population is not the one for the records."""
    cliques: list[Clique] = [("a", "b"), ("b", "c"), ("c", "d")]
    uncertainty = exactly(cliques, total=400.0, sigma=3.0)
    table = uncertainty.model.marginal(DOMAIN.attributes).ravel() / 400.0
    cells = np.concatenate([indicators(DOMAIN, c) for c in cliques])
    asked = indicators(DOMAIN, ("a", "d"))
    # The regression of the asked cells on the measured ones, and the variance that it leaves.
    slope = (asked * table) @ cells.T @ np.linalg.pinv((cells * table) @ cells.T, rcond=1e-10)
    left = asked - slope @ cells
    noise = slope @ cells @ np.linalg.pinv(cells / 3.0, rcond=1e-10)
    records = (noise**2).sum(axis=1) + 400.0 * (left**2 * table).sum(axis=1)
    fitted = slope @ cells
    explained = (fitted**2 * table).sum(axis=1) - ((fitted * table).sum(axis=1)) ** 2
    population = (noise**2).sum(axis=1) + 400.0 * explained
    for exact, other, flag in ((records, population, False), (population, records, True)):
        found = uncertainty.standard_error(("a", "d"), population=flag).ravel() ** 2
        np.testing.assert_allclose(found, exact, rtol=0.25)
        assert (np.abs(found - other) > 0.25 * other).any()
    # The fit is the least-squares answer already: nothing is left to correct.
    answer = uncertainty.marginals([("d", "a")])[("d", "a")]
    np.testing.assert_allclose(answer.unbiased, answer.fitted, atol=1e-6)
    errors = uncertainty.standard_error(("d", "a"))
    np.testing.assert_allclose(errors, uncertainty.standard_error(("a", "d")).T, rtol=1e-6)


@pytest.mark.statistical
def test_the_error_of_the_total_reaches_unmeasured_attributes() -> None:
    """Alpha 1e-4: the variance from 200 draws, seed 3, is within 40% (4 deviations). The control: a
    public total, which has no error."""
    cliques: list[Clique] = [("a", "b"), ("b", "c")]
    ones = np.ones((2, 2))
    noisy = uncertainty_of(cliques, draws=200)
    measured = noisy.query(("a",), np.ones(2)).standard_error
    assert noisy.query(("a", "c"), ones).standard_error ** 2 == pytest.approx(
        float(measured) ** 2, rel=0.4
    )
    known = uncertainty_of(cliques, public_total=True)
    assert known.query(("a", "c"), ones).standard_error < 1e-3


@pytest.mark.parametrize("population", [False, True])
@pytest.mark.parametrize("clique", [("b", "a"), ("c", "a"), ("a", "b", "d")])
def test_queries_agree_with_cells(clique: Clique, population: bool) -> None:
    uncertainty = uncertainty_of(CLIQUE_SETS["chain"])
    answer = uncertainty.marginals([clique], population=population)[clique]
    for cell in ((0,) * len(clique), (1,) * len(clique)):
        weights = np.zeros(answer.fitted.shape)
        weights[cell] = 1.0
        single = uncertainty.query(clique, weights, population=population)
        assert single.fitted == pytest.approx(answer.fitted[cell])
        assert single.unbiased == pytest.approx(answer.unbiased[cell], rel=1e-6, abs=1e-6)
        assert single.standard_error == pytest.approx(answer.standard_error[cell], rel=1e-6)
    lower, upper = uncertainty.query(clique, -np.ones(weights.shape)).interval(bounded=False)
    assert lower < -uncertainty.model.total / 2 < 0
    assert lower < upper


def test_the_same_seed_gives_the_same_errors_and_nothing_is_drawn_for_measured_ones() -> None:
    first, second = (uncertainty_of(CLIQUE_SETS["cycle"]) for _ in range(2))
    first.marginals([("a", "b"), ("d", "c")])
    np.testing.assert_array_equal(
        first.standard_error(("a", "c")), second.standard_error(("a", "c"))
    )


def test_bad_questions_are_refused() -> None:
    uncertainty = uncertainty_of([("a", "b")])
    with pytest.raises(UnknownNameError):
        uncertainty.standard_error(("z",))
    with pytest.raises(InvalidValueError, match="each named once"):
        uncertainty.standard_error(("a", "a"))
    with pytest.raises(InvalidValueError, match="weights"):
        uncertainty.query(("a",), np.ones(3))
    with pytest.raises(InvalidValueError, match="level"):
        uncertainty.query(("a",), np.ones(2)).interval(level=1.0)
    with pytest.raises(InvalidValueError, match="at least one noisy marginal"):
        Uncertainty(
            model=uncertainty.model,
            measurements=(),
            public_total=False,
            rng=np.random.default_rng(0),
        )
    with pytest.raises(InvalidValueError, match="draws"):
        uncertainty_of([("a", "b")], draws=1)
