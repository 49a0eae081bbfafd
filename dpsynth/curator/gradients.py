"""Sums of clipped per-sample gradients: the one query that DP-SGD asks of a batch.

Two routes give the same sum. The ghost route serves networks whose trainable parameters all sit in
Linear layers: one backward pass yields the norm of every record's gradient and the clipped sum. The
hook route serves every layer that Opacus knows, and forms per-sample gradients of all of them.

Sensitivity: one record more or less changes the sum by that record's clipped gradient, whose L2
norm is at most C over all parameters together; a gradient that is not finite contributes nothing.
Not covered: sums of a batch are formed in float32, and what rounding does to them may differ
between neighbours, by some 1e-6 of the sum's length.
"""

# torch and opacus state their types only in part.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, final

from dpsynth.errors import InvalidValueError, MissingExtraError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# (module, codes of shape (batch, attributes), generator) -> losses of shape (batch,). Randomness of
# its own must be independent from record to record.
PerSampleLoss: TypeAlias = "Callable[[nn.Module, Tensor, torch.Generator], Tensor]"

# float32 norms and products are off by some 1e-6; clipping a little deeper keeps the bound true.
_CLIPPING_MARGIN = 1e-5
# What the places of a record take from one another is lost to rounding, relative to their lengths.
_PLACES_MARGIN = 2.0**-18


class ClippedSum(ABC):
    """Return, for a batch, the sum over its records of gradients clipped to one global norm.

    Args:
        module: the network; only its trainable parameters count, in the order of `parameters()`.
        loss: one loss a record; a record's loss must depend on no other record.
        norm: the clipping norm C, over all parameters together.
    """

    def __init__(self, *, module: "nn.Module", loss: PerSampleLoss, norm: float) -> None:
        self.module, self.loss, self.norm = module, loss, norm

    @abstractmethod
    def __call__(self, codes: "Tensor", generator: "torch.Generator") -> "list[Tensor]":
        """Return the clipped sum, one tensor a trainable parameter; leaves `grad` untouched.

        Args:
            codes: int64, of shape (batch, attributes), at least one row.
            generator: randomness of the loss itself.
        """

    @abstractmethod
    def bytes_per_record(self, probe: "Tensor", generator: "torch.Generator") -> int:
        """Return the memory that one record of a batch takes, roughly, from one pass on a probe."""


def clipped_sum(
    *,
    module: "nn.Module",
    loss: PerSampleLoss,
    norm: float,
    probe: "Tensor",
    generator: "torch.Generator",
) -> ClippedSum:
    """Return the cheaper route that serves `module`.

    Args:
        module, loss, norm: as of `ClippedSum`.
        probe: codes that are no records, on which one pass is tried.
        generator: randomness of that pass.

    Raises:
        InvalidValueError: no trainable parameter, a loss that is not one number a record,
            or a layer whose gradients cannot be told apart by record; the message names it.
        MissingExtraError: the module needs Opacus, which is not installed.
    """
    names = {name for name, p in module.named_parameters() if p.requires_grad}
    if not names:
        raise InvalidValueError("module", type(module).__name__, "trainable in some parameter")
    _refuse_mixing_layers(module)
    if names <= set(_linear_parameters(module)):
        ghost = GhostClippedSum(module=module, loss=loss, norm=norm)
        if ghost.serves(probe, generator):
            return ghost
    return HookClippedSum(module=module, loss=loss, norm=norm)


def _refuse_mixing_layers(module: "nn.Module") -> None:
    from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm):
            raise InvalidValueError(
                f"layer {name!r}",
                type(layer).__name__,
                "one that does not mix the records of a batch",
            )


def _linear_parameters(module: "nn.Module") -> Iterator[str]:
    from torch import nn

    for at, layer in module.named_modules():
        if type(layer) is nn.Linear:
            for name, _ in layer.named_parameters(recurse=False):
                yield f"{at}.{name}".removeprefix(".")


def per_record(losses: "Tensor", batch: int) -> "Tensor":
    """Return `losses` after checking that there is one for each record.

    Raises:
        InvalidValueError: another shape, for instance a loss already averaged over the batch.
    """
    if tuple(losses.shape) != (batch,):
        raise InvalidValueError(
            "shape of the loss", tuple(losses.shape), f"({batch},), one loss a record, not averaged"
        )
    return losses


def clipping_factors(squared_norms: "Tensor", norm: float) -> "Tensor":
    """Return min(1, C / norm of the gradient) for each record, and 0 where that is not finite.

    Args:
        squared_norms: squared L2 norm of each record's gradient, over all parameters.
        norm: the clipping norm C.
    """
    import torch

    factors = (norm / (squared_norms.sqrt() * (1.0 + _CLIPPING_MARGIN))).clamp(max=1.0)
    return torch.where(torch.isfinite(squared_norms), factors, torch.zeros_like(factors))


