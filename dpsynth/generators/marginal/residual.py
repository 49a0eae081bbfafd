"""Residual: many pairs measured, combined by their effects, sampled from a product mixture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import fitted
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.pair_list import choose_pairs, dependence, unexplained
from dpsynth.generators.marginal.pair_mixture import PairEvidence, PairMixture
from dpsynth.generators.marginal.prospects import differing
from dpsynth.generators.marginal.purchase import bought, relative_noise
from dpsynth.generators.marginal.tree_size import tree_fits
from dpsynth.generators.marginal.workload import record_skipped
from dpsynth.generators.mixture import MixtureSyntheticModel
from dpsynth.pgm.effects import Effects, centred
from dpsynth.pgm.measurement import MEAN_SIZE, NoisyMarginal
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.product_mixture import ProductMixture

Array = NDArray[np.float64]

# Noise of the errors, in records, over the number of records, beyond which they say nothing.
_DROWNED = 0.25
# Most cells of the forest's junction tree where constraints are in it too.
_LARGEST_TREE = 2**20


@final
@dataclass(frozen=True, kw_only=True)
class Residual(Generator):
    """One-way marginals, then as many pairs as their noise allows, and a mixture of products.

    For tables of many columns. All pairs' errors against independence are bought as one noisy
    vector; the pairs to measure are chosen by gain against noise, with no junction tree to hold
    them. Least squares on their effects makes one estimate of all that overlaps, in closed form. A
    spanning forest of the strongest pairs gives a first model; a mixture of product distributions,
    which answers all pairs by one matrix product, is fitted to it and to the measured pairs.

    Of a pair only what its columns do not say is bought, which has less noise for the same cost
    (`purchase`).

    Relation: both. Sensitivities and proofs: `MarginalQuery` for one-way marginals,
    `InteractionQuery` for pairs, `FitErrorsQuery` for the errors. Each purchase is a charge of its
    own; everything else is post-processing.
    Cost: the whole budget: `one_way_share`, then `error_share` of the rest for the errors (nothing
    where their noise would be a quarter of the records), then pairs and, where that gains more,
    the one-way marginals once more.

    Args:
        one_way_share: part of the budget for one-way marginals.
        error_share: part of the rest for the errors of all pairs.
        largest_width: most codes of all columns together that pairs are measured of; columns of
            most codes are left out until it holds, and stay independent.
        rows: components of a mixture that starts from rows of the forest.
        classes: components of one that starts from independence.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Xiao et al. 2023 (ResidualPlanner); Mullins et al. 2024 (GReM-MLE); Aydore et al.
        2021 and Liu, Vietri & Wu 2021 (projection onto relaxed rows).
    """

    one_way_share: float = 0.15
    error_share: float = 0.1
    largest_width: int = 4096
    rows: int = 4000
    classes: int = 500

    name: ClassVar[str] = "residual"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "Xiao et al. 2023; Mullins et al. 2024; Liu, Vietri & Wu 2021"
    model: ClassVar[type[SyntheticModel]] = MixtureSyntheticModel

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "error_share")
        check_counts(self, "largest_width", "rows", "classes")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> MixtureSyntheticModel:
        paired = _narrow(private.domain, self.largest_width)
        pairs = combinations(informative(private.domain), 2)
        record_skipped(pair for pair in pairs if not set(pair) <= set(paired))
        if len(paired) < 2:
            measured = measure_one_ways(private, amount=private.remaining)
        else:
            measured = measure_one_ways(private, amount=private.remaining * self.one_way_share)
            measured += self._pairs(private, measured, paired)
        if private.remaining > 1e-6 * private.ledger.capacity:
            measured += measure_one_ways(private, amount=private.remaining)
        estimates = Effects.of(private.domain, measured, total=None)
        pairs = [m.clique for m in measured if len(m.clique) == 2]
        singles = _consistent(estimates, [(a,) for a in informative(private.domain)])
        columns = fitted(private, singles)
        if not pairs:
            return _released(private, columns, ())
        strong = _forest(estimates, pairs, tied=tuple(private.impossible))
        forest = fitted(private, [*singles, *_consistent(estimates, strong)])
        evidence = PairEvidence.of(private.domain.project(paired), forest, estimates)
        method = PairMixture(rows=self.rows, classes=self.classes)
        mixture = method.fit(evidence, pairs, rng=rng)
        return _released(private, columns, (mixture,))

    def _pairs(
        self, private: PrivateData, measured: Sequence[NoisyMarginal], paired: Clique
    ) -> list[NoisyMarginal]:
        """Return measurements of the pairs that are worth their noise, perhaps none."""
        columns, pairs = fitted(private, measured), list(combinations(paired, 2))
        spent, amount = private.ledger.capacity - private.remaining, private.remaining
        # About the noise of the errors; it is public before they are bought.
        if private.sigma_for(amount * self.error_share / len(pairs)) > _DROWNED * columns.total:
            return []
        expected = columns.pairs(pairs)
        errors, blur = private.fit_errors(
            pairs,
            expected.__getitem__,
            amount=amount * self.error_share,
            label=f"errors of {len(pairs)} pairs",
        )
        rest = private.remaining
        noise = _single_noise(columns, pairs, expected, measured[0].sigma)
        sampling = np.array([MEAN_SIZE * np.sqrt(expected[c]).sum() for c in pairs])
        distances = dependence(errors, blur, np.hypot(noise, sampling))
        chosen = choose_pairs(
            pairs,
            unexplained(pairs, distances, _largest(columns, pairs)),
            [expected[c] for c in pairs],
            np.array([relative_noise(private, expected[c].shape) for c in pairs]),
            single_error=float(noise.sum()),
            spent=spent / rest,
            sigma_of=lambda share: private.sigma_for(rest * share),
        )
        if not chosen.pairs:
            return []
        sigmas = [private.sigma_for(rest * share) for share in chosen.shares]
        return bought(private, chosen.pairs, sigmas)


def _narrow(domain: Domain, largest_width: int) -> Clique:
    """Return the attributes of fewest codes that have at most `largest_width` codes together."""
    kept: set[str] = set()
    width = 0
    for attribute in sorted(informative(domain), key=lambda a: domain.sizes[a]):
        width += domain.sizes[attribute]
        if width > largest_width:
            break
        kept.add(attribute)
    return domain.canonical(kept)


def _single_noise(
    columns: GraphicalModel,
    pairs: Sequence[Clique],
    expected: Mapping[Clique, Array],
    sigma: float,
) -> Array:
    """Return the L1 error of each pair of independent columns for the noise of the columns.

    A cell that is small counts for no more than twice its expectation, as a fit without negative
    counts has it.
    """
    squares = {a: (columns.marginal((a,)) / columns.total) ** 2 for a in columns.domain.attributes}
    found: list[float] = []
    for first, second in pairs:
        noise = MEAN_SIZE * sigma * np.sqrt(np.add.outer(squares[first], squares[second]))
        found.append(float(np.minimum(noise, 2 * expected[first, second]).sum()))
    return np.array(found)


def _largest(columns: GraphicalModel, pairs: Sequence[Clique]) -> Array:
    """Return about the L1 distance from independence of each pair where one decides the other."""
    moved = differing(columns)
    return np.array([2.0 * columns.total * np.sqrt(moved[a] * moved[b]) for a, b in pairs])


def _consistent(estimates: Effects, cliques: Sequence[Clique]) -> list[NoisyMarginal]:
    """Return what `estimates` say of `cliques`, each with the noise of its own effect."""
    sigmas = [estimates.effects[c].variance ** 0.5 for c in cliques]
    return [
        NoisyMarginal(clique=c, values=estimates.marginal(c), sigma=sigma)
        for c, sigma in zip(cliques, sigmas, strict=True)
    ]


def _forest(
    estimates: Effects, pairs: Sequence[Clique], *, tied: tuple[Clique, ...]
) -> list[Clique]:
    """Return the pairs of a spanning forest of most dependence beyond noise, none without any.

    Next to what constraints tie together a pair may close a ring; where that makes the junction
    tree too large, it is passed over.
    """
    strength: dict[Clique, float] = {}
    for pair in dict.fromkeys(pairs):
        beyond = _beyond_independence(estimates, pair)
        freedom = prod(n - 1 for n in beyond.shape)
        signal = float((beyond**2).sum()) - freedom * estimates.effects[pair].variance
        strength[pair] = signal * beyond.size
    home = {a: a for pair in pairs for a in pair}
    forest: list[Clique] = []
    for pair in sorted(strength, key=lambda c: -strength[c]):
        kept, merged = (home[a] for a in pair)
        if strength[pair] <= 0 or kept == merged:
            continue
        if not tied or tree_fits(estimates.domain, [*tied, *forest, pair], _LARGEST_TREE):
            forest.append(pair)
            home = {a: kept if h == merged else h for a, h in home.items()}
    return forest


def _beyond_independence(estimates: Effects, pair: Clique) -> Array:
    """Return the effect of a pair less that of the product of its columns."""
    first, second = (estimates.marginal((a,)) for a in pair)
    total = max(float(estimates.marginal(())), 1.0)
    return estimates.effects[pair].values - centred(np.multiply.outer(first, second) / total)


def _released(
    private: PrivateData, columns: GraphicalModel, mixtures: tuple[ProductMixture, ...]
) -> MixtureSyntheticModel:
    """Return the model of the mixtures, and of independent columns for what they leave out."""
    inside = {a for mixture in mixtures for a in mixture.domain.attributes}
    outside = [a for a in private.domain.attributes if a not in inside]
    parts = mixtures
    if outside:
        laws = [columns.marginal((a,)) / columns.total for a in outside]
        alone = np.concatenate(laws).astype(np.float32)[None, :]
        domain = private.domain.project(outside)
        parts += (ProductMixture(domain=domain, total=columns.total, components=alone),)
    return MixtureSyntheticModel(schema=private.schema, parts=parts)
