"""The Renyi accountant: plans fixed in advance, by dp-accounting's divergences.

Divergences come from the library, the conversion to epsilon does not: where floating error makes a
divergence negative, the library's own conversion answers that epsilon is 0.
"""

# pyright: reportMissingTypeStubs=false

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf, log
from typing import Any, ClassVar, final

from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.accountant import PlanAccountant, flattened
from dpsynth.privacy.budget import Neighbouring
from dpsynth.privacy.curves import renyi_epsilon
from dpsynth.privacy.events import (
    DpSgdEvent,
    Event,
    ExponentialEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
    NoiseLaw,
    PureEvent,
    RepeatedEvent,
    ZcdpEvent,
)
from dpsynth.privacy.tuning import repeated_divergences

# Floating error of the library's divergence of one subsampled step, times alpha - 1. Whole orders
# are good to a few ulps (seen against 60 digits); the series of the others stops at exp(-30).
_WHOLE_ORDER_ERROR = 2.0**-46
_FRACTIONAL_ORDER_ERROR = 2.0**-40
_LEAST_MULTIPLIER = 1e-9


@final
@dataclass(frozen=True)
class RdpAccountant(PlanAccountant):
    """Renyi DP at a grid of orders; looser than "pld", and the currency of most papers.

    Reference: Mironov 2017; Mironov, Talwar & Zhang 2019; Canonne, Kamath & Steinke 2020,
        Proposition 12 (conversion).
    """

    name: ClassVar[str] = "rdp"
    gaussian_law: ClassVar[NoiseLaw] = NoiseLaw.ROUNDED
    reference: ClassVar[str] = "Mironov, Talwar & Zhang 2019, divergences by dp-accounting"

    def epsilon(self, events: Sequence[Event]) -> float:
        orders, divergences = self.divergences(events)
        bounds = [
            renyi_epsilon(order, divergence, self.delta)
            for order, divergence in zip(orders, divergences, strict=True)
        ]
        return min(bounds)

    def divergences(self, events: Sequence[Event]) -> tuple[list[float], list[float]]:
        """Return Renyi orders and, at each, an upper bound on the divergence of all `events`.

        Raises:
            UnsupportedEventError: no Renyi bound is known for one of them.
        """
        from dp_accounting.rdp import RdpAccountant as LibraryAccountant

        orders = _orders(self.budget.epsilon, self.delta)
        accountant = LibraryAccountant(orders)
        sampled_steps, repeated = 0, [0.0] * len(orders)
        counts = Counter(replace(event, sampling_distance=0.0) for event in flattened(events))
        with _quiet():
            for event, count in counts.items():
                if isinstance(event, RepeatedEvent):
                    runs = repeated_divergences(event, *self.divergences(event.run))
                    repeated = [a + count * b for a, b in zip(repeated, runs, strict=True)]
                    continue
                accountant.compose(self.library_event(event), count)
                sampled_steps += count * event.steps if isinstance(event, DpSgdEvent) else 0
        found: list[float] = accountant.rdp.tolist()
        return orders, [
            max(0.0, divergence) + sampled_steps * _step_error(order) + more
            for order, divergence, more in zip(orders, found, repeated, strict=True)
        ]

    def library_event(self, event: Event) -> Any:
        """Return dp-accounting's event for one that is not composed.

        Raises:
            UnsupportedEventError: no Renyi bound is known.
        """
        import dp_accounting as library

        match event:
            case GaussianEvent(law=NoiseLaw.CONTINUOUS | NoiseLaw.ROUNDED):
                made = _gaussian(event.noise_multiplier)
            case GdpEvent():
                made = _gaussian(1.0 / event.mu)
            case LaplaceEvent(law=NoiseLaw.CONTINUOUS | NoiseLaw.ROUNDED):
                made = library.LaplaceDpEvent(event.scale / event.sensitivity)
            case DpSgdEvent():
                made = self._dpsgd(event)
            case _:
                made = library.ZCDpEvent(self._rho(event))
        return made

    def _rho(self, event: Event) -> float:
        match event:
            case GaussianEvent():  # discrete: the other laws are Gaussian to the library too
                return 0.5 / event.noise_multiplier / event.noise_multiplier
            case LaplaceEvent() | PureEvent():
                return event.epsilon * event.epsilon / 2.0
            case ExponentialEvent():
                return event.epsilon * event.epsilon / 8.0
            case ZcdpEvent():
                return event.rho
            case _:
                raise UnsupportedEventError(self.name, event, "no Renyi bound is known")

    def _dpsgd(self, event: DpSgdEvent) -> Any:
        import dp_accounting as library

        if self.budget.relation is Neighbouring.REPLACE:
            rule = "Poisson sampling under 'replace' has no Renyi bound here; use 'pld'"
            raise UnsupportedEventError(self.name, event, rule)
        noise = _gaussian(event.noise_multiplier)
        if isinstance(noise, library.GaussianDpEvent):
            noise = library.PoissonSampledDpEvent(event.sample_rate, noise)
        return library.SelfComposedDpEvent(noise, event.steps)


def _gaussian(multiplier: float) -> Any:
    """Return dp-accounting's Gaussian event, within the range where its squares are finite; less
    noise counts as none, more noise as that much."""
    import dp_accounting as library

    if multiplier < _LEAST_MULTIPLIER:
        return library.ZCDpEvent(inf)
    return library.GaussianDpEvent(min(multiplier, 1.0 / _LEAST_MULTIPLIER))


def _orders(epsilon: float, delta: float) -> list[float]:
    """Return the library's usual orders, and larger ones for an epsilon that those cannot reach:
    what the conversion adds at order alpha is about log(1/delta) / alpha."""
    from dp_accounting.rdp.rdp_privacy_accountant import DEFAULT_RDP_ORDERS

    orders = [float(order) for order in DEFAULT_RDP_ORDERS]
    wanted = -2.0 * log(delta) / epsilon
    larger = (2.0**power for power in range(11, 16))
    return orders + [order for order in larger if wanted / 4.0 <= order <= 2.0 * wanted]


def _step_error(order: float) -> float:
    whole = order == int(order)
    return (_WHOLE_ORDER_ERROR if whole else _FRACTIONAL_ORDER_ERROR) * (1.0 + 1.0 / (order - 1.0))


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keep the library from warning of each order that it leaves out: others serve."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
