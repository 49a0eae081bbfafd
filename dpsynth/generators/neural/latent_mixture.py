"""A network from latent draws to a mixture of products, fitted to what was measured of it."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Callable, Collection, Sequence
from itertools import chain, combinations
from math import cos, pi
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.one_hot import OneHot
from dpsynth.pgm.product_mixture import ProductMixture

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_BLOCKS = 2
# Variance of a block's outputs over that of its inputs, at the start.
_SPREAD = 0.33
_FIRST_LOGITS = 0.2
# Of Adam's first and second moments.
_BETAS = (0.9, 0.99)

Laws: TypeAlias = "dict[str, Tensor]"
"""Attribute -> the probabilities of its codes, one row a latent draw."""


@final
class LatentMixture:
    """A network of residual blocks that turns fixed latent draws into laws of all attributes.

    Given its draw a row's attributes are independent, so that expected marginals of any clique, and
    expected values of any product of functions of single attributes, are sums of products over the
    draws: exact, and differentiable in the weights.

    The columns' own laws are kept by a shift of the logits, moved by a step of iterative
    proportional fitting before each step of the weights. As a term of the loss they would be so
    stiff that the network's first steps undo every dependence, and it never leaves that saddle.

    Args:
        domain: the attributes.
        shares: each attribute's law, all side by side, none of them 0.
        draws: how many components the mixture has.
        latent: dimensions of a draw.
        hidden: units of each block.
        rng: source of the draws and of the first weights.
        device: where it is trained.
    """

    def __init__(
        self,
        domain: Domain,
        shares: NDArray[np.float64],
        *,
        draws: int,
        latent: int,
        hidden: int,
        rng: np.random.Generator,
        device: "torch.device | str" = "cpu",
    ) -> None:
        import torch

        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self._domain = domain
        self._shares = torch.as_tensor(shares, dtype=torch.float32, device=device)
        self._shift = self._shares.log()
        self._latent = torch.randn(draws, latent, generator=generator).to(device)
        widths = [(latent, hidden), *[(hidden, hidden)] * _BLOCKS, (hidden, shares.size)]
        self._layers: list[tuple[Tensor, Tensor]] = []
        for inputs, outputs in widths:
            weight = torch.randn(inputs, outputs, generator=generator) * (_SPREAD / inputs) ** 0.5
            self._layers.append((weight.to(device), torch.zeros(outputs, device=device)))
        self._layers[-1][0].mul_(_FIRST_LOGITS)
        for tensor in chain.from_iterable(self._layers):
            tensor.requires_grad_()

    def _logits(self) -> "Tensor":
        (weight, bias), *blocks, (last, _) = self._layers
        x = self._latent @ weight + bias
        for inner, offset in blocks:
            normal = (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5)
            x = x + (normal @ inner + offset).relu()
        return x @ last + self._shift

    def _split(self, logits: "Tensor") -> "list[Tensor]":
        return [part.softmax(1) for part in logits.split(list(self._domain.shape), 1)]

    def laws(self) -> Laws:
        """Return the law of each attribute given each draw."""
        return dict(zip(self._domain.attributes, self._split(self._logits()), strict=True))

    def fit(
        self,
        loss: "Callable[[Laws], Tensor]",
        *,
        steps: int,
        learning_rate: float,
        shifts: bool,
        enough: float = 0.0,
    ) -> None:
        """Lower a loss of the laws by Adam; the rate falls to 0 along half a cosine.

        What is lowered is the logarithm: a loss in the variances of noise falls by some orders of
        magnitude, and Adam's steps, which remember the slopes of before, would fall with it.

        Shifts that keep the columns fade as the rate does. At full length to the end they would
        undo sharp dependences: where a component holds one code only, as its twin in another
        attribute, a code whose share is no multiple of a component's gets the rest by making others
        less sure.

        Args:
            loss: of what `laws` returns.
            steps: number of steps at most.
            learning_rate: the first.
            shifts: whether the columns are kept by shifts. One pair is fitted sooner with them,
                many are worse; a loss that says of every pair what it is says enough of columns.
            enough: stop where the loss is at most this.
        """
        import torch

        optimiser = torch.optim.Adam([p for layer in self._layers for p in layer], betas=_BETAS)
        for step in range(steps):
            fading = 0.5 * (1 + cos(pi * step / steps))
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * fading
            if shifts:
                self._calibrate(fading)
            value = loss(self.laws())
            if float(value.detach()) <= enough:
                break
            optimiser.zero_grad()
            value.log().backward()  # pyright: ignore[reportUnknownMemberType]
            optimiser.step()

    def _calibrate(self, part: float) -> None:
        """Shift the logits towards the columns' laws, a part of a step of proportional fitting."""
        import torch

        with torch.no_grad():
            means = torch.cat([law.mean(0) for law in self._split(self._logits())])
            self._shift = self._shift + part * (self._shares / means.clamp(min=1e-9)).log()

    def mixture(self, total: float) -> ProductMixture:
        """Return the mixture that the network is now.

        Args:
            total: number of records that it stands for.
        """
        import torch

        with torch.no_grad():
            found = torch.cat(list(self.laws().values()), 1).cpu().numpy()
        return ProductMixture(domain=self._domain, total=total, components=found)


