"""What one access to records cost, as frozen records that state the mathematics in full.

An accountant needs nothing but the event. Each is refused on construction when a value would let it
spend nothing or everything (sigma 0, negative, infinite or nan).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import final

from dpsynth.errors import InvalidValueError


class NoiseLaw(StrEnum):
    """The law from which additive noise is drawn.

    CONTINUOUS: floating point, research mode only.
    DISCRETE: on the integers, proportional to the density (discrete Gaussian or Laplace).
    ROUNDED: a continuous variable rounded to the nearest integer. Added to an integer it is
        post-processing of the continuous mechanism, and so inherits its exact guarantee.
    """

    CONTINUOUS = "continuous"
    DISCRETE = "discrete"
    ROUNDED = "rounded"


class StoppingLaw(StrEnum):
    """The law of the number of runs, drawn before the first run and kept secret.

    GEOMETRIC and LOGARITHMIC have at least one run; POISSON may have none.
    """

    GEOMETRIC = "geometric"
    LOGARITHMIC = "logarithmic"
    POISSON = "poisson"


def _positive(field: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise InvalidValueError(field, value, "a finite number above 0")


@dataclass(frozen=True, kw_only=True)
class Event(ABC):
    """One private computation, as an accountant sees it.

    Args:
        sampling_distance: total-variation distance between the law that was sampled and the law
            that the event states; the ledger charges it to delta.
        failure: probability with which the answer is not what the event states, whatever the
            answer would have been; the ledger charges it to delta (`privacy.failure`).
    """

    sampling_distance: float = 0.0
    failure: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.sampling_distance < 1:
            raise InvalidValueError(
                "sampling_distance", self.sampling_distance, "at least 0 and below 1"
            )
        if not 0 <= self.failure < 1:
            raise InvalidValueError("failure", self.failure, "at least 0 and below 1")
        self._check()

    @abstractmethod
    def _check(self) -> None:
        """Raise InvalidValueError where a field has a value that its rule forbids."""


@final
@dataclass(frozen=True, kw_only=True)
class GaussianEvent(Event):
    """Gaussian noise of standard deviation `sigma` on a query of L2 sensitivity `sensitivity`.

    Reference: Dong, Roth & Su 2019, Theorem 1 (mu = sensitivity / sigma); for law DISCRETE,
        Canonne, Kamath & Steinke 2020, Theorem 14 (rho = sensitivity^2 / (2 sigma^2)).
    """

    sigma: float
    sensitivity: float = 1.0
    law: NoiseLaw = NoiseLaw.CONTINUOUS

    def _check(self) -> None:
        _positive("sigma", self.sigma)
        _positive("sensitivity", self.sensitivity)
        _positive("noise_multiplier", self.sigma / self.sensitivity)

    @property
    def noise_multiplier(self) -> float:
        return self.sigma / self.sensitivity


@final
@dataclass(frozen=True, kw_only=True)
class LaplaceEvent(Event):
    """Laplace noise of scale `scale` on a query of L1 sensitivity `sensitivity`: pure DP with
    epsilon = sensitivity / scale, discrete or continuous.

    Reference: Dwork, McSherry, Nissim & Smith 2006, Proposition 1.
    """

    scale: float
    sensitivity: float = 1.0
    law: NoiseLaw = NoiseLaw.CONTINUOUS

    def _check(self) -> None:
        _positive("scale", self.scale)
        _positive("sensitivity", self.sensitivity)
        _positive("epsilon", self.sensitivity / self.scale)

    @property
    def epsilon(self) -> float:
        return self.sensitivity / self.scale


@final
@dataclass(frozen=True, kw_only=True)
class ExponentialEvent(Event):
    """An exponential mechanism whose privacy loss has a range of at most `epsilon`.

    It is epsilon-DP and (epsilon^2 / 8)-zCDP.
    Reference: Cesar & Rogers 2021, Lemma 3.4; Dong, Durfee & Rogers 2020.
    """

    epsilon: float

    def _check(self) -> None:
        _positive("epsilon", self.epsilon)


@final
@dataclass(frozen=True, kw_only=True)
class PureEvent(Event):
    """Anything that is epsilon-DP, with nothing else known (report-noisy-max, an allotment)."""

    epsilon: float

    def _check(self) -> None:
        _positive("epsilon", self.epsilon)


@final
@dataclass(frozen=True, kw_only=True)
class ZcdpEvent(Event):
    """Anything that is rho-zCDP; the form in which a part of a zCDP budget is allotted.

    Reference: Bun & Steinke 2016, Definition 1.1.
    """

    rho: float

    def _check(self) -> None:
        _positive("rho", self.rho)


@final
@dataclass(frozen=True, kw_only=True)
class GdpEvent(Event):
    """Anything that is mu-GDP; the form in which a part of a Gaussian-DP budget is allotted.

    Reference: Dong, Roth & Su 2019, Definition 2.6.
    """

    mu: float

    def _check(self) -> None:
        _positive("mu", self.mu)


@final
@dataclass(frozen=True, kw_only=True)
class DpSgdEvent(Event):
    """`steps` Gaussian sums, each over a fresh Poisson sample of the units.

    Args:
        noise_multiplier: standard deviation of the noise over the clipping norm.
        sample_rate: probability q in (0, 1] with which a unit joins a batch.
        steps: number of batches, fixed before the run.

    Reference: Abadi et al. 2016, Algorithm 1; Mironov, Talwar & Zhang 2019 for the sampling.
    """

    noise_multiplier: float
    sample_rate: float
    steps: int

    def _check(self) -> None:
        _positive("noise_multiplier", self.noise_multiplier)
        if not 0 < self.sample_rate <= 1:
            raise InvalidValueError("sample_rate", self.sample_rate, "above 0 and at most 1")
        if self.steps < 1:
            raise InvalidValueError("steps", self.steps, "at least 1")


@final
@dataclass(frozen=True, kw_only=True)
class ComposedEvent(Event):
    """Several events on the same records, each of which may depend on the answers before it."""

    events: tuple[Event, ...]

    def _check(self) -> None:
        if not self.events:
            raise InvalidValueError("events", self.events, "at least one event")


@final
@dataclass(frozen=True, kw_only=True)
class RepeatedEvent(Event):
    """The best of a random number of runs, by a score that is part of each run's output; nothing
    else of the runs is released, nor how many there were.

    Args:
        run: the events of one run, the same for all of them; none that can fail.
        mean_runs: expected number of runs, above 1.
        stopping: the law of their number, drawn independently of the records.

    Reference: Papernot & Steinke 2022, Theorems 2 and 6.
    """

    run: tuple[Event, ...]
    mean_runs: float
    stopping: StoppingLaw

    def _check(self) -> None:
        if not (isfinite(self.mean_runs) and self.mean_runs > 1.0):
            raise InvalidValueError("mean_runs", self.mean_runs, "a finite number above 1")
        if not self.run:
            raise InvalidValueError("run", self.run, "at least one event")
        if any(_can_fail(event) for event in self.run):
            # failures of a number of runs that has no bound are not a failure of so much
            raise InvalidValueError("run", self.run, "of events that cannot fail")


def _can_fail(event: Event) -> bool:
    parts = event.events if isinstance(event, ComposedEvent) else ()
    return event.failure > 0.0 or any(_can_fail(part) for part in parts)
