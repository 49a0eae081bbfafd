"""Plans of trees: whatever is picked there is room for it, and a choice at every pick."""

import warnings

import numpy as np
import pytest

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.tree_plan import TreePlan, inside, merged
from dpsynth.generators.marginal.workload import SkippedCliquesWarning


def domain_of(*sizes: int) -> Domain:
    return Domain(sizes={f"c{i}": size for i, size in enumerate(sizes)})


def plan_of(domain: Domain, room: int, cliques: tuple[Clique, ...] = ()) -> TreePlan:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedCliquesWarning)
        return TreePlan.of(domain, cliques=cliques, room=room)


def walk(plan: TreePlan, rng: np.random.Generator) -> list[Clique]:
    """Return the edges of a tree of random picks."""
    tree = list(plan.certain)
    component = merged(plan.component, tree)
    for _ in range(plan.picks):
        open_ = [(a, b) for a, b in plan.candidates if component[a] != component[b]]
        assert len(open_) > 1, "a pick without a choice would not be charged"
        tree.append(open_[rng.integers(len(open_))])
        component = merged(component, tree[-1:])
    return tree


@pytest.mark.parametrize("seed", range(300))
def test_any_picks_fit_and_none_is_without_a_choice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    domain = domain_of(*rng.integers(1, 12, rng.integers(1, 8)).tolist())
    names = [a for a, size in domain.sizes.items() if size > 1]
    joined: tuple[Clique, ...] = (tuple(names[:2]),) if seed % 3 == 0 and len(names) > 1 else ()
    room = int(rng.integers(1, 400))
    plan = plan_of(domain, room, joined)
    for _ in range(5):
        tree = walk(plan, rng)
        assert len(tree) == plan.edges
        assert sum(map(domain.cells_of, tree)) <= room
        parts = set(plan.component.values())
        assert len(set(merged(plan.component, tree).values())) == len(parts) - plan.edges


def test_where_all_fits_all_pairs_compete_for_a_spanning_tree() -> None:
    plan = plan_of(domain_of(2, 3, 1, 4), 10_000)
    assert plan.candidates == (("c0", "c1"), ("c0", "c3"), ("c1", "c3"))  # c2 says nothing
    assert (plan.certain, plan.picks) == ((), 2)
    # The heaviest tree has 12 + 8 cells; with less room the heaviest pair no longer competes, and
    # the other two are what there is.
    assert plan_of(domain_of(2, 3, 1, 4), 20).picks == 2
    plan = plan_of(domain_of(2, 3, 1, 4), 19)
    assert (plan.certain, plan.picks) == ((("c0", "c1"), ("c0", "c3")), 0)


def test_two_attributes_have_one_pair_which_needs_no_pick() -> None:
    plan = plan_of(domain_of(5, 5), 25)
    assert (plan.certain, plan.picks) == ((("c0", "c1"),), 0)
    assert plan_of(domain_of(5, 5), 24).edges == 0
    assert plan_of(domain_of(5), 24).edges == 0


def test_equal_pairs_all_compete_for_the_room_of_a_few() -> None:
    plan = plan_of(domain_of(*(10,) * 8), 350)
    assert len(plan.candidates) == 28
    assert (plan.certain, plan.picks) == ((), 3)


def test_a_giant_does_not_take_the_room_of_many() -> None:
    # Each pair with the giant has 400 cells, the others 16; any tree has one with the giant.
    plan = plan_of(domain_of(100, *(4,) * 10), 144 + 400)
    # One pair with the giant is certain: with two, both could be picked.
    assert plan.certain == (("c0", "c1"),)
    assert plan.picks == 9
    # Without the room for it the others still make a tree of their own.
    plan = plan_of(domain_of(100, *(4,) * 10), 450)
    assert all("c0" not in pair for pair in plan.candidates)
    assert (plan.certain, plan.picks) == ((), 9)


def test_what_is_joined_already_is_not_joined_again() -> None:
    plan = plan_of(domain_of(2, 2, 2, 2), 100, (("c0", "c1", "c2"),))
    assert plan.candidates == (("c0", "c3"), ("c1", "c3"), ("c2", "c3"))
    assert (plan.certain, plan.picks) == ((), 1)
    assert plan_of(domain_of(2, 2), 100, (("c0", "c1"),)).edges == 0


def test_pairs_inside_constraints_are_planned_but_for_those_that_one_code_decides() -> None:
    domain = Domain(sizes={"a": 3, "b": 3, "c": 2, "d": 1, "e": 4})
    decided = ~np.eye(3, dtype=np.bool_)
    some = np.zeros((4, 2, 3), dtype=np.bool_)
    some[0, 0, 0] = True
    plan = inside(domain, {("a", "b"): decided, ("e", "c", "a"): some})
    assert set(plan.candidates) == {("c", "e"), ("a", "e"), ("a", "c")}
    assert (plan.edges, plan.picks) == (2, 2)
    alone = np.zeros((2, 4), dtype=np.bool_)
    alone[0, 0] = True
    plan = inside(domain, {("c", "e"): alone, ("d", "e"): alone[:1]})
    assert plan.certain == plan.candidates == (("c", "e"),)
    assert plan.picks == 0
    assert inside(domain, {}).edges == 0
