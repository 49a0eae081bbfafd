"""The receipt: what a release states about its guarantee, for machines and for people."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import fsum
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, final

from dpsynth.errors import InvalidValueError, LedgerError
from dpsynth.privacy.accountant import ADAPTIVE
from dpsynth.privacy.breakdown import Breakdown, agree
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.event_json import (
    Json,
    budget_from_json,
    budget_to_json,
    canonical_json,
    float_from_json,
    object_from_text,
    sequence_from_json,
    text_from_json,
)
from dpsynth.privacy.rounding import rounded_up
from dpsynth.privacy.trajectory import Trajectory

if TYPE_CHECKING:
    from dpsynth.privacy.ledger import Entry, Ledger

Mode = Literal["research", "release"]
Released = Literal["model", "answers"]
FORMAT = "dpsynth-receipt-1"
_BY_STEP = "epsilon_by_step"
_WITHIN = "within"
_RELEASES = "releases"
_WIDTH = 80
_FREE = {
    "model": (
        "Sampling the model is post-processing and costs nothing, conditional, balanced "
        "and counterfactual rows included."
    ),
    "answers": (
        "What is computed from these answers costs nothing more. It comes on top of what "
        "synthetic records have spent on the same people: add them."
    ),
}
# An epsilon that was computed elsewhere, or with other versions, may differ by this much.
_AGREEMENT = 1e-6
_PACKAGES = ("dpsynth", "numpy", "scipy", "dp-accounting", "torch", "opacus")


@final
@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Every unit of privacy that was spent for a release, and what the guarantee rests on.

    Args:
        ledger: the ledger's JSON text, verified whenever a receipt is read.
        budget: the guarantee, with neighbour relation, unit and rows per unit.
        accountant: name of the accountant.
        currency: what costs are counted in.
        reference: the theorem behind the accountant.
        entries: the charges, in order.
        capacity: what the budget allowed, in the currency.
        spent: what the entries add up to, in the currency.
        epsilon_spent: epsilon of the entries together at the budget's delta.
        mode: "research" or "release".
        unprotected: quantities that were used and that no charge covers.
        versions: package -> version of what computed this.
        justification: why this epsilon, in the words of who chose it; "" when nobody said.
        created: a date, when the caller gave one; no clock is read.
        trajectories: how epsilon grew with the steps of each DP-SGD run; none in receipts of
            earlier versions.
        within: what parts that were charged as a whole were spent on, in shares of them; likewise.
        releases: "model", of which rows are drawn, or "answers", which is all that there is.
    """

    ledger: str
    budget: Budget
    accountant: str
    currency: str
    reference: str
    entries: "tuple[Entry, ...]"
    capacity: float
    spent: float
    epsilon_spent: float
    mode: Mode
    unprotected: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    justification: str = ""
    created: str = ""
    trajectories: tuple[Trajectory, ...] = ()
    within: tuple[Breakdown, ...] = ()
    releases: Released = "model"

    def __post_init__(self) -> None:
        if self.releases not in ("model", "answers"):
            raise InvalidValueError("releases", self.releases, "'model' or 'answers'")
        if self.mode not in ("research", "release"):
            raise InvalidValueError("mode", self.mode, "'research' or 'release'")
        object.__setattr__(self, "versions", MappingProxyType(dict(self.versions)))

    def __reduce__(self) -> tuple[object, ...]:
        return (Receipt.from_json, (self.to_json(),))

    @property
    def delta(self) -> float:
        return self.budget.delta

    @property
    def promise(self) -> str:
        """The pair of epsilon and delta, for people: rounded up."""
        return f"({rounded_up(self.budget.epsilon)}, {rounded_up(self.budget.delta)})"

    @property
    def epsilon_stated(self) -> str:
        """What was spent, for people: rounded up, and no more than the budget.

        The budget bounds it too: the ledger holds what was spent below a capacity that is rounded
        down, and only the way back to an epsilon, which is rounded up, can lead beyond.
        """
        return rounded_up(min(self.epsilon_spent, self.budget.epsilon))

    @property
    def not_for_release(self) -> bool:
        """True when the noise was seeded: whoever has the seed can subtract it."""
        return self.mode == "research"

    def to_json(self) -> str:
        """Return the receipt as JSON text; `from_json` reads it."""
        return self._json(like={})

    def _json(self, *, like: Json) -> str:
        """Return the receipt as JSON text, with the points of a claim that `like` states."""
        from dpsynth.privacy.statement import POST_PROCESSING, claim_statement, guarantee_sentence

        statement = dict(claim_statement(self))
        stated = like.get("statement", statement)
        if isinstance(stated, dict):  # perhaps of an earlier version
            if POST_PROCESSING not in stated:
                del statement[POST_PROCESSING]
            exact = guarantee_sentence(self, repr(self.epsilon_spent))
            if cast("Json", stated).get("guarantee") == exact:
                statement["guarantee"] = exact
        record: Json = {
            "format": FORMAT,
            "not_for_release": self.not_for_release,
            "budget": budget_to_json(self.budget),
            "accountant": self.accountant,
            "currency": self.currency,
            "reference": self.reference,
            "capacity": self.capacity,
            "spent": self.spent,
            "epsilon_spent": self.epsilon_spent,
            "delta": float(self.delta),
            "mode": self.mode,
            "unprotected": list(self.unprotected),
            "versions": dict(self.versions),
            "justification": self.justification,
            "created": self.created,
            "ledger": object_from_text("ledger", self.ledger),
            "statement": statement,
        }
        if self.trajectories:
            record[_BY_STEP] = [run.to_json() for run in self.trajectories]
        if self.releases != "model":
            record[_RELEASES] = self.releases
        if self.within:
            record[_WITHIN] = [one.to_json() for one in self.within]
        return canonical_json(record)

    @classmethod
    def from_json(cls, text: str) -> "Receipt":
        """Return the receipt that `to_json` wrote, after verifying its ledger and its sums.

        Raises:
            LedgerError: the ledger's chain is broken, or the receipt differs from its ledger.
            InvalidValueError: the text is not a receipt.
        """
        record = object_from_text("receipt", text)
        if record.get("format") != FORMAT:
            raise InvalidValueError("format", record.get("format"), repr(FORMAT))
        from dpsynth.privacy.ledger import Ledger

        mode = record.get("mode")
        if mode not in ("research", "release"):
            raise InvalidValueError("mode", mode, "'research' or 'release'")
        ledger = Ledger.from_json(canonical_json(record.get("ledger")))
        names = sequence_from_json("unprotected", record.get("unprotected"))
        receipt = cls(
            ledger=ledger.to_json(),
            budget=budget_from_json(record.get("budget")),
            accountant=ledger.accountant.name,
            currency=ledger.accountant.currency,
            reference=ledger.accountant.reference,
            entries=ledger.entries,
            capacity=ledger.capacity,
            spent=ledger.spent,
            epsilon_spent=float_from_json("epsilon_spent", record.get("epsilon_spent")),
            mode=mode,
            unprotected=tuple(text_from_json("unprotected", name) for name in names),
            versions=_versions_from_json(record.get("versions")),
            justification=text_from_json("justification", record.get("justification")),
            created=text_from_json("created", record.get("created")),
            trajectories=_trajectories_from_json(record, ledger),
            within=_breakdowns_from_json(record, ledger),
            releases=cast("Released", record.get(_RELEASES, "model")),
        )
        drift = abs(receipt.epsilon_spent - ledger.epsilon_spent())
        honest = drift <= _AGREEMENT * receipt.epsilon_spent and receipt.budget == ledger.budget
        if not honest or receipt._json(like=record) != canonical_json(record):
            raise LedgerError("receipt", "it says something else than its own ledger")
        return receipt

    def summary(self) -> str:
        """Return a few lines for people: the promise, what was spent on what, what is missing."""
        relation = "added or removed"
        if self.budget.relation is Neighbouring.REPLACE:
            relation = "replaced by another"
        lines = [
            f"{self.promise}-differential privacy for one {self.budget.unit} {relation};",
            f"spent epsilon {self.epsilon_stated} "
            f"({self.currency} {self.spent:.6g} of {self.capacity:.6g}, {self.accountant}).",
        ]
        if len(self.entries) > 1 and self.accountant not in ADAPTIVE:
            lines.append(
                "  A fixed plan has one cost for all of it, which stands at its first line."
            )
        runs = {run.entry: run for run in self.trajectories}
        parts = {part.entry: part for part in self.within}
        for e in self.entries:
            lines.append(f"  {e.index:>3}  {e.cost:<12.6g} {e.label}")
            if e.index in runs:
                lines.append(_by_step(runs[e.index]))
            if e.index in parts:
                lines += parts[e.index].lines()
        lines += wrap(_FREE[self.releases], _WIDTH)
        if self.unprotected:
            lines.append("Not protected: " + "; ".join(self.unprotected) + ".")
        if self.not_for_release:
            lines.append("NOT FOR RELEASE: the noise came from a seed (research mode).")
        return "\n".join(lines)


