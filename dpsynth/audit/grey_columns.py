"""Record and replay of what an open schema buys: bounds, categories, bins, spread of values.

Two worlds are coupled as in the proofs of the queries: histograms get the same noisy counts; values
that occur in one world only, which `FrequentValues` keeps back but for its failure, are kept back;
and a tree's decisions are drawn with noise so large that no count matters. What is bought must then
be the same to the last bit.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.forced import equal
from dpsynth.audit.grey_box import ROUNDING, Finding, GreyBox, distance
from dpsynth.curator.column_queries import ColumnHistogram, ColumnTree, ColumnValues
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.raw_columns import FrameColumns
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import GaussianEvent, LaplaceEvent, NoiseLaw
from dpsynth.privacy.noise import NoiseSource, ResearchNoise, Size

if TYPE_CHECKING:
    from pandas import DataFrame

# Larger than any number of records, so that it alone decides.
_DECISIVE = 2.0**40
_GRID = 2.0**-20


def grey_columns(
    prepare: Callable[[PrivateColumns], Schema],
    frame: "DataFrame",
    odd: "DataFrame",
    schema: OpenSchema,
    budget: Budget,
    *,
    rng: np.random.Generator,
    accountant: str = "zcdp",
) -> GreyBox:
    """Return what recording `prepare` on `frame`, and replaying it on neighbours, shows.

    Args:
        prepare: closes the schema; what is audited.
        frame: records, of which the last goes or is replaced.
        odd: records, each of which comes or replaces; with values that no other has, say.
        schema: of both.
        budget: the claim; its unit is the record.
        rng: source of all randomness.
        accountant: prices.

    Raises:
        UnknownNameError, DataError: records that do not fit the schema.
        PrivacyError: the budget does not suffice.
    """
    doors = _Doors(
        prepare=prepare,
        schema=schema,
        budget=budget,
        accountant=accountant,
        rng=rng.spawn(1)[0],
    )
    around = list(_neighbours(frame, odd, budget))
    findings: list[Finding] = []
    steps = 0
    for how, other in around:
        worlds = tuple(FrameColumns(schema, each, None) for each in (frame, other))
        first, second = (doors.closed(own, worlds) for own in worlds)
        steps = len(first.asked)
        for kind, sentence in _compared(first, second, worlds):
            findings.append(Finding(kind=kind, sentence=f"{how}: {sentence}"))
    return GreyBox(
        mechanism="open schema",
        relation=str(budget.relation),
        neighbours=tuple(how for how, _ in around),
        steps=steps,
        findings=tuple(findings),
    )


def _neighbours(
    frame: "DataFrame", odd: "DataFrame", budget: Budget
) -> "Iterator[tuple[str, DataFrame]]":
    import pandas as pd

    removes = budget.relation is Neighbouring.ADD_REMOVE
    if removes:
        yield "a record removed", frame[:-1]
    kept, verb = (frame, "added") if removes else (frame[:-1], "replaced")
    for i in range(len(odd)):
        other = pd.concat([kept, odd[i : i + 1]], ignore_index=True)
        yield f"a record {verb}: number {i}", other


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Bought:
    """What one world's door was asked, and what came of it; the error where it failed."""

    asked: list[Observation]
    schema: Schema | None
    failure: str | None
    charges: tuple[Any, ...]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Doors:
    prepare: Callable[[PrivateColumns], Schema]
    schema: OpenSchema
    budget: Budget
    accountant: str
    rng: np.random.Generator

    def closed(self, own: FrameColumns, worlds: tuple[FrameColumns, ...]) -> _Bought:
        noise = CoupledColumns(own, worlds, rng=deepcopy(self.rng))
        private = PrivateColumns(
            own,
            self.schema,
            self.budget,
            noise=noise,
            accountant=self.accountant,
            observer=noise.observe,
        )
        schema, failure = None, None
        try:
            schema = self.prepare(private)
        except Exception as error:
            if own is worlds[0]:
                raise
            failure = str(error)
        charges = tuple((e.label, e.event) for e in private.ledger.entries)
        return _Bought(asked=noise.asked, schema=schema, failure=failure, charges=charges)


