"""What autoregressive generators release: a chain of tables, corrected by what was trained."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.gradients import PerSampleLoss
from dpsynth.data.schema import Schema
from dpsynth.generators.base import SyntheticModel
from dpsynth.generators.neural.chain import Chain
from dpsynth.generators.neural.interactions import Interactions
from dpsynth.generators.neural.nade import Nade
from dpsynth.generators.neural.softmax import in_batches

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# (network, codes) -> place of a link -> what is added to its logits, of shape (batch, codes).
Outputs: TypeAlias = "Callable[[nn.Module, Tensor], Mapping[int, Tensor]]"

_BATCH = 2**15


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ChainModel(SyntheticModel):
    """Rows drawn attribute by attribute, each from its law given those before. NumPy suffices.

    Args:
        schema: the public description of the records.
        total: number of records it stands for.
        chain: the order and the tables.
        correction: what was trained.
    """

    schema: Schema
    total: float
    chain: Chain
    correction: Interactions | Nade

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return in_batches(
            n, lambda rows: self.chain.rows(rows, self.correction, rng=rng), most=_BATCH
        )

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        name = "nade" if isinstance(self.correction, Nade) else "interactions"
        return {
            "total": np.array(self.total),
            **self.chain.arrays(),
            **self.correction.arrays(name),
        }

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        if "nade_order" in arrays:
            correction = Nade.from_arrays("nade", arrays)
        else:
            correction = Interactions.from_arrays("interactions", arrays)
        return cls(
            schema=schema,
            total=float(arrays["total"]),
            chain=Chain.from_arrays(arrays),
            correction=correction,
        )


def chain_loss(chain: Chain, outputs: Outputs) -> PerSampleLoss:
    """Return the per-sample loss of a corrected chain: the negative log-likelihood, exactly.

    Args:
        chain: the tables, which are not trained.
        outputs: what the network adds; links without an output have no gradient, and are left out.
    """

    def loss(network: "nn.Module", codes: "Tensor", generator: "torch.Generator") -> "Tensor":
        import torch

        del generator
        plain = codes.cpu().numpy()
        losses: Sequence[Tensor] = [
            torch.nn.functional.cross_entropy(
                torch.as_tensor(_logits(chain, place, plain)).to(added) + added,
                codes[:, chain.order[place]],
                reduction="none",
            )
            for place, added in outputs(network, codes).items()
        ]
        return torch.stack([*losses]).sum(0)

    return loss


def _logits(chain: Chain, place: int, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    link = chain.links[place]
    return link.logits(link.cells(codes))
