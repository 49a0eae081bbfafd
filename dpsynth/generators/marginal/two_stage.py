"""Two stages of marginals measured all at once: a tree of dependent pairs, then what is missed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb, inf, isqrt
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted, total_of
from dpsynth.generators.limits import hurried
from dpsynth.generators.marginal.coarse_tree import coarse_tree
from dpsynth.generators.marginal.grown_tree import error_left, hosted_shortlist
from dpsynth.generators.marginal.noise_cost import noise_cost
from dpsynth.generators.marginal.one_ways import (
    informative,
    measure_one_ways,
    measure_one_ways_by_size,
)
from dpsynth.generators.marginal.prediction import predicted
from dpsynth.generators.marginal.prospects import most_dependence, worth_asking
from dpsynth.generators.marginal.purchase import bought_in_groups, relative_noise
from dpsynth.generators.marginal.rare_codes import MergedData, independent, likely_counts
from dpsynth.generators.marginal.resolution import Groups, Resolved, coarser
from dpsynth.generators.marginal.shortlist import Shortlist, covering, shortlist
from dpsynth.generators.marginal.spanning_tree import spend_rest
from dpsynth.generators.marginal.whole import Whole, fitted_whole
from dpsynth.generators.marginal.workload import affordable, all_k_ways, smallest
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel

_STEPS = 300


@final
@dataclass(frozen=True, kw_only=True)
class _Stage:
    """What a stage scores, and what it may spend.

    Args:
        sets: attributes of its largest candidates.
        share: part of what is left before it.
        errors: part of that for the errors.
    """

    sets: int
    share: float
    errors: float


@final
@dataclass(frozen=True, kw_only=True)
class TwoStage(Generator):
    """One-way marginals; a tree of pairs and triples grown from noisy errors; then what is missed.

    Each stage buys the errors of all its candidates under the current model as one noisy vector,
    lists marginals whose gain outweighs what noise will cost them, and measures the list at once.
    The first stage scores pairs, but for those whose columns vary so little that noise would hide
    all they can have in common (`prospects`); of the pairs with the largest gains (`shortlist`)
    and of pairs and triples in a junction tree grown from them (`hosted_shortlist`) it takes the
    list that should leave the smaller error; an attribute that it leaves alone joins it in coarse
    groups (`covering`). The second scores triples too, against the fitted model, so that what the
    first has explained is not bought again, and has the rest of the junction tree for them.

    What noise would drown is not bought. One-way marginals get more than their share where it
    leaves them worse than `one_way_error`. Codes that, by their one-way marginals, have too few
    records for a pair to tell them from noise are merged before the stages (`rare_codes`), and
    shared out again when rows are drawn. What a list holds is measured code by code, or in coarser
    groups where these show most of a dependence for less noise (`resolution`); and of it only what
    one-way marginals do not say, which has less noise for the same cost (`purchase`). A stage
    whose errors would be noisier than a part of the number of records is left out, and its budget
    goes to what is left; where none is left, columns are independent, with the counts that priors
    make of the noisy ones (`likely_counts`). All of it follows from public sigmas and from
    answers that were paid for.

    A table whose joint table is small has no stages: all its pairs and triples are measured, each
    with the precision that it is worth, and fitted under a prior of their effects (`whole`), unless
    noise would be too large for columns of so many codes, or most triples have no room.

    With a `label`, marginals that hold it count `label_weight` times their gain when lists are
    made, so that classifiers learn more from the table and marginals fit less well on average.
    Where there is no stage, a tree of pairs is picked then one by one, and measured in two or three
    groups of codes (`coarse_tree`), unless that would be noise too.

    Relation: both. Sensitivities and proofs: `MarginalQuery` for one-way marginals,
    `InteractionQuery` for larger measurements, and for attributes where all is measured
    (`MarginalQuery` under pure epsilon), `FitErrorsQuery` for errors, `WorstFitQuery` for picks.
    Each purchase is a charge of its own; models, lists and shares are post-processing.
    Cost: the whole budget: of a table measured whole, `whole.FIRST_SHARE` for one-way marginals,
    then all the rest; of others `one_way_share` or more, then `first_share` of the rest, then the
    remainder; of each stage, `error_share` for the errors, or up to `most_error_share`. A stage
    that lists nothing leaves its measurements' part to what follows, in the end to the one-way
    marginals. With a label and no stage half of what is left is for picks, half for their pairs.

    Args:
        one_way_share: part of the budget for one-way marginals.
        one_way_error: mean total variation by noise above which they get more.
        most_one_way_share: largest part of the budget for them.
        first_share: part of the rest for the first stage.
        error_share: part of a stage for the errors.
        most_error_share: part of a single stage for them where their noise is large.
        clear_pairs: noise of a pair's error, in numbers of records, above which a single stage
            gives them more than `error_share`.
        drowned_pairs: largest noise of a pair's error, in numbers of records.
        drowned_triples: the same of the second stage.
        merge_below: codes of fewer expected records are merged, in standard deviations of the noise
            of a pair when there are as many pairs as attributes. A `label` is not merged.
        kappa: what a cell of few records costs when measured, in expected counts.
        largest_tree: most cells of the model's junction tree, that which shares merged codes out
            included; the first stage may use a quarter.
        largest_marginal: most cells of a triple.
        most_sets: tables with more triples than this score pairs only.
        largest_joint: a table whose joint table has at most as many cells, and at most an eighth of
            the largest tree's, is measured whole; 1: none is.
        label: the attribute that will be predicted from the others; None: none in particular.
        label_weight: what a gain counts in its marginals, at least 1.

    Raises:
        InvalidValueError: a hyperparameter out of its range.
        UnknownNameError: on fitting, before anything is spent, a label that the domain lacks.

    Reference: McKenna et al. 2022 (error less expected noise); Xiao et al. 2023 (residuals instead
        of marginals); Dong, Roth & Su 2022, corollary 2 (composition of Gaussian mechanisms, errors
        and measurements alike).
    """

    one_way_share: float = 0.3
    one_way_error: float = 0.02
    most_one_way_share: float = 0.7
    first_share: float = 0.65
    error_share: float = 0.1
    most_error_share: float = 0.25
    clear_pairs: float = 0.12
    drowned_pairs: float = 0.6
    drowned_triples: float = 0.05
    merge_below: float = 3.0
    kappa: float = 2.0
    largest_tree: int = 2**20
    largest_marginal: int = 20_000
    most_sets: int = 2500
    largest_joint: int = 2**17
    label: str | None = None
    label_weight: float = 2.0

    name: ClassVar[str] = "two_stage"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "McKenna et al. 2022; Dong, Roth & Su 2022, corollary 2"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def __post_init__(self) -> None:
        check_shares(
            self,
            "one_way_share",
            "one_way_error",
            "most_one_way_share",
            "first_share",
            "error_share",
            "most_error_share",
        )
        for field in ("clear_pairs", "drowned_pairs", "drowned_triples", "merge_below", "kappa"):
            if not 0 < getattr(self, field) < inf:
                raise InvalidValueError(field, getattr(self, field), "a finite number above 0")
        if not 1 <= self.label_weight < inf:
            raise InvalidValueError("label_weight", self.label_weight, "a finite number from 1")
        check_counts(self, "largest_tree", "largest_marginal", "most_sets", "largest_joint")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        attributes = informative(private.domain)
        if self.label is not None:
            private.domain.canonical((self.label,))  # refuses one that is unknown
        if len(attributes) == 1:
            measured = measure_one_ways(private, amount=private.remaining)
            return GraphicalSyntheticModel.of(private, fitted(private, measured), measured)
        # What is too large to be considered is said once, here.
        room = self.largest_tree - sum(private.domain.shape)
        affordable(private.domain, all_k_ways(attributes, 2), most_cells=room)
        budget = private.remaining
        whole = None if hurried() else self._whole(private.domain)
        ones, rest = whole.bought(private) if whole else ([], [])
        if rest:
            return fitted_whole(private, [*ones, *rest])
        amount = budget * self.one_way_share - (budget - private.remaining)
        if amount > 1e-6 * budget:  # what was bought first may be all of it
            ones += measure_one_ways_by_size(private, amount=amount, before=ones)
        return self.continued(private, ones, budget=budget, rng=rng)

    def continued(
        self,
        private: PrivateData,
        ones: list[NoisyMarginal],
        *,
        budget: float,
        rng: np.random.Generator,
    ) -> GraphicalSyntheticModel:
        """Return what `fit` does once one-way marginals were bought for their share of `budget`."""
        ones, likely = self._topped_up(private, ones, budget)
        total, number = total_of(private, ones), len(informative(private.domain))
        plan = self._plan(private, total)
        least = self.merge_below * private.sigma_for(private.remaining, queries=number)
        data = MergedData.of(
            private, likely, least=least, keep=self.label, most_cells=self.largest_tree // 2
        )
        room = self.largest_tree - data.added_cells
        found = list[NoisyMarginal]()
        model = fitted(data.view, data.one_ways(ones, likely, found))
        counts = {a: model.marginal((a,)) for a in data.view.domain.attributes}
        coarse = coarser(data.columns, counts, least=least, keep=self.label)
        for stage in plan:
            if hurried():
                measured = [*data.merged(ones), *found]  # which what follows will mend
                model, everything = spend_rest(data.view, model, measured, largest_tree=room)
                found += everything[len(measured) :]
                break
            bought = self._stage(data.view, model, stage, coarse, room=room, rng=rng)
            if not bought:
                continue
            found += bought
            measured = [*data.one_ways(ones, likely, found), *found]
            model = fitted(data.view, measured, start=model, steps=_STEPS)
        if not plan and self.label is not None and not hurried():
            found += coarse_tree(data.view, model, data.columns, room=room)
        more = private.remaining > 1e-6 * private.ledger.capacity
        if more:
            ones += measure_one_ways_by_size(
                private, amount=private.remaining, before=ones, total=total
            )
            likely = likely_counts(ones, private.schema, total=total_of(private, ones))
        if found and (more or not plan):
            measured = [*data.one_ways(ones, likely, found), *found]
            model = fitted(data.view, measured, start=model, steps=_STEPS)
        model = data.refined(model) if found else independent(private, likely)
        return GraphicalSyntheticModel.of(private, model, [*ones, *found])

    def _whole(self, domain: Domain) -> Whole | None:
        """Return what to measure if everything can be; None where the joint table is too large."""
        return Whole.of(
            domain,
            most_cells=min(self.largest_joint, self.largest_tree // 8),
            most_effects=2 * isqrt(self.largest_tree),  # a fit holds matrices of them
            label=self.label,
            label_weight=self.label_weight,
        )

    def _topped_up(
        self, private: PrivateData, measured: list[NoisyMarginal], budget: float
    ) -> tuple[list[NoisyMarginal], dict[str, NDArray[np.float64]]]:
        """Return one-way marginals and their likely counts, after a second purchase where the first
        is poor: twice measured is as good as measured once for the price of both."""
        total = total_of(private, measured)
        counts = likely_counts(measured, private.schema, total=total)
        costs = [noise_cost(counts[m.clique[0]], sigma=m.sigma, kappa=self.kappa) for m in measured]
        error = sum(costs) / len(costs) / (2 * total)
        wanted = self.one_way_share * (error / self.one_way_error) ** 2
        more = min(wanted, self.most_one_way_share) - self.one_way_share
        if more > 0:
            measured = measured + measure_one_ways_by_size(
                private, amount=budget * more, before=measured, total=total
            )
            counts = likely_counts(measured, private.schema, total=total_of(private, measured))
        return measured, counts

    def _plan(self, private: PrivateData, total: float) -> list[_Stage]:
        """Return the stages that noise does not drown.

        The noise of the errors is that of as many marginals for the same amount: exactly under
        add/remove, and less than what it will be, by at most sqrt(2), under replace. Where it is
        large, a stage that is all there will be spends more on knowing what to measure.
        """

        def noise(sets: int, share: float) -> float:
            amount = private.remaining * share * self.error_share
            candidates = max(1, len(self._candidates(private.domain, sets, self.largest_tree)))
            return private.sigma_for(amount, queries=candidates) / total

        if noise(3, 1 - self.first_share) <= self.drowned_triples:
            return [
                _Stage(sets=2, share=self.first_share, errors=self.error_share),
                _Stage(sets=3, share=1.0, errors=self.error_share),
            ]
        found = noise(2, 1.0)
        if found > self.drowned_pairs:
            return []
        wanted = self.error_share * (found / self.clear_pairs) ** 2
        most = max(self.error_share, self.most_error_share)
        errors = min(max(wanted, self.error_share), most)
        return [_Stage(sets=2, share=1.0, errors=errors)]

    def _stage(
        self,
        private: PrivateData,
        model: GraphicalModel,
        stage: _Stage,
        coarse: Sequence[Groups],
        *,
        room: int,
        rng: np.random.Generator,
    ) -> list[NoisyMarginal]:
        """Return the measurements of one stage, none where nothing is worth its noise."""
        sets, amount = stage.sets, private.remaining * stage.share
        candidates, most = self._candidates(private.domain, sets, room), dict[Clique, float]()
        if sets == 2:
            most = most_dependence(model, candidates)
            share = amount * stage.errors
            candidates = worth_asking(most, lambda n: private.sigma_for(share, queries=n))
        if not candidates:
            return []
        expected, blur = predicted(model, candidates, rng=rng)
        errors, doubt = private.fit_errors(
            candidates,
            expected.__getitem__,
            amount=amount * stage.errors,
            label=f"errors of {len(candidates)} marginals",
        )
        gains = {
            c: min(float(e) - blur[c], most.get(c, inf))
            for c, e in zip(candidates, errors, strict=True)
        }
        rest = amount * (1 - stage.errors)

        def sigma_of(share: float) -> float:
            return private.sigma_for(rest * share)

        at = {
            clique: Resolved.of(clique, of, coarse, noise=partial(relative_noise, private))
            for clique, of in expected.items()
        }
        chosen = self._list(model, sets, gains, at, room=room, doubt=doubt, sigma_of=sigma_of)
        if chosen is None:
            return []
        return bought_in_groups(private, chosen, coarse, sigma_of=sigma_of)

    def _list(
        self,
        model: GraphicalModel,
        sets: int,
        gains: Mapping[Clique, float],
        expected: Mapping[Clique, Resolved],
        *,
        room: int,
        doubt: float,
        sigma_of: Callable[[float], float],
    ) -> Shortlist | None:
        """Return what to measure, for pairs the better of two lists; None where nothing gains."""
        most = room if sets > 2 else max(1, self.largest_tree // 4)  # at least half is room
        weight = self.label_weight
        weighted = {c: gain * (weight if self.label in c else 1.0) for c, gain in gains.items()}
        ranked = shortlist(
            model.domain,
            weighted,
            expected,
            doubt=doubt,
            inherited=model.cliques,
            sigma_of=sigma_of,
            kappa=self.kappa,
            largest_tree=most,
        )
        if sets > 2:
            return ranked
        grown = hosted_shortlist(
            model.domain,
            weighted,
            {clique: of.tables[0] for clique, of in expected.items()},
            inherited=model.cliques,
            sigma_of=sigma_of,
            kappa=self.kappa,
            largest_tree=most,
            largest_clique=most,
        )
        left = partial(
            error_left, model.domain, gains, expected, sigma_of=sigma_of, kappa=self.kappa
        )
        listed = min((found for found in (grown, ranked) if found), key=left, default=None)
        return covering(
            listed,
            model,
            gains,
            expected,
            doubt=doubt,
            sigma_of=sigma_of,
            kappa=self.kappa,
            largest_tree=most,
        )

    def _candidates(self, domain: Domain, sets: int, largest_tree: int) -> list[Clique]:
        attributes = informative(domain)
        room = largest_tree - sum(domain.shape)  # beside one the tree holds every attribute alone
        wide = comb(len(attributes), 3) > self.most_sets
        pairs = smallest(domain, all_k_ways(attributes, 2), most_cells=room)
        if sets == 2 or wide or len(attributes) < 3:
            return pairs
        most = min(room, self.largest_marginal)
        return pairs + smallest(domain, all_k_ways(attributes, 3), most_cells=most)