def _by_step(run: Trajectory) -> str:
    points = zip(run.steps, run.epsilon, strict=True)
    told = ", ".join(f"{steps}: {rounded_up(epsilon, digits=4)}" for steps, epsilon in points)
    return f"       epsilon with all before it, after so many steps: {told}"


def _trajectories_from_json(record: Json, ledger: "Ledger") -> tuple[Trajectory, ...]:
    """Return the trajectories that a receipt states, after computing them anew.

    Raises:
        LedgerError: they are not those of its ledger.
    """
    if _BY_STEP not in record:
        return ()
    rows = sequence_from_json(_BY_STEP, record[_BY_STEP])
    stated = tuple(
        Trajectory.from_json(object_from_text("run", canonical_json(row))) for row in rows
    )
    computed = ledger.trajectories()
    honest = len(stated) == len(computed) and all(
        (a.entry, a.steps) == (b.entry, b.steps)
        and all(abs(x - y) <= _AGREEMENT * y for x, y in zip(a.epsilon, b.epsilon, strict=True))
        for a, b in zip(stated, computed, strict=True)
    )
    if not honest:
        raise LedgerError("receipt", "its epsilons by step are not those of its ledger")
    return stated


def _breakdowns_from_json(record: Json, ledger: "Ledger") -> tuple[Breakdown, ...]:
    """Return the breakdowns that a receipt states, after pricing them anew.

    Raises:
        LedgerError: they are not what their events say, or cost more than their entries.
    """
    rows = sequence_from_json(_WITHIN, record.get(_WITHIN, []))
    stated = tuple(
        Breakdown.from_json(object_from_text("part", canonical_json(row))) for row in rows
    )
    if not agree(stated, [entry.event for entry in ledger.entries], ledger.accountant):
        raise LedgerError("receipt", "what it says of a part is not what the part was charged for")
    return stated


