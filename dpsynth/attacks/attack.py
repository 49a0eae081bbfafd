"""The contract of an attack on a release: a scenario, three rates, and how sure they are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias, final

import numpy as np

from dpsynth.attacks.excess import excess
from dpsynth.audit.statistics import clopper_pearson
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dpsynth.data.table import Table

Question: TypeAlias = Literal["singling out", "linkability", "inference"]
"""What data-protection regulators ask of anonymised data.

Reference: Article 29 Working Party, Opinion 05/2014 on Anonymisation Techniques, section 2.2.2.
"""


@final
@dataclass(frozen=True, kw_only=True)
class ThreatModel:
    """Who attacks, in three sentences.

    Args:
        sees: what the attacker is given of the release.
        knows: what else the attacker has.
        succeeds: what counts as success.
    """

    sees: str
    knows: str
    succeeds: str


class Refit(Protocol):
    """A mechanism under attack: fits itself to a table and returns what it would release.

    It may raise `FailedRunError`: a run that fails is an outcome, and attacks go on without it.
    """

    def __call__(self, train: "Table", *, rng: np.random.Generator) -> "Table": ...


@final
@dataclass(frozen=True, kw_only=True)
class AttackTarget:
    """A release and what the auditor holds beside it.

    Args:
        train: the records that the generator was fitted to.
        control: records of the same population that no generator saw.
        synthetic: what was released.
        refit: the mechanism itself, at the same budget, for attacks that run it again.

    Raises:
        InvalidValueError: tables under different columns.
    """

    train: "Table"
    control: "Table"
    synthetic: "Table"
    refit: Refit | None = None

    def __post_init__(self) -> None:
        for name in ("control", "synthetic"):
            table: Table = getattr(self, name)
            if table.schema.columns != self.train.schema.columns:
                rule = "under the same columns as the training table"
                raise InvalidValueError(name, table.schema.names, rule)


def matched_target(
    train: "Table",
    control: "Table",
    synthetic: "Table",
    *,
    refit: Refit | None = None,
    rng: np.random.Generator,
) -> AttackTarget:
    """Return a target with as many used records as unused ones, drawn at random.

    An attack may succeed more often against more records, so only equal sizes compare.

    Args:
        train, control: all the records at hand of each kind.
        synthetic, refit: as of `AttackTarget`.
        rng: draws which records stay.
    """
    size = min(len(train), len(control))
    return AttackTarget(
        train=train.take(np.sort(rng.permutation(len(train))[:size])),
        control=control.take(np.sort(rng.permutation(len(control))[:size])),
        synthetic=synthetic,
        refit=refit,
    )


@final
@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share of successes with its exact interval, which is [0, 1] where nothing was tried."""

    value: float
    lower: float
    upper: float


