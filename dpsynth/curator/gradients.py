"""Sums of clipped per-sample gradients: the one query that DP-SGD asks of a batch.

Two routes give the same sum. The ghost route serves networks whose trainable parameters all sit in
Linear layers that are used once in a pass: one backward pass yields the norm of every record's
gradient and the clipped sum, and no per-sample gradient is ever formed. The hook route serves every
layer that Opacus knows, and forms them.

Sensitivity: one record more or less changes the sum by that record's clipped gradient, whose L2
norm is at most C over all parameters together; a gradient that is not finite contributes nothing.
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

    @property
    @abstractmethod
    def bytes_per_record(self) -> int:
        """Memory that one record of a batch takes, roughly; bounds the physical batch."""


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
    """Input and output of one Linear layer in one forward pass."""

    layer: "nn.Linear"
    input: "Tensor"
    output: "Tensor"


@final
class GhostClippedSum(ClippedSum):
    """One backward pass to the outputs of the Linear layers, none to the weights.

    For y = W x + b with output gradient g, the gradient of W is the outer product g x^T, of squared
    norm |g|^2 |x|^2, and that of b is g. So norms need no per-sample gradients, and the clipped sum
    is (factors * g)^T x.

    Reference: Goodfellow 2015 (norms); Li et al. 2022, section 4 (ghost clipping); Bu et al. 2023
        (one backward pass).
    """

    def __call__(self, codes: "Tensor", generator: "torch.Generator") -> "list[Tensor]":
        import torch

        with self._tapped() as taps:
            losses = per_record(self.loss(self.module, codes, generator), len(codes))
        outputs = [tap.output for tap in taps]
        found = torch.autograd.grad(losses.sum(), outputs, allow_unused=True)
        signals = [or_zeros(g, o) for g, o in zip(found, outputs, strict=True)]
        with torch.no_grad():
            return self._sum(taps, signals)

    def serves(self, probe: "Tensor", generator: "torch.Generator") -> bool:
        """Return whether a pass uses each layer at most once, on inputs (batch, features)."""
        with self._tapped() as taps:
            per_record(self.loss(self.module, probe, generator), len(probe))
        once = len({id(tap.layer) for tap in taps}) == len(taps)
        return bool(taps) and once and all(tap.input.ndim == 2 for tap in taps)

    @property
    def bytes_per_record(self) -> int:
        return 8 * 4 * sum(layer.in_features + layer.out_features for layer in self._layers())

    def _layers(self) -> "list[nn.Linear]":
        from torch import nn

        layers = [m for m in self.module.modules() if type(m) is nn.Linear]
        return [m for m in layers if any(p.requires_grad for p in m.parameters())]

    @contextmanager
    def _tapped(self) -> "Generator[list[_Tap]]":
        taps: list[_Tap] = []

        def tap(layer: Any, inputs: Any, output: Any) -> None:
            taps.append(_Tap(layer, inputs[0].detach(), output))

        handles = [layer.register_forward_hook(tap) for layer in self._layers()]
        try:
            yield taps
        finally:
            for handle in handles:
                handle.remove()

    def _sum(self, taps: Sequence[_Tap], signals: "Sequence[Tensor]") -> "list[Tensor]":
        import torch

        squared = torch.stack(
            [
                signal.square().sum(1) * _multiplicity(tap)
                for tap, signal in zip(taps, signals, strict=True)
            ]
        ).sum(0)
        factors, finite = clipping_factors(squared, self.norm), torch.isfinite(squared)
        inputs = [tap.input for tap in taps]
        if not bool(finite.all()):  # 0 times nan is nan: such records are cut out, not scaled
            factors = factors[finite]
            signals, inputs = [s[finite] for s in signals], [x[finite] for x in inputs]
        sums: dict[int, Tensor] = {}
        for tap, signal, x in zip(taps, signals, inputs, strict=True):
            scaled = signal * factors[:, None]
            sums[id(tap.layer.weight)] = scaled.T @ x
            sums[id(tap.layer.bias)] = scaled.sum(0)
        trainable = [p for p in self.module.parameters() if p.requires_grad]
        return [sums.get(id(p), torch.zeros_like(p)) for p in trainable]


def _multiplicity(tap: _Tap) -> "Tensor":
    """Return what |g|^2 counts for in the squared norm of each record: |x|^2 (W) plus 1 (b)."""
    bias = tap.layer.bias is not None and tap.layer.bias.requires_grad  # pyright: ignore
    weight = float(tap.layer.weight.requires_grad)
    return weight * tap.input.square().sum(1) + float(bias)


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

    @property
    def bytes_per_record(self) -> int:
        return 3 * 4 * sum(p.numel() for p in self.module.parameters() if p.requires_grad)


def _take_grad_sample(parameter: Any, batch: int) -> "Tensor":
    """Return and clear what Opacus left on a parameter; zeros where the loss does not use it."""
    import torch

    found, parameter.grad_sample = parameter.grad_sample, None
    return torch.zeros(batch, *parameter.shape) if found is None else found


def or_zeros(found: "Tensor | None", like: "Tensor") -> "Tensor":
    """Return a gradient, or zeros where autograd found no path to `like`."""
    import torch

    return torch.zeros_like(like) if found is None else found
