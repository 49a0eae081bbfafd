"""What a critic was told while it was trained, told to the generator once more: free.

In a game each noisy gradient moves the critic once and is forgotten. It says more: at the weights
that the critic had then, the mean of all records' clipped gradients. Fakes have such a mean as
well, and a generator that is right has the same one at every step. So after the game the generator
takes steps down the squared distance of the two, at steps drawn at random. No two critics are
alike, hence together they tell far more of the law than the last one does, and their noise is
independent from step to step.
"""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

# Numbers kept of all steps: 256 MB. Of longer trainings every other step is kept, or every third.
_MOST = 2**26


@final
class Transcript:
    """The critic's weights and its noisy gradient of records at the steps of a training.

    Both are private outputs: keeping them, and whatever is made of them, costs nothing.

    Args:
        critic: the network, whose `note` is taken after `SgdSession.step` has set its gradients.
        steps: how many there will be.
    """

    def __init__(self, critic: "nn.Module", *, steps: int) -> None:
        self._critic = critic
        numbers = 2 * steps * sum(p.numel() for p in critic.parameters())
        self._every = -(-numbers // _MOST)
        self._passed = 0
        self._steps: list[tuple[list[Tensor], list[Tensor]]] = []

    def note(self) -> None:
        """Keep what the critic is now, and what it was just told."""
        if self._passed % self._every == 0:
            parameters = list(self._critic.parameters())
            told = [p.grad.clone() for p in parameters if p.grad is not None]
            self._steps.append(([p.detach().clone() for p in parameters], told))
        self._passed += 1

    def revive(self, *, rng: np.random.Generator, until: float = 1.0) -> "Sequence[Tensor]":
        """Give the critic the weights of a step drawn at random; return what it was told there.

        Args:
            rng: draws the step.
            until: the first part of the training that is drawn from.
        """
        steps = max(1, round(until * len(self._steps)))
        weights, told = self._steps[int(rng.integers(steps))]
        for parameter, then in zip(self._critic.parameters(), weights, strict=True):
            parameter.data.copy_(then)
        return told

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that was kept, for `restore`: a row of numbers a step."""
        from torch.nn.utils import parameters_to_vector

        rows = [[parameters_to_vector(side).cpu().numpy() for side in of] for of in self._steps]
        return {"steps": np.array(rows), "passed": np.array(self._passed)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `arrays` returned."""
        import torch

        like = list(self._critic.parameters())

        def parts(row: NDArray[Any]) -> "list[Tensor]":
            pieces = torch.as_tensor(row).split([p.numel() for p in like])
            return [of.view_as(p).to(p.device) for of, p in zip(pieces, like, strict=True)]

        self._steps = [(parts(then), parts(told)) for then, told in arrays["steps"]]
        self._passed = int(arrays["passed"])


@final
class Witness:
    """How much a row's gradient of a critic agrees with a direction of its weights.

    It is the derivative of the critic's value along the direction: one pass, forward.

    Args:
        critic: the network.
        towards: a direction for each of its parameters, by name.

    Reference: Cheng & Xie 2021 (the witness of a neural tangent kernel's distance).
    """

    def __init__(self, critic: "nn.Module", towards: "Mapping[str, Tensor]") -> None:
        self._critic, self._towards = critic, dict(towards)

    def __call__(self, rows: "Tensor") -> "Tensor":
        from torch.func import functional_call, jvp

        def value(parameters: "dict[str, Tensor]") -> "Tensor":
            return functional_call(self._critic, parameters, (rows,))

        at = {name: parameter.detach() for name, parameter in self._critic.named_parameters()}
        return jvp(value, (at,), (self._towards,))[1]
