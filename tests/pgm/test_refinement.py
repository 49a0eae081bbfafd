"""A refined model is the model of groups, with codes drawn inside them."""

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.errors import ContradictionError, InvalidValueError
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.refinement import Refinement, refined

DOMAIN = Domain(sizes={"a": 5, "b": 2, "c": 4})
COARSE = Domain(sizes={"a*": 3, "b": 2, "c*": 2})
GROUPS = {"a*": ("a", np.array([0, 0, 1, 2, 2])), "c*": ("c", np.array([0, 1, 1, 0]))}
COUNTS = {"a*": np.array([3.0, 1.0, 7.0, 0.0, 0.0]), "c*": np.array([1.0, 2.0, 0.0, 4.0])}


def parts() -> dict[str, Refinement]:
    return {
        name: Refinement(attribute=attribute, groups=groups, counts=COUNTS[name])
        for name, (attribute, groups) in GROUPS.items()
    }


def coarse(seed: int = 0) -> GraphicalModel:
    rng = np.random.default_rng(seed)
    cliques = (("a*", "b"), ("b", "c*"))
    potentials = tuple(rng.normal(size=COARSE.project(c).shape) for c in cliques)
    return GraphicalModel(domain=COARSE, total=100.0, cliques=cliques, potentials=potentials)


def spread(table: np.ndarray) -> np.ndarray:
    """Return the joint table of codes by brute force from that of groups."""
    found = np.zeros(DOMAIN.shape)
    share = {}
    for name, (_, groups) in GROUPS.items():
        counts = COUNTS[name].copy()
        for group in range(int(groups.max()) + 1):
            if counts[groups == group].sum() == 0:
                counts[groups == group] = 1.0
        share[name] = counts / np.bincount(groups, weights=counts)[groups]
    for a, b, c in np.ndindex(*DOMAIN.shape):
        cell = table[GROUPS["a*"][1][a], b, GROUPS["c*"][1][c]]
        found[a, b, c] = cell * share["a*"][a] * share["c*"][c]
    return found


def test_codes_are_independent_given_their_groups() -> None:
    model = coarse()
    found = refined(model, DOMAIN, parts())
    assert found.domain.attributes == ("a", "b", "c", "a*", "c*")
    joint = spread(model.marginal(COARSE.attributes))
    assert found.marginal(("a", "b", "c")) == pytest.approx(joint, rel=1e-9, abs=1e-9)
    assert found.marginal(("c", "a")) == pytest.approx(joint.sum(axis=1).T, rel=1e-9, abs=1e-9)
    assert found.total == model.total


def test_marginals_of_groups_stay_as_they_were() -> None:
    model = coarse(1)
    found = refined(model, DOMAIN, parts())
    for clique in (("a*", "b"), ("b", "c*"), ("a*", "c*")):
        assert found.marginal(clique) == pytest.approx(model.marginal(clique), rel=1e-9)


def test_samples_and_evidence_keep_codes_in_their_groups() -> None:
    found = refined(coarse(2), DOMAIN, parts())
    rows = found.sample(500, rng=np.random.default_rng(0))
    for name, (attribute, groups) in GROUPS.items():
        code, group = (rows[:, found.domain.attributes.index(a)] for a in (attribute, name))
        assert (groups[code] == group).all()
    given = found.given({"a": [1, 2]})
    joint = spread(coarse(2).marginal(COARSE.attributes))[1:3]
    assert given.marginal(("b", "c")) == pytest.approx(joint.sum(axis=0), rel=1e-9, abs=1e-9)
    with pytest.raises(ContradictionError):
        found.given({"a": 0, "a*": 1})


@pytest.mark.parametrize(
    ("name", "attribute", "groups"),
    [("a*", "a", [0, 1]), ("a*", "z", [0, 0, 1, 2, 2]), ("z*", "a", [0, 0, 1, 2, 2])],
)
def test_what_does_not_fit_is_refused(name: str, attribute: str, groups: list[int]) -> None:
    wrong = Refinement(attribute=attribute, groups=np.array(groups), counts=np.ones(len(groups)))
    with pytest.raises(InvalidValueError, match="refinement"):
        refined(coarse(), DOMAIN, {name: wrong})
