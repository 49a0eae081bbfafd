"""Bugs of training on gradients and votes: found by brute force on neighbours, or by canaries."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.planted.bug import LISTED, PATE_GAN, PlantedBug, Subject
from dpsynth.audit.planted.noises import Faulty
from dpsynth.audit.planted.violations import violations_of_step
from dpsynth.audit.transcript import SgdStep
from dpsynth.curator.sgd import SgdPlan
from dpsynth.curator.teachers import SignFeatures, exact_votes
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.curves import gdp_epsilon

Array: TypeAlias = NDArray[np.float64]
_NORM = 1.0


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Sum(Subject):
    """A vector that is computed from records, and how far one of them may move it.

    Args:
        of: rows of numbers -> the vector.
        most: what is stated, in L2 norm.
    """

    of: Callable[[Array], Array]
    most: float

    @property
    def catcher(self) -> str:
        return "brute force"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Try records that come, go and are replaced, large ones among them."""
        rows = np.sign(rng.normal(size=(20, 6)))
        whole, found = self.of(rows), list[str]()
        for odd in (*(10.0 * rng.normal(size=(5, 6))), *np.sign(rng.normal(size=(60, 6)))):
            moved = float(np.linalg.norm(self.of(np.vstack([rows, odd])) - whole))
            if moved > self.most * (1 + 1e-9):
                found.append(f"a record moves the sum by {moved:.3g}, not {self.most:.3g}")
        return tuple(found)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Canary(Subject):
    """DP-SGD with noise of its own, seen along one direction: white box, worst case.

    Args:
        factor: noise drawn over noise charged.
        runs: in each world; alpha is .05.
    """

    factor: float
    runs: int = 5_000

    @property
    def catcher(self) -> str:
        return "canary dot products"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the tests that contradict the claim."""
        plan = SgdPlan(sample_rate=0.3, steps=20, clipping_norm=2.0, noise_multiplier=3.0)
        step = SgdStep(
            label="dpsgd", event=plan.event, plan=plan, sample_rate=0.3, sigma=6.0, steps=20
        )
        return violations_of_step(
            step,
            Budget(epsilon=10.0, delta=1e-5),
            accountant="rdp",
            runs=self.runs,
            noise=Faulty(rng=rng, gradients=self.factor),
        )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Accounting(Subject):
    """An epsilon that is stated for Gaussian rounds, against the exact one.

    Args:
        stated: (noise multiplier, rounds, delta) -> epsilon.
    """

    stated: Callable[[float, int, float], float]

    @property
    def catcher(self) -> str:
        return "accounting"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Compare at a few settings; Dong, Roth & Su 2019, Corollary 2.13, is exact."""
        del rng
        found: list[str] = []
        for multiplier, rounds in ((10.0, 1), (10.0, 30), (50.0, 1000)):
            stated = self.stated(multiplier, rounds, 1e-5)
            exact = gdp_epsilon(sqrt(rounds) / multiplier, 1e-5)
            if stated < exact * (1 - 1e-9):
                found.append(f"{rounds} rounds have epsilon {exact:.3g}, not {stated:.3g}")
        return tuple(found)


def _gradients(rows: Array) -> Array:
    """Return each row's gradients of two layers, of shape (rows, 2, 3)."""
    return rows.reshape(-1, 2, 3)


def _clipped(rows: Array, *, by: str) -> Array:
    """Return the sum of gradients, clipped to norm 1 a record, a layer, a batch, or not."""
    gradients = _gradients(rows)
    if by == "batch":
        mean = gradients.mean(axis=0)
        return (mean * min(1.0, _NORM / float(np.linalg.norm(mean)))).ravel() * len(rows)
    axes = {"record": (1, 2), "layer": (2,), "none": ()}[by]
    norms = np.sqrt(np.square(gradients).sum(axis=axes, keepdims=True)) if axes else np.ones(1)
    limit = _NORM if axes else inf
    return (gradients * np.minimum(1.0, limit / norms)).sum(axis=0).ravel()


_SIGNS = np.array([1, -1], dtype=np.int8)
_FEATURES = SignFeatures(
    pairs=((0, 1), (2, 3), (4, 5)),
    signs=((_SIGNS, _SIGNS),) * 3,
)
_TEACHERS, _MADE = 5, 8


def _votes(rows: Array, *, apart: bool) -> Array:
    """Return the votes of five teachers on 8 rows: of a part of the records each, or of all."""
    codes = (rows > 0).astype(np.int64)
    made = (np.arange(_MADE)[:, None] * 8 + 3) >> np.arange(6) & 1
    if apart:
        teacher = np.arange(len(codes)) % _TEACHERS
        return exact_votes(codes, teacher, _TEACHERS, made, _FEATURES).astype(float)
    alone = exact_votes(codes, np.zeros(len(codes), dtype=np.intp), 1, made, _FEATURES)
    return _TEACHERS * alone.astype(float)


def _moments(multiplier: float, rounds: int, delta: float, *, forgotten: bool) -> float:
    """Return the epsilon of the moments of Gaussian rounds: those of all, or of the last alone."""
    orders = np.arange(2, 400)
    added = (1 if forgotten else rounds) * orders / (2.0 * multiplier**2)
    return float(np.min(added + log(1.0 / delta) / (orders - 1)))


TRAINING = (
    PlantedBug(
        name="clipping skipped",
        defect="Gradients are summed as they are.",
        seen=LISTED,
        faulty=Sum(of=lambda rows: _clipped(rows, by="none"), most=_NORM),
        twin=Sum(of=lambda rows: _clipped(rows, by="record"), most=_NORM),
    ),
    PlantedBug(
        name="clipping a layer at a time",
        defect="Each of two layers is clipped to the whole norm.",
        seen=LISTED,
        faulty=Sum(of=lambda rows: _clipped(rows, by="layer"), most=_NORM),
        twin=Sum(of=lambda rows: _clipped(rows, by="record"), most=_NORM),
    ),
    PlantedBug(
        name="clipping the batch",
        defect="The mean gradient of a batch is clipped instead of each record's.",
        seen="Not seen under a name; what clipping in an ordinary optimiser does.",
        faulty=Sum(of=lambda rows: _clipped(rows, by="batch"), most=_NORM),
        twin=Sum(of=lambda rows: _clipped(rows, by="record"), most=_NORM),
    ),
    PlantedBug(
        name="teachers that see all records",
        defect="Every teacher learns from every record, and a record moves all votes.",
        seen=PATE_GAN,
        faulty=Sum(of=lambda rows: _votes(rows, apart=False), most=sqrt(_MADE)),
        twin=Sum(of=lambda rows: _votes(rows, apart=True), most=sqrt(_MADE)),
    ),
    PlantedBug(
        name="moments of one round",
        defect="The moments of the last round stand for those of all.",
        seen=PATE_GAN,
        faulty=Accounting(stated=lambda s, k, d: _moments(s, k, d, forgotten=True)),
        twin=Accounting(stated=lambda s, k, d: _moments(s, k, d, forgotten=False)),
    ),
    PlantedBug(
        name="half the gradient noise",
        defect="DP-SGD draws noise of half the standard deviation that was charged.",
        seen="Not seen under a name; what half the noise is to training.",
        faulty=Canary(factor=0.5),
        twin=Canary(factor=1.0),
    ),
)
