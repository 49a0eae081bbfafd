"""Laws of all attributes as softmaxes of logits side by side, in torch and NumPy, and draws."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Domain

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]


def one_hot(codes: "Tensor", sizes: Sequence[int]) -> "Tensor":
    """Return codes as float32 indicators, of shape (..., sum of sizes), attribute after attribute.

    Args:
        codes: int64, of shape (..., attributes).
        sizes: number of codes of each attribute.
    """
    import torch

    starts = torch.as_tensor(np.cumsum([0, *sizes[:-1]]), device=codes.device)
    ones = torch.zeros(*codes.shape[:-1], sum(sizes), device=codes.device)
    return ones.scatter_(-1, codes + starts, 1.0)


def cross_entropy(logits: "Tensor", ones: "Tensor", sizes: Sequence[int]) -> "Tensor":
    """Return each record's negative log-likelihood under independent softmaxes of its logits.

    Args:
        logits: of shape (..., sum of sizes).
        ones: the record, as `one_hot` returns it; or weights that sum to 1 for each attribute.
        sizes: number of codes of each attribute.
    """
    import torch

    parts = logits.split(list(sizes), -1)
    normalisers = torch.stack([torch.logsumexp(part, -1) for part in parts]).sum(0)
    return normalisers - (logits * ones).sum(-1)


def parts(flat: Array, domain: Domain) -> list[Array]:
    """Return what stands side by side on the last axis, attribute by attribute."""
    return np.split(flat, np.cumsum(domain.shape)[:-1], axis=-1)


def softmax(logits: Array) -> Array:
    """Return the law of each row of logits."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def drawn(logits: Array, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return one code for each row of an attribute's logits, drawn from their softmax."""
    # The largest of Gumbel-perturbed logits is such a draw.
    return np.argmax(logits + rng.gumbel(size=logits.shape), axis=-1)


def drawn_rows(logits: Array, domain: Domain, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a row of codes for each row of logits, attributes drawn independently given it."""
    return np.stack([drawn(part, rng=rng) for part in parts(logits, domain)], axis=-1)


def in_batches(
    n: int, draw: Callable[[int], NDArray[Any]], *, most: int = 2**13
) -> NDArray[np.integer[Any]]:
    """Return n rows that are drawn `most` at a time, so that their logits stay small.

    Args:
        n: number of rows.
        draw: from a number of rows to their codes.
        most: rows of a batch.
    """
    return np.concatenate([draw(min(most, n - start)) for start in range(0, n, most)])
