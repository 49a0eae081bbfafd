"""Generators of one's own, named by module path: some that work, and some that do not."""

import ctypes
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ToyModel(SyntheticModel):
    schema: Schema
    total: float
    weights: tuple[NDArray[np.float64], ...]

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return np.stack([rng.choice(len(w), size=n, p=w) for w in self.weights], axis=1)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        parts = {f"weights_{i}": w for i, w in enumerate(self.weights)}
        return {"total": np.array(self.total), **parts}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        weights = tuple(arrays[f"weights_{i}"] for i in range(len(arrays) - 1))
        return cls(schema=schema, total=float(arrays["total"]), weights=weights)


@final
@dataclass(frozen=True, kw_only=True)
class Toy(Generator):
    """Noisy single columns."""

    name: ClassVar[str] = "toy"
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "none"
    model: ClassVar[type[SyntheticModel]] = ToyModel
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.floor < 0:
            raise InvalidValueError("floor", self.floor, "at least 0")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> SyntheticModel:
        cliques = [(a,) for a in private.domain.attributes]
        sigma = private.sigma_for(private.remaining, queries=len(cliques))
        answers = private.marginals(cliques, sigmas=[sigma] * len(cliques))
        positive = [np.maximum(a.values, self.floor) + 1e-9 for a in answers]
        total = float(np.mean([p.sum() for p in positive]))
        weights = tuple(p / p.sum() for p in positive)
        return ToyModel(schema=private.schema, total=total, weights=weights)


GATE = "DPSYNTH_TEST_GATE"  # names the folder where patient fits leave marks and wait for a file


@final
@dataclass(frozen=True, kw_only=True)
class Patient(Generator):
    """Noisy single columns, once there is a file."""

    name: ClassVar[str] = "patient"
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "none"
    model: ClassVar[type[SyntheticModel]] = ToyModel

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> SyntheticModel:
        gate = Path(os.environ[GATE])
        (gate / f"begun.{os.getpid()}").touch()
        while not (gate / "go").exists():
            time.sleep(0.02)
        return Toy().fit(private, rng=rng)


@dataclass(frozen=True, kw_only=True)
class _Broken(Generator):
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "none"
    model: ClassVar[type[SyntheticModel]] = ToyModel


@final
@dataclass(frozen=True, kw_only=True)
class Crashing(_Broken):
    name: ClassVar[str] = "crashing"

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> SyntheticModel:
        ctypes.string_at(0)
        raise AssertionError("unreachable")


@final
@dataclass(frozen=True, kw_only=True)
class Hanging(_Broken):
    name: ClassVar[str] = "hanging"

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> SyntheticModel:
        time.sleep(3600)
        raise AssertionError("unreachable")


@final
@dataclass(frozen=True, kw_only=True)
class Overspending(_Broken):
    name: ClassVar[str] = "overspending"

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> SyntheticModel:
        for _ in range(2):
            private.count(sigma=private.sigma_for(private.ledger.capacity))
        raise AssertionError("unreachable")
