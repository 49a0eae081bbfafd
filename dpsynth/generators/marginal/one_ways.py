"""One-way marginals of all attributes: where every marginal generator starts."""

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.measurement import NoisyMarginal


def informative(domain: Domain) -> Clique:
    """Return the attributes of more than one code, or the first where none has.

    An attribute of one code says nothing but the number of records; measuring it would cost as
    much as any other.
    """
    return tuple(a for a, size in domain.sizes.items() if size > 1) or domain.attributes[:1]


def measure_one_ways(private: PrivateData, *, amount: float) -> list[NoisyMarginal]:
    """Return noisy counts of each informative attribute, of equal noise, for `amount` together.

    Args:
        private: the one door to the records.
        amount: what they may cost, in the accountant's currency.
    """
    attributes = informative(private.domain)
    sigma = private.sigma_for(amount, queries=len(attributes))
    return private.marginals([(a,) for a in attributes], sigmas=[sigma] * len(attributes))