def _compared(
    first: _Bought, second: _Bought, worlds: tuple[FrameColumns, ...]
) -> Iterator[tuple[Any, str]]:
    if second.failure is not None:
        yield "replay", f"it fails: {second.failure}"
    for before, now in zip(first.asked, second.asked, strict=False):
        if before.label != now.label or before.event != now.event:
            yield "replay", f"where {before.label!r} was asked, {now.label!r} was"
            break
        if not equal(before.query, now.query):
            yield "replay", f"{before.label!r} was asked in other words"
            break
    if first.charges != second.charges:
        yield "charge", "the ledgers differ"
    if first.schema != second.schema or not _same_pieces(first.schema, second.schema):
        yield "replay", "the closed schemas differ"
    for step in first.asked:
        if isinstance(step.query, ColumnHistogram):
            counts = [step.query.exact(world).astype(np.float64) for world in worlds]
            found, stated = distance(step.event, counts[1] - counts[0])
            if found > stated * (1 + ROUNDING):
                yield "sensitivity", f"{step.label!r} moves by {found:.4g}, not {stated:.4g}"


def _same_pieces(first: Schema | None, second: Schema | None) -> bool:
    """Return whether the spread within bins is equal, which no comparison of schemas looks at."""
    if first is None or second is None:
        return first is second
    return all(
        getattr(a, "pieces", None) == getattr(b, "pieces", None)
        for a, b in zip(first.columns, second.columns, strict=True)
    )


@final
class CoupledColumns(NoiseSource):
    """Noise with which two worlds of raw columns give equal answers.

    Args:
        own: the records of the world in which it draws.
        worlds: the records of both, in the same order for both.
        rng: an equal one for both.
    """

    mode: ClassVar[Literal["research", "release"]] = "research"

    def __init__(
        self, own: FrameColumns, worlds: tuple[FrameColumns, ...], *, rng: np.random.Generator
    ) -> None:
        self._own, self._worlds = own, worlds
        self._rng = rng
        self._noise = ResearchNoise(rng=self._rng)
        self._pending: NDArray[np.float64] | None = None
        self._growing = False
        self.asked: list[Observation] = []

    def observe(self, observation: Observation) -> None:
        """Note what was asked, and prepare the noise that makes its answers equal."""
        self.asked.append(observation)
        query = observation.query
        self._growing = isinstance(query, ColumnTree)
        self._pending = None
        if isinstance(query, ColumnHistogram):
            target, own = (query.exact(w).astype(np.float64) for w in (self._worlds[0], self._own))
            self._pending = target - own + self._drawn(observation, target.size)
        elif isinstance(query, ColumnValues):
            self._pending = self._kept_back(observation, query)

    def _kept_back(self, observation: Observation, query: ColumnValues) -> NDArray[np.float64]:
        first, second = (query.exact(world) for world in self._worlds)
        common = [value for value in first if value in second]
        drawn = dict(zip(common, self._drawn(observation, len(common)).tolist(), strict=True))
        own = query.exact(self._own)
        shifted = [first[v] - n + drawn[v] if v in drawn else -_DECISIVE for v, n in own.items()]
        return np.array(shifted)

    def _drawn(self, observation: Observation, size: int) -> NDArray[np.float64]:
        match observation.event:
            case GaussianEvent(sigma=sigma):
                drawn = self._noise.gaussian(sigma, size, law=NoiseLaw.CONTINUOUS)
            case LaplaceEvent(scale=scale):
                drawn = self._noise.laplace(scale, size, law=NoiseLaw.CONTINUOUS)
            case event:
                raise UnsupportedEventError("audit", event, "its replay is not defined")
        return np.rint(drawn / _GRID) * _GRID

    def _next(self, size: Size) -> NDArray[np.float64]:
        count = prod(size) if isinstance(size, tuple) else size
        if self._growing:
            return np.where(self._rng.random(size) < 0.5, -_DECISIVE, _DECISIVE)
        if self._pending is None or self._pending.size < count:
            return self._noise.normal(1.0, size)  # not charged: the worlds will differ
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken.reshape(size)

    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        del sigma, law  # those of the charge count
        return self._next(size)

    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        del scale, law  # those of the charge count
        return self._next(size)

    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        return self._noise.normal(sigma, size)

    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        return self._noise.bernoulli(probability, size)

    def words(self, size: int) -> NDArray[np.uint64]:
        return self._noise.words(size)

    def exponential_draws(
        self, scores: NDArray[np.float64], size: int, **terms: Any
    ) -> NDArray[np.intp]:
        return self._noise.exponential_draws(scores, size, **terms)

    def report_noisy_max(self, scores: NDArray[np.float64], **terms: Any) -> int:
        return self._noise.report_noisy_max(scores, **terms)
