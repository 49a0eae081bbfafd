"""What `dpvae`, `dpgan` and `pate_gan` release: a network from noise to the laws of columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.schema import Schema
from dpsynth.generators.base import SyntheticModel
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.generators.neural.softmax import drawn_rows, in_batches


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class DecoderModel(SyntheticModel):
    """Decoders: standard normal noise in, one distribution an attribute out. NumPy suffices.

    Args:
        schema: the public description of the records.
        total: number of records it stands for.
        decoders: from latent variables to the logits of all attributes, side by side; a row has
            any of them, equally likely.
    """

    schema: Schema
    total: float
    decoders: tuple[Perceptron, ...]

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return in_batches(n, lambda rows: self._batch(rows, rng=rng))

    def _batch(self, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        first, *others = self.decoders
        noise = rng.standard_normal((n, first.inputs))
        logits = first(noise)
        if others:
            chosen = rng.integers(len(self.decoders), size=n)
            for at, decoder in enumerate(others, start=1):
                logits[chosen == at] = decoder(noise[chosen == at])
        return drawn_rows(logits, self.schema.domain, rng=rng)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        found = {"total": np.array(self.total)}
        for at, decoder in enumerate(self.decoders):
            found |= decoder.arrays(_name(at))
        return found

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        if "weights_0" in arrays:  # saved when a decoder was known by four arrays
            kept = [arrays[f"weights_{i}"] for i in range(4)]
            decoders = [Perceptron(weights=tuple(kept[::2]), biases=tuple(kept[1::2]))]
        else:
            count = sum(key.endswith("_rectified") for key in arrays)
            decoders = [Perceptron.from_arrays(_name(at), arrays) for at in range(count)]
        return cls(schema=schema, total=float(arrays["total"]), decoders=tuple(decoders))


def _name(at: int) -> str:
    """Return what a decoder's arrays are called: the first as when there was one only."""
    return f"decoder_{at}" if at else "decoder"
