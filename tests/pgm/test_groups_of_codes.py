"""Measurements in groups of codes: the fit, structural zeros, arrays and standard errors."""

from itertools import product

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.estimation import estimate
from dpsynth.pgm.measurement import NoisyMarginal, measurement_arrays, measurements_from
from dpsynth.pgm.uncertainty import Uncertainty, shared_out

DOMAIN = Domain(sizes={"a": 6, "b": 4, "c": 2})
A, B = (0, 0, 1, 1, 1, 2), (0, 1, 1, 0)


def grouped(table: np.ndarray, *, sigma: float = 1.0) -> NoisyMarginal:
    """Return the pair of b and a, in that order, in groups of both."""
    values = np.zeros((2, 3))
    for a, b in product(range(6), range(4)):
        values[B[b], A[a]] += table[a, b]
    return NoisyMarginal(clique=("b", "a"), values=values, sigma=sigma, groups=(B, A))


def truth(seed: int = 0) -> np.ndarray:
    table = np.random.default_rng(seed).gamma(0.7, 60.0, DOMAIN.shape)
    return 3000.0 * table / table.sum()


def of_groups(table: np.ndarray) -> np.ndarray:
    return grouped(table).values


def test_sums_of_groups_are_fitted_and_inside_them_nothing_is_claimed() -> None:
    table = truth()
    one = NoisyMarginal(clique=("a",), values=table.sum(axis=(1, 2)), sigma=1.0)
    pair = grouped(table.sum(axis=2))
    model = estimate(DOMAIN, [one, pair], total=3000.0, steps=1000)
    assert of_groups(model.marginal(("a", "b"))) == pytest.approx(pair.values, abs=0.5)
    assert model.marginal(("a",)) == pytest.approx(one.values, abs=0.5)
    joint = model.marginal(("a", "b"))
    # Codes of one group differ by their own counts alone: most entropy.
    assert joint[2] / joint[2].sum() == pytest.approx(joint[3] / joint[3].sum(), rel=1e-3)
    assert joint[:, 1] == pytest.approx(joint[:, 2], rel=1e-3)


def test_groups_of_one_code_each_are_the_same_as_none() -> None:
    table = truth(1).sum(axis=2)
    plain = NoisyMarginal(clique=("a", "b"), values=table, sigma=2.0)
    same = NoisyMarginal(
        clique=("a", "b"), values=table, sigma=2.0, groups=(tuple(range(6)), tuple(range(4)))
    )
    fits = [estimate(DOMAIN, [m], steps=400).marginal(("a", "b")) for m in (plain, same)]
    assert fits[0] == pytest.approx(fits[1], abs=0.05)


def test_the_same_groups_measured_twice_count_once_with_both_weights() -> None:
    table = truth(2).sum(axis=2)
    rough = grouped(table + 40.0, sigma=20.0)
    fine = grouped(table, sigma=0.5)
    model = estimate(DOMAIN, [rough, fine], total=3000.0, steps=1000)
    assert of_groups(model.marginal(("a", "b"))) == pytest.approx(fine.values, abs=3.0)


def test_single_codes_and_groups_of_them_are_fitted_together() -> None:
    table = truth(6).sum(axis=2)
    rough = NoisyMarginal(clique=("a", "b"), values=table + 5.0, sigma=10.0)
    model = estimate(DOMAIN, [rough, grouped(table, sigma=0.5)], total=3000.0, steps=1000)
    joint = model.marginal(("a", "b"))
    assert of_groups(joint) == pytest.approx(of_groups(table), abs=2.0)
    assert joint == pytest.approx(table, abs=6.0)  # inside a group by the rough one


def test_noise_in_an_impossible_group_adds_nothing_to_the_total() -> None:
    table = truth(3).sum(axis=2)
    table[5] = 0.0
    noisy = of_groups(table)
    noisy[:, 2] += 400.0
    zeros = np.zeros((6, 4), dtype=bool)
    zeros[5] = True
    pair = NoisyMarginal(clique=("b", "a"), values=noisy, sigma=1.0, groups=(B, A))
    model = estimate(DOMAIN, [pair], impossible={("a", "b"): zeros})
    assert model.total == pytest.approx(table.sum(), rel=1e-6)


