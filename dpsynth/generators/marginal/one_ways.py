"""One-way marginals of all attributes: where every marginal generator starts."""

from collections.abc import Sequence
from math import inf

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.noise_cost import split_budget
from dpsynth.pgm.measurement import MEAN_SIZE, NoisyMarginal

_DROWNED = 0.3
"""Total variation by noise around which a larger noise costs a marginal less and less."""


def informative(domain: Domain) -> Clique:
    """Return the attributes of more than one code, or the first where none has.

    An attribute of one code says nothing but the number of records; measuring it would cost as
    much as any other.
    """
    return tuple(a for a, size in domain.sizes.items() if size > 1) or domain.attributes[:1]


def measure_one_ways(private: PrivateData, *, amount: float) -> list[NoisyMarginal]:
    """Return noisy counts of each informative attribute, for `amount` together, of equal noise.

    Args:
        private: the one door to the records.
        amount: what they may cost, in the accountant's currency.
    """
    attributes = informative(private.domain)
    sigma = private.sigma_for(amount, queries=len(attributes))
    return private.marginals([(a,) for a in attributes], sigmas=[sigma] * len(attributes))


def measure_one_ways_by_size(
    private: PrivateData,
    *,
    amount: float,
    before: Sequence[NoisyMarginal] = (),
    total: float = inf,
) -> list[NoisyMarginal]:
    """Return noisy counts of informative attributes, so that all of them together err least.

    The noise of n cells of deviation sigma is x = n sigma sqrt(2/pi) / 2 total of total variation.
    What is left of it in likely counts (`rare_codes.likely_counts`) grows ever more slowly, as
    about s log(1 + x / s): so attributes of many codes have shares in proportion to n^(2/3) where
    noise is small, and no more than the others where it drowns them.

    Args:
        private: the one door to the records.
        amount: what they may cost, in the accountant's currency.
        before: what was bought of single attributes: they are topped up to what they should have.
        total: number of records, public; infinite where it is not known yet.
    """
    attributes = informative(private.domain)
    sizes = np.array([private.domain.sizes[a] for a in attributes], dtype=np.float64)
    had = np.array([sum(m.sigma**-2 for m in before if m.clique == (a,)) for a in attributes])
    all_told = had.sum() + private.sigma_for(amount) ** -2  # precision, which adds up as cost does

    def weigh(shares: Sequence[float]) -> list[float]:
        sigmas = 1 / np.sqrt(np.array(shares) * all_told)
        return (sizes / (1 + 0.5 * MEAN_SIZE * sizes * sigmas / (total * _DROWNED))).tolist()

    wanted = np.maximum(np.array(split_budget(len(attributes), weigh)) * all_told - had, 0.0)
    parts = dict(zip(attributes, wanted / wanted.sum(), strict=True))
    bought = [a for a, part in parts.items() if part > 1e-6]
    sigmas = [private.sigma_for(amount * parts[a]) for a in bought]
    return private.marginals([(a,) for a in bought], sigmas=sigmas)