@dataclass
class _Tap:
    """Inputs and outputs of one Linear layer in one forward pass, call by call."""

    layer: "nn.Linear"
    inputs: "list[Tensor]"
    outputs: "list[Tensor]"


@final
class GhostClippedSum(ClippedSum):
    """One backward pass to the outputs of the Linear layers, none to the weights.

    For y_t = W x_t + b with output gradients g_t, at the places t of a record (tokens, or several
    uses of the layer), the gradient of W is the sum of outer products g_t x_t^T and that of b the
    sum of g_t. Its squared norm is the sum over pairs (s, t) of (g_s . g_t)(x_s . x_t), and for one
    place |g|^2 |x|^2. So norms need no per-sample gradients, and the clipped sum is the sum over t
    of (factors * g_t)^T x_t. Where a record has so many places that its gradient is the smaller
    matrix, that is formed instead.

    Reference: Goodfellow 2015 (norms); Li et al. 2022, section 4 (ghost clipping, equation 3 for
        sequences); Bu et al. 2023 (one backward pass).
    """

    def __call__(self, codes: "Tensor", generator: "torch.Generator") -> "list[Tensor]":
        import torch

        with self._tapped() as taps:
            losses = per_record(self.loss(self.module, codes, generator), len(codes))
        outputs = [output for tap in taps for output in tap.outputs]
        found = iter(torch.autograd.grad(losses.sum(), outputs, allow_unused=True))
        with torch.no_grad():
            signals = [_stacked([or_zeros(next(found), o) for o in t.outputs]) for t in taps]
            return self._sum([t.layer for t in taps], [_stacked(t.inputs) for t in taps], signals)

    def serves(self, probe: "Tensor", generator: "torch.Generator") -> bool:
        """Return whether a pass gives each layer inputs (batch, ..., features) alone."""
        with self._tapped() as taps:
            per_record(self.loss(self.module, probe, generator), len(probe))
        inputs = [x for tap in taps for x in tap.inputs]
        return bool(taps) and all(x.ndim > 1 and len(x) == len(probe) for x in inputs)

    def bytes_per_record(self, probe: "Tensor", generator: "torch.Generator") -> int:
        with self._tapped() as taps:
            self.loss(self.module, probe, generator)
        floats = 0
        for tap in taps:
            places = sum(x[0].numel() // x.shape[-1] for x in tap.inputs)
            width = tap.layer.in_features + tap.layer.out_features
            pairs = tap.layer.weight.numel() if _forms(places, tap.layer) else 2 * places**2
            floats += 4 * places * width + (pairs if places > 1 else 0)
        return 2 * 4 * floats

    def _layers(self) -> "list[nn.Linear]":
        from torch import nn

        layers = [m for m in self.module.modules() if type(m) is nn.Linear]
        return [m for m in layers if any(p.requires_grad for p in m.parameters())]

    @contextmanager
    def _tapped(self) -> "Generator[list[_Tap]]":
        taps: dict[int, _Tap] = {}
        found: list[_Tap] = []

        def tap(layer: Any, inputs: Any, output: Any) -> None:
            if id(layer) not in taps:
                taps[id(layer)] = _Tap(layer, [], [])
                found.append(taps[id(layer)])
            taps[id(layer)].inputs.append(inputs[0].detach())
            taps[id(layer)].outputs.append(output)

        handles = [layer.register_forward_hook(tap) for layer in self._layers()]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()

    def _sum(
        self,
        layers: "Sequence[nn.Linear]",
        inputs: "Sequence[Tensor]",
        signals: "Sequence[Tensor]",
    ) -> "list[Tensor]":
        import torch

        norms = [_squared_norms(*of) for of in zip(layers, inputs, signals, strict=True)]
        squared = torch.stack(norms).sum(0)
        factors, finite = clipping_factors(squared, self.norm), torch.isfinite(squared)
        if not bool(finite.all()):  # 0 times nan is nan: such records are cut out, not scaled
            factors = factors[finite]
            signals, inputs = [s[finite] for s in signals], [x[finite] for x in inputs]
        sums: dict[int, Tensor] = {}
        for layer, x, signal in zip(layers, inputs, signals, strict=True):
            scaled = (signal * factors[:, None, None]).flatten(0, 1)
            sums[id(layer.weight)] = scaled.T @ x.flatten(0, 1)
            sums[id(layer.bias)] = scaled.sum(0)
        trainable = [p for p in self.module.parameters() if p.requires_grad]
        return [sums.get(id(p), torch.zeros_like(p)) for p in trainable]


def _stacked(calls: "Sequence[Tensor]") -> "Tensor":
    """Return what a layer saw or gave, of shape (batch, places, features), over all its calls."""
    import torch

    stacked = [x.reshape(len(x), -1, x.shape[-1]) for x in calls]
    return stacked[0] if len(stacked) == 1 else torch.cat(stacked, dim=1)


def _forms(places: int, layer: "nn.Linear") -> bool:
    """Return whether a record's gradient is smaller than the products of its places."""
    return 2 * places**2 > layer.weight.numel()


def _squared_norms(layer: "nn.Linear", x: "Tensor", signal: "Tensor") -> "Tensor":
    """Return each record's squared gradient norm over the trainable parameters of a layer.

    Gradients of several places may cancel, and rounding then leaves an error that is small beside
    their lengths, not beside their sum; so much is added that the true norm is not larger.

    Args:
        layer: the layer.
        x: its inputs, of shape (batch, places, features).
        signal: the gradients of its outputs, likewise.
    """
    import torch

    weight = layer.weight.requires_grad
    bias = layer.bias is not None and layer.bias.requires_grad  # pyright: ignore[reportUnnecessaryComparison]
    if x.shape[1] == 1:
        squared = signal.square().sum(2)
        found = x.square().sum(2) * squared if weight else torch.zeros_like(squared)
        return (found + squared if bias else found)[:, 0]
    found, lengths = torch.zeros_like(x[:, 0, 0]), torch.zeros_like(x[:, :, 0])
    if weight:
        lengths += x.square().sum(2)
        if _forms(x.shape[1], layer):
            found += (signal.transpose(1, 2) @ x).square().sum((1, 2))
        else:
            found += ((x @ x.transpose(1, 2)) * (signal @ signal.transpose(1, 2))).sum((1, 2))
    if bias:
        lengths += 1.0
        found += signal.sum(1).square().sum(1)
    apart = (lengths.sqrt() * signal.norm(dim=2)).sum(1).square()
    return found.clamp(min=0.0) + _PLACES_MARGIN * apart


@final
class HookClippedSum(ClippedSum):
    """Per-sample gradients by Opacus' hooks: every layer it supports, at a price in memory."""

    def __init__(self, *, module: "nn.Module", loss: PerSampleLoss, norm: float) -> None:
        super().__init__(module=module, loss=loss, norm=norm)
        try:
            from opacus.grad_sample import GradSampleModule
            from opacus.validators import ModuleValidator
        except ImportError:
            raise MissingExtraError("DP-SGD through Opacus", "neural") from None
        faults = ModuleValidator.validate(module, strict=False)
        if faults:
            raise InvalidValueError("module", str(faults[0]), "free of layers that mix records")
        self._hooked = GradSampleModule(module, loss_reduction="sum", strict=True)
        self._hooked.disable_hooks()

    def __call__(self, codes: "Tensor", generator: "torch.Generator") -> "list[Tensor]":
        import torch

        trainable = [p for p in self.module.parameters() if p.requires_grad]
        kept = [p.grad for p in trainable]
        for p in trainable:  # backward adds to what is there
            p.grad = None
        self._hooked.enable_hooks()
        losses = per_record(self.loss(self.module, codes, generator), len(codes))
        losses.sum().backward()
        self._hooked.disable_hooks()
        samples = [_take_grad_sample(p, len(codes)) for p in trainable]
        for p, grad in zip(trainable, kept, strict=True):
            p.grad = grad
        with torch.no_grad():
            squared = torch.stack([s.flatten(1).square().sum(1) for s in samples]).sum(0)
            factors, finite = clipping_factors(squared, self.norm), torch.isfinite(squared)
            return [torch.einsum("n,n...->...", factors[finite], s[finite]) for s in samples]

    def bytes_per_record(self, probe: "Tensor", generator: "torch.Generator") -> int:  # noqa: ARG002
        return 3 * 4 * sum(p.numel() for p in self.module.parameters() if p.requires_grad)


def _take_grad_sample(parameter: Any, batch: int) -> "Tensor":
    """Return and clear what Opacus left on a parameter; zeros where the loss does not use it."""
    found, parameter.grad_sample = parameter.grad_sample, None
    return parameter.new_zeros(batch, *parameter.shape) if found is None else found


def or_zeros(found: "Tensor | None", like: "Tensor") -> "Tensor":
    """Return a gradient, or zeros where autograd found no path to `like`."""
    import torch

    return torch.zeros_like(like) if found is None else found
