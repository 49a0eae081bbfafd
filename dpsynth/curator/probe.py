"""Trial passes on codes that are no records: they check a network and its loss for free.

Everything here is decided on rows drawn uniformly from the public domain, and on parameters that
are private outputs already. So a refusal, or a stop, tells nothing about the records.
"""

# torch and opacus state their types only in part.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from typing import TYPE_CHECKING, final

import numpy as np

from dpsynth.curator.gradients import (
    ClippedSum,
    PerSampleLoss,
    clipping_factors,
    or_zeros,
    per_record,
)
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_ROWS = 6


@final
class Probe:
    """A few rows drawn uniformly from a public domain.

    Args:
        domain: the domain of the records; only its sizes are used.
        rng: source of the rows.
    """

    def __init__(self, *, domain: Domain, rng: np.random.Generator) -> None:
        import torch

        rows = rng.integers(0, np.array(domain.shape), size=(_ROWS, len(domain.shape)))
        other = rng.integers(0, np.array(domain.shape), size=(1, len(domain.shape)))
        self.codes = torch.as_tensor(rows)
        self._changed = torch.cat([torch.as_tensor(other), self.codes[1:]])
        self._seed = int(rng.integers(2**62))

    def generator(self) -> "torch.Generator":
        """Return a generator in the same state at each call."""
        import torch

        return torch.Generator().manual_seed(self._seed)

    def loss_is_finite(self, module: "nn.Module", loss: PerSampleLoss) -> bool:
        """Return whether the losses of the probe's rows are all finite numbers."""
        import torch

        with torch.no_grad():
            return bool(torch.isfinite(loss(module, self.codes, self.generator())).all())

    def refuse_mixing(self, module: "nn.Module", loss: PerSampleLoss) -> None:
        """Check that a record's loss depends on no other record of its batch.

        Raises:
            InvalidValueError: other losses move when one row is replaced; clipping would then not
                bound what one record does.
        """
        import torch

        with torch.no_grad():
            before = per_record(loss(module, self.codes, self.generator()), _ROWS)
            after = per_record(loss(module, self._changed, self.generator()), _ROWS)
        if not torch.allclose(before[1:], after[1:], rtol=1e-4, atol=1e-6, equal_nan=True):
            raise InvalidValueError(
                "loss", "one that mixes records", "a function of one record at a time"
            )

    def refuse_wrong_sum(self, clipped: ClippedSum) -> None:
        """Check a clipped sum against a plain loop over the rows.

        Raises:
            InvalidValueError: the sums differ: a parameter is used outside of its layer.
        """
        import torch

        fast = clipped(self.codes, self.generator())
        slow = self._loop(clipped)
        for (name, _), a, b in zip(_trainable(clipped.module), fast, slow, strict=True):
            if not torch.allclose(a, b, rtol=1e-3, atol=1e-4 * clipped.norm):
                raise InvalidValueError(
                    f"parameter {name!r}", "used outside of its layer", "used by its layer alone"
                )

    def _loop(self, clipped: ClippedSum) -> "list[Tensor]":
        import torch

        parameters = [p for _, p in _trainable(clipped.module)]
        losses = clipped.loss(clipped.module, self.codes, self.generator())
        total = [torch.zeros_like(p) for p in parameters]
        for one in losses:
            found = torch.autograd.grad(one, parameters, retain_graph=True, allow_unused=True)
            gradient = [or_zeros(g, p) for g, p in zip(found, parameters, strict=True)]
            squared = torch.stack([g.square().sum() for g in gradient]).sum()
            factor = clipping_factors(squared, clipped.norm)
            if torch.isfinite(squared):
                total = [t + factor * g for t, g in zip(total, gradient, strict=True)]
        return total


def _trainable(module: "nn.Module") -> "list[tuple[str, nn.Parameter]]":
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]