def test_a_structural_zero_empties_its_group_only_where_the_whole_group_is_impossible() -> None:
    table = truth(3).sum(axis=2)
    table[5] = 0.0
    zeros = np.zeros((6, 4), dtype=bool)
    zeros[5] = True  # all of group 2 of a
    zeros[0, 0] = True  # a part of a group
    model = estimate(
        DOMAIN, [grouped(table)], total=float(table.sum()), impossible={("a", "b"): zeros}
    )
    joint = model.marginal(("a", "b"))
    assert joint[zeros].sum() == 0.0
    assert of_groups(joint) == pytest.approx(of_groups(table), rel=0.05, abs=2.0)


def test_arrays_give_the_groups_back() -> None:
    measured = [
        grouped(truth().sum(axis=2)),
        NoisyMarginal(clique=("c",), values=np.array([1.0, 2.0]), sigma=3.0),
        NoisyMarginal(clique=("c", "a"), values=np.ones((2, 3)), sigma=1.0, groups=(None, A)),
    ]
    arrays = measurement_arrays(DOMAIN, measured)
    again = measurements_from(DOMAIN, arrays)
    for one, other in zip(measured, again, strict=True):
        assert (one.clique, one.groups, one.sigma) == (other.clique, other.groups, other.sigma)
        assert (one.values == other.values).all()
    before = {name: array for name, array in arrays.items() if name != "measured_groups"}
    with pytest.raises(InvalidValueError):  # single codes would be more numbers
        measurements_from(DOMAIN, before)
    with pytest.raises(InvalidValueError, match="measured_groups"):
        measurements_from(DOMAIN, {**arrays, "measured_groups": arrays["measured_groups"][1:]})


@pytest.mark.parametrize("groups", [(B, A[:5]), (B, (0, 0, 1, 1, 1, 1))])
def test_values_that_do_not_fit_their_groups_are_refused(groups: tuple) -> None:
    wrong = NoisyMarginal(clique=("b", "a"), values=np.ones((2, 3)), sigma=1.0, groups=groups)
    with pytest.raises(InvalidValueError, match="shape of the marginal"):
        estimate(DOMAIN, [wrong], total=10.0)


def test_groups_are_shared_out_as_the_model_does() -> None:
    pair = grouped(truth(4).sum(axis=2), sigma=4.0)
    model = estimate(DOMAIN, [pair], steps=400)
    found = shared_out(model, pair)
    assert found.clique == ("a", "b")
    assert of_groups(found.values) == pytest.approx(pair.values)
    assert found.sigma == pytest.approx(4.0 * (6 / 24) ** 0.5)


@pytest.mark.statistical
@pytest.mark.slow
def test_intervals_cover_groups_at_their_rate() -> None:
    """200 noisy fits of one table, seed 11; the rate of 95% intervals for all pairs in groups must
    lie within .92 to .99 (alpha below .01, as 1,200 cells with six to a fit err by .02 at most);
    control: intervals of a tenth of the width cover far less."""
    table, rng = truth(5), np.random.default_rng(11)
    table = rng.multinomial(3000, (table / table.sum()).ravel()).reshape(DOMAIN.shape).astype(float)
    exact = grouped(table.sum(axis=2))
    hits, narrow = [], []
    for _ in range(200):
        noisy = [
            NoisyMarginal(
                clique=exact.clique,
                values=exact.values + rng.normal(0.0, 15.0, (2, 3)),
                sigma=15.0,
                groups=(B, A),
            ),
            NoisyMarginal(
                clique=("a",),
                values=table.sum(axis=(1, 2)) + rng.normal(0.0, 15.0, 6),
                sigma=15.0,
            ),
        ]
        model = estimate(DOMAIN, noisy)
        unsure = Uncertainty(model=model, measurements=noisy, public_total=False, rng=rng)
        for b, a in product(range(2), range(3)):
            weights = np.array(
                [[float(B[j] == b and A[i] == a) for j in range(4)] for i in range(6)]
            )
            found = unsure.query(("a", "b"), weights)
            miss = abs(float(found.unbiased) - exact.values[b, a]) / float(found.standard_error)
            hits.append(miss < 1.96)
            narrow.append(miss < 0.196)
    assert 0.92 <= np.mean(hits) <= 0.99
    assert np.mean(narrow) < 0.3
