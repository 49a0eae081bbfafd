"""A cell: the smallest piece of an experiment that runs, fails and resumes on its own."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from dpsynth.harness.config import AuditSettings, Choice, DatasetChoice
from dpsynth.harness.programs import Program
from dpsynth.harness.row import Row
from dpsynth.harness.store import UNVERIFIED
from dpsynth.privacy.budget import Budget, Neighbouring

if TYPE_CHECKING:
    from dpsynth.privacy.receipt import Receipt


@final
@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What a result depends on besides the cell's own settings.

    Args:
        code: hash of the sources that compute rows.
        libraries: name -> version of what they call.
        data: checksum of the records and their schema; empty for a cell that reads none.
    """

    code: str
    libraries: dict[str, str]
    data: str = ""


@final
@dataclass(frozen=True)
class Cell:
    """One fit with everything measured on it, or the audit of one claim.

    Args:
        kind: "release" (fit, sample, evaluate, attack), "audit" (of the claim), "third_party" (run
            someone else's program, evaluate, attack), or "import" (of what someone else made).
        dataset: the data set; None for an audit, which brings its worst case along.
        generator: the algorithm.
        epsilon, delta, relation: the budget.
        seed: root of every random stream of the cell.
        metrics, attacks, holdout: what a release is measured with.
        audit: how a claim is audited.
        program: what runs in place of a generator of this package.
        fingerprint: code, libraries and data.
        folder: where relative paths start; not part of the identity.
        cache: folder for what cells of one split share; not part of the identity either.
    """

    kind: Literal["release", "audit", "third_party", "import"]
    dataset: DatasetChoice | None
    generator: Choice
    epsilon: float
    delta: float
    relation: Neighbouring
    seed: int
    fingerprint: Fingerprint
    metrics: tuple[Choice, ...] = ()
    attacks: tuple[Choice, ...] = ()
    holdout: float = 0.5
    audit: AuditSettings | None = None
    program: Program | None = None
    folder: Path = Path()
    cache: Path | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return everything that the result depends on, as JSON values."""
        plain = asdict(self)
        del plain["folder"], plain["cache"]
        return json.loads(json.dumps(plain))

    @cached_property
    def id(self) -> str:
        """The cell's identity: SHA-256 of everything that its result depends on."""
        canonical = json.dumps(self.to_plain(), sort_keys=True, separators=(",", ":"))
        return sha256(canonical.encode()).hexdigest()

    @property
    def budget(self) -> Budget:
        return Budget(epsilon=self.epsilon, delta=self.delta, relation=self.relation)

    @property
    def title(self) -> str:
        """What a person calls the cell."""
        budget = f"epsilon {self.epsilon:g}"
        if self.dataset is None:
            return f"audit {self.generator.label}, {budget}"
        return f"{self.dataset.name}, {self.generator.label}, {budget}, seed {self.seed}"

    def stream(self, role: str, *identity: object) -> np.random.SeedSequence:
        """Return the seed sequence of `role`, apart from that of every other role.

        Args:
            role: "split", "generation", "evaluation", ...
            identity: what else tells this stream from others: two cells that agree on seed, role
                and identity share it (so all generators are judged on the same split).
        """
        text = json.dumps([role, *identity], sort_keys=True)
        words = np.frombuffer(sha256(text.encode()).digest(), dtype=np.uint32)
        return np.random.SeedSequence([self.seed, *(int(word) for word in words)])

    def row(self, **values: Any) -> Row:
        """Return a row with this cell's coordinates."""
        if self.kind in ("third_party", "import"):
            values = {"mode": UNVERIFIED, **values}
        return Row(
            cell=self.id,
            dataset=self.dataset.name if self.dataset else "worst case",
            generator=self.generator.label,
            epsilon=self.epsilon,
            delta=self.delta,
            relation=str(self.relation),
            seed=self.seed,
            **values,
        )


@final
class Stopwatch:
    """Seconds of each phase of a cell; tells an observer when a phase begins."""

    def __init__(
        self,
        observer: Callable[[str], None] | None = None,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.seconds: dict[str, float] = {}
        self.phase = "start"
        self._observer = observer
        self._clock = clock
        self._began = clock()

    def enter(self, phase: str) -> None:
        """End the phase that runs and begin `phase`."""
        self.stop()
        self.phase = phase
        if self._observer is not None:
            self._observer(phase)

    def stop(self) -> None:
        """Add the time since the last call to the phase that runs."""
        now = self._clock()
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self._began
        self._began = now


@final
@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What a cell that ran to its end yields.

    Args:
        rows: the numbers; the same cell gives the same rows, bit for bit.
        receipt: the receipt as JSON; None for an audit and for third parties.
    """

    rows: tuple[Row, ...]
    receipt: str | None


def run_cell(cell: Cell, *, stopwatch: Stopwatch | None = None) -> CellResult:
    """Run `cell` and return its rows with the receipt.

    Args:
        cell: what to run.
        stopwatch: measures the phases, and tells which one runs.

    Raises:
        DpsynthError: whatever the generator, metric or attack refuses.
    """
    from dpsynth.harness.claims import audit_rows
    from dpsynth.harness.foreign import foreign_rows
    from dpsynth.harness.release import release_rows

    watch = stopwatch or Stopwatch()
    if cell.kind != "release":
        rows = audit_rows(cell, watch) if cell.kind == "audit" else foreign_rows(cell, watch)
        return CellResult(rows=tuple(rows), receipt=None)
    rows, receipt = release_rows(cell, watch)
    return CellResult(
        rows=tuple(with_claim(row, receipt) for row in rows), receipt=receipt.to_json()
    )


def with_claim(row: Row, receipt: "Receipt") -> Row:
    """Return `row` with the privacy claim of `receipt`."""
    return replace(
        row,
        accountant=receipt.accountant,
        mode=receipt.mode,
        unit=receipt.budget.unit,
        epsilon_spent=receipt.epsilon_spent,
        not_for_release=receipt.not_for_release,
    )
