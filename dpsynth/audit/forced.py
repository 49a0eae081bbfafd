"""Does anything but the answers reach the model? A fit on a neighbour, given the same answers.

Everything that a generator learns about its records must come through answers. So a second fit is
run on a neighbouring table whose noise is set to make every answer equal to the recorded one. All
that follows must then be equal too: queries, charges, the model, its size. A domain, a number of
rows, a branch or a batch size taken from the records shows at once and with certainty.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.transcript import (
    AdditiveStep,
    SelectionStep,
    SgdStep,
    Transcript,
    VoteStep,
    asked,
)
from dpsynth.curator.observation import Observation
from dpsynth.curator.teachers import VotePlan
from dpsynth.data.domain import Domain
from dpsynth.errors import UnsupportedEventError
from dpsynth.generators.base import SyntheticModel
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.noise import NoiseSource, Size


@final
class ForcedNoise(NoiseSource):
    """Noise that turns the answers on one table into those recorded on another.

    Where a fit leaves the recorded path it gets plain noise, and `departed` says so.

    Args:
        transcript: the recorded fit.
        recorded: encoded records on which it ran.
        codes: encoded records on which it runs now.
        domain: of both.
        noise: draws where nothing can be forced.
    """

    mode: ClassVar[Literal["research", "release"]] = "research"

    def __init__(
        self,
        transcript: Transcript,
        *,
        recorded: NDArray[np.integer[Any]],
        codes: NDArray[np.integer[Any]],
        domain: Domain,
        noise: NoiseSource,
    ) -> None:
        self.mode = noise.mode  # pyright: ignore[reportAttributeAccessIssue] - it mimics another
        self._steps = list(reversed(transcript.steps))
        self._recorded, self._codes, self._domain = recorded, codes, domain
        self._noise = noise
        self._voting = False
        self.departed = False

    def observe(self, observation: Observation) -> None:
        """Compare an access with the recorded one."""
        self._voting = isinstance(observation.query, VotePlan)
        step = self._steps[-1] if self._steps else None
        same = (
            step is not None
            and observation.label == step.label
            and observation.event == step.event
            and equal(observation.query, asked(step))
        )
        self.departed |= not same
        if isinstance(step, SgdStep | VoteStep):
            self._steps.pop()

    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        forced = None if self._voting else self._additive(size)
        return self._noise.gaussian(sigma, size, law=law) if forced is None else forced

    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        forced = self._additive(size)
        return self._noise.laplace(scale, size, law=law) if forced is None else forced

    def _additive(self, size: Size) -> NDArray[np.float64] | None:
        step = self._steps.pop() if self._steps else None
        shape = (size,) if isinstance(size, int) else tuple(size)
        if not isinstance(step, AdditiveStep) or step.noise.shape != shape:
            self.departed = True
            return None
        before, now = (step.query.exact(c, self._domain) for c in (self._recorded, self._codes))
        return before - now + step.noise

    def words(self, size: int) -> NDArray[np.uint64]:
        return self._noise.words(size)

    def exponential_draws(
        self,
        scores: NDArray[np.float64],
        size: int,
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> NDArray[np.intp]:
        step = self._steps.pop() if self._steps else None
        if isinstance(step, SelectionStep) and step.chosen < scores.size:
            return np.full(size, step.chosen)
        self.departed = True
        return self._noise.exponential_draws(
            scores, size, epsilon=epsilon, sensitivity=sensitivity, monotone=monotone
        )

    def report_noisy_max(self, scores: NDArray[np.float64], **terms: Any) -> int:
        del scores, terms
        rule = "its replay is not defined; select with the exponential mechanism"
        raise UnsupportedEventError("audit", "report-noisy-max", rule)

    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        return self._noise.normal(sigma, size)

    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        return self._noise.bernoulli(probability, size)


def model_differences(first: SyntheticModel, second: SyntheticModel) -> Iterator[str]:
    """Yield a sentence for each thing that two models do not both release, to the last bit."""
    if first.schema != second.schema:
        yield "the model's schema differs"
    if first.total != second.total:
        yield "the model's number of records differs"
    arrays = (dict(first.arrays()), dict(second.arrays()))
    names = [n for n in arrays[0] if n not in arrays[1] or not equal(arrays[0][n], arrays[1][n])]
    if names or arrays[0].keys() != arrays[1].keys():
        yield f"the model differs in {', '.join(names) or 'the names of its arrays'}"


def equal(first: object, second: object) -> bool:
    """Return whether two values are equal, arrays and dataclasses with arrays included."""
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return np.array_equal(np.asarray(first), np.asarray(second))
    if type(first) is not type(second):
        return False
    if is_dataclass(first) and not isinstance(first, type):
        return all(equal(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    if isinstance(first, tuple | list) and isinstance(second, tuple | list):
        return len(first) == len(second) and all(map(equal, first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(equal(first[k], second[k]) for k in first)
    return bool(first == second)
