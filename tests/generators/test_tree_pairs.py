"""What a tree of measured pairs says of all pairs."""

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.generators.neural.tree_pairs import tree_pairs
from dpsynth.pgm.measurement import NoisyMarginal

DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 2, "d": 4})


def chain() -> np.ndarray:
    """Return a law in which c depends on b, b on a, and d on nothing."""
    b_given_a = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    c_given_b = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    return np.einsum("a,ab,bc,d->abcd", [0.4, 0.6], b_given_a, c_given_b, [0.1, 0.2, 0.3, 0.4])


def measured(law: np.ndarray, *cliques: tuple[str, ...], sigma: float = 0.01):
    names = DOMAIN.attributes
    return [
        NoisyMarginal(
            clique=clique,
            values=1000 * np.einsum(law, range(4), [names.index(a) for a in clique]),
            sigma=sigma,
        )
        for clique in cliques
    ]


def flat(law: np.ndarray) -> np.ndarray:
    return np.concatenate([np.einsum(law, range(4), [i]) for i in range(4)])


@pytest.mark.parametrize("cliques", [[("a", "b"), ("c", "b")], [("b", "c", "a")]])
def test_the_ends_of_a_path_depend_as_the_path_says(cliques: list[tuple[str, ...]]) -> None:
    law = chain()
    found = tree_pairs(DOMAIN, flat(law), measured(law, *cliques), 1000.0)
    ends = np.einsum("abcd->ac", law)
    assert np.abs(ends - np.outer(ends.sum(1), ends.sum(0))).max() > 0.03
    assert found[:2, 5:7] == pytest.approx(ends, abs=1e-4)
    assert found[5:7, :2] == pytest.approx(ends.T, abs=1e-4)
    shares = flat(law)
    assert found[:7, 7:] == pytest.approx(np.outer(shares[:7], shares[7:]), abs=1e-4)


def test_a_circle_is_left_open_where_it_says_least() -> None:
    law = chain()
    edges = measured(law, ("a", "b"), ("b", "c"))
    nothing = NoisyMarginal(
        clique=("a", "c"),
        values=1000 * np.outer(law.sum((1, 2, 3)), law.sum((0, 1, 3))),
        sigma=0.01,
    )
    found = tree_pairs(DOMAIN, flat(law), [nothing, *edges], 1000.0)
    assert found[:2, 5:7] == pytest.approx(np.einsum("abcd->ac", law), abs=1e-4)


def test_what_is_noise_is_independence() -> None:
    law = chain()
    noisy = measured(law, ("a", "b"), sigma=1e6)
    shares = flat(law)
    assert tree_pairs(DOMAIN, shares, noisy, 1000.0) == pytest.approx(np.outer(shares, shares))