def expected(laws: Laws, clique: Clique) -> "Tensor":
    """Return the probability of each cell of `clique`, axes in its order."""
    first, *others = (laws[a] for a in clique)
    if not others:
        return first.mean(0)
    for law in others[:-1]:
        first = (first[:, :, None] * law[:, None, :]).flatten(1)
    shape = [laws[a].shape[1] for a in clique]
    return (first.T @ others[-1] / len(first)).reshape(shape)


def misfit(measured: Sequence[NoisyMarginal], total: float) -> "Callable[[Laws], Tensor]":
    """Return half the sum of squares that laws miss of `measured`, in the variances of its noise.

    Args:
        measured: counts of single codes.
        total: number of records that the laws stand for.
    """
    import torch

    targets = [torch.as_tensor(m.values / total, dtype=torch.float32) for m in measured]
    weights = [0.5 * (total / m.sigma) ** 2 for m in measured]

    def loss(laws: Laws) -> "Tensor":
        expected_now = [expected(laws, m.clique) for m in measured]
        missed = [
            weight * (found - target.to(found)).square().sum()
            for found, target, weight in zip(expected_now, targets, weights, strict=True)
        ]
        return torch.stack(missed).sum()

    return loss


def hearsay(
    domain: Domain, pairs: NDArray[np.float64], known: Collection[Clique], doubt: float
) -> "Callable[[Laws], Tensor]":
    """Return a loss that pulls every pair outside of `known` towards a law that is guessed.

    A mixture that is fitted to some numbers is free to tie all else together, and does: of all laws
    that fit it does not find the one of largest entropy, as a graphical model would.

    Args:
        domain: the attributes.
        pairs: probabilities of pairs of codes, blocks as `OneHot` lays them out.
        known: cliques; pairs inside them are left alone.
        doubt: standard deviation of a cell's probability around the guess; half the sum of squares
            is in units of its square.
    """
    import torch

    layout = OneHot(domain=domain)
    free = layout.beside.copy()
    for first, second in {p for clique in known for p in combinations(clique, 2)}:
        one, other = layout.columns[first], layout.columns[second]
        free[one, other] = free[other, one] = False
    weights = torch.as_tensor(0.25 / doubt**2 * free, dtype=torch.float32)  # each pair stands twice
    guess = torch.as_tensor(pairs, dtype=torch.float32)

    def loss(laws: Laws) -> "Tensor":
        flat = torch.cat(list(laws.values()), 1)
        missed = flat.T @ flat / len(flat) - guess.to(flat)
        return (weights.to(flat) * missed.square()).sum()

    return loss
