"""What is learnt of columns' shares, on columns whose law is known."""

import learn_shares
import numpy as np
import pandas as pd
import pytest

from dpsynth.pgm.column_kinds import CATEGORIES, PLACES, InOrder


def test_codes_are_as_a_user_would_declare_them() -> None:
    counts = learn_shares.coded(pd.Series([3.0] * 200 + [5.0] * 50 + [9.0] * 100 + [np.nan]))
    assert counts is not None
    assert counts.tolist() == [200, 0, 50, 0, 0, 0, 100]
    amounts = learn_shares.coded(pd.Series(np.linspace(10.0, 1730.0, 400)))
    assert amounts is not None
    assert (len(amounts), amounts.sum()) == (32, 400)
    assert amounts[0] < amounts[1]  # bins begin at 0
    assert amounts[-1] == 0  # and end at 2,000
    from_zero, from_low = (
        learn_shares.coded(pd.Series(np.linspace(low, 1730.0, 400))) for low in (600.0, 1010.0)
    )
    assert from_zero is not None
    assert from_low is not None
    assert from_zero[:9].sum() == 0  # 600 is near enough to 0
    assert from_low[:3].all()  # 1,010 is not: bins begin at 1,000
    assert learn_shares.coded(pd.Series(np.arange(500))) is None  # names of rows
    assert learn_shares.coded(pd.Series(["a", "b", "c"] * 200)) is None


def test_columns_made_from_others_are_left_out() -> None:
    table = pd.DataFrame({"wage": [1.0], "lwage": [0.0], "wagesq": [1.0], "id": [1], "land": [1]})
    assert [c.name for c in learn_shares.plain(table)] == ["wage", "land"]


def test_halvings_have_their_places() -> None:
    splits = learn_shares.splits_of([(np.array([4, 3, 2, 1]), 1.0), (np.array([2000, 0]), 0.5)])
    assert splits.place.tolist() == [PLACES.index(p) for p in ("whole", "first", "second", "whole")]
    assert splits.first.tolist() == [7, 4, 2, 1000]  # of at most 1,000 records
    assert splits.second.tolist() == [3, 3, 1, 0]


@pytest.mark.statistical
def test_kinds_of_columns_are_found_again() -> None:
    """600 columns of 8 codes, of which exactly two thirds are level and the others of a few values;
    seed 3: shares of kinds within .05. Control: one kind makes held-out columns less likely."""
    rng = np.random.default_rng(3)

    def columns(n: int) -> list[tuple[np.ndarray, float]]:
        level = rng.dirichlet(np.full(8, 50.0), size=2 * n // 3)
        few = rng.dirichlet(np.full(8, 0.05), size=n - 2 * n // 3)
        return [(rng.multinomial(1000, p), 1.0) for p in (*level, *few)]

    learning, held = (learn_shares.splits_of(columns(600)) for _ in range(2))
    two = learn_shares.learnt(learning, 2, rounds=40, seed=0)
    one = learn_shares.learnt(learning, 1, rounds=40, seed=0)
    assert sorted(two[0]) == pytest.approx([1 / 3, 2 / 3], abs=0.05)
    assert learn_shares.score(held, *two) > learn_shares.score(held, *one) + 0.5


def test_what_is_written_are_kinds() -> None:
    splits = learn_shares.splits_of([(np.array([90, 5, 3, 2]), 1.0)] * 5)
    text = learn_shares.written(*learn_shares.learnt(splits, 2, rounds=3, seed=0))
    found = eval(f"({text})", {"InOrder": InOrder})
    assert [type(kind) for kind in found] == [InOrder, InOrder]
    assert [len(kind.laws) for kind in found] == [len(PLACES)] * 2


def test_kinds_have_laws_for_every_place() -> None:
    kinds = [kind for kind in CATEGORIES if isinstance(kind, InOrder)]
    assert len(kinds) == 4
    for kind in kinds:
        assert len(kind.laws) == len(PLACES)
        for laws in kind.laws:
            assert 0.85 < sum(weight for *_, weight in laws) < 1.05
            assert all(0 < mean < 1 and concentration > 0 for mean, concentration, _ in laws)
