"""From a query and a wish to an event: noise laws, standard deviations and sensitivities."""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any, final

from numpy.typing import NDArray

from dpsynth.curator.queries import AdditiveQuery
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, UnsupportedEventError
from dpsynth.privacy.accountant import Accountant, Filter
from dpsynth.privacy.events import Event, GaussianEvent, LaplaceEvent, NoiseLaw
from dpsynth.privacy.noise import NoiseSource


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Pricing:
    """Makes the events of one curator; the only place where noise meets sensitivity.

    Args:
        accountant: what prices the events; its budget gives relation and rows per unit.
        noise: what will draw them; its mode decides the law.
        domain: of the records.
    """

    accountant: Accountant
    noise: NoiseSource
    domain: Domain

    @property
    def laplace(self) -> bool:
        """Whether counts get Laplace noise: pure differential privacy knows no Gaussian."""
        return self.accountant.name == "pure"

    @property
    def law(self) -> NoiseLaw:
        """The law of additive noise in the noise source's mode."""
        if self.noise.mode == "research":
            return NoiseLaw.CONTINUOUS
        return NoiseLaw.DISCRETE if self.laplace else self.accountant.gaussian_law

    @property
    def filter(self) -> Filter:
        """The accountant, where it allows adaptive queries.

        Raises:
            UnsupportedEventError: it serves fixed plans only.
        """
        if not isinstance(self.accountant, Filter):
            rule = "it serves fixed plans only; choose 'zcdp', 'gdp' or 'pure'"
            raise UnsupportedEventError(self.accountant.name, "an adaptive query", rule)
        return self.accountant

    def sigma(self, amount: float, query: AdditiveQuery | None = None) -> float:
        """Return the standard deviation of the noise of `query` that costs at most `amount`.

        Args:
            amount: in the accountant's currency.
            query: a marginal, whichever, when None.

        Raises:
            InvalidValueError: an amount that is not above 0.
            UnsupportedEventError: the accountant serves fixed plans only.
        """
        budget = self.accountant.budget
        if self.laplace:
            absolute = budget.l1_sensitivity if query is None else query.l1_sensitivity(budget)
            return self.filter.laplace_scale(amount, sensitivity=absolute) * sqrt(2.0)
        squared = budget.l2_sensitivity if query is None else query.sensitivity(budget)
        return self.filter.gaussian_sigma(amount, sensitivity=squared)

    def event(self, query: AdditiveQuery, sigma: float) -> GaussianEvent | LaplaceEvent:
        """Return the event of one noisy answer to `query`.

        Args:
            query: checked against the domain here.
            sigma: standard deviation of the noise in each cell, in records.

        Raises:
            InvalidValueError: sigma is not above 0, or the domain cannot answer the query.
        """
        query.check(self.domain)
        if not (isfinite(sigma) and sigma > 0):
            raise InvalidValueError("sigma", sigma, "a finite number above 0")
        budget, cells, law = self.accountant.budget, query.cells(self.domain), self.law
        if self.laplace:
            scale = sigma / sqrt(2.0)
            return LaplaceEvent(
                scale=scale,
                sensitivity=query.l1_sensitivity(budget),
                law=law,
                sampling_distance=self.noise.sampling_distance(law, scale, cells),
            )
        return GaussianEvent(
            sigma=sigma,
            sensitivity=query.sensitivity(budget),
            law=law,
            sampling_distance=self.noise.sampling_distance(law, sigma, cells),
        )

    def draw(self, event: Event, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the noise of a charged additive event."""
        if isinstance(event, LaplaceEvent):
            return self.noise.laplace(event.scale, shape, law=event.law)
        assert isinstance(event, GaussianEvent)  # pricing makes no other
        return self.noise.gaussian(event.sigma, shape, law=event.law)


def share(amount: float, field: str, parts: int) -> float:
    """Return `amount` in `parts` equal parts.

    Raises:
        InvalidValueError: an amount that is not above 0, or fewer than one part.
    """
    if not (isfinite(amount) and amount > 0):
        raise InvalidValueError("amount", amount, "a finite number above 0")
    if parts < 1:
        raise InvalidValueError(field, parts, "at least 1")
    return amount / parts
