"""Bugs in what is drawn: the ledger and every query are right, the noise is not."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.claim import audit_claim
from dpsynth.audit.neighbours import narrow_neighbours
from dpsynth.audit.planted.bug import LISTED, PlantedBug, Subject
from dpsynth.audit.planted.violations import violations, violations_of_step
from dpsynth.audit.recording import record_fit
from dpsynth.audit.tradeoff import TradeOff
from dpsynth.audit.transcript import AdditiveStep, SelectionStep, Transcript
from dpsynth.audit.verdict import decide
from dpsynth.curator.queries import WorstFitQuery
from dpsynth.generators.baselines.independent import Independent
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import ExponentialEvent, NoiseLaw
from dpsynth.privacy.noise import NoiseSource, ResearchNoise, Size

_BUDGET = Budget(epsilon=1.0, delta=1e-2)


@final
class Faulty(NoiseSource):
    """Research noise with faults.

    Args:
        rng: its generator.
        spread: factor on additive noise.
        gradients: factor on the noise of gradients.
        skipped: the part of draws that are zero.
        selections: factor on the epsilon of selections.
    """

    mode: ClassVar[Literal["research", "release"]] = "research"

    def __init__(
        self,
        *,
        rng: np.random.Generator,
        spread: float = 1.0,
        gradients: float = 1.0,
        skipped: float = 0.0,
        selections: float = 1.0,
    ) -> None:
        self._rng = rng
        self._noise = ResearchNoise(rng=self._rng)
        self._spread, self._gradients = spread, gradients
        self._skipped, self._selections = skipped, selections

    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        return self._kept(self._noise.gaussian(sigma, size, law=law))

    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        return self._kept(self._noise.laplace(scale, size, law=law))

    def _kept(self, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        drawn = drawn * self._spread
        if self._skipped and drawn.ndim == 2:  # replays: a run a row
            drawn[self._rng.random(len(drawn)) < self._skipped] = 0.0
        return drawn

    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        return self._noise.normal(sigma * self._gradients, size)

    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        return self._noise.bernoulli(probability, size)

    def words(self, size: int) -> NDArray[np.uint64]:
        return self._noise.words(size)

    def exponential_draws(
        self, scores: NDArray[np.float64], size: int, **terms: Any
    ) -> NDArray[np.intp]:
        terms["epsilon"] *= self._selections
        return self._noise.exponential_draws(scores, size, **terms)

    def report_noisy_max(self, scores: NDArray[np.float64], **terms: Any) -> int:
        return self._noise.report_noisy_max(scores, **terms)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class TwoFits(Subject):
    """Two fits on the same records, each of which makes its source: no draw may be equal.

    Args:
        reseeded: whether both sources start alike, whatever their users asked for.
    """

    reseeded: bool

    @property
    def catcher(self) -> str:
        return "two fits"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the labels of answers that got the same noise in both fits."""
        table = narrow_neighbours(Neighbouring.ADD_REMOVE).first
        fits: list[Transcript] = []
        sources = [deepcopy(rng), deepcopy(rng)] if self.reseeded else rng.spawn(2)
        for source in sources:
            noise = Faulty(rng=source)
            fit = record_fit(Independent(), table, _BUDGET, accountant="gdp", noise=noise, rng=rng)
            fits.append(fit.transcript)
        pairs = zip(fits[0].steps, fits[1].steps, strict=True)
        return tuple(
            f"{one.label!r} got the same noise in two fits"
            for one, two in pairs
            if isinstance(one, AdditiveStep) and isinstance(two, AdditiveStep)
            if np.array_equal(one.noise, two.noise)
        )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Scale(Subject):
    """The standard deviation that is drawn, by a chi-squared test on 20,000 draws, alpha 1e-6."""

    spread: float

    @property
    def catcher(self) -> str:
        return "noise scale"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the factor by which noise is too small, if it is."""
        from scipy.stats import chi2

        sigma, draws = 3.0, 20_000
        drawn = Faulty(rng=rng, spread=self.spread).gaussian(sigma, draws, law=NoiseLaw.CONTINUOUS)
        squares = float(np.square(drawn / sigma).sum())
        if chi2.cdf(squares, draws) > 1e-6:
            return ()
        return (f"noise of {np.sqrt(squares / draws):.3f} of the standard deviation stated",)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Draws(Subject):
    """A whole audit of a generator's transcript: 10,000 test runs a world, alpha .05."""

    skipped: float

    @property
    def catcher(self) -> str:
        return "atoms"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the tests that contradict the claim."""
        audit = audit_claim(
            Independent(),
            _BUDGET,
            runs=10_000,
            rng=rng,
            accountant="gdp",
            noise=Faulty(rng=rng, skipped=self.skipped),
        )
        return violations(audit.tests)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Choice(Subject):
    """One selection between candidates that a record moves apart: 10,000 runs, alpha .05."""

    selections: float

    @property
    def catcher(self) -> str:
        return "component audit"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the tests that contradict the claim."""
        query = WorstFitQuery(
            candidates=(("x0",), ("x1",)),
            predictions=(np.array([10.0, 0.0]), np.array([10.0, 11.0])),
            penalties=(0.0, 11.0),
        )
        step = SelectionStep(
            label="selection",
            event=ExponentialEvent(epsilon=1.0),
            query=query,
            epsilon=1.0,
            sensitivity=1.0,
            monotone=False,
            chosen=0,
        )
        return violations_of_step(
            step,
            Budget(epsilon=1.0, delta=0.0),
            accountant="pure",
            runs=10_000,
            noise=Faulty(rng=rng, selections=self.selections),
        )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Bits(Subject):
    """A count with Laplace noise, released as a double: 2,000 test runs, alpha .05.

    The score is how fine the last bit of a small answer is. Noise near 0 has bits that the sum of
    1 and noise near -1 cannot have.

    Reference: Mironov 2012.
    """

    exact: bool

    @property
    def catcher(self) -> str:
        return "bit patterns"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the tests that contradict (1, 0)-differential privacy."""
        law = NoiseLaw.DISCRETE if self.exact else NoiseLaw.CONTINUOUS
        noise = ResearchNoise(rng=rng)
        worlds = [
            [(count + noise.laplace(1.0, runs, law=law)) for count in (1.0, 0.0)]
            for runs in (1_000, 2_000)
        ]
        validation, test = ((_fineness(one)[None], _fineness(other)[None]) for one, other in worlds)
        tests = decide(
            ("bits",),
            validation,
            test,
            claim=TradeOff(mu=None, pairs=((1.0, 0.0),)),
            delta=0.0,
            alpha=0.05,
        )
        return violations(tests)


def _fineness(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many binary places an answer has beyond 52, 0 for all that have fewer."""
    places = np.zeros(len(answers))
    small = (np.abs(answers) < 0.25) & (answers != 0.0)
    finer = answers * 2.0**53
    places[small] = (finer[small] != np.rint(finer[small])).astype(float)
    return places


