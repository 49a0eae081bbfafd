"""What the cells of a clique hold beyond its margins: less to hide, so less noise."""

from dataclasses import dataclass
from math import prod, sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import Counter
from dpsynth.curator.pricing import Pricing
from dpsynth.curator.queries import AdditiveQuery, check_clique
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring

# Cells times counts stay exact in a double: 2**20 cells, fewer than 2**31 records.
CELL_CEILING = 2**20


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class InteractionQuery(AdditiveQuery):
    """The counts of a clique less what its margins say of them, times its N cells.

    The projection P takes off a table's mean, and of two attributes and more the deviations of its
    one-way marginals: r = 1, or r = 1 + sum (n_i - 1), of N dimensions; N P of integer counts is
    integer.

    Sensitivity: a record is a unit vector e_c, and |P e_c|^2 = P_cc = 1 - r / N for every cell,
    since P is a projection that permutations of codes leave alone. k rows that come or go add up to
    k |P e_c| at most, by the triangle inequality, and attain it in one cell. A row that moves from
    c to c' changes the answer by |P e_c - P e_c'|^2 = 2 P_cc - 2 P_cc'. Of one attribute that is 2,
    as P_cc' = -1 / N; of more it is largest, 2 (1 - n / N), where the cells differ in the smallest
    attribute alone, of n > 1 codes; k rows that move, k times its root, attained; a row that comes
    without one that goes is less. All times N. In L1 norm at most sqrt(N) times as much (Cauchy and
    Schwarz).
    Cost: one Gaussian (or Laplace) event a clique.

    Args:
        clique: one attribute, or several of which two have more than one code, each once.
        shape: their numbers of codes, in this order.

    Reference: Xiao et al. 2023, section 4 (sensitivity of residual queries); here the residuals of
        all subsets of two attributes and more, or of one attribute, in one answer.
    """

    clique: Clique
    shape: tuple[int, ...]

    @property
    def counted(self) -> tuple[Clique, ...]:
        return (self.clique,)

    def check(self, domain: Domain) -> None:
        check_clique(self.clique, domain)
        sizes = tuple(domain.sizes[a] for a in self.clique)
        if self.shape != sizes:
            raise InvalidValueError("shape", self.shape, f"{sizes}, the domain's")
        if not has_interactions(self.shape):
            rule = "at least two attributes of more than one code, or a single one"
            raise InvalidValueError("clique", self.clique, rule)
        if prod(self.shape) > CELL_CEILING:
            rule = f"at most {CELL_CEILING} cells"
            raise InvalidValueError(f"cells of {self.clique}", prod(self.shape), rule)

    def cells(self, domain: Domain) -> int:
        return domain.cells_of(self.clique)

    def evaluate(self, counter: Counter) -> NDArray[np.int64]:
        counts = np.asarray(counter.counts(self.clique), dtype=np.int64)
        if counts.ndim == 1:
            return np.asarray(counts.size * counts - counts.sum())
        axes = range(counts.ndim)
        found = counts.size * counts + (counts.ndim - 1) * counts.sum()
        for axis, size in enumerate(counts.shape):
            others = tuple(i for i in axes if i != axis)
            found -= size * counts.sum(axis=others, keepdims=True)
        return found

    def sensitivity(self, budget: Budget) -> float:
        return prod(self.shape) * budget.l2_sensitivity * relative_sensitivity(self.shape, budget)

    def l1_sensitivity(self, budget: Budget) -> float:
        return sqrt(prod(self.shape)) * self.sensitivity(budget)


def has_interactions(shape: tuple[int, ...]) -> bool:
    """Return whether a clique of so many codes holds anything beyond its margins."""
    return sum(n > 1 for n in shape) >= (1 if len(shape) == 1 else 2)


def relative_sensitivity(shape: tuple[int, ...], budget: Budget) -> float:
    """Return the sensitivity of interactions in that of the marginal, in L2 norm; at most 1.

    Args:
        shape: numbers of codes of the attributes.
        budget: its relation decides.
    """
    cells, single = prod(shape), len(shape) == 1
    if budget.relation is Neighbouring.REPLACE:
        return 1.0 if single else sqrt(1 - min((n for n in shape if n > 1), default=cells) / cells)
    margins = 1 if single else 1 + sum(n - 1 for n in shape)
    return sqrt(1 - margins / cells)


def relative_noise(shape: tuple[int, ...], pricing: Pricing) -> float:
    """Return the noise of interactions in that of the marginal for the same cost, in records.

    Args:
        shape: numbers of codes of the attributes.
        pricing: its accountant decides which norm counts: Laplace noise is larger, not smaller.
    """
    relative = relative_sensitivity(shape, pricing.accountant.budget)
    if pricing.laplace:
        budget = pricing.accountant.budget
        return sqrt(prod(shape)) * relative * budget.l2_sensitivity / budget.l1_sensitivity
    return relative
