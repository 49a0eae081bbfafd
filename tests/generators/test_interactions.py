"""Features are centred products of earlier attributes, each once; saved weights are the same."""

from dataclasses import replace
from itertools import product

import numpy as np

from dpsynth.generators.neural.interactions import Interactions

LAWS = [np.array([0.5, 0.5]), np.array([0.2, 0.8]), np.array([0.1, 0.3, 0.4, 0.2]), np.ones(1)]
ORDER = (2, 0, 3, 1)


def drawn(features: int = 40) -> Interactions:
    return Interactions.drawn(LAWS, ORDER, features=features, rng=np.random.default_rng(0))


def every_row() -> tuple[np.ndarray, np.ndarray]:
    """All rows of codes and their probabilities if attributes are independent."""
    codes = np.array(list(product(*(range(len(law)) for law in LAWS))))
    return codes, np.prod([law[codes[:, a]] for a, law in enumerate(LAWS)], axis=0)


def test_a_place_has_products_of_attributes_before_it_alone() -> None:
    codes, _ = every_row()
    found = drawn().features(codes)
    assert [f.shape[1] > 0 for f in found] == [False, True, True, True]
    for place, features in enumerate(found):
        later = codes.copy()
        later[:, list(ORDER[place:])] = 0
        np.testing.assert_array_equal(drawn().features(later)[place], features)


def test_features_have_no_mean_where_attributes_are_independent() -> None:
    codes, law = every_row()
    for features in drawn().features(codes):
        np.testing.assert_allclose(law @ features, 0.0, atol=1e-6)


def test_each_is_there_once_and_as_many_as_are_allowed() -> None:
    halves = [np.full(2, 0.5)] * 12
    for features in (20, 100, 500):
        blank = Interactions.drawn(
            halves, range(12), features=features, rng=np.random.default_rng(1)
        )
        last = blank.products[-1]
        assert len(last) == min(features, 11 + 55 + 165)
        assert len({tuple(sorted(p)) for p in last.tolist()}) == len(last)


def test_saved_weights_correct_alike() -> None:
    rng, codes = np.random.default_rng(2), every_row()[0]
    blank = drawn()
    assert all(blank.logits(codes, place) is None for place in range(4))
    weights = [rng.normal(size=w.shape) * (rng.random(w.shape[1]) < 0.5) for w in blank.weights]
    trained = replace(blank, weights=tuple(weights))
    rebuilt = Interactions.from_arrays("x", trained.arrays("x"))
    for place, features in enumerate(blank.features(codes)):
        found, again = trained.logits(codes, place), rebuilt.logits(codes, place)
        if found is None:
            assert again is None
            continue
        assert again is not None
        np.testing.assert_allclose(found, features @ weights[place].T, atol=1e-5)
        np.testing.assert_allclose(again, found, atol=1e-12)
