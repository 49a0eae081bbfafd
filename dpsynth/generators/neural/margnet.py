"""MargNet: a network fitted to noisy marginals that are chosen one by one where it fits worst."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import (
    Generator,
    SyntheticModel,
    check_counts,
    check_installed,
    check_positive,
    check_shares,
)
from dpsynth.generators.graphical import total_of, without_zeros
from dpsynth.generators.marginal.candidates import weighted_candidates
from dpsynth.generators.marginal.noise_cost import noise_cost
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.mixture import MixtureSyntheticModel
from dpsynth.generators.neural.latent_mixture import LatentMixture, Laws, hearsay, misfit
from dpsynth.generators.neural.spending import one_way_laws
from dpsynth.generators.neural.training import device_of
from dpsynth.generators.neural.tree_pairs import tree_pairs
from dpsynth.pgm.measurement import MEAN_SIZE, NoisyMarginal
from dpsynth.pgm.product_mixture import ProductMixture

if TYPE_CHECKING:
    from torch import Tensor

_FASTER = 4.0
# Training ends where the misses are as large as the noise, a half for each cell.
_ENOUGH = 0.5


@final
@dataclass(frozen=True, kw_only=True)
class MargNet(Generator):
    """One-way marginals, then rounds that select, measure and train; noise is paid for once.

    A network maps fixed latent draws to products of softmaxes, so that its marginals are sums of
    products over the draws: exact, of any clique, with no junction tree to hold them. Each round
    the exponential mechanism picks the marginal that the network misses most, for its price in
    noise; that one is measured, and the network is trained on to all that was measured, by squares
    in the variances of the noise. Rounds become `4` times as expensive where a measurement moves
    the network by less than its own expected noise; a rest below two rounds is one round.

    Pairs that nobody measured are pulled towards what a tree of measured pairs says of them, as
    weakly as noise is strong: without that a mixture that is fitted to some pairs ties all others
    together, since it has no entropy to keep; and pulled to independence, it would not fit a chain
    of measured pairs, which makes their ends depend. A pair that is pulled away from the records
    fits badly, and is picked.

    What is released is the mixture of the draws: NumPy, exact conditional laws, any marginal.

    Loss: half the squares of what is missed of the noisy marginals, in the variances of their
    noise, plus that pull.
    Relation: both. Sensitivities and proofs: `WorstFitQuery` with weights for the picks (the scores
    are not monotone), `MarginalQuery` for the measurements.
    Accounting: each access is a charge of its own, and rounds are of adaptively chosen cost, under
    the accountant's filter; training, annealing and stopping are post-processing.
    Cost: the whole budget.

    Defaults come from simulated mixtures of 12 columns, the numbers of steps from how well the
    network fits its own noisy marginals (docs/research/neural_noise_once.md).

    Args:
        one_way_share: part of the budget for one-way marginals.
        selection_share: part of each round for picking.
        rounds: rounds an attribute that the rest would last for without annealing.
        degree: attributes of the largest candidates.
        largest_marginal: most cells of a candidate.
        most_sets: most sets of `degree` attributes; beyond, candidates are smaller.
        hearsay: weight of a cell of an unmeasured pair, which is pulled to a tree's, over that of
            a cell measured last.
        steps: of training after each round but the last.
        last_steps: of training after the last one.
        learning_rate: Adam's.
        hidden: units of each block of the network.
        latent: dimensions of a draw.
        draws: components of the mixture.
        device: where to train; "auto" is a GPU where there is one.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: MargNet (arXiv 2511.13893); Liu, Vietri & Wu 2021 (GEM), Algorithm 2; rounds and
        scores: McKenna et al. 2022, Algorithms 1 and 4 and equation 1.
    """

    one_way_share: float = 0.2
    selection_share: float = 0.1
    rounds: int = 2
    degree: int = 2
    largest_marginal: int = 2**14
    most_sets: int = 1000
    hearsay: float = 1.0
    steps: int = 100
    last_steps: int = 1000
    learning_rate: float = 0.01
    hidden: int = 128
    latent: int = 16
    draws: int = 400
    device: str = "auto"

    name: ClassVar[str] = "margnet"
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "MargNet (arXiv 2511.13893); Liu, Vietri & Wu 2021, Algorithm 2"
    model: ClassVar[type[SyntheticModel]] = MixtureSyntheticModel
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "selection_share")
        check_counts(self, "rounds", "largest_marginal", "most_sets", "steps", "last_steps")
        check_counts(self, "hidden", "latent", "draws")
        if self.degree < 2:
            raise InvalidValueError("degree", self.degree, "at least 2")
        check_positive(self, "hearsay", "learning_rate")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> MixtureSyntheticModel:
        check_installed(self)
        device = device_of(self.device)
        candidates = self._candidates(private)
        share = self.one_way_share if candidates else 1.0
        singles = measure_one_ways(private, amount=private.remaining * share)
        shares = one_way_laws(private, singles)
        network = LatentMixture(
            private.domain,
            shares,
            draws=self.draws,
            latent=self.latent,
            hidden=self.hidden,
            rng=rng,
            device=device,
        )
        total = total_of(private, singles)
        if candidates:
            self._rounds(private, network, candidates, shares, total)
        return MixtureSyntheticModel(schema=private.schema, parts=(network.mixture(total),))

    def _candidates(self, private: PrivateData) -> dict[Clique, float]:
        """Return what may be measured after the one-way marginals, with weights, at most 1."""
        weighted = weighted_candidates(
            private.domain,
            informative(private.domain),
            degree=self.degree,
            most_sets=self.most_sets,
            largest_tree=self.largest_marginal,
        )
        return {clique: weight for clique, weight in weighted.items() if len(clique) > 1}

    def _rounds(
        self,
        private: PrivateData,
        network: LatentMixture,
        candidates: dict[Clique, float],
        shares: NDArray[np.float64],
        total: float,
    ) -> None:
        """Spend the rest of the budget on what the network misses, and train it on that."""
        bought: list[NoisyMarginal] = []
        cost = private.remaining / (self.rounds * len(informative(private.domain)))
        last = False
        while not last:
            last = private.remaining < 2 * cost
            amount = private.remaining if last else cost
            measuring = amount * (1 - self.selection_share)
            before = network.mixture(total)
            chosen = self._pick(private, before, candidates, amount - measuring, measuring)
            rest = private.remaining if last else measuring
            taken = private.marginal(chosen, sigma=private.sigma_for(rest))
            bought += without_zeros(private, [taken])
            network.fit(
                self._loss(private, bought, shares, total),
                steps=self.last_steps if last else self.steps,
                learning_rate=self.learning_rate,
                shifts=False,
                enough=_ENOUGH * sum(m.values.size for m in bought),
            )
            expected = before.marginal(chosen)
            moved = np.abs(network.mixture(total).marginal(chosen) - expected).sum()
            if moved <= noise_cost(expected, sigma=taken.sigma, kappa=np.inf):
                cost *= _FASTER

    def _pick(
        self,
        private: PrivateData,
        model: ProductMixture,
        candidates: dict[Clique, float],
        selecting: float,
        measuring: float,
    ) -> Clique:
        """Return the candidate that is worth measuring most."""
        noise, sizes = MEAN_SIZE * private.sigma_for(measuring), private.domain.sizes
        return private.select_worst(
            list(candidates),
            model.marginal,
            epsilon=private.selection_epsilon_for(selecting),
            penalties=[noise * prod(sizes[a] for a in clique) for clique in candidates],
            weights=list(candidates.values()),
            label="select marginal",
        )

    def _loss(
        self,
        private: PrivateData,
        bought: Sequence[NoisyMarginal],
        shares: NDArray[np.float64],
        total: float,
    ) -> "Callable[[Laws], Tensor]":
        known = [marginal.clique for marginal in bought]
        doubt = bought[-1].sigma / total / self.hearsay**0.5
        of_known = misfit(bought, total)
        guess = tree_pairs(private.domain, shares, bought, total)
        of_others = hearsay(private.domain, guess, known, doubt)
        return lambda laws: of_known(laws) + of_others(laws)
