"""What teachers judge rows by, and the student that is taught by their noisy votes: all public."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.teachers import SignFeatures
from dpsynth.data.domain import Domain
from dpsynth.generators.neural.softmax import parts

Array = NDArray[np.float64]


def drawn_features(
    laws: Array, domain: Domain, count: int, *, rng: np.random.Generator
) -> SignFeatures:
    """Return random products of signs, as many of each pair of attributes as of any other.

    Each attribute's codes are split into two halves of about equal share, so that a product is
    near 0 on average when its attributes are independent.

    Args:
        laws: the estimated law of each attribute, side by side.
        domain: the attributes and their numbers of codes.
        count: how many.
        rng: source of pairs and splits.
    """
    columns = parts(laws, domain)
    splittable = [at for at, size in enumerate(domain.shape) if size > 1]
    pairs = list(combinations(splittable, 2)) or [(at, at) for at in range(len(columns))][:1]
    chosen: list[tuple[int, int]] = []
    while len(chosen) < count:
        chosen += [pairs[at] for at in rng.permutation(len(pairs))]
    chosen = chosen[:count]
    signs = tuple((_split(columns[a], rng=rng), _split(columns[b], rng=rng)) for a, b in chosen)
    return SignFeatures(pairs=tuple(chosen), signs=signs)


def _split(law: Array, *, rng: np.random.Generator) -> NDArray[np.int8]:
    """Return a sign for each code: of codes in random order, the first half of the law has 1."""
    order = rng.permutation(len(law))
    before = np.cumsum(law[order]) - law[order]
    signs = np.empty(len(law), dtype=np.int8)
    signs[order] = np.where(before + law[order] / 2 < 0.5, 1, -1)
    if abs(int(signs.sum())) == len(law) > 1:  # one code has more than half
        signs[np.argmax(law)] *= -1
    return signs


def side_by_side(features: SignFeatures, domain: Domain) -> tuple[Array, Array]:
    """Return the signs of either side of each feature as matrices for one-hot rows.

    Args:
        features: of the domain.
        domain: the attributes and their numbers of codes.

    Returns:
        Two matrices of shape (sum of sizes, features): the feature of a one-hot row is the product
        of what they make of it.
    """
    starts = np.cumsum([0, *domain.shape])
    sides = np.zeros((2, starts[-1], len(features.pairs)))
    for at, (pair, tables) in enumerate(zip(features.pairs, features.signs, strict=True)):
        for side, attribute, table in zip(sides, pair, tables, strict=True):
            side[starts[attribute] : starts[attribute + 1], at] = table
    return sides[0], sides[1]


def taught(seen: Array, votes: Array, *, sigma: float) -> tuple[Array, float]:
    """Return a student of noisy votes, and how much it has learned.

    The student is linear in the features: the posterior mean of its weights under the noise that
    was drawn and a prior as wide as the votes vary beyond that noise. Votes are neither thresholded
    nor cleaned otherwise: their noise is known, and averages out.

    Args:
        seen: features of the rows, of shape (rows, features).
        votes: how many teachers call each row real.
        sigma: standard deviation of the noise of the votes.

    Returns:
        A weight for each feature, scaled so that values of rows have deviation 1; and the part of
        the weights' prior variance that the votes have resolved, from 0 to 1.

    Reference: Bishop 2006, equations 3.50 and 3.51.
    """
    centred, told = seen - seen.mean(axis=0), votes - votes.mean()
    beyond = max(float(told.var()) - sigma**2, 1e-2 * sigma**2 / np.sqrt(len(told)))
    precision = centred.T @ centred * (beyond / seen.shape[1] / sigma**2)
    inverse = np.linalg.inv(precision + np.eye(len(precision)))
    weights = inverse @ (centred.T @ told) * (beyond / seen.shape[1] / sigma**2)
    deviation = float((centred @ weights).std())
    resolved = 1.0 - float(np.trace(inverse)) / len(inverse)
    return weights / max(deviation, 1e-12), resolved
