"""A graphical model's chain has its law; calibrated, it keeps what was measured and no more."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.neural.chain import Chain, evenly_drawn
from dpsynth.generators.neural.graphical_chain import calibrated, chain_of
from dpsynth.generators.neural.interactions import Interactions
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.refinement import Refinement, refined

DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 2, "d": 4, "e": 2})
# Triangulated, a, b, c and d share cliques that are larger than these.
CLIQUES = (("a", "b"), ("a", "d"), ("b", "c"), ("c", "d"))


def random_model(domain: Domain = DOMAIN, cliques=CLIQUES, *, seed: int = 0) -> GraphicalModel:
    rng = np.random.default_rng(seed)
    potentials = tuple(rng.normal(size=domain.project(c).shape) for c in cliques)
    return GraphicalModel(domain=domain, total=100.0, cliques=cliques, potentials=potentials)


def links(domain: Domain, model: GraphicalModel) -> Chain:
    return Chain(links=tuple(margin.link for margin in chain_of(domain, model)))


def law_of(chain: Chain, domain: Domain) -> np.ndarray:
    """The joint law of all attributes, as the product of the links."""
    codes = np.array(list(product(*map(range, domain.shape))))
    logits = chain.logits(codes)
    logs = sum(
        of[np.arange(len(codes)), codes[:, a]] for of, a in zip(logits, chain.order, strict=True)
    )
    return np.exp(logs).reshape(domain.shape)


def test_a_chain_has_the_law_of_its_model() -> None:
    model = random_model()
    expected = model.marginal(DOMAIN.attributes) / model.total
    np.testing.assert_allclose(law_of(links(DOMAIN, model), DOMAIN), expected, atol=1e-8)


@pytest.mark.parametrize(
    "cliques", [(("a", "b (groups)"), ("b (groups)", "c")), (("a", "c"), ("b (groups)",))]
)
def test_groups_of_codes_stand_for_them(cliques: tuple[Clique, ...]) -> None:
    domain = Domain(sizes={"a": 2, "b": 5, "c": 3})
    view = Domain(sizes={"a": 2, "b (groups)": 2, "c": 3})
    model = random_model(view, cliques)
    groups = np.array([0, 1, 1, 0, 1])
    counts = np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    refinement = Refinement(attribute="b", groups=groups, counts=counts)
    fine = refined(model, domain, {"b (groups)": refinement})
    chain = links(domain, fine)
    assert sorted(chain.order) == [0, 1, 2], "every attribute has a link, dependent or not"
    expected = fine.marginal(domain.attributes) / fine.total
    np.testing.assert_allclose(law_of(chain, domain), expected, atol=1e-8)
    rebuilt = Chain.from_arrays(chain.arrays())
    np.testing.assert_array_equal(law_of(rebuilt, domain), law_of(chain, domain))


def test_rows_without_a_correction_are_those_of_the_model() -> None:
    model = random_model()
    rows = links(DOMAIN, model).rows(100_000, rng=np.random.default_rng(0))
    cells = np.ravel_multi_index(tuple(rows.T), DOMAIN.shape)
    found = np.bincount(cells, minlength=np.prod(DOMAIN.shape)) / len(rows)
    expected = model.marginal(DOMAIN.attributes).ravel() / model.total
    assert 0.5 * np.abs(found - expected).sum() < 0.015  # 96 cells: .012 of independent rows


def noisy_correction(order: tuple[int, ...]) -> Interactions:
    rng = np.random.default_rng(1)
    laws = [np.full(size, 1 / size) for size in DOMAIN.shape]
    blank = Interactions.drawn(laws, order, features=30, rng=rng)
    return replace(blank, weights=tuple(rng.normal(0.0, 0.5, w.shape) for w in blank.weights))


@pytest.mark.parametrize("calibrate", [True, False])
def test_a_calibrated_chain_keeps_measured_marginals(calibrate: bool) -> None:
    model = random_model()
    margins = chain_of(DOMAIN, model)
    chain = Chain(links=tuple(margin.link for margin in margins))
    correction = noisy_correction(chain.order)
    if calibrate:
        chain = calibrated(margins, correction, rows=2**15, rng=np.random.default_rng(2))
    rows = chain.rows(100_000, correction, rng=np.random.default_rng(3))

    def error(clique: tuple[str, ...]) -> float:
        axes = DOMAIN.axes(clique)
        shape = DOMAIN.project(clique).shape
        cells = np.ravel_multi_index(tuple(rows[:, axes].T), shape)
        found = np.bincount(cells, minlength=np.prod(shape)) / len(rows)
        return 0.5 * float(np.abs(found - model.marginal(clique).ravel() / model.total).sum())

    worst = max(map(error, CLIQUES))
    assert worst < 0.015 if calibrate else worst > 0.03
    assert error(DOMAIN.attributes) > 0.03, "what was not measured is what the correction says"


def test_even_draws_have_their_laws_and_little_variance() -> None:
    rng = np.random.default_rng(0)
    laws = np.tile([0.5, 0.3, 0.2], (1000, 1))
    laws[500:] = [0.1, 0.1, 0.8]
    cells = np.repeat([0, 1], 500)
    found = evenly_drawn(laws, cells, rng=rng)
    for part, law in ((found[:500], laws[0]), (found[500:], laws[-1])):
        assert np.abs(np.bincount(part, minlength=3) - 500 * law).max() <= 1
    # Each row's own code has its law: chi-square of 4,000 draws of one row, alpha 1e-6, 2 degrees.
    draws = [evenly_drawn(laws[498:502], cells[498:502], rng=rng)[0] for _ in range(4000)]
    expected = 4000 * laws[0]
    assert (((np.bincount(draws, minlength=3) - expected) ** 2) / expected).sum() < 27.7
