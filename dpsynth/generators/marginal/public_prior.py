"""A public table as the prior: it selects and trains for nothing; private answers correct it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import hypot, sqrt
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.public_records import PublicRecords
from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, total_of
from dpsynth.generators.marginal.grown_tree import best_tree, hosted_shortlist
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways_by_size
from dpsynth.generators.marginal.purchase import bought
from dpsynth.generators.marginal.rare_codes import independent, pooled_one_ways
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.generators.marginal.workload import affordable
from dpsynth.pgm.estimation import estimate
from dpsynth.pgm.measurement import MEAN_SIZE, NoisyMarginal, beyond_margins
from dpsynth.pgm.model import GraphicalModel

_CHANCE = 1.2
"""A pair is dependent in the public table if it is so many times as far from independence as
records drawn from independent columns are."""
_STRONGEST = 24
"""Most pairs whose errors decide on trust; more would only be less dependent."""
_BETTER = 0.9
"""Most error of a trusted model, in that of independent columns."""
_FIRM = 0.2
"""Part of their noise with which one-way marginals are held in a fit of what they do not say."""
_LARGEST_SELECTED = 2**18
"""Most cells of a junction tree that the public table selects."""
_DOUBT = 2.0
"""Standard deviations by which the squared distance of an answer from the public prior may exceed
what noise makes of it before the answer is believed."""


@final
@dataclass(frozen=True, kw_only=True)
class PublicPrior(Generator):
    """A model of a public table, corrected by private marginals as far as these can tell.

    What the public table does for nothing: it says which columns depend on one another, so that no
    budget goes to selection, and a graphical model fitted to it is where the private fit starts.
    What is bought: one-way marginals; then, of the pairs that the public table has most dependent,
    the errors under its model and under independent columns, whose means decide whether the table
    is trusted at all; then the cliques that it says are worth their noise. Each answer moves the
    model towards itself by the positive part of what James and Stein's estimator gives, so that one
    that noise may have made of the prior changes nothing. A table that is not trusted leaves the
    rest of the budget to `two_stage`, and so does no table at all.

    Relation: both. Sensitivities and proofs: `MarginalQuery`, `InteractionQuery`, `FitErrorsQuery`.
    Cost: the whole budget: `one_way_share`, then `trust_share` for each of two vectors of errors,
    then the remainder. Which path is taken follows from these answers and from the public
    table, never from the records themselves.

    Args:
        one_way_share: part of the budget for one-way marginals.
        trust_share: part of it for the errors of either model.
        kappa: what a cell of few records costs when measured, in expected counts.
        largest_tree: most cells of the model's junction tree; one that the public table selects
            has a quarter of the default at most.
        largest_clique: most cells of a clique beyond those of constraints; `two_stage` has no such
            limit.

    Raises:
        InvalidValueError: a hyperparameter out of its range, or shares that leave nothing.

    Reference: Fuentes et al. 2024 (public marginals beside private ones; there each is chosen by an
        exponential mechanism); James & Stein 1961; Liu et al. 2021 (public data as a start).
    """

    one_way_share: float = 0.25
    trust_share: float = 0.05
    kappa: float = 2.0
    largest_tree: int = 2**20
    largest_clique: int = 2**15

    name: ClassVar[str] = "public_prior"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "Fuentes et al. 2024; Liu et al. 2021"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel
    uses_public: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "trust_share")
        # A table that is not trusted leaves the rest to `two_stage`, which may buy one-ways again.
        most = 0.5 * (1 - max(self.one_way_share, TwoStage.most_one_way_share))
        if self.trust_share >= most:
            rule = f"below {most:g}, so that something is left"
            raise InvalidValueError("trust_share", self.trust_share, rule)
        if not self.kappa > 0:
            raise InvalidValueError("kappa", self.kappa, "above 0")
        check_counts(self, "largest_tree", "largest_clique")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        public, attributes = private.public, informative(private.domain)
        pairs = list(combinations(attributes, 2))
        most = self.selected_tree - sum(private.domain.shape)
        pairs = affordable(private.domain, pairs, most_cells=most)
        if public is None or not pairs:
            return TwoStage(largest_tree=self.largest_tree).fit(private, rng=rng)
        capacity = private.remaining
        ones = measure_one_ways_by_size(private, amount=capacity * self.one_way_share)
        total = total_of(private, ones)
        gains = self._gains(public, pairs)
        prior = replace(_trained(self, private, public, gains), total=total)
        model = _corrected(private, prior, ones)
        if not self._trusted(private, model, gains, amount=capacity * self.trust_share):
            fallback = TwoStage(one_way_share=self.one_way_share, largest_tree=self.largest_tree)
            return fallback.continued(private, ones, budget=capacity, rng=rng)
        found = self._measured(private, model, gains)
        if private.remaining > 1e-6 * private.ledger.capacity:
            left = private.remaining
            ones += measure_one_ways_by_size(private, amount=left, before=ones, total=total)
            model = _corrected(private, replace(prior, total=total_of(private, ones)), ones)
        if found:
            model = _corrected(private, model, found, held=ones)
        return GraphicalSyntheticModel.of(private, model, [*ones, *found])

    @property
    def selected_tree(self) -> int:
        """Most cells of a junction tree that the public table selects."""
        return min(self.largest_tree, _LARGEST_SELECTED)

    def _gains(self, public: PublicRecords, pairs: Sequence[Clique]) -> dict[Clique, float]:
        """Return how far pairs are from independence in the public table, beyond chance, as a part
        of its records; those that chance alone may have made so are left out."""
        gains: dict[Clique, float] = {}
        for pair in pairs:
            shares = public.counts(pair) / public.rows
            alone = np.outer(shares.sum(axis=1), shares.sum(axis=0))
            chance = MEAN_SIZE * float(np.sqrt(alone / public.rows).sum())
            apart = float(np.abs(shares - alone).sum())
            if apart > _CHANCE * chance:
                gains[pair] = apart - chance
        return gains

    def _trusted(
        self,
        private: PrivateData,
        model: GraphicalModel,
        gains: dict[Clique, float],
        *,
        amount: float,
    ) -> bool:
        """Return whether the public table's strongest pairs fit the records clearly better in its
        model than in independent columns with the same one-way marginals."""
        strongest = sorted(gains, key=lambda pair: -gains[pair])[:_STRONGEST]
        if not strongest:
            return False
        alone = independent(private, {a: model.marginal((a,)) for a in private.domain.attributes})
        error, noise = _error(private, model, strongest, amount, "errors of the public model")
        other, more = _error(private, alone, strongest, amount, "errors of independent columns")
        return error < min(_BETTER * other, other - _DOUBT * hypot(noise, more))

    def _measured(
        self, private: PrivateData, model: GraphicalModel, gains: dict[Clique, float]
    ) -> list[NoisyMarginal]:
        """Return private answers for the cliques that the public table says are worth their noise,
        for all that is left; none where none is."""
        amount = private.remaining

        def sigma_of(share: float) -> float:
            return private.sigma_for(amount * share)

        listed = hosted_shortlist(
            private.domain,
            {pair: gain * model.total for pair, gain in gains.items()},
            model.pairs(list(gains)),
            inherited=tuple(private.impossible),
            sigma_of=sigma_of,
            kappa=self.kappa,
            largest_tree=self.selected_tree,
            largest_clique=self.largest_clique,
        )
        if listed is None:
            return []
        return bought(private, listed.cliques, [sigma_of(share) for share in listed.shares])


def _trained(
    limits: PublicPrior,
    private: PrivateData,
    public: PublicRecords,
    gains: Mapping[Clique, float],
) -> GraphicalModel:
    """Return the model of the public table: pairs and triples inside one junction tree, in which
    what constraints rule out is impossible, as it stays in whatever starts from it."""
    domain = private.domain
    tree = best_tree(
        domain,
        {pair: gain * public.rows for pair, gain in gains.items()},
        inherited=tuple(private.impossible),
        largest_tree=limits.selected_tree,
        largest_clique=limits.largest_clique,
    )
    triples = [
        t
        for clique in tree.cliques
        for t in combinations(clique, 3)
        if sum(pair in gains for pair in combinations(t, 2)) > 1
    ]
    inside = {pair for t in triples for pair in combinations(t, 2)}
    pairs = [p for clique in tree.cliques for p in combinations(clique, 2) if p not in inside]
    ones = [(a,) for a in domain.attributes]
    wanted = dict.fromkeys([*ones, *(p for p in pairs if p in gains), *triples])
    # Chance is to the public table what noise is to answers.
    counted = [
        NoisyMarginal(clique=c, values=(of := public.counts(c)), sigma=sqrt(public.rows / of.size))
        for c in wanted
    ]
    return estimate(domain, counted, total=float(public.rows), impossible=private.impossible)


def _error(
    private: PrivateData,
    model: GraphicalModel,
    pairs: Sequence[Clique],
    amount: float,
    label: str,
) -> tuple[float, float]:
    """Return the mean noisy error of pairs, and the deviation of its noise: as exact as a single
    error bought for the same amount."""
    expected = model.pairs(list(pairs))
    errors, noise = private.fit_errors(pairs, expected.__getitem__, amount=amount, label=label)
    return float(errors.mean()), noise / sqrt(len(pairs))


def _corrected(
    private: PrivateData,
    model: GraphicalModel,
    answers: Sequence[NoisyMarginal],
    *,
    held: Sequence[NoisyMarginal] = (),
) -> GraphicalModel:
    """Return `model` moved towards the answers, as far as each can tell itself from noise.

    Args:
        private: for its public facts.
        model: where the fit starts.
        answers: what was bought.
        held: answers of single attributes that the model has taken in already, and keeps.
    """
    single = [m for m in answers if len(m.clique) == 1]
    larger = [m for m in answers if len(m.clique) > 1]
    moved = [_shrunk(model, m) for m in (*pooled_one_ways(single), *larger)]
    kept = [m for m in moved if m is not None]
    if not kept:
        return model
    firm = [
        replace(m, values=model.marginal(m.clique), sigma=_FIRM * m.sigma)
        for m in pooled_one_ways(held)
    ]
    return estimate(private.domain, [*firm, *kept], total=model.total, start=model)


def _shrunk(model: GraphicalModel, answer: NoisyMarginal) -> NoisyMarginal | None:
    """Return the answer moved to the model by James and Stein's factor; None: all the way."""
    values, expected = answer.values, model.marginal(answer.clique)
    free = values.size
    if answer.centred:
        values, expected = beyond_margins(values), beyond_margins(expected)
        free = int(np.prod([n - 1 for n in values.shape]))
    apart = values - expected
    noise = answer.sigma**2 * (free + _DOUBT * sqrt(2 * free))
    kept = 1.0 - noise / max(float((apart**2).sum()), noise)
    return replace(answer, values=expected + kept * apart) if kept > 0 else None
