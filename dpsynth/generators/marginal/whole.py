"""Where all columns' joint table is small: every pair and triple measured, and none scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf, prod, sqrt
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.graphical import GraphicalSyntheticModel, total_of
from dpsynth.generators.limits import fit_until
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.precisions import Precisions
from dpsynth.generators.marginal.purchase import bought, relative_noise
from dpsynth.pgm.effects import Effects
from dpsynth.pgm.evidence import zero_weights
from dpsynth.pgm.inference import fold
from dpsynth.pgm.log_linear import log_linear
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel

Array = NDArray[np.float64]

FIRST_SHARE = 0.08
"""Part of the budget for one-way marginals that tell the number of records; they are topped up."""
_DROWNED = 0.35
"""Largest total variation by noise, of pairs in the mean, times the root of the largest number of
codes, with which everything is measured: columns of many codes gain more by what stages do."""
_LEAST_PART = 0.5
"""Of all triples: where fewer have room, stages, which choose theirs, find more."""
_LEAST_SHARE = 1e-9
"""Part of what is left below which a clique is not bought: rounding, beside what others show."""


@final
@dataclass(frozen=True, kw_only=True)
class Whole:
    """All pairs and triples of a small domain, and how much of a budget each should have.

    A fit whose effects have a prior (`log_linear`) needs no list of what is worth its noise: what a
    measurement cannot show stays near independence. So nothing is spent on choosing. Precisions are
    those of the least expected error of all triples (`Precisions`). The interactions of a triple
    show its pairs too; what pairs lack beyond that is bought for themselves.

    Args:
        domain: of the records.
        cliques: what may be measured: none (the number of records), all attributes and pairs, and
            as many triples as there is room for.
        label: effects that hold it count more.
        label_weight: how much more.
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    label: str | None = None
    label_weight: float = 1.0

    @classmethod
    def of(
        cls,
        domain: Domain,
        *,
        most_cells: int,
        most_effects: int,
        label: str | None = None,
        label_weight: float = 1.0,
    ) -> Self | None:
        """Return what to measure; None where the joint table, its pairs or triples are too large.

        Args:
            domain: of the records.
            most_cells: of the joint table.
            most_effects: most coefficients of effects; triples have what pairs leave.
            label, label_weight: as of the class.
        """
        attributes = informative(domain)
        if len(attributes) < 2 or prod(domain.shape) > most_cells:
            return None

        def degrees(clique: Clique) -> int:
            return prod(domain.sizes[a] - 1 for a in clique)

        cliques = [(), *((a,) for a in attributes), *combinations(attributes, 2)]
        used = sum(degrees(c) for c in cliques if c)
        if used > most_effects:
            return None
        triples, number = sorted(combinations(attributes, 3), key=degrees), len(cliques)
        for clique in triples:
            used += degrees(clique)
            if used > most_effects:
                break
            cliques.append(clique)
        if len(cliques) - number < _LEAST_PART * len(triples):
            return None
        return cls(domain=domain, cliques=tuple(cliques), label=label, label_weight=label_weight)

    @property
    def precisions(self) -> Precisions:
        """How precisely each should be known."""
        return Precisions(
            domain=self.domain,
            cliques=self.cliques,
            label=self.label,
            label_weight=self.label_weight,
        )

    def bought(self, private: PrivateData) -> tuple[list[NoisyMarginal], list[NoisyMarginal]]:
        """Return one-way marginals that are bought first, and what all the rest buys beside them.

        Where pairs would be drowned (`_DROWNED`) nothing is bought beside them: it is better then
        to choose, and to merge and group codes. Under pure epsilon nothing is bought at all:
        Laplace noise of interactions is no smaller than that of marginals.

        Args:
            private: the one door to the records.
        """
        if relative_noise(private, (2, 2)) == 1.0:
            return [], []
        ones = measure_one_ways(private, amount=private.remaining * FIRST_SHARE)
        return ones, self._beside(private, ones)

    def _beside(self, private: PrivateData, ones: Sequence[NoisyMarginal]) -> list[NoisyMarginal]:
        amount, total = private.remaining, total_of(private, ones)
        whole = private.sigma_for(amount) ** -2  # the precision of one marginal for all of it
        had = [sum(m.sigma**-2 for m in ones if m.clique == c) for c in self.cliques]
        told = sum(m.sigma**-2 / m.values.size for m in ones)
        had[0] = told if private.public_rows is None else inf
        shapes = [tuple(self.domain.sizes[a] for a in c) for c in self.cliques]
        noise = np.array([relative_noise(private, of) for of in shapes])
        costs = noise**2 / (whole * total**2)
        precisions, own = self.precisions, np.array(had) * total**2
        level, worths = precisions.least_error(had=own, costs=costs)
        noise_of_pairs = precisions.noise_of_pairs(precisions.wanted(level, worths))
        if noise_of_pairs * sqrt(max(self.domain.shape)) > _DROWNED:
            return []
        shares = precisions.beyond(level, worths, had=own) * costs
        return self._bought_for(private, dict(zip(self.cliques, amount * shares, strict=True)))

    def _bought_for(
        self, private: PrivateData, amounts: Mapping[Clique, float]
    ) -> list[NoisyMarginal]:
        """Return what is bought, each for its amount.

        Attributes are bought by what they hold beyond the number of records, and that number by
        buying a part of their precision as marginals: n codes cost n / (n - 1) as much so, and show
        it for the difference. It never takes more than all of them: in parts of level sqrt(worth)
        of the number, its own precision is 2, and attributes show that of their triples' 3 at least
        (2 of two).
        """
        least = _LEAST_SHARE * sum(amounts.values())
        codes = {c: self.domain.sizes[c[0]] for c in amounts if len(c) == 1}
        most = sum(amounts[c] / (n - 1) for c, n in codes.items())
        part = min(1.0, amounts[()] / most) if most > least else 0.0
        wholes = {c: part * amounts[c] * n / (n - 1) for c, n in codes.items()}
        beyond = {c: a * (1.0 - part) if c in codes else a for c, a in amounts.items() if c}
        wholes, beyond = ({c: a for c, a in of.items() if a > least} for of in (wholes, beyond))
        found: list[NoisyMarginal] = []
        if wholes:
            found += private.marginals(list(wholes), sigmas=_sigmas(private, wholes))
        return found + bought(private, list(beyond), _sigmas(private, beyond))


def _sigmas(private: PrivateData, amounts: Mapping[Clique, float]) -> list[float]:
    return [private.sigma_for(amount) for amount in amounts.values()]


def fitted_whole(
    private: PrivateData, measured: Sequence[NoisyMarginal]
) -> GraphicalSyntheticModel:
    """Return the model of one joint table that its noisy marginals make most probable.

    Args:
        private: for its public facts.
        measured: one-way marginals, and what was bought beside them.
    """
    domain, total = private.domain, total_of(private, measured)
    weights = log_linear(
        domain,
        Effects.of(domain, measured, total=total),
        total=total,
        allowed=_allowed(private) if private.impossible else None,
        until=fit_until(last=True),
    )
    model = GraphicalModel(
        domain=domain, total=total, cliques=(domain.attributes,), potentials=(weights,)
    )
    return GraphicalSyntheticModel.of(private, model, measured)


def _allowed(private: PrivateData) -> NDArray[np.bool_]:
    """Return which cells of the joint table no constraint rules out."""
    cliques, weights = zero_weights(private.domain, private.impossible)
    (joint,) = fold(private.domain, (private.domain.attributes,), cliques, weights)
    return np.isfinite(joint)
