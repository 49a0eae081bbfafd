"""A trained stack of layers in NumPy: models that are saved and sampled without torch."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Perceptron:
    """Linear layers with tanh or ReLU between them.

    Args:
        weights: of each layer, of shape (outputs, inputs).
        biases: of each layer, of shape (outputs,).
        rectified: ReLU between the layers; tanh else.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    rectified: bool = False

    @classmethod
    def of(cls, module: "nn.Module") -> Self:
        """Return what a torch module computes whose children are such layers, in this order."""
        from torch import nn

        layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
        return cls(
            weights=tuple(layer.weight.detach().double().cpu().numpy() for layer in layers),
            biases=tuple(layer.bias.detach().double().cpu().numpy() for layer in layers),
            rectified=any(isinstance(layer, nn.ReLU) for layer in module.modules()),
        )

    @property
    def inputs(self) -> int:
        """The number of features of an input."""
        return self.weights[0].shape[1]

    def __call__(self, x: Array) -> Array:
        """Return the outputs, of shape (rows, outputs), of inputs (rows, features)."""
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if k:
                x = np.maximum(x, 0.0) if self.rectified else np.tanh(x)
            x = x @ weight.T + bias
        return x

    def shifted(self, shift: Array) -> Self:
        """Return the same stack with `shift` added to its outputs."""
        return replace(self, biases=(*self.biases[:-1], self.biases[-1] + shift))

    def arrays(self, name: str) -> Mapping[str, NDArray[Any]]:
        """Return what `from_arrays` needs, under keys that begin with `name`."""
        return dict(self._named(name))

    def _named(self, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
        yield f"{name}_rectified", np.array(self.rectified)
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            yield f"{name}_weight_{k}", weight
            yield f"{name}_bias_{k}", bias

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `arrays` was given."""
        layers = range(sum(key.startswith(f"{name}_weight_") for key in arrays))
        return cls(
            weights=tuple(arrays[f"{name}_weight_{k}"] for k in layers),
            biases=tuple(arrays[f"{name}_bias_{k}"] for k in layers),
            rectified=bool(arrays[f"{name}_rectified"]),
        )
