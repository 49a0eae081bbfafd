"""One-way marginals of all attributes: where every marginal generator starts."""

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.noise_cost import split_budget
from dpsynth.pgm.measurement import NoisyMarginal


def informative(domain: Domain) -> Clique:
    """Return the attributes of more than one code, or the first where none has.

    An attribute of one code says nothing but the number of records; measuring it would cost as
    much as any other.
    """
    return tuple(a for a, size in domain.sizes.items() if size > 1) or domain.attributes[:1]


def measure_one_ways(
    private: PrivateData, *, amount: float, by_size: bool = False
) -> list[NoisyMarginal]:
    """Return noisy counts of each informative attribute, for `amount` together.

    Args:
        private: the one door to the records.
        amount: what they may cost, in the accountant's currency.
        by_size: split it so that the noise of all cells together is least, in proportion to the
            number of codes to the power 2/3 (`split_budget`); otherwise all noise is equal.
    """
    attributes = informative(private.domain)
    if by_size:
        sizes = [float(private.domain.sizes[a]) for a in attributes]
        shares = split_budget(len(sizes), lambda _: sizes)
        sigmas = [private.sigma_for(amount * share) for share in shares]
    else:
        sigmas = [private.sigma_for(amount, queries=len(attributes))] * len(attributes)
    return private.marginals([(a,) for a in attributes], sigmas=sigmas)
