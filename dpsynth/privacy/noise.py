"""The two sources of all private randomness: research (seeded) and release (the system's).

Research draws are reproducible and floating point unless asked otherwise; a receipt of a run with
them says "not for release". Release draws are exact on the integers and cannot be seeded.
"""

import json
from abc import ABC, abstractmethod
from math import frexp, isfinite, prod
from typing import Any, ClassVar, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError, ReleaseModeError
from dpsynth.privacy import exact, selection
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.words import generator_words, system_words

Size: TypeAlias = int | tuple[int, ...]


_FINENESS = 24


def noise_grid(sigma: float) -> float:
    """Return the step, a power of two, of which all noise of `ReleaseNoise.normal` is a multiple:
    sigma is 2**24 to 2**25 of them."""
    return 2.0 ** (frexp(sigma)[1] - 1 - _FINENESS)


def _check(field: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise InvalidValueError(field, value, "a finite number above 0")


def _count(size: Size) -> int:
    return prod(size) if isinstance(size, tuple) else int(size)


class NoiseSource(ABC):
    """Draws every random number on which privacy rests.

    Class attributes:
        mode: "research" or "release"; receipts carry it.
    """

    mode: ClassVar[Literal["research", "release"]]

    @abstractmethod
    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        """Return Gaussian noise for counts: integers as floats unless `law` is CONTINUOUS.

        Args:
            sigma: standard deviation (of the continuous law before rounding, if ROUNDED; the
                parameter of the law, if DISCRETE), in records, above 0.
            size: shape of the answer.
            law: DISCRETE is exactly (1 / (2 sigma^2))-zCDP per unit of squared L2 sensitivity;
                ROUNDED is exactly (1 / sigma)-GDP on integer answers of L2 sensitivity 1.

        Raises:
            InvalidValueError: sigma out of range.
            ReleaseModeError: CONTINUOUS in release mode.

        Reference: Canonne, Kamath & Steinke 2020, Theorem 14; Dong, Roth & Su 2019, Theorem 1.
        """

    @abstractmethod
    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        """Return Laplace noise for counts: integers as floats unless `law` is CONTINUOUS.

        Args:
            scale: the exponential decay length, in records, above 0; DISCRETE and ROUNDED are
                exactly (1 / scale)-DP on integer answers of L1 sensitivity 1.
            size: shape of the answer.
            law: as in `gaussian`.

        Raises:
            InvalidValueError: scale out of range.
            ReleaseModeError: CONTINUOUS in release mode.

        Reference: Ghosh, Roughgarden & Sundararajan 2012, Definition 2.1.
        """

    @abstractmethod
    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        """Return Gaussian noise for gradients: floating point in research mode, multiples of
        `noise_grid(sigma)` in release mode.

        Args:
            sigma: standard deviation, above 0.
            size: shape of the answer.

        Raises:
            InvalidValueError: sigma out of range.
        """

    @abstractmethod
    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        """Return independent booleans, True with `probability`: the draw of a Poisson sample.

        Raises:
            InvalidValueError: probability outside [0, 1].
        """

    @abstractmethod
    def words(self, size: int) -> NDArray[np.uint64]:
        """Return `size` independent uniform 64-bit words: what choices among rows are made by."""

    @abstractmethod
    def exponential_draws(
        self,
        scores: NDArray[np.float64],
        size: int,
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> NDArray[np.intp]:
        """Return `size` independent draws of `exponential_mechanism`: each costs its epsilon."""

    @final
    def exponential_mechanism(
        self,
        scores: NDArray[np.float64],
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> int:
        """Return i with probability proportional to exp(epsilon * scores[i] / (2 sensitivity)).

        Args:
            scores: one a candidate, to be maximised; at most 2**34 sensitivities in size.
            epsilon: bound on the range of the privacy loss.
            sensitivity: largest change of any score between neighbours.
            monotone: drop the 2, if all scores move the same way when a record is added.

        Raises:
            InvalidValueError: scores or parameters out of range.

        Reference: McSherry & Talwar 2007, Theorem 6.
        """
        drawn = self.exponential_draws(
            scores, 1, epsilon=epsilon, sensitivity=sensitivity, monotone=monotone
        )
        return int(drawn[0])

    @abstractmethod
    def report_noisy_max(
        self,
        scores: NDArray[np.float64],
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> int:
        """Return the candidate of the largest score plus exponential noise; epsilon-DP.

        Its expected score is at least that of `exponential_mechanism`, but the range of its loss
        can exceed epsilon: record it as a PureEvent, not as an ExponentialEvent.

        Args and Raises: as `exponential_mechanism`.

        Reference: McKenna & Sheldon 2020, Algorithm 1 (permute-and-flip, the same law).
        """

    @final
    def sampling_distance(self, law: NoiseLaw, spread: float, size: Size) -> float:
        """Return the total-variation distance of such a draw from the law stated.

        It is 0: the integer laws are sampled exactly (see `exact`). Accountants charge whatever
        is returned here to delta, so a sampler that is only close would state its distance here.
        """
        del law, spread, size
        return 0.0


@final
class ResearchNoise(NoiseSource):
    """Reproducible randomness from a seeded generator; nothing drawn with it may be released.

    Args:
        rng: the generator; two sources with equal generators draw equal numbers.
    """

    mode: ClassVar[Literal["research", "release"]] = "research"

    def __init__(self, *, rng: np.random.Generator) -> None:
        self._rng = rng
        self._words = generator_words(rng)

    def state(self) -> str:
        """Return where the generator is, as text; whoever has it knows all that is drawn next."""
        return json.dumps(self._rng.bit_generator.state)

    def restore(self, state: str) -> None:
        """Go on where `state` was taken."""
        self._rng.bit_generator.state = json.loads(state)

    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        _check("sigma", sigma)
        match law:
            case NoiseLaw.CONTINUOUS:
                return self._rng.normal(0.0, sigma, size)
            case NoiseLaw.ROUNDED:
                return np.rint(self._rng.normal(0.0, sigma, size)) + 0.0  # no negative zeros
            case NoiseLaw.DISCRETE:
                flat = exact.integer_noise("gaussian", law, sigma, _count(size), self._words)
                return flat.reshape(size)

    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        _check("scale", scale)
        match law:
            case NoiseLaw.CONTINUOUS:
                return self._rng.laplace(0.0, scale, size)
            case NoiseLaw.ROUNDED:
                return np.rint(self._rng.laplace(0.0, scale, size)) + 0.0
            case NoiseLaw.DISCRETE:
                flat = exact.integer_noise("laplace", law, scale, _count(size), self._words)
                return flat.reshape(size)

    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        _check("sigma", sigma)
        return self._rng.normal(0.0, sigma, size)

    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        _check_probability(probability)
        return self._rng.random(size) < probability

    def words(self, size: int) -> NDArray[np.uint64]:
        return self._words(size)

    def exponential_draws(
        self,
        scores: NDArray[np.float64],
        size: int,
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> NDArray[np.intp]:
        selection.check_scores(scores, epsilon=epsilon, sensitivity=sensitivity)
        rate = selection.loss_rate(epsilon, sensitivity, monotone)
        return selection.softmax_draws(scores, rate, size, rng=self._rng)

    def report_noisy_max(
        self,
        scores: NDArray[np.float64],
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> int:
        selection.check_scores(scores, epsilon=epsilon, sensitivity=sensitivity)
        rate = selection.loss_rate(epsilon, sensitivity, monotone)
        return selection.exponential_argmax(scores, rate, rng=self._rng)


@final
class ReleaseNoise(NoiseSource):
    """The system's cryptographic randomness, exact integer laws; takes no seed.

    Not covered: the time that a draw takes (rejection and ties depend on the bits drawn).

    Raises:
        ReleaseModeError: anything passed to the constructor, so that no seed is ignored silently.
    """

    mode: ClassVar[Literal["research", "release"]] = "release"

    def __init__(self, *seed: Any, **named: Any) -> None:
        if seed or named:
            raise ReleaseModeError("a seed or generator", "randomness comes from the system alone")

    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        _check("sigma", sigma)
        return self._integers("gaussian", sigma, size, law)

    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        _check("scale", scale)
        return self._integers("laplace", scale, size, law)

    def _integers(
        self, family: str, spread: float, size: Size, law: NoiseLaw
    ) -> NDArray[np.float64]:
        if law is NoiseLaw.CONTINUOUS:
            raise ReleaseModeError(
                f"continuous {family} noise", "floating-point noise leaks through its low bits"
            )
        return exact.integer_noise(family, law, spread, _count(size), system_words).reshape(size)

    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        """Return a Gaussian rounded to the grid of `noise_grid(sigma)`, exactly of that law.

        Added to a number on the grid, it is post-processing of the continuous mechanism, at
        distance 0: the sum is exact in a double, and its low bits say nothing.

        Reference: Mironov 2012 (what low bits say otherwise).
        """
        _check("sigma", sigma)
        grid = noise_grid(sigma)
        steps = exact.integer_noise(
            "gaussian", NoiseLaw.ROUNDED, sigma / grid, _count(size), system_words
        )
        steps *= grid
        return steps.reshape(size)

    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        _check_probability(probability)
        return exact.bernoulli(probability, size, system_words)

    def words(self, size: int) -> NDArray[np.uint64]:
        return system_words(size)

    def exponential_draws(
        self,
        scores: NDArray[np.float64],
        size: int,
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> NDArray[np.intp]:
        return selection.exponential_mechanism(
            scores,
            size,
            epsilon=epsilon,
            sensitivity=sensitivity,
            monotone=monotone,
            words=system_words,
        )

    def report_noisy_max(
        self,
        scores: NDArray[np.float64],
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> int:
        return selection.report_noisy_max(
            scores, epsilon=epsilon, sensitivity=sensitivity, monotone=monotone, words=system_words
        )


def _check_probability(probability: float) -> None:
    if not 0 <= probability <= 1:
        raise InvalidValueError("probability", probability, "from 0 to 1")