NOISES = (
    PlantedBug(
        name="reseeded at each fit",
        defect="Noise starts from the same seed in every fit, and cancels between two of them.",
        seen=LISTED,
        faulty=TwoFits(reseeded=True),
        twin=TwoFits(reseeded=False),
    ),
    PlantedBug(
        name="noise a tenth too small",
        defect="The standard deviation drawn is 0.9 of the one charged.",
        seen="Not seen; the least of what a verdict on whole runs can miss.",
        faulty=Scale(spread=0.9),
        twin=Scale(spread=1.0),
    ),
    PlantedBug(
        name="half the noise",
        defect="The standard deviation drawn is half of the one charged.",
        seen="What a wrong sensitivity or composition comes down to.",
        faulty=Scale(spread=0.5),
        twin=Scale(spread=1.0),
    ),
    PlantedBug(
        name="floating-point Laplace noise",
        defect="Noise is a double, whose low bits depend on what it was added to.",
        seen=LISTED,
        faulty=Bits(exact=False),
        twin=Bits(exact=True),
    ),
    PlantedBug(
        name="selection without the factor 1/2",
        defect="The exponential mechanism runs at twice the epsilon that was charged.",
        seen="What the monotone discount comes down to.",
        faulty=Choice(selections=2.0),
        twin=Choice(selections=1.0),
    ),
    PlantedBug(
        name="one run in a hundred without noise",
        defect="Noise is skipped with probability 1%.",
        seen="Not seen; stands for paths of the code that are rarely taken.",
        faulty=Draws(skipped=0.01),
        twin=Draws(skipped=0.0),
    ),
)
