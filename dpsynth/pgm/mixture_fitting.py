"""Fitting a mixture of products to 2-way marginals: gradient steps on all pairs at once."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Domain
from dpsynth.pgm.one_hot import OneHot
from dpsynth.threads import one_thread

Array = NDArray[np.float64]
Single = NDArray[np.float32]

_RATE = 0.2
_MOMENTUM, _MEMORY = 0.9, 0.99


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class PairTargets:
    """What a mixture is to say of all pairs, as matrices in the layout of `OneHot`.

    Args:
        domain: all attributes.
        singles: probabilities of every code of every attribute.
        pairs: probabilities of the cells of every pair; symmetric. Blocks of an attribute with
            itself are not read.
        weights: importance of each cell, at least 0, up to a common factor; symmetric.
    """

    domain: Domain
    singles: Array
    pairs: Array
    weights: Array


@one_thread()
def fit_components(
    targets: PairTargets, start: Array, *, steps: int, enough: float = 0.0
) -> Single:
    """Return components, one row each, whose mixture is near `targets`.

    Minimises the weighted squares of what the mixture misses, over the logits of all components, by
    Adam: with P the components, all pairs are P'P / K, and the gradient is P times the weighted
    misses, two matrix products a step. Squares are not convex in the components, so where a fit
    starts matters, and so does where it ends: a start of nearly equal components finds the few
    directions that many pairs share before it fits the noise of each.

    Args:
        targets: what to fit. Each attribute's own probabilities weigh as much as a pair's cell
            of mean weight in all pairs that the attribute is in.
        start: probabilities, one row a component, each above 0.
        steps: number of gradient steps at most.
        enough: stop where the sum of weight times squared miss, each pair once, is at most this.

    Reference: Aydore et al. 2021 (relaxed projection); Liu, Vietri & Wu 2021 (products of softmax
        distributions); Kingma & Ba 2015, algorithm 1 (Adam).
    """
    layout = OneHot(domain=targets.domain)
    weights = np.where(layout.beside, targets.weights, 0.0)
    mean = weights.sum() / max(1, int((weights > 0).sum())) or 1.0
    scaled = (weights / mean).astype(np.float32)
    pairs, singles = targets.pairs.astype(np.float32), targets.singles.astype(np.float32)
    logits = np.log(start).astype(np.float32)
    slope, square = np.zeros_like(logits), np.zeros_like(logits)
    found = layout.softmax(logits)
    for step in range(1, steps + 1):
        misses = found.T @ found / np.float32(len(found)) - pairs
        weighted = scaled * misses
        if 0.5 * mean * float(np.vdot(weighted, misses)) <= enough:
            break
        pull = found @ weighted
        pull += np.float32(0.5 * len(layout.starts)) * (found.mean(axis=0) - singles)
        pull -= layout.block_sums(found * pull)
        pull *= found
        slope += np.float32(1 - _MOMENTUM) * (pull - slope)
        square += np.float32(1 - _MEMORY) * (pull**2 - square)
        # Full steps in the first half, then ever shorter ones, so that the end does not swing.
        rate = _RATE * min(1.0, 2 * (1 - step / (steps + 1)))
        rate *= sqrt(1 - _MEMORY**step) / (1 - _MOMENTUM**step)
        logits -= np.float32(rate) * slope / (np.sqrt(square) + np.float32(1e-12))
        found = layout.softmax(logits)
    return found


def near_equal(
    domain: Domain, singles: Array, components: int, *, spread: float, rng: np.random.Generator
) -> Array:
    """Return components that all but equal the product of `singles`, to start from.

    Args:
        domain: all attributes.
        singles: probabilities of every code.
        components: how many.
        spread: standard deviation of the logits between components.
        rng: source of the differences.
    """
    layout = OneHot(domain=domain)
    logits = np.log(_positive(layout, singles))
    return layout.softmax(logits + spread * rng.normal(size=(components, layout.width)))


def near_rows(
    domain: Domain, codes: NDArray[np.integer[Any]], singles: Array, *, smooth: float
) -> Array:
    """Return a component for each of some rows, close to it, to start from.

    Args:
        domain: all attributes.
        codes: the rows, n x d.
        singles: probabilities of every code.
        smooth: the part of each component that follows `singles`, above 0 and at most 1.
    """
    layout = OneHot(domain=domain)
    return (1 - smooth) * layout.encode(codes) + smooth * _positive(layout, singles)


def _positive(layout: OneHot, singles: Array) -> Array:
    """Return probabilities with none so small that its logarithm could not move."""
    raised = np.maximum(singles, 1e-4)[None, :]
    return (raised / layout.block_sums(raised))[0]
