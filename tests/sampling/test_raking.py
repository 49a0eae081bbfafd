"""Raking: given shares, everything else as near as can be."""

import numpy as np
import pytest

from dpsynth.errors import ContradictionError
from dpsynth.sampling.raking import Margin, even, rake


def margin(groups: list[int], shares: list[float]) -> Margin:
    return Margin(groups=np.array(groups), shares=np.array(shares), what="shares")


def test_one_margin_scales() -> None:
    joint = np.array([[1.0, 3.0], [2.0, 2.0], [4.0, 0.0]])
    found = rake(joint, {0: margin([0, 0, 1], [0.2, 0.8])})
    np.testing.assert_allclose(found, [[0.025, 0.075], [0.05, 0.05], [0.8, 0.0]])
    np.testing.assert_allclose(rake(joint, {}), joint / 12)


def test_margins_hold_and_odds_ratios_stay() -> None:
    joint = np.random.default_rng(0).random((3, 4, 2))
    found = rake(joint, {0: margin([0, 1, 1], [0.5, 0.5]), 2: margin([0, 1], [0.9, 0.1])})
    np.testing.assert_allclose(found[0].sum(), 0.5, atol=1e-11)
    np.testing.assert_allclose(found[..., 1].sum(), 0.1, atol=1e-11)

    def interaction(law: np.ndarray) -> np.ndarray:
        logs = np.log(law)
        for axis in range(3):
            logs = logs - logs.mean(axis=axis, keepdims=True)
        return logs

    np.testing.assert_allclose(interaction(found), interaction(joint), atol=1e-8)
    # A group keeps its proportions up to what the other margin asks.
    assert found.shape == joint.shape


@pytest.mark.parametrize(
    ("joint", "margins", "sentence"),
    [
        (np.zeros((2, 2)), {}, "no record that the model allows"),
        (np.array([[1.0], [0.0]]), {0: margin([0, 1], [0.5, 0.5])}, "no record in a part"),
        (np.eye(2), {0: margin([0, 1], [0.5, 0.5]), 1: margin([0, 1], [0.9, 0.1])}, "no law"),
    ],
)
def test_what_cannot_be_is_refused(joint, margins, sentence: str) -> None:
    with pytest.raises(ContradictionError, match=sentence):
        rake(joint, margins)


def test_even_shares_leave_out_what_has_no_weight() -> None:
    assert even([3.0, 0.0, 1e-300, 2.0]).tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])
