"""Rows completed under evidence of their own: the law is that of the conditioned model."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import chisquare

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.pgm.completion import Completion
from dpsynth.pgm.model import GraphicalModel

DOMAIN = Domain(sizes={"u": 3, "p": 2, "x": 3, "y": 2, "z": 4, "w": 2})
CLIQUES = (("u", "x"), ("p", "x", "y"), ("y", "z"), ("u", "z"))


def model(*, zeros: bool = False) -> GraphicalModel:
    rng = np.random.default_rng(5)
    potentials = [rng.normal(0, 1.5, DOMAIN.project(c).shape) for c in CLIQUES]
    if zeros:
        potentials[0][2, :] = -np.inf
        potentials[2][0, 1] = -np.inf
    return GraphicalModel(domain=DOMAIN, total=100.0, cliques=CLIQUES, potentials=tuple(potentials))


def repeated(evidence: dict[str, int], n: int) -> np.ndarray:
    rows = np.full((n, 6), 1, dtype=np.uint8)
    for name, code in evidence.items():
        rows[:, DOMAIN.axes((name,))[0]] = code
    return rows


@pytest.mark.statistical
@pytest.mark.parametrize("known", [("u", "p"), ("x",), ("z", "w"), ("u", "p", "y", "z"), ()])
def test_the_law_is_the_conditioned_models(known: tuple[str, ...]) -> None:
    """Chi-square of 20,000 rows, seed 1, alpha 1e-4, of the joint law of what is unknown, against
    the model conditioned by brute force; the control is the law without the condition."""
    fitted, completion = model(), Completion(model(), known)
    joint = fitted.marginal(DOMAIN.attributes)
    free = tuple(a for a in DOMAIN.attributes if a not in known)
    rng = np.random.default_rng(1)
    mixed = repeated(dict.fromkeys(known, 0), 20_000)
    for codes in product(*(range(min(2, DOMAIN.sizes[a])) for a in known)):
        # Rows of other evidence in between: each must follow its own.
        rows = np.repeat(mixed, 2, axis=0)
        rows[::2] = repeated(dict(zip(known, codes, strict=True)), 20_000)
        before = rows.copy()
        drawn = completion.draw(rows, rng=rng)[::2]
        assert (rows == before).all()
        for name, code in zip(known, codes, strict=True):
            assert (drawn[:, DOMAIN.axes((name,))[0]] == code).all()
        index = [slice(None)] * 6
        for name, code in zip(known, codes, strict=True):
            index[DOMAIN.axes((name,))[0]] = code  # type: ignore[call-overload]
        law = joint[tuple(index)]
        cells = np.ravel_multi_index(tuple(drawn[:, i] for i in DOMAIN.axes(free)), law.shape)
        counts = np.bincount(cells, minlength=law.size)
        expected = 20_000 * law.ravel() / law.sum()
        assert chisquare(*_large(counts, expected)).pvalue > 1e-4
        whole = joint.sum(axis=DOMAIN.axes(known)).ravel() if known else None
        if whole is not None and codes == tuple([1] * len(known)):
            wrong = 20_000 * whole / whole.sum()
            assert chisquare(*_large(counts, wrong)).pvalue < 1e-4


def _large(counts: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts of cells that expect five or more, and of all others together."""
    few = expected < 5
    if not few.any():
        return counts, expected
    parts = [np.append(v[~few], v[few].sum()) for v in (counts, expected)]
    return parts[0], parts[1]


@pytest.mark.statistical
def test_codes_that_are_not_allowed_are_not_drawn_and_the_others_keep_their_law() -> None:
    """Chi-square of 20,000 rows, seed 2, alpha 1e-4."""
    rows = repeated({"u": 1, "p": 0}, 20_000)
    mask = np.ones((len(rows), 4), dtype=bool)
    mask[:, [0, 2]] = False
    drawn = Completion(model(), ("u", "p")).draw(
        rows, rng=np.random.default_rng(2), allowed={"z": mask}
    )
    given = model().given({"u": 1, "p": 0, "z": [1, 3]})
    law = given.marginal(("x", "y", "z"))[:, :, [1, 3]]
    x, y, z = (drawn[:, i] for i in DOMAIN.axes(("x", "y", "z")))
    assert set(z.tolist()) == {1, 3}
    counts = np.bincount(np.ravel_multi_index((x, y, z // 2), law.shape), minlength=law.size)
    expected = 20_000 * law.ravel() / law.sum()
    assert chisquare(counts, expected).pvalue > 1e-4
    plain = model().given({"u": 1, "p": 0}).marginal(("x", "y"))
    assert (
        chisquare(np.bincount(x * 2 + y, minlength=6), 20_000 * plain.ravel() / plain.sum()).pvalue
        < 1e-4
    )


def test_zeros_are_kept_and_impossible_evidence_is_dropped() -> None:
    completion = Completion(model(zeros=True), ("u", "y"))
    rng = np.random.default_rng(3)
    drawn = completion.draw(repeated({"u": 0, "y": 0}, 500), rng=rng)
    assert (drawn[:, 4] != 1).all()
    impossible = completion.draw(repeated({"u": 2, "y": 1}, 500), rng=rng)
    assert (impossible[:, 0] == 2).all()
    assert (impossible < np.array(DOMAIN.shape)).all()
    only = np.zeros((500, 4), dtype=bool)
    only[:, 1] = True
    forced = completion.draw(repeated({"u": 0, "y": 0}, 500), rng=rng, allowed={"z": only})
    assert (forced[:, 4] == 1).all()


def test_chunks_change_nothing_but_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpsynth.pgm.completion._CHUNK_CELLS", 100)
    drawn = Completion(model(), ("u",)).draw(repeated({"u": 2}, 1000), rng=np.random.default_rng(0))
    expected = model().given({"u": 2}).marginal(("x",))
    shares = np.bincount(drawn[:, 2], minlength=3) / 1000
    assert np.abs(shares - expected / expected.sum()).max() < 0.06


def test_what_does_not_fit_is_refused() -> None:
    completion = Completion(model(), ("u",))
    rng = np.random.default_rng(0)
    with pytest.raises(UnknownNameError):
        Completion(model(), ("nobody",))
    with pytest.raises(InvalidValueError, match="rows"):
        completion.draw(np.zeros((3, 5), dtype=np.uint8), rng=rng)
    for mask in (np.ones((3, 3), dtype=bool), np.zeros((3, 4), dtype=bool)):
        with pytest.raises(InvalidValueError, match="allowed for 'z'"):
            completion.draw(np.zeros((3, 6), dtype=np.uint8), rng=rng, allowed={"z": mask})
