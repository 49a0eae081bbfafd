"""Networks for coded records, and the running average of their weights."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def autoencoder(
    *, width: int, hidden: int, latent: int, generator: "torch.Generator"
) -> "nn.ModuleDict":
    """Return an encoder to (mean, log-variance) and a decoder to logits, one hidden layer each.

    Every parameter sits in a Linear layer that a pass uses once, so that clipping needs no
    per-sample gradients. The decoder's last weights start small: the first logits are its biases.

    Args:
        width: number of one-hot inputs, and of logits.
        hidden: units of each hidden layer.
        latent: dimensions of the latent variable.
        generator: randomness of the initial weights.
    """
    from torch import nn

    network = nn.ModuleDict(
        {
            "encoder": nn.Sequential(
                nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent)
            ),
            "decoder": nn.Sequential(
                nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, width)
            ),
        }
    )
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
    last = layers[-1].weight
    last.data.mul_(0.1)
    return network


@final
class WeightAverage:
    """An exponential moving average of a network's weights; noisy steps average out in it.

    Args:
        module: the network.
        decay: the average forgets this slowly; the first steps count in full.

    Reference: De et al. 2022, section 3.2 (parameter averaging under DP-SGD).
    """

    def __init__(self, module: "nn.Module", *, decay: float) -> None:
        self._parameters = list(module.parameters())
        self._decay = decay
        self._steps = 0
        self._average: list[Tensor] = [p.detach().clone() for p in self._parameters]

    def update(self) -> None:
        """Take the current weights into the average."""
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 9.0))
        for average, parameter in zip(self._average, self._parameters, strict=True):
            average.mul_(decay).add_(parameter.detach(), alpha=1.0 - decay)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the average so far, for `restore`."""
        kept = {str(i): average.cpu().numpy() for i, average in enumerate(self._average)}
        return {**kept, "steps": np.array(self._steps)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `arrays` returned."""
        import torch

        self._steps = int(arrays["steps"])
        for i, average in enumerate(self._average):
            average.copy_(torch.as_tensor(arrays[str(i)]))

    def apply(self) -> None:
        """Set the network's weights to the average."""
        for average, parameter in zip(self._average, self._parameters, strict=True):
            parameter.data.copy_(average)
