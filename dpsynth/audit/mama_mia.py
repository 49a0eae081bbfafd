"""MAMA-MIA: members stand out in the marginals that the mechanism measured."""

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.candidates import CandidateAttack
from dpsynth.data.encoding import Codec
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table

Codes = NDArray[np.integer[Any]]


@final
@dataclass(frozen=True, kw_only=True)
class MamaMia(CandidateAttack):
    """Call candidates members whose cells of the measured marginals are fuller than they should be.

    Scenario: the attacker holds the release, candidates of whom half were used, other records of
    the population, and knows which marginals the mechanism measured. What it measured is what its
    records are true to, so the score is the sum over these marginals of the share of the release in
    the candidate's cell over that of the other records. Success, control and baseline: a candidate
    who was used is called a member; one who was not is; as many claims at random.

    Saved models and open mechanisms tell their marginals. Where none are given, the attacker reads
    off the release what a mechanism that grows a tree would have chosen: the pairs of the tree with
    the most mutual information, and each column.

    Args:
        marginals: sets of columns that were measured; None for those of the tree.
        others: as of `CandidateAttack`; errors too.

    Raises:
        InvalidValueError: an empty marginal.
        UnknownNameError: a column that the schema lacks.
    """

    name: ClassVar[str] = "mama_mia"
    reference: ClassVar[str] = (
        "S. Golob, S. Pentyala, A. Maratkhan and M. De Cock, Privacy Vulnerabilities in "
        "Marginals-based Synthetic Data (2024), section IV; the tree: C. Chow and C. Liu, "
        "Approximating Discrete Probability Distributions with Dependence Trees (1968)"
    )
    marginals: tuple[tuple[str, ...], ...] | None = None

    def scores(
        self,
        candidates: "Table",
        release: "Table",
        reference: "Table",
        *,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        codec = Codec(schema=candidates.schema)
        asked, made, known = (codec.encode(t) for t in (candidates, release, reference))
        score = np.zeros(len(asked))
        for clique in self._cliques(candidates.schema, made):
            columns = list(clique)
            joined = np.concatenate([t[:, columns] for t in (asked, made, known)])
            _, cell = np.unique(joined, axis=0, return_inverse=True)
            cell = cell.reshape(-1)
            own, of_release, of_others = np.split(cell, [len(asked), len(asked) + len(made)])
            cells = int(cell.max()) + 1
            # One record is shared out to each, as a population has cells that no sample shows.
            fuller = (np.bincount(of_release, minlength=cells) / len(made)) / (
                (np.bincount(of_others, minlength=cells) + 1) / (len(known) + 1)
            )
            score += fuller[own]
        return score

    def _cliques(self, schema: "Schema", release: Codes) -> list[tuple[int, ...]]:
        names = schema.names
        if self.marginals is None:
            sizes = schema.domain.shape
            return [(i,) for i in range(len(names))] + list(dependence_tree(release, sizes))
        for marginal in self.marginals:
            if not marginal:
                raise InvalidValueError("marginals", self.marginals, "sets of one column or more")
            for name in marginal:
                schema.column(name)
        return [tuple(names.index(name) for name in marginal) for marginal in self.marginals]


def dependence_tree(codes: Codes, sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the pairs of columns of the tree with the most mutual information in all.

    Args:
        codes: records, one column each of `sizes`.
        sizes: numbers of codes.

    Reference: C. Chow and C. Liu (1968); less the bias of each by G. Miller, Note on the Bias of
    Information Estimates (1955).
    """
    weight = {
        (i, j): _information(codes[:, i], codes[:, j], sizes[i], sizes[j])
        for i, j in combinations(range(len(sizes)), 2)
    }
    root = list(range(len(sizes)))
    tree: list[tuple[int, int]] = []
    for i, j in sorted(weight, key=lambda pair: -weight[pair]):
        if root[i] != root[j]:
            tree.append((i, j))
            root = [root[i] if r == root[j] else r for r in root]
    return tree


def _information(first: Codes, second: Codes, size: int, other: int) -> float:
    """Return the mutual information of two columns in nats, less its bias."""
    counts = np.bincount(first.astype(np.int64) * other + second, minlength=size * other)
    table = counts.reshape(size, other)
    n = len(first)
    entropies = [_entropy(c / n) for c in (table.sum(axis=1), table.sum(axis=0), counts)]
    seen = [int((c > 0).sum()) for c in (table.sum(axis=1), table.sum(axis=0), counts)]
    bias = (seen[2] - seen[0] - seen[1] + 1) / (2 * n)
    return entropies[0] + entropies[1] - entropies[2] - bias


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())
