"""How epsilon grows with the steps of a DP-SGD run: computed at a few steps, and never too low.

The run is paid for as a whole before its first step. What is told here is what an observer of the
first t noisy gradients, and of everything before them, has learned at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import final

from dpsynth.privacy.accountant import Accountant
from dpsynth.privacy.event_json import (
    Json,
    float_from_json,
    integer_from_json,
    sequence_from_json,
)
from dpsynth.privacy.events import DpSgdEvent, Event

# Steps at which epsilon is computed; each may take an accountant a tenth of a second.
_POINTS = 8


@final
@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Epsilon after so many steps of one run, with all that was charged before it.

    Args:
        entry: position of the run in the ledger.
        steps: where epsilon was computed, rising; the last is the whole run.
        epsilon: at each of them, at the budget's delta.
    """

    entry: int
    steps: tuple[int, ...]
    epsilon: tuple[float, ...]

    def after(self, steps: int) -> float:
        """Return an upper bound on epsilon after so many steps: that of the next one computed."""
        return next(e for s, e in zip(self.steps, self.epsilon, strict=True) if s >= steps)

    def to_json(self) -> Json:
        """Return the trajectory as a JSON object."""
        return {"entry": self.entry, "steps": list(self.steps), "epsilon": list(self.epsilon)}

    @classmethod
    def from_json(cls, record: Json) -> "Trajectory":
        """Return what `to_json` wrote; InvalidValueError where it is something else."""
        steps = sequence_from_json("steps", record.get("steps"))
        epsilon = sequence_from_json("epsilon", record.get("epsilon"))
        return cls(
            entry=integer_from_json("entry", record.get("entry")),
            steps=tuple(integer_from_json("steps", step) for step in steps),
            epsilon=tuple(float_from_json("epsilon", value) for value in epsilon),
        )


def trajectories(events: Sequence[Event], accountant: Accountant) -> tuple[Trajectory, ...]:
    """Return one trajectory for each run of DP-SGD among `events`, which are in their order.

    Args:
        events: of a ledger.
        accountant: the ledger's.
    """
    found: list[Trajectory] = []
    for at, event in enumerate(events):
        if isinstance(event, DpSgdEvent):
            points = range(1, _POINTS + 1)
            steps = tuple(sorted({ceil(event.steps * k / _POINTS) for k in points}))
            epsilon = [accountant.epsilon([*events[:at], _first(event, n)]) for n in steps]
            # each bound holds for fewer steps too, where it happens to be the smaller one
            least = [min(epsilon[i:]) for i in range(len(epsilon))]
            found.append(Trajectory(entry=at, steps=steps, epsilon=tuple(least)))
    return tuple(found)


def _first(event: DpSgdEvent, steps: int) -> DpSgdEvent:
    return DpSgdEvent(
        noise_multiplier=event.noise_multiplier, sample_rate=event.sample_rate, steps=steps
    )
