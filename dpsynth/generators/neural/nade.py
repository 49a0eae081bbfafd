"""A neural autoregressive density estimator: one hidden layer, shared by all attributes."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.generators.neural.softmax import one_hot

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Nade:
    """A trained network in NumPy: h_i = tanh(sum of W_j x_j over all j before i), logits V_i h_i.

    Args:
        order: columns as they are drawn.
        embeddings: for each column, in the schema's order, of shape (codes, units): W_j, centred;
            the first column drawn has the bias of the hidden units in it.
        outputs: for each place, of shape (codes, units).
        output_biases: for each place.

    Reference: Larochelle & Murray 2011, equations 3 and 4; Uria et al. 2016, section 2.
    """

    order: tuple[int, ...]
    embeddings: tuple[Array, ...]
    outputs: tuple[Array, ...]
    output_biases: tuple[Array, ...]

    @classmethod
    def of(cls, network: "nn.ModuleDict", laws: Sequence[Array], order: Sequence[int]) -> Self:
        """Return what a network of `nade_network` computes on inputs centred by `laws`."""
        layers: Any = network
        embeddings: list[Array] = []
        for a, law in enumerate(laws):
            weights = _plain(layers[f"embedding_{a}"].weight).T
            embeddings.append(weights - law.astype(np.float32) @ weights)
        embeddings[order[0]] += _plain(layers[f"embedding_{order[0]}"].bias)
        outputs = [layers[f"output_{place}"] for place in range(len(order))]
        return cls(
            order=tuple(order),
            embeddings=tuple(embeddings),
            outputs=tuple(_plain(layer.weight) for layer in outputs),
            output_biases=tuple(_plain(layer.bias) for layer in outputs),
        )

    def logits(self, codes: Codes, place: int) -> Array:
        """Return what is added to the logits at `place` (`Correction`)."""
        hidden = np.zeros((len(codes), self.outputs[place].shape[1]))
        for a in self.order[:place]:
            hidden += self.embeddings[a][codes[:, a]]
        return np.tanh(hidden) @ self.outputs[place].T + self.output_biases[place]

    def arrays(self, name: str) -> Mapping[str, NDArray[Any]]:
        """Return what `from_arrays` needs, under keys that begin with `name`."""
        each = {
            "embeddings": self.embeddings,
            "outputs": self.outputs,
            "output_biases": self.output_biases,
        }
        return {
            f"{name}_order": np.array(self.order),
            **{f"{name}_{key}_{k}": v for key, of in each.items() for k, v in enumerate(of)},
        }

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `arrays` was given."""
        order = tuple(map(int, arrays[f"{name}_order"]))
        places = range(len(order))
        return cls(
            order=order,
            embeddings=tuple(arrays[f"{name}_embeddings_{k}"] for k in places),
            outputs=tuple(arrays[f"{name}_outputs_{k}"] for k in places),
            output_biases=tuple(arrays[f"{name}_output_biases_{k}"] for k in places),
        )


def nade_network(
    sizes: Sequence[int], order: Sequence[int], *, hidden: int, generator: "torch.Generator"
) -> "nn.ModuleDict":
    """Return the network to train; its outputs start at 0.

    Every parameter sits in a Linear layer that a pass uses once, so that clipping needs no
    per-sample gradients, and embeddings of columns are summed up rather than computed anew for
    every place.

    Args:
        sizes: number of codes of each column.
        order: columns as they are drawn.
        hidden: number of units.
        generator: randomness of the initial weights.
    """
    from torch import nn

    layers: dict[str, nn.Linear] = {}
    reach = (6.0 / (sum(sizes) + hidden)) ** 0.5
    for a, size in enumerate(sizes):
        layer = layers[f"embedding_{a}"] = nn.Linear(size, hidden, bias=a == order[0])
        nn.init.uniform_(layer.weight, -reach, reach, generator=generator)
        if a == order[0]:
            nn.init.zeros_(layer.bias)
    for place, a in enumerate(order):
        layer = layers[f"output_{place}"] = nn.Linear(hidden, sizes[a])
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.ModuleDict(layers)


def nade_outputs(
    network: "nn.Module", codes: "Tensor", laws: Sequence[Array], order: Sequence[int]
) -> "dict[int, Tensor]":
    """Return what is added to the logits at each place, of shape (batch, codes).

    Args:
        network: of `nade_network`.
        codes: int64, of shape (batch, columns).
        laws: of each column's codes; centres of the inputs.
        order: columns as they are drawn.
    """
    import torch

    layers: Any = network
    inputs = one_hot(codes, [len(law) for law in laws]).split([len(law) for law in laws], 1)
    found: dict[int, Tensor] = {}
    before = torch.zeros(len(codes), layers["output_0"].in_features, device=codes.device)
    for place, a in enumerate(order):
        found[place] = layers[f"output_{place}"](torch.tanh(before))
        centre = torch.as_tensor(laws[a], dtype=torch.float32, device=codes.device)
        before = before + layers[f"embedding_{a}"](inputs[a] - centre)
    return found


def _plain(tensor: "Tensor") -> Array:
    return tensor.detach().double().cpu().numpy()
