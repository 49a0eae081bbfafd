"""What a training run is at one of its steps, kept so that a run that was killed goes on there."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

import json
from time import monotonic
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.sgd import SgdSession
from dpsynth.generators.neural.networks import WeightAverage

if TYPE_CHECKING:
    import torch
    from torch import nn

# Seconds between snapshots: so much work is done again after a kill.
_APART = 5.0


@final
class Snapshots:
    """Keeps network, optimiser, average and the state of `rng`; all are private outputs, or public.

    Args:
        session: where they are kept, with the number of steps taken.
        network, optimiser, average: what the noisy gradients moved.
        rng: source of randomness that never sees records.
    """

    def __init__(
        self,
        session: SgdSession,
        network: "nn.Module",
        optimiser: "torch.optim.Optimizer",
        average: WeightAverage,
        rng: np.random.Generator,
    ) -> None:
        self._session, self._network, self._optimiser = session, network, optimiser
        self._average, self._rng = average, rng
        self._last = monotonic()

    def restore(self) -> int:
        """Go on where the last snapshot was made, and return how many steps are taken by then."""
        import torch

        found = self._session.recalled()
        if found is None:
            return 0
        state = self._network.state_dict()
        for name, tensor in state.items():
            tensor.copy_(torch.as_tensor(found[f"network.{name}"]))
        record = self._optimiser.state_dict()
        record["state"] = _optimiser_state(found)
        self._optimiser.load_state_dict(record)
        self._average.restore({k.removeprefix("average."): found[k] for k in _of(found, "average")})
        self._rng.bit_generator.state = json.loads(str(found["rng"]))
        return self._session.steps_taken

    def save(self, *, last: bool) -> bool:
        """Keep the state, where that is due or the step is the last, and return whether it was."""
        if not self._session.keeps or (not last and monotonic() - self._last < _APART):
            return False
        arrays: dict[str, NDArray[Any]] = {
            f"network.{name}": tensor.detach().cpu().numpy()
            for name, tensor in self._network.state_dict().items()
        }
        for index, values in self._optimiser.state_dict()["state"].items():
            for name, value in values.items():
                arrays[f"optimiser.{index}.{name}"] = np.asarray(_plain(value))
        arrays |= {f"average.{name}": array for name, array in self._average.arrays().items()}
        arrays["rng"] = np.array(json.dumps(self._rng.bit_generator.state))
        self._session.keep(arrays)
        self._last = monotonic()
        return True


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _of(found: dict[str, NDArray[Any]], part: str) -> list[str]:
    return [name for name in found if name.startswith(f"{part}.")]


def _optimiser_state(found: dict[str, NDArray[Any]]) -> dict[int, dict[str, Any]]:
    import torch

    state: dict[int, dict[str, Any]] = {}
    for key in _of(found, "optimiser"):
        _, index, name = key.split(".", 2)
        state.setdefault(int(index), {})[name] = torch.as_tensor(found[key])
    return state