def make_receipt(
    ledger: "Ledger",
    *,
    mode: Mode,
    unprotected: Sequence[str] = (),
    justification: str = "",
    created: str = "",
) -> Receipt:
    """Return the receipt of `ledger` as it stands, with the versions of this environment.

    Args:
        ledger: what was spent.
        mode: "research" or "release".
        unprotected: quantities that were used and that no charge covers.
        justification: why this epsilon.
        created: a date, if the receipt is to carry one.
    """
    return Receipt(
        ledger=ledger.to_json(),
        budget=ledger.budget,
        accountant=ledger.accountant.name,
        currency=ledger.accountant.currency,
        reference=ledger.accountant.reference,
        entries=ledger.entries,
        capacity=ledger.capacity,
        spent=fsum(entry.cost for entry in ledger.entries),
        epsilon_spent=ledger.epsilon_spent(),
        mode=mode,
        unprotected=tuple(unprotected),
        versions=installed_versions(),
        justification=justification,
        created=created,
        trajectories=ledger.trajectories(),
        within=ledger.breakdowns(),
    )


def installed_versions() -> dict[str, str]:
    """Return Python's version and those of the installed packages that a guarantee rests on."""
    return dict(_versions())


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    # Each is a file to parse, and none changes while the process runs.
    versions = [("python", platform.python_version())]
    for package in _PACKAGES:
        try:
            versions.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(versions)


def _versions_from_json(value: Any) -> dict[str, str]:
    record = object_from_text("versions", canonical_json(value))
    return {name: text_from_json(name, text) for name, text in record.items()}
