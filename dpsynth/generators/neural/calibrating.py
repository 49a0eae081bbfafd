"""Output biases moved, after training, until columns have the laws that were bought: free."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Domain
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.generators.neural.softmax import parts

_ROWS, _ROUNDS = 2**13, 20


def calibrated(
    decoder: Perceptron,
    shares: NDArray[np.float64],
    domain: Domain,
    *,
    rng: np.random.Generator,
) -> Perceptron:
    """Return the decoder with output biases moved until the 1-way laws of samples are `shares`.

    Each round adds the log of what a law lacks to its biases: iterative proportional fitting of
    the mixture that the decoder is.

    Args:
        decoder: from standard normal noise to the logits of all attributes, side by side.
        shares: the law of each attribute, likewise.
        domain: the attributes and their numbers of codes.
        rng: source of the noise.
    """
    logits = decoder(rng.standard_normal((_ROWS, decoder.inputs)))
    return decoder.shifted(shift_to(logits, shares, domain))


def shift_to(
    logits: NDArray[np.float64],
    shares: NDArray[np.float64],
    domain: Domain,
    *,
    rounds: int = _ROUNDS,
) -> NDArray[np.float64]:
    """Return what to add to the logits of all rows, so that their mean laws are `shares`.

    Args:
        logits: of all attributes, side by side, of shape (rows, sum of sizes).
        shares: the law of each attribute, likewise.
        domain: the attributes and their numbers of codes.
        rounds: how often the shift is corrected.
    """
    columns = zip(parts(logits, domain), parts(shares, domain), strict=True)
    return np.concatenate([_shift(part, share, rounds) for part, share in columns])


def _shift(
    logits: NDArray[np.float64], shares: NDArray[np.float64], rounds: int
) -> NDArray[np.float64]:
    """Return what to add to one attribute's logits.

    A shift multiplies what a softmax divides, so exponentials are taken once.
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shift = np.zeros_like(shares)
    for _ in range(rounds):
        # Not so far below the largest that a row of one code is left with no weight.
        factors = np.exp(np.maximum(shift - shift.max(), -600.0))
        laws = factors * ((1.0 / (weights @ factors)) @ weights) / len(weights)
        shift += np.log(shares / np.maximum(laws, 1e-12))
    return shift
