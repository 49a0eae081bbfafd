"""Structural zeros before a fit (what they leave possible), and behind any sampler (repairs)."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import ContradictionError, InvalidValueError
from dpsynth.pgm.repair import Repair
from dpsynth.pgm.support import essential, possible_cells

DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 2, "d": 3, "e": 1})
Zeros = dict[Clique, np.ndarray]


@st.composite
def zeros(draw: st.DrawFn) -> Zeros:
    """Random zeros on up to four cliques of one to three attributes, in any order of axes."""
    found: Zeros = {}
    for _ in range(draw(st.integers(1, 4))):
        clique = tuple(
            draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=3, unique=True))
        )
        shape = DOMAIN.project(clique).shape
        rng = np.random.default_rng(draw(st.integers(0, 10_000)))
        found[clique] = rng.random(shape) < draw(st.floats(0, 0.7))
    return found


def allowed(impossible: Zeros) -> np.ndarray:
    """The whole table of possible records."""
    table = np.ones(DOMAIN.shape, dtype=np.bool_)
    for record in itertools.product(*map(range, DOMAIN.shape)):
        at = dict(zip(DOMAIN.attributes, record, strict=True))
        table[record] = not any(z[tuple(at[a] for a in c)] for c, z in impossible.items())
    return table


@settings(max_examples=200, deadline=None)
@given(impossible=zeros())
def test_possible_cells_and_repairs_are_exact(impossible: Zeros) -> None:
    table = allowed(impossible)
    if not table.any():
        with pytest.raises(ContradictionError, match="together they leave no possible record"):
            possible_cells(DOMAIN, impossible)
        return
    fewer = essential(DOMAIN, impossible)
    assert np.array_equal(allowed(fewer), table)
    for clique in fewer:  # and none of those that are left is implied by the others
        assert not np.array_equal(allowed({c: z for c, z in fewer.items() if c != clique}), table)
    tree, found = possible_cells(DOMAIN, impossible)
    for clique, cells in zip(tree.cliques, found, strict=True):
        others = tuple(i for i, a in enumerate(DOMAIN.attributes) if a not in clique)
        assert np.array_equal(cells, table.any(axis=others))
    repair = Repair.of(DOMAIN, impossible)
    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(0, n, 400) for n in DOMAIN.shape], axis=1).astype(np.uint8)
    before = rows.copy()
    good = table[tuple(rows.astype(np.int64).T)]
    assert np.array_equal(repair.broken(rows), ~good)
    repaired = repair.repaired(rows, rng=rng)
    assert table[tuple(repaired.astype(np.int64).T)].all()
    assert np.array_equal(repaired[good], rows[good])
    assert np.array_equal(rows, before)
    assert repaired.dtype == rows.dtype
    # What no zero names is never touched.
    named = {a for clique, z in impossible.items() if z.any() for a in clique}
    free = [i for i, a in enumerate(DOMAIN.attributes) if a not in named]
    assert np.array_equal(repaired[:, free], rows[:, free])


def test_one_row_alone_is_repaired() -> None:
    """A row with no other to learn from, on a chain where each code forces the next."""
    chain = Domain(sizes=dict.fromkeys("abcdef", 4))
    off = ~np.eye(4, dtype=np.bool_)
    impossible = dict.fromkeys(itertools.pairwise("abcdef"), off)
    row = np.array([[0, 1, 2, 3, 0, 1]])
    repaired = Repair.of(chain, impossible).repaired(row, rng=np.random.default_rng(0))
    assert len(set(repaired[0].tolist())) == 1


@pytest.mark.statistical
def test_what_is_drawn_anew_follows_the_other_rows() -> None:
    """Half of 20,000 rows break a zero; their code is drawn as the others have it, 3 to 1.

    Systematic shares, so within one row of 7,500; the control is even shares, 5,000.
    """
    domain = Domain(sizes={"a": 1, "b": 3})
    rows = np.repeat([[0, 0], [0, 1], [0, 1], [0, 1], [0, 2], [0, 2], [0, 2], [0, 2]], 2500, axis=0)
    impossible = {("b",): np.array([False, False, True])}
    repaired = Repair.of(domain, impossible).repaired(rows, rng=np.random.default_rng(0))
    found = np.bincount(repaired[10_000:, 1], minlength=3)
    assert found[2] == 0
    assert abs(found[1] - 7500) <= 1
    assert abs(5000 - 7500) > 1


def test_a_tree_of_too_many_cells_is_refused_with_its_size() -> None:
    wide = Domain(sizes=dict.fromkeys("abcd", 100))
    some = np.zeros((100, 100), dtype=np.bool_)
    some[0, 1] = True
    ring = {("a", "b"): some, ("b", "c"): some, ("c", "d"): some, ("d", "a"): some}
    with pytest.raises(InvalidValueError, match=r"junction tree is 2000000, .* at most 1000000"):
        possible_cells(wide, ring, ceiling=10**6)