@final
@dataclass(frozen=True, kw_only=True)
class AttackResult:
    """What an attack achieved, beside guessing and beside the same attack on untouched records.

    Intervals are Clopper-Pearson's and treat trials as independent given the release; the p-value
    does not, and it alone says whether there is an alarm.

    Args:
        attack: name.
        identity: name and parameters; only results of equal identity compare.
        successes, trials: of the attack, on records that were used.
        baseline_successes, baseline_trials: of guessing, without the release.
        control_successes, control_trials: of the same attack, on as many records never used.
        p_value: probability of an excess over the control as large as this, or larger, when used
            and unused records are exchangeable, that is, when the release says nothing of its own
            about those that were used.
        alpha: one minus the level of the intervals, and the level of the alarm.
        measures: further numbers of this attack, by name.
        notes: what a reader has to know beside the numbers, in sentences.

    Raises:
        InvalidValueError: more successes than trials, or a p-value outside [0, 1].
    """

    attack: str
    identity: str
    successes: int
    trials: int
    baseline_successes: int
    baseline_trials: int
    control_successes: int
    control_trials: int
    p_value: float
    alpha: float = 0.05
    measures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for prefix in ("", "baseline_", "control_"):
            hits: int = getattr(self, f"{prefix}successes")
            if not 0 <= hits <= getattr(self, f"{prefix}trials"):
                raise InvalidValueError(f"{prefix}successes", hits, "from 0 to the trials")
        if not 0 <= self.p_value <= 1:
            raise InvalidValueError("p_value", self.p_value, "between 0 and 1")

    @classmethod
    def counted(
        cls,
        attack: "Attack",
        used: "NDArray[np.bool_]",
        unused: "NDArray[np.bool_]",
        guessed: "NDArray[np.bool_]",
        *,
        p_value: float | None = None,
        measures: Mapping[str, float] | None = None,
        notes: tuple[str, ...] = (),
    ) -> "AttackResult":
        """Return the result of an attack whose trials are known one by one.

        Args:
            attack: what ran.
            used, unused, guessed: success of each trial on records that were used, on records that
                were not, and of guessing.
            p_value: as of the class; None for Fisher's exact test.
            measures, notes: as of the class.
        """
        hits, control_hits = int(used.sum()), int(unused.sum())
        if p_value is None:
            p_value = fisher_p_value(hits, used.size, control_hits, unused.size)
        return cls(
            attack=attack.name,
            identity=attack.identity,
            successes=hits,
            trials=used.size,
            baseline_successes=int(guessed.sum()),
            baseline_trials=guessed.size,
            control_successes=control_hits,
            control_trials=unused.size,
            p_value=p_value,
            measures=measures or {},
            notes=notes,
        )

    @property
    def rate(self) -> Rate:
        """Success of the attack on records that were used."""
        return _rate(self.successes, self.trials, self.alpha)

    @property
    def baseline(self) -> Rate:
        """Success of guessing without the release."""
        return _rate(self.baseline_successes, self.baseline_trials, self.alpha)

    @property
    def control(self) -> Rate:
        """Success of the same attack on records that were never used."""
        return _rate(self.control_successes, self.control_trials, self.alpha)

    @property
    def risk(self) -> Rate:
        """What the release adds: (attack - control) / (1 - control), at least -1.

        Where trials are independent, its lower end is above 0 by chance in alpha / 2 of cases at
        most (`excess`).
        """
        if not (self.trials and self.control_trials):
            return Rate(value=0.0, lower=-1.0, upper=1.0)
        found = excess(
            self.successes,
            self.trials,
            self.control_successes,
            self.control_trials,
            alpha=self.alpha,
        )
        return Rate(value=float(found.value), lower=float(found.lower), upper=float(found.upper))

    @property
    def alarm(self) -> bool:
        """Whether used records are attacked with more success than unused ones, at level alpha."""
        return self.p_value <= self.alpha


@dataclass(frozen=True, kw_only=True)
class Attack(ABC):
    """An attack: frozen parameters, a stated scenario, no hidden randomness.

    It reads real records and spends no budget: its numbers are for the auditor, never for release.

    Class attributes:
        name: the registry's name.
        question: the one of the regulators' questions that it bears on.
        threat: the scenario.
        reference: where the attack comes from.
        needs_refit: whether it runs the mechanism again.
    """

    name: ClassVar[str]
    question: ClassVar[Question]
    threat: ClassVar[ThreatModel]
    reference: ClassVar[str]
    needs_refit: ClassVar[bool]

    @final
    @property
    def identity(self) -> str:
        """Name and parameters."""
        parts = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self)]
        return f"{self.name}({', '.join(parts)})"

    @final
    def _check_counts(self, **least: int) -> None:
        """Refuse whole numbers among the parameters that are too small.

        Args:
            least: what a parameter must be at least, by name; 1 for all others.

        Raises:
            InvalidValueError: one is smaller.
        """
        for parameter in fields(self):
            value, limit = getattr(self, parameter.name), least.get(parameter.name, 1)
            if isinstance(value, int) and value < limit:
                raise InvalidValueError(parameter.name, value, f"at least {limit}")

    @abstractmethod
    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        """Attack the release and return what came of it.

        Args:
            target: the release and what the auditor holds.
            rng: source of every choice of the attack.

        Raises:
            InvalidValueError: the target lacks what the attack needs.
        """


def fisher_p_value(hits: int, trials: int, control_hits: int, control_trials: int) -> float:
    """Return the one-sided p-value of Fisher's exact test for more hits than among controls.

    Exact wherever each record's success depends on that record and the release alone, and used and
    unused records are exchangeable.
    """
    from scipy.stats import hypergeom

    total = trials + control_trials
    if total == 0:
        return 1.0
    tail = hypergeom.sf(hits - 1, total, hits + control_hits, trials)
    return float(min(max(tail, 0.0), 1.0))


def _rate(successes: int, trials: int, alpha: float) -> Rate:
    if trials == 0:
        return Rate(value=0.0, lower=0.0, upper=1.0)
    interval = clopper_pearson(successes, trials, alpha=alpha)
    return Rate(value=successes / trials, lower=interval.lower, upper=interval.upper)
