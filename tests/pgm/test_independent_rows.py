"""Independent rows follow the model, with the sampling error that rounding would hide."""

import itertools

import numpy as np
import pytest
from scipy.stats import chi2

from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.independent_rows import frequencies, independent_rows
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.sampling import sample_codes
from tests.pgm.brute_force import CLIQUE_SETS, DOMAIN, random_potentials

ROWS = 2000


def pearson(name: str, draw) -> list[tuple[float, int]]:
    """Chi-square of each pair's counts, with its degrees of freedom."""
    cliques = maximal_cliques(DOMAIN, CLIQUE_SETS[name])
    potentials = random_potentials(DOMAIN, cliques, rng=np.random.default_rng(2), scale=0.7)
    model = GraphicalModel(domain=DOMAIN, total=1.0, cliques=cliques, potentials=potentials)
    rows = draw(model.tree, model.calibration.marginals, ROWS, rng=np.random.default_rng(5))
    found = []
    for pair in itertools.combinations(DOMAIN.attributes, 2):
        law = model.marginal(pair)
        errors = (frequencies(DOMAIN, rows, pair) - law) ** 2 / law
        found.append((ROWS * float(errors.sum()), law.size - 1))
    return found


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["chain", "cycle", "triples in a ring", "disconnected"])
def test_pairs_have_the_sampling_error_of_independent_rows(name: str) -> None:
    """Alpha 1e-4 for each of 15 pairs on either side, 2,000 rows, seed 5. The control: rounded
    rows, whose errors are too small."""
    for statistic, freedom in pearson(name, independent_rows):
        assert statistic < chi2.ppf(1 - 1e-4, freedom)
    total = sum(s for s, _ in pearson(name, independent_rows))
    rounded = sum(s for s, _ in pearson(name, sample_codes))
    assert rounded < 0.5 * total


def test_shares_are_counted_in_the_order_asked_for() -> None:
    rows = np.array([[0, 2, 1, 3, 0, 0], [1, 2, 0, 3, 0, 0]], dtype=np.uint8)
    assert frequencies(DOMAIN, rows, ("d", "a"))[3].tolist() == [0.5, 0.5]
    assert frequencies(DOMAIN, rows, ("b",)).tolist() == [0.0, 0.0, 1.0]
