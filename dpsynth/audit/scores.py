"""Scores learned on runs of their own: linear and quadratic discriminants, atoms, bit patterns.

A score turns what one run released into a number that is higher where the run looks more like
world 1. Whatever is learned is learned on training runs; thresholds and counts use others.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]

_MOST_SYMBOLS = 512


class Score(ABC):
    """A number for each run.

    Class attributes:
        name: of the family.
    """

    name: str

    @abstractmethod
    def learn(self, first: Features, second: Features) -> None:
        """Learn from runs of world 0 and world 1, each of shape (runs, features)."""

    @abstractmethod
    def __call__(self, features: Features) -> NDArray[np.float64]:
        """Return a score for each row of `features`."""


@final
@dataclass(kw_only=True)
class Discriminant(Score):
    """The log-likelihood ratio of two normal laws: of one covariance (LDA) or of two (QDA).

    A part of each variance is added to it, so that few runs and constant features do no harm.

    Args:
        quadratic: whether each world has a covariance of its own.
    """

    quadratic: bool
    _laws: list[tuple[Any, Any, float]] = field(default_factory=list)
    _centre: Any = 0.0
    _scale: Any = 1.0

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return "QDA" if self.quadratic else "LDA"

    def learn(self, first: Features, second: Features) -> None:
        both = np.concatenate([first, second])
        self._centre = both.mean(axis=0)
        deviation = both.std(axis=0)
        self._scale = np.where(deviation > 0, deviation, 1.0)
        worlds = [(w - self._centre) / self._scale for w in (first, second)]
        covariances = [_covariance(world) for world in worlds]
        if not self.quadratic:
            covariances = [(covariances[0] + covariances[1]) / 2] * 2
        ridge = both.shape[1] / max(len(both), 1) + 1e-6
        self._laws = []
        for world, covariance in zip(worlds, covariances, strict=True):
            matrix = covariance + ridge * np.eye(len(covariance))
            _, logarithm = np.linalg.slogdet(matrix)
            self._laws.append((world.mean(axis=0), np.linalg.inv(matrix), float(logarithm)))

    def __call__(self, features: Features) -> NDArray[np.float64]:
        centred = (features - self._centre) / self._scale
        logs: list[NDArray[np.float64]] = []
        for mean, inverse, logarithm in self._laws:
            away = centred - mean
            logs.append(-0.5 * ((away @ inverse) * away).sum(axis=1) - 0.5 * logarithm)
        return (logs[1] - logs[0]).round(9)


def _covariance(runs: Features) -> NDArray[np.float64]:
    centred = runs - runs.mean(axis=0)
    return centred.T @ centred / max(len(runs) - 1, 1)


@final
@dataclass(kw_only=True)
class Symbols(Score):
    """Naive Bayes over symbols: the values themselves (atoms) or the last bit set (bit patterns).

    Atoms find answers without noise and values that one world never gives. Bit patterns find noise
    in floating point: the sum of a count and a double has its last bit where the count's size
    allows, which tells the count. Only symbols seen at least twice in training count.

    Args:
        bits: whether the symbol is the exponent of the last bit set.

    Reference: Mironov 2012 (floating-point noise).
    """

    bits: bool
    _tables: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return "bit patterns" if self.bits else "atoms"

    def learn(self, first: Features, second: Features) -> None:
        worlds = [self._symbols(first), self._symbols(second)]
        self._tables = []
        for column in range(first.shape[1]):
            known, where = np.unique(
                np.concatenate([w[:, column] for w in worlds]), return_inverse=True
            )
            counts = np.stack(
                [
                    np.bincount(part, minlength=known.size)
                    for part in np.split(where.ravel(), [len(first)])
                ]
            )
            often = np.argsort(-counts.sum(axis=0), kind="stable")[:_MOST_SYMBOLS]
            often = np.sort(often[counts.sum(axis=0)[often] >= 2])
            smooth = counts[:, often] + 0.5
            ratio = np.log(smooth[1] / smooth[0]) + np.log(len(first) / len(second))
            self._tables.append((known[often], ratio))

    def __call__(self, features: Features) -> NDArray[np.float64]:
        symbols, score = self._symbols(features), np.zeros(len(features))
        for column, (known, ratio) in enumerate(self._tables):
            if known.size:
                at = np.minimum(np.searchsorted(known, symbols[:, column]), known.size - 1)
                score += np.where(known[at] == symbols[:, column], ratio[at], 0.0)
        return score.round(9)

    def _symbols(self, features: Features) -> Features:
        return last_bits(features) if self.bits else features


@final
@dataclass(kw_only=True)
class BestFeature(Score):
    """The one feature whose means differ most in training, against its spread."""

    name: str = "best query"
    _column: int = 0
    _sign: float = 1.0

    def learn(self, first: Features, second: Features) -> None:
        gap = second.mean(axis=0) - first.mean(axis=0)
        spread = np.sqrt(first.var(axis=0) + second.var(axis=0))
        away = np.abs(gap) / (spread + 1.0 / np.sqrt(len(first) + len(second)))
        self._column = int(np.argmax(away))
        self._sign = 1.0 if gap[self._column] >= 0 else -1.0

    def __call__(self, features: Features) -> NDArray[np.float64]:
        return self._sign * features[:, self._column]


def last_bits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exponent of the last bit set of each double; 0 for zero and what is not finite."""
    mantissa, exponent = np.frexp(np.where(np.isfinite(values), values, 0.0))
    whole = np.ldexp(np.abs(mantissa), 53).astype(np.int64)
    lowest = np.frexp((whole & -whole).astype(np.float64))[1] - 1  # of the integer mantissa
    return np.where(whole == 0, 0.0, (exponent + lowest - 53).astype(np.float64))
