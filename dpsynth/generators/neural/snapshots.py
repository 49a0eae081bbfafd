"""What a training run is at one of its steps, kept so that a run that was killed goes on there."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import json
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.sgd import SgdSession

if TYPE_CHECKING:
    import torch
    from torch import nn

# Seconds between snapshots: so much work is done again after a kill.
_APART = 5.0
# Where a snapshot takes long they are so many times that apart.
_TIMES = 5.0


class Part(Protocol):
    """Something that training moves; a private output, or public."""

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return what it is now, for `restore`."""
        ...

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `arrays` returned."""
        ...


@final
class Snapshots:
    """Keeps everything that a loop of training moves, at some of its steps.

    Args:
        session: where it is kept, with the number of steps taken.
        parts: what is moved, by name.
    """

    def __init__(self, session: SgdSession, parts: Mapping[str, Part]) -> None:
        self._session, self._parts = session, parts
        self._last, self._apart = monotonic(), _APART

    def restore(self) -> int:
        """Go on where the last snapshot was made, and return how many steps are taken by then."""
        found = self._session.recalled()
        if found is None:
            return 0
        for name, part in self._parts.items():
            mine = [key for key in found if key.startswith(f"{name}.")]
            part.restore({key.removeprefix(f"{name}."): found[key] for key in mine})
        return self._session.steps_taken

    def save(self, *, last: bool) -> bool:
        """Keep all parts, where that is due or the step is the last, and return whether it was."""
        now = monotonic()
        if not self._session.keeps or (not last and now - self._last < self._apart):
            return False
        self._session.keep(
            {
                f"{name}.{key}": array
                for name, part in self._parts.items()
                for key, array in part.arrays().items()
            }
        )
        self._last = monotonic()
        self._apart = max(_APART, _TIMES * (self._last - now))
        return True


@final
@dataclass(frozen=True)
class Weights:
    """What a network has learned."""

    network: "nn.Module"

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        state = self.network.state_dict()
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        import torch

        for name, tensor in self.network.state_dict().items():
            tensor.copy_(torch.as_tensor(arrays[name]))


@final
@dataclass(frozen=True)
class Moments:
    """What an optimiser remembers of the gradients."""

    optimiser: "torch.optim.Optimizer"

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {
            f"{index}.{name}": np.asarray(_plain(value))
            for index, values in self.optimiser.state_dict()["state"].items()
            for name, value in values.items()
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        import torch

        state: dict[int, dict[str, Any]] = {}
        for key, array in arrays.items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = torch.as_tensor(array)
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})


@final
@dataclass(frozen=True)
class Sums:
    """Numbers that are added to in place."""

    numbers: Mapping[str, NDArray[np.float64]]

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return self.numbers

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name, kept in self.numbers.items():
            kept[...] = arrays[name]


@final
@dataclass(frozen=True)
class Stream:
    """Where a source of randomness is that never sees records."""

    rng: np.random.Generator

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {"state": np.array(json.dumps(self.rng.bit_generator.state))}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.rng.bit_generator.state = json.loads(str(arrays["state"]))


@final
@dataclass(frozen=True)
class Draws:
    """Where a generator of torch is that never sees records."""

    generator: "torch.Generator"

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {"state": self.generator.get_state().numpy()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        import torch

        self.generator.set_state(torch.as_tensor(arrays["state"]))


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
