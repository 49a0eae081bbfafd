"""Linear reconstruction: secrets that fit the counts of the release best."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.attack import Attack, AttackResult, AttackTarget, Question, ThreatModel
from dpsynth.attacks.cells import salted
from dpsynth.attacks.secrets import draw_people
from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.data.encoding import Codec

Codes = NDArray[np.integer[Any]]
WAYS = (1, 2, 3, 4)
_TOLERANCE = 1e-3
"""Of the solution, of which only the side of one half counts."""


@final
@dataclass(frozen=True, kw_only=True)
class LinearReconstruction(Attack):
    """Solve for people's secret bits by least squares from the counts of the release.

    Scenario: the attacker holds the release and a list of people, with all columns but one secret.
    Each set of the known columns gives an equation a cell: so many of the people there have the
    secret bit as the release says by its share in that cell. All the equations of random sets of
    one to four columns, and of the set of all, are solved together, each weighted by how sure the
    release is of it, with the release's overall share as the prior of everybody. Success: the bit
    of a person who was used is on the side of one half that the solution says. Baseline: the more
    frequent bit, for everybody. Control: the same for people on the list who were not used; half of
    the list is.

    A column becomes a bit that is as even as can be in the release: one category or another, at
    least a code or below. Each person is asked one column in turn, all people take part in every
    equation.

    Args:
        targets: people of each kind on the list, at most.
        secrets: columns whose bits are sought; None for all.
        queries: sets of known columns, besides each column and all of them.

    Raises:
        InvalidValueError: a whole number below 1, or no secret.
        UnknownNameError: a column that the schema lacks.
    """

    name: ClassVar[str] = "linear_reconstruction"
    question: ClassVar[Question] = "inference"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="all columns but one of people, half of whom were used",
        succeeds="a person's secret bit is on the side that the solution says",
    )
    reference: ClassVar[str] = (
        "M. Annamalai, A. Gadotti and L. Rocher, A Linear Reconstruction Approach for Attribute "
        "Inference Attacks against Synthetic Data (2024), section 4; I. Dinur and K. Nissim, "
        "Revealing Information while Preserving Privacy (2003); least squares as in C. Dwork, F. "
        "McSherry and K. Talwar, The Price of Privacy and the Limits of LP Decoding (2007)"
    )
    needs_refit: ClassVar[bool] = False
    targets: int = 5000
    secrets: tuple[str, ...] | None = None
    queries: int = 48

    def __post_init__(self) -> None:
        self._check_counts()
        if self.secrets is not None:
            object.__setattr__(self, "secrets", tuple(self.secrets))

    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        people = draw_people(target, self.targets, self.secrets, rng=rng)
        codec = Codec(schema=target.train.schema)
        codes, released = codec.encode(people.table), codec.encode(target.synthetic)
        right, plain = np.zeros((2, len(codes)), dtype=np.bool_)
        for i in np.unique(people.secret).tolist():
            asked = np.flatnonzero(people.secret == i)
            bit = even_bit(target.train.schema.columns[i], released[:, i])
            truth, shown = bit[codes[:, i]], bit[released[:, i]]
            guess = self._solved(i, codes, released, shown, rng=rng) > 0.5
            right[asked] = guess[asked] == truth[asked]
            plain[asked] = truth[asked] == (2 * truth[~people.used].mean() > 1)
        return AttackResult.counted(
            self, right[people.used], right[~people.used], plain[people.used]
        )

    def _solved(
        self,
        secret: int,
        people: Codes,
        released: Codes,
        shown: NDArray[np.bool_],
        *,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Return each person's share of the bit, by regularised least squares."""
        from scipy.sparse import csr_matrix
        from scipy.sparse.linalg import lsqr

        known = [k for k in range(people.shape[1]) if k != secret]
        prior = float(shown.mean())
        if not known:
            return np.full(len(people), prior)
        theirs, ours = salted([people, released], rng=rng)
        found = [
            _equations(theirs[:, chosen].sum(axis=1), ours[:, chosen].sum(axis=1), shown, prior)
            for chosen in self._sets(known, rng)
        ]
        starts = np.cumsum([0] + [len(side) for _, _, side in found])
        weights = np.concatenate([weight for weight, _, _ in found])
        rows = np.concatenate(
            [place + start for (_, place, _), start in zip(found, starts, strict=False)]
        )
        columns = np.tile(np.arange(len(people)), len(found))
        system = csr_matrix((weights, (rows, columns)), shape=(int(starts[-1]), len(people)))
        side = np.concatenate([side for _, _, side in found])
        solution = lsqr(system, side, damp=1.0, atol=_TOLERANCE, btol=_TOLERANCE)[0]
        return prior + solution

    def _sets(self, known: list[int], rng: np.random.Generator) -> list[list[int]]:
        drawn = [
            rng.permutation(known)[: WAYS[i % len(WAYS)]].tolist() for i in range(self.queries)
        ]
        wanted = [[k] for k in known] + [known] + drawn
        return [list(chosen) for chosen in dict.fromkeys(tuple(sorted(s)) for s in wanted)]


def even_bit(column: Column, released: Codes) -> NDArray[np.bool_]:
    """Return, for each code of a column, the bit that is as even as can be in the release."""
    share = np.bincount(released, minlength=column.size) / len(released)
    if isinstance(column, CategoricalColumn):
        return np.arange(column.size) == int(np.abs(share - 0.5).argmin())
    below = np.concatenate([[0.0], np.cumsum(share)[:-1]])
    return np.arange(column.size) >= int(np.abs(below - 0.5).argmin())


def _equations(
    theirs: NDArray[np.uint64],
    ours: NDArray[np.uint64],
    shown: NDArray[np.bool_],
    prior: float,
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Return the weighted equations of one set of columns, about deviations from the prior:
    each person's coefficient and number of equation, and the right-hand sides.

    Args:
        theirs: a key of each person's cell.
        ours: of each released record's.
        shown: the bit of each released record.
        prior: the release's overall share.
    """
    cells, place = np.unique(theirs, return_inverse=True)
    found = np.searchsorted(cells, ours)
    inside = np.minimum(found, len(cells) - 1)
    met = cells[inside] == ours
    held = np.bincount(inside[met], minlength=len(cells))
    having = np.bincount(inside[met], weights=shown[met], minlength=len(cells))
    there = np.bincount(place, minlength=len(cells))
    share = having / np.maximum(held, 1)
    # The variance of the number of people with the bit: of the share, and of people around it.
    spread = (having + 2 * prior + 0.1) / (held + 2.2)
    variance = spread * (1 - spread) * (there + there**2 / np.maximum(held, 1))
    weight = np.where(held > 0, 1 / np.sqrt(variance), 0.0)
    return weight[place], place, weight * there * (share - prior)
