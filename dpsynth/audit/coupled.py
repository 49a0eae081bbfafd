"""Noise under which gradients and votes do not tell two neighbours apart.

Answers to queries can be set equal by shifting their noise (`forced`). The sums of DP-SGD and the
votes of teachers are computed inside of a session, where nobody sees what to shift by. So the
neighbours are coupled instead: records that differ join no batch, and noise takes the place of the
votes that it is added to. Every other draw is the same in both worlds. What then still differs did
not come through the answers.
"""

from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.observation import Observation
from dpsynth.curator.teachers import VotePlan
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.noise import NoiseSource, ResearchNoise, Size


class _Instead(np.ndarray[Any, np.dtype[np.float64]]):
    """Noise which is the sum, whatever it is added to."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = self.view(np.ndarray)
        if ufunc is np.add and method == "__call__":
            return plain.copy()
        given = (plain if each is self else each for each in inputs)
        return getattr(ufunc, method)(*given, **options)


@final
class CoupledNoise(NoiseSource):
    """Equal draws in two worlds, whatever the records in which they differ.

    Args:
        rng: source of all draws; an equal one in both worlds.
        shared: how many records, the first ones, both worlds have.
    """

    mode: ClassVar[Literal["research", "release"]] = "research"

    def __init__(self, *, rng: np.random.Generator, shared: int) -> None:
        self._shared = shared
        # A stream a purpose: one world draws more words, another takes its answers from elsewhere.
        streams = rng.spawn(5)
        self._batches, self._words, self._votes, self._gradients = streams[:4]
        self._noise = ResearchNoise(rng=streams[4])
        self._voting = False

    def observe(self, observation: Observation) -> None:
        """Note whether the next draws are for votes."""
        self._voting = isinstance(observation.query, VotePlan)

    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        if self._voting:
            return self._votes.normal(0.0, sigma, size).view(_Instead)
        return self._noise.gaussian(sigma, size, law=law)

    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        return self._noise.laplace(scale, size, law=law)

    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        return self._gradients.normal(0.0, sigma, size)

    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        joined = np.zeros(size, dtype=bool)
        joined[: self._shared] = self._batches.random(self._shared) < probability
        return joined

    def words(self, size: int) -> NDArray[np.uint64]:
        found = np.zeros(size, dtype=np.uint64)
        common = min(size, self._shared)
        found[:common] = self._words.integers(0, 2**64, common, dtype=np.uint64)
        return found

    def exponential_draws(
        self, scores: NDArray[np.float64], size: int, **terms: Any
    ) -> NDArray[np.intp]:
        return self._noise.exponential_draws(scores, size, **terms)

    def report_noisy_max(self, scores: NDArray[np.float64], **terms: Any) -> int:
        return self._noise.report_noisy_max(scores, **terms)
