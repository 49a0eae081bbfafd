"""Interactions of attributes as fixed features; what is learned is linear in them."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_HALVINGS = 6
_DEGREE = 3
_TRIES = 4


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Interactions:
    """Log-linear corrections: weights of products of contrasts of up to three earlier attributes.

    A contrast halves an attribute's codes, and is centred. A product of three says, with the
    attribute itself, what four of them have in common: the parity of binary attributes is one
    weight. Features are bounded and known beforehand, and the loss is convex in the weights.

    Args:
        order: columns as they are drawn.
        contrasts: for each column values of its codes, of shape (halvings, codes).
        products: for each place its features, of shape (features, 3): indices of contrasts,
            counted from 1 through all columns; 0 is the constant 1.
        weights: for each place, of shape (codes, features).

    Reference: Darroch, Lauritzen & Speed 1980 (log-linear interactions); Rahimi & Recht 2009
        (fixed random features).
    """

    order: tuple[int, ...]
    contrasts: tuple[Array, ...]
    products: tuple[Codes, ...]
    weights: tuple[Array, ...]

    @classmethod
    def drawn(
        cls,
        laws: Sequence[Array],
        order: Sequence[int],
        *,
        features: int,
        rng: np.random.Generator,
    ) -> Self:
        """Return features without weight yet.

        Every set of up to three attributes is there with one halving of each, or as many of the
        sets, chosen at random, as `features` allows; what room is left holds other halvings.

        Args:
            laws: of each attribute's codes, which halvings divide about evenly.
            order: columns as they are drawn.
            features: largest number at one place.
            rng: source of halvings and choices.
        """
        contrasts = tuple(_halvings(law, rng) for law in laws)
        starts = np.cumsum([1, *(len(c) for c in contrasts)])
        runs = [(int(starts[a]), len(contrasts[a])) for a in order]
        products = [_products(runs[:place], features, rng) for place in range(len(order))]
        if not any(map(len, products)):
            products = [np.zeros((1, _DEGREE), dtype=np.int64) for _ in order]
        return cls(
            order=tuple(order),
            contrasts=contrasts,
            products=tuple(products),
            weights=tuple(
                np.zeros((len(laws[a]), len(p))) for a, p in zip(order, products, strict=True)
            ),
        )

    def features(self, codes: Codes) -> list[NDArray[np.float32]]:
        """Return the features at every place, each of shape (rows, features), of rows of codes."""
        values = self._values(codes)
        return [_multiplied(values, products) for products in self.products]

    def logits(self, codes: Codes, place: int) -> Array | None:
        """Return what is added to the logits at `place` (`Correction`)."""
        weights = self.weights[place]
        used = np.flatnonzero(np.abs(weights).sum(axis=0))
        if not len(used):
            return None
        features = _multiplied(self._values(codes), self.products[place][used])
        return features @ weights[:, used].T

    def _values(self, codes: Codes) -> NDArray[np.float32]:
        constant = np.ones((1, len(codes)), dtype=np.float32)
        pieces = [c.astype(np.float32)[:, codes[:, a]] for a, c in enumerate(self.contrasts)]
        return np.concatenate([constant, *pieces])

    def arrays(self, name: str) -> Mapping[str, NDArray[Any]]:
        """Return what `from_arrays` needs, under keys that begin with `name`."""
        return dict(self._named(name))

    def _named(self, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
        yield f"{name}_order", np.array(self.order)
        for k, weights in enumerate(self.weights):
            used = np.flatnonzero(np.abs(weights).sum(axis=0))
            yield f"{name}_contrasts_{k}", self.contrasts[k]
            yield f"{name}_products_{k}", self.products[k][used]
            yield f"{name}_weights_{k}", weights[:, used]

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `arrays` was given; features without weight are gone."""
        order = tuple(map(int, arrays[f"{name}_order"]))
        places = range(len(order))
        return cls(
            order=order,
            contrasts=tuple(arrays[f"{name}_contrasts_{k}"] for k in places),
            products=tuple(arrays[f"{name}_products_{k}"] for k in places),
            weights=tuple(arrays[f"{name}_weights_{k}"] for k in places),
        )


def linear_layers(interactions: Interactions) -> "nn.ModuleDict":
    """Return a layer for each place that has features, under its number; all weights are 0."""
    from torch import nn

    layers = {
        str(place): nn.Linear(weights.shape[1], len(weights), bias=False)
        for place, weights in enumerate(interactions.weights)
        if weights.size
    }
    for layer in layers.values():
        nn.init.zeros_(layer.weight)
    return nn.ModuleDict(layers)


def _multiplied(values: NDArray[np.float32], products: Codes) -> NDArray[np.float32]:
    first, second, third = products.T
    return (values[first] * values[second] * values[third]).T


def _halvings(law: Array, rng: np.random.Generator) -> Array:
    """Return different divisions of codes in two groups of about equal probability, centred."""
    size = len(law)
    law = law / law.sum()
    found: dict[bytes, Array] = {}
    for _ in range(2 * _HALVINGS if size > 1 else 0):
        order = rng.permutation(size)
        signs = np.where(np.cumsum(law[order]) - law[order] < 0.5, 1.0, -1.0)
        if signs.min() > 0:
            signs[-1] = -1.0
        halving = np.empty(size)
        halving[order] = signs
        halving *= halving[0]
        found.setdefault(halving.tobytes(), halving)
    signs = np.array([*found.values()][:_HALVINGS]).reshape(-1, size)
    return signs - (signs @ law)[:, None]


def _products(runs: Sequence[tuple[int, int]], features: int, rng: np.random.Generator) -> Codes:
    """Return triples of contrasts: one halving an attribute in all sets first, then others.

    Args:
        runs: index of the first contrast of each attribute, and their number.
        features: largest number of triples.
        rng: source of what is chosen where not all has room.
    """
    useful = [run for run in runs if run[1]]
    starts, numbers = np.array(useful, dtype=np.int64).reshape(-1, 2).T
    chosen: dict[tuple[int, ...], None] = {}
    for degree in range(1, min(_DEGREE, len(useful)) + 1):
        if comb(len(useful), degree) <= features - len(chosen):
            chosen |= dict.fromkeys(combinations(starts.tolist(), degree))
        else:
            chosen |= _drawn(starts, np.ones_like(numbers), degree, _TRIES * features, rng)
    for degree in range(1, min(_DEGREE, len(useful)) + 1):
        chosen |= _drawn(starts, numbers, degree, _TRIES * features // _DEGREE, rng)
    padded = [(*c, *[0] * (_DEGREE - len(c))) for c in [*chosen][:features]]
    return np.array(padded, dtype=np.int64).reshape(-1, _DEGREE)


def _drawn(
    starts: Codes, numbers: Codes, degree: int, tries: int, rng: np.random.Generator
) -> dict[tuple[int, ...], None]:
    """Return sets of `degree` contrasts of different attributes, in the order they were drawn."""
    attributes = np.sort(rng.integers(len(starts), size=(tries, degree)), axis=1)
    different = (np.diff(attributes, axis=1) > 0).all(axis=1)
    contrasts = starts[attributes] + rng.integers(numbers[attributes])
    return dict.fromkeys(map(tuple, contrasts[different].tolist()))
