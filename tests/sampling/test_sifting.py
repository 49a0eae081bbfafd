"""Models without conditional laws: rows are sifted, exactly and never without an end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.data.schema import IntegerColumn, Schema
from dpsynth.errors import ContradictionError, InvalidValueError, RareConditionError
from dpsynth.generators.base import SyntheticModel
from dpsynth.pgm.evidence import Likelihood
from dpsynth.sampling.selection import Selection
from dpsynth.sampling.sifting import MOST_ROWS, MOST_ROWS_EACH, PILOT_ROWS, SiftedModel, law_of
from dpsynth.sampling.strata import Request

SCHEMA = Schema(
    columns=(
        IntegerColumn(name="a", lower=0, upper=3),
        IntegerColumn(name="b", lower=0, upper=9, bins=2),
    )
)
LAW = np.array([[0.4, 0.1], [0.05, 0.25], [0.2, 0.0], [0.0, 0.0]])


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Opaque(SyntheticModel):
    """A law that only its samples tell; it counts how many rows it was asked for."""

    schema: Schema = SCHEMA
    total: float = 1000.0
    asked: list[int] = field(default_factory=list)

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        self.asked.append(n)
        cells = np.sort(rng.choice(LAW.size, size=n, p=LAW.ravel()))  # in order, on purpose
        return np.stack(np.unravel_index(cells, LAW.shape), axis=1)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(schema=schema)


# 40,000 rows, seed 1; alpha = 1e-5 two-sided over 8 cells (|z| < 4.9). The control leaves the soft
# part of the evidence out.
@pytest.mark.statistical
@pytest.mark.parametrize("wrong", [False, True])
def test_rows_follow_the_conditional_law(wrong: bool) -> None:
    rng = np.random.default_rng(1)
    soft = np.array([0.5, 1.0])
    law = law_of(Opaque(), rng=rng).given({"a": [0, 1]}).given({"b": Likelihood(values=soft)})
    rows = law.sample_codes(40_000, rng=rng)
    expected = LAW * [[1], [1], [0], [0]] * (1.0 if wrong else soft)
    expected = 40_000 * (expected / expected.sum()).ravel()
    counts = np.bincount(rows[:, 0] * 2 + rows[:, 1], minlength=8)
    assert not counts[expected == 0].any()
    z = (counts - expected)[expected > 0] / np.sqrt(expected[expected > 0])
    assert bool(np.abs(z).max() < 4.9) is not wrong
    assert law.total == pytest.approx(1000 * (0.4 * 0.5 + 0.1 + 0.05 * 0.5 + 0.25), rel=0.05)


def test_the_pilot_tells_the_marginals() -> None:
    law = law_of(Opaque(), rng=np.random.default_rng(2))
    assert isinstance(law, SiftedModel)
    np.testing.assert_allclose(law.marginal(("b", "a")), 1000 * LAW.T, atol=25)
    assert law.given({"a": 2}).marginal(("a", "b"))[2, 1] == 0


def test_the_order_of_a_model_s_rows_does_not_tell_which_are_left() -> None:
    """300 samples of 4 rows of a model that returns them in order; within five deviations."""
    law = law_of(Opaque(), rng=np.random.default_rng(0)).given({"a": [0, 1]})
    rng = np.random.default_rng(5)
    rows = np.concatenate([law.sample_codes(4, rng=rng) for _ in range(300)])
    share = LAW[1].sum() / LAW[:2].sum()
    assert abs((rows[:, 0] == 1).mean() - share) < 5 * np.sqrt(share * (1 - share) / 1200)


def test_a_rare_condition_ends_with_a_sentence() -> None:
    model = Opaque()
    law = law_of(model, rng=np.random.default_rng(0)).given({"a": 3})
    model.asked.clear()
    with pytest.raises(RareConditionError, match="only 0 of 5 rows") as found:
        law.sample_codes(5, rng=np.random.default_rng(0))
    assert sum(model.asked) == found.value.drawn == max(MOST_ROWS, 5 * MOST_ROWS_EACH)
    with pytest.raises(RareConditionError, match=f"among {PILOT_ROWS}"):
        law.marginal(("b",))


def test_contradictions_need_no_row() -> None:
    law = law_of(Opaque(), rng=np.random.default_rng(0))
    with pytest.raises(ContradictionError, match="'a'"):
        law.given({"a": [0, 1]}).given({"a": 2})


def test_requests_are_as_of_any_model() -> None:
    rng = np.random.default_rng(3)
    found = Selection.of(Opaque(), Request(where={"b": ">=3"}, balance=["a"]), rng=rng)
    frame = found.sample(300, rng=rng).frame
    assert frame["a"].value_counts().to_dict() == {0: 100, 1: 100, 2: 100}
    assert frame["b"].between(3, 9).all()
    found = Selection.of(Opaque(), Request(where={"a": 1}), rng=rng)
    assert found.sample(50, rng=rng).frame["a"].eq(1).all()
    with pytest.raises(InvalidValueError, match="n is 0"):
        found.sample(0, rng=rng)
