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
    """A decoder: standard normal noise in, one distribution an attribute out. NumPy suffices.

    Args:
        schema: the public description of the records.
        total: number of records it stands for.
        decoder: from latent variables to the logits of all attributes, side by side.
    """

    schema: Schema
    total: float
    decoder: Perceptron

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return in_batches(n, lambda rows: self._batch(rows, rng=rng))

    def _batch(self, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        logits = self.decoder(rng.standard_normal((n, self.decoder.inputs)))
        return drawn_rows(logits, self.schema.domain, rng=rng)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {"total": np.array(self.total), **self.decoder.arrays("decoder")}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        if "weights_0" in arrays:  # saved when a decoder was known by four arrays
            kept = [arrays[f"weights_{i}"] for i in range(4)]
            decoder = Perceptron(weights=tuple(kept[::2]), biases=tuple(kept[1::2]))
        else:
            decoder = Perceptron.from_arrays("decoder", arrays)
        return cls(schema=schema, total=float(arrays["total"]), decoder=decoder)
