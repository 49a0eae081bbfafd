"""Trial passes on codes that are no records: they check a network and its loss for free.

Everything here is decided on rows drawn uniformly from the public domain, and on parameters that
are private outputs already. So a refusal, or a stop, tells nothing about the records.
"""

# torch and opacus state their types only in part.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

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
        device: where the network is, as torch names it.
    """

    def __init__(self, *, domain: Domain, rng: np.random.Generator, device: Any = "cpu") -> None:
        import torch

        rows = rng.integers(0, np.array(domain.shape), size=(_ROWS, len(domain.shape)))
        other = rng.integers(0, np.array(domain.shape), size=(1, len(domain.shape)))
        # A row that happens to be the same where a layer looks would show no mixing.
        other = np.where(other == rows[:1], (other + 1) % np.array(domain.shape), other)
        self.codes = torch.as_tensor(rows, device=device)
        self._changed = torch.cat([torch.as_tensor(other, device=device), self.codes[1:]])
        self._seed = int(rng.integers(2**62))

    def generator(self) -> "torch.Generator":
        """Return a generator in the same state at each call."""
        import torch

        return torch.Generator().manual_seed(self._seed)

    def trial_loss(self, module: "nn.Module", loss: PerSampleLoss) -> float:
        """Return the mean loss of the probe's rows; not finite where one of them is not."""
        import torch

        with torch.no_grad():
            return float(loss(module, self.codes, self.generator()).double().mean())

    def refuse_mixing(self, module: "nn.Module", loss: PerSampleLoss) -> None:
        """Check that a record's loss depends on no other record of its batch, and that a pass
        leaves nothing of the records in the network.

        Raises:
            InvalidValueError: other losses move when one row is replaced, and clipping would then
                not bound what one record does; or a buffer keeps a trace of the rows. The layer is
                named where it is a layer's doing.
        """
        import torch

        kept = {name: buffer.clone() for name, buffer in module.named_buffers()}
        with torch.no_grad():
            with _layer_calls(module) as first:
                before = per_record(loss(module, self.codes, self.generator()), _ROWS)
            with _layer_calls(module) as second:
                after = per_record(loss(module, self._changed, self.generator()), _ROWS)
        for name, buffer in module.named_buffers():
            if not torch.equal(buffer, kept[name]):
                rule = "left as it is by a pass over records: no noise covers what it keeps"
                raise InvalidValueError(f"buffer {name!r}", "changed by a pass", rule)
        if _same(before, after):
            return
        rule = "a function of one record at a time"
        for (name, given, made), (_, given_too, made_too) in zip(first, second, strict=False):
            if _same(given, given_too) and not _same(made, made_too):
                kind = type(module.get_submodule(name)).__name__
                raise InvalidValueError(f"layer {name!r}", f"{kind}, which mixes records", rule)
        raise InvalidValueError("loss", "one that mixes records", rule)

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


@contextmanager
def _layer_calls(module: "nn.Module") -> "Generator[list[tuple[str, Tensor, Tensor]]]":
    """List name, input and output of every call of a layer that has no layers of its own."""
    found: list[tuple[str, Tensor, Tensor]] = []

    def listing(name: str) -> Any:
        def note(_: Any, given: Any, made: Any) -> None:
            if given and hasattr(given[0], "shape") and hasattr(made, "shape"):
                found.append((name, given[0].detach(), made.detach()))

        return note

    leaves = [(n, m) for n, m in module.named_modules() if n and not any(m.children())]
    handles = [layer.register_forward_hook(listing(name)) for name, layer in leaves]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _same(before: "Tensor", after: "Tensor") -> bool:
    """Return whether two passes agree on all rows but the first, which was replaced."""
    import torch

    if before.shape != after.shape or len(before) != _ROWS:
        return False
    return torch.allclose(before[1:], after[1:], rtol=1e-4, atol=1e-6, equal_nan=True)


def _trainable(module: "nn.Module") -> "list[tuple[str, nn.Parameter]]":
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]
