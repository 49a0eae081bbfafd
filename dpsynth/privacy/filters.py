"""Additive filters: zCDP, Gaussian DP and pure DP, for parameters chosen as the answers come in.

A filter is valid under full adaptivity because its ceiling is fixed beforehand and every charge is
checked before noise is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf, nextafter, sqrt
from typing import ClassVar, final

from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.accountant import (
    ALLOWANCE,
    Accountant,
    Filter,
    check_amount,
    require_delta,
)
from dpsynth.privacy.curves import (
    gdp_epsilon,
    gdp_mu,
    gdp_mu_of_pure,
    gdp_mu_of_range,
    pure_of_gdp_mu,
    range_of_gdp_mu,
    zcdp_epsilon,
    zcdp_rho,
)
from dpsynth.privacy.events import (
    ComposedEvent,
    DpSgdEvent,
    Event,
    ExponentialEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
    NoiseLaw,
    PureEvent,
    ZcdpEvent,
)

_SUBSAMPLED = "subsampled noise has no useful additive bound; reserve the plan under 'pld' or 'rdp'"


def _up(value: float) -> float:
    """Return `value` rounded up past a handful of operations, each good to half an ulp; never 0,
    even where a square underflows."""
    return nextafter(value * (1.0 + 2.0**-50), inf)


def _squared(value: float) -> float:
    return value * value  # infinite where ** would raise


@final
@dataclass(frozen=True)
class ZcdpFilter(Filter):
    """Concentrated DP: rho adds, also under adaptive choice.

    Gaussian noise, continuous or discrete, costs sensitivity^2 / (2 sigma^2); what is epsilon-DP
    costs epsilon^2 / 2; an exponential mechanism epsilon^2 / 8; what is mu-GDP mu^2 / 2.
    Reference: Bun & Steinke 2016, Propositions 1.4 and 1.6; Cesar & Rogers 2021, Lemma 3.4;
        Whitehouse, Ramdas, Rogers & Wu 2023, Theorem 1 (filter);
        Canonne, Kamath & Steinke 2020, Proposition 12 (conversion).
    """

    name: ClassVar[str] = "zcdp"
    currency: ClassVar[str] = "rho"
    gaussian_law: ClassVar[NoiseLaw] = NoiseLaw.DISCRETE
    reference: ClassVar[str] = (
        "Whitehouse et al. 2023, Theorem 1; Canonne, Kamath & Steinke 2020, Proposition 12"
    )

    def _whole_capacity(self) -> float:
        require_delta(self)
        return zcdp_rho(self.budget.epsilon, self.delta)

    def cost(self, event: Event) -> float:
        match event:
            case GaussianEvent():
                return _up(_squared(1.0 / event.noise_multiplier) / 2.0)
            case LaplaceEvent() | PureEvent():
                return _up(_squared(event.epsilon) / 2.0)
            case ExponentialEvent():
                return _up(_squared(event.epsilon) / 8.0)
            case GdpEvent():
                return _up(_squared(event.mu) / 2.0)
            case ZcdpEvent():
                return event.rho
            case ComposedEvent():
                return _up(fsum(self.cost(part) for part in event.events))
            case DpSgdEvent():
                raise UnsupportedEventError(self.name, event, _SUBSAMPLED)
            case _:
                raise UnsupportedEventError(self.name, event, "no bound on its rho is known")

    def epsilon(self, events: Sequence[Event]) -> float:
        return zcdp_epsilon(fsum(self.cost(event) for event in events), self.delta)

    def gaussian_sigma(self, amount: float, *, sensitivity: float) -> float:
        check_amount(amount)
        return sensitivity / sqrt(2.0 * amount) * (1.0 + ALLOWANCE)

    def laplace_scale(self, amount: float, *, sensitivity: float) -> float:
        check_amount(amount)
        return sensitivity / sqrt(2.0 * amount) * (1.0 + ALLOWANCE)

    def selection_epsilon(self, amount: float) -> float:
        check_amount(amount)
        return sqrt(8.0 * amount) * (1.0 - ALLOWANCE)

    def allotment(self, amount: float) -> Event:
        check_amount(amount)
        return ZcdpEvent(rho=amount * (1.0 - ALLOWANCE))


@final
@dataclass(frozen=True)
class GdpFilter(Filter):
    """Gaussian DP: mu^2 adds, also under adaptive choice, with an exact (epsilon, delta) curve.

    Gaussian noise, continuous or rounded, costs (sensitivity / sigma)^2; what is epsilon-DP costs
    mu^2 with mu = -2 Phi^-1(1 / (1 + exp(epsilon))); an exponential mechanism of range epsilon
    what (epsilon/2)-DP costs (`curves.gdp_mu_of_range`). The discrete Gaussian is not Gaussian-DP
    at the mu of its sigma (its trade-off has corners that cross the Gaussian one), and is refused;
    so is zCDP, which implies no Gaussian DP.
    Reference: Dong, Roth & Su 2019, Theorem 1, Corollary 2 and Equation 5;
        Smith & Thakurta 2022 and Koskela, Tobaben & Honkela 2023 (filter).
    """

    name: ClassVar[str] = "gdp"
    currency: ClassVar[str] = "mu^2"
    gaussian_law: ClassVar[NoiseLaw] = NoiseLaw.ROUNDED
    reference: ClassVar[str] = "Smith & Thakurta 2022; Dong, Roth & Su 2019, Corollary 2.13"

    def _whole_capacity(self) -> float:
        require_delta(self)
        return nextafter(gdp_mu(self.budget.epsilon, self.delta) ** 2, 0.0)

    def cost(self, event: Event) -> float:
        match event:
            case GaussianEvent(law=NoiseLaw.DISCRETE):
                rule = "the discrete Gaussian is not Gaussian-DP; use rounded noise, or 'zcdp'"
                raise UnsupportedEventError(self.name, event, rule)
            case GaussianEvent():
                return _up(_squared(1.0 / event.noise_multiplier))
            case LaplaceEvent() | PureEvent():
                return _up(_squared(gdp_mu_of_pure(event.epsilon)))
            case ExponentialEvent():
                return _up(_squared(gdp_mu_of_range(event.epsilon)))
            case GdpEvent():
                return _up(_squared(event.mu))
            case ComposedEvent():
                return _up(fsum(self.cost(part) for part in event.events))
            case ZcdpEvent():
                raise UnsupportedEventError(self.name, event, "zCDP implies no Gaussian DP")
            case DpSgdEvent():
                raise UnsupportedEventError(self.name, event, _SUBSAMPLED)
            case _:
                raise UnsupportedEventError(self.name, event, "no bound on its mu is known")

    def epsilon(self, events: Sequence[Event]) -> float:
        total = fsum(self.cost(event) for event in events)
        return gdp_epsilon(_up(sqrt(total)) if total else 0.0, self.delta)

    def gaussian_sigma(self, amount: float, *, sensitivity: float) -> float:
        check_amount(amount)
        return sensitivity / sqrt(amount) * (1.0 + ALLOWANCE)

    def laplace_scale(self, amount: float, *, sensitivity: float) -> float:
        check_amount(amount)
        return sensitivity / pure_of_gdp_mu(sqrt(amount) * (1.0 - ALLOWANCE)) * (1.0 + 2.0**-50)

    def selection_epsilon(self, amount: float) -> float:
        check_amount(amount)
        return range_of_gdp_mu(sqrt(amount) * (1.0 - ALLOWANCE))

    def allotment(self, amount: float) -> Event:
        check_amount(amount)
        return GdpEvent(mu=sqrt(amount) * (1.0 - ALLOWANCE))


@final
@dataclass(frozen=True)
class PureFilter(Filter):
    """Pure DP: epsilon adds, also under adaptive choice; delta pays for inexact sampling only.

    Reference: Dwork, McSherry, Nissim & Smith 2006; Rogers, Roth, Ullman & Vadhan 2016, Theorem 3.6
        (filter).
    """

    name: ClassVar[str] = "pure"
    currency: ClassVar[str] = "epsilon"
    gaussian_law: ClassVar[NoiseLaw] = NoiseLaw.DISCRETE
    reference: ClassVar[str] = "Rogers, Roth, Ullman & Vadhan 2016, Theorem 3.6"

    def _whole_capacity(self) -> float:
        return float(self.budget.epsilon)

    def cost(self, event: Event) -> float:
        match event:
            case LaplaceEvent():
                return _up(event.epsilon)
            case PureEvent() | ExponentialEvent():
                return event.epsilon
            case ComposedEvent():
                return _up(fsum(self.cost(part) for part in event.events))
            case _:
                rule = "it is not pure differential privacy; use 'zcdp' or 'gdp' with a delta"
                raise UnsupportedEventError(self.name, event, rule)

    def epsilon(self, events: Sequence[Event]) -> float:
        return fsum(self.cost(event) for event in events)

    def gaussian_sigma(self, amount: float, *, sensitivity: float) -> float:
        check_amount(amount)
        event = GaussianEvent(sigma=sensitivity, sensitivity=sensitivity)
        rule = "Gaussian noise has no finite epsilon at delta 0; use Laplace noise"
        raise UnsupportedEventError(self.name, event, rule)

    def laplace_scale(self, amount: float, *, sensitivity: float) -> float:
        check_amount(amount)
        return sensitivity / amount * (1.0 + ALLOWANCE)

    def selection_epsilon(self, amount: float) -> float:
        check_amount(amount)
        return amount * (1.0 - ALLOWANCE)

    def allotment(self, amount: float) -> Event:
        check_amount(amount)
        return PureEvent(epsilon=amount * (1.0 - ALLOWANCE))


def whole_filter(accountant: Accountant) -> Filter:
    """Return what the whole of a budget is spent in, answer by answer: a filter itself; of an
    accountant of plans, which sells parts by their mu, one of Gaussian DP."""
    if isinstance(accountant, Filter):
        return accountant
    return GdpFilter(accountant.budget, set_aside=accountant.set_aside)


def part_of(accountant: Accountant, allotment: Event) -> Filter:
    """Return the accountant of the part of a budget that `allotment` buys.

    Of a filter it is one of the same kind. Of an accountant of plans it is a filter of Gaussian DP:
    whatever is asked of it, answer by answer, is mu-GDP as a whole, whatever the answers are. An
    event of a plan is a bound that holds for each value of the answers before it, so that such a
    whole may stand in a plan, before or after others, as Gaussian noise of that mu does. Of delta
    as much is set aside as of the plan's.

    Args:
        accountant: of the whole budget.
        allotment: a `GdpEvent` under an accountant of plans.

    Raises:
        UnsupportedEventError: anything else there.

    Reference: Koskela, Tobaben & Honkela 2023 (the filter); Zhu, Dong & Wang 2022,
        Theorem 10 (adaptive composition of dominating pairs).
    """
    if isinstance(accountant, Filter) or isinstance(allotment, GdpEvent):
        return whole_filter(accountant).part(allotment)
    rule = "a part of a plan is stated by its mu (GdpEvent)"
    raise UnsupportedEventError(accountant.name, allotment, rule)
