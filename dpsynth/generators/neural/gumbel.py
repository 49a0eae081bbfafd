"""Codes drawn from logits, and drawn such that gradients reach the logits."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def perturbed(logits: "Tensor", generator: "torch.Generator") -> "Tensor":
    """Return logits plus Gumbel noise: the largest of an attribute's is a draw of its softmax."""
    import torch

    uniform = torch.rand(logits.shape, generator=generator).clamp(1e-10, 1.0 - 1e-7)
    return logits - torch.log(-torch.log(uniform.to(logits)))


def straight_through(noisy: "Tensor", sizes: Sequence[int], temperature: float) -> "Tensor":
    """Return the draws that perturbed logits stand for, one-hot, with the gradients of a softmax.

    Args:
        noisy: as `perturbed` returns them, of shape (n, sum of sizes).
        sizes: number of codes of each attribute.
        temperature: of that softmax.

    Reference: Jang, Gu & Poole 2017, section 2.2 (straight-through Gumbel-softmax).
    """
    import torch

    ones: list[Tensor] = []
    for part in noisy.split(list(sizes), 1):
        soft = torch.softmax(part / temperature, 1)
        hard = torch.zeros_like(soft).scatter_(1, part.argmax(1, keepdim=True), 1.0)
        ones.append(hard + soft - soft.detach())
    return torch.cat(ones, 1)


def largest(noisy: "Tensor", sizes: Sequence[int]) -> "Tensor":
    """Return the code of the largest entry of each attribute, of shape (n, attributes)."""
    import torch

    return torch.stack([part.argmax(1) for part in noisy.split(list(sizes), 1)], 1)
