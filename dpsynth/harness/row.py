"""One number of an experiment, with everything needed to read it alone: what, of which cell, under
which claim, against which references."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from math import isinf, isnan
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, final, get_args, get_origin

from dpsynth.errors import InvalidValueError

Kind: TypeAlias = Literal["utility", "attack", "audit", "run"]
Status: TypeAlias = Literal["done", "error", "privacy_error", "crash", "timeout", "out_of_memory"]


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured value.

    Args:
        cell: identity of the cell that it comes from.
        dataset, generator, epsilon, delta, relation, seed: the cell's coordinates.
        kind: "utility", "attack", "audit", or "run" (seconds, memory, outcome).
        metric: name of the metric, attack, audit or measure.
        identity: the metric with all its parameters; only equal identities compare.
        value, lower, upper: the number and its interval.
        holdout*: what a real hold-out of the same size scores, with its interval.
        independent*: what columns without dependence score, with its interval.
        higher_is_better: direction of the metric.
        attack_*, baseline_*, control_*: success rates of an attack on the training records, of
            guessing without the release, and of the same attack on records never used.
        p_value: of an attack's excess over its control.
        epsilon_claimed ... violated: the verdict of an audit of the claim.
        accountant, mode, unit, epsilon_spent, not_for_release: the receipt's claim; the mode of
            third parties and imported records is `store.UNVERIFIED`, and nothing is known to have
            been spent on them.
        versions: of the packages that a third party ran, as it names them.
        status, phase, error: how the cell ended, and where and why when it failed.
        claim_*: what a claim of differential privacy must state, as sentences (`statement`).
    """

    cell: str
    dataset: str
    generator: str
    epsilon: float
    delta: float
    relation: str
    seed: int
    kind: Kind
    metric: str
    identity: str | None = None
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    holdout: float | None = None
    holdout_lower: float | None = None
    holdout_upper: float | None = None
    independent: float | None = None
    independent_lower: float | None = None
    independent_upper: float | None = None
    higher_is_better: bool | None = None
    attack_rate: float | None = None
    attack_lower: float | None = None
    attack_upper: float | None = None
    baseline_rate: float | None = None
    baseline_lower: float | None = None
    baseline_upper: float | None = None
    control_rate: float | None = None
    control_lower: float | None = None
    control_upper: float | None = None
    p_value: float | None = None
    epsilon_claimed: float | None = None
    epsilon_lower: float | None = None
    epsilon_lower_of_class: float | None = None
    epsilon_largest_measurable: float | None = None
    mu_claimed: float | None = None
    mu_budget: float | None = None
    mu_lower: float | None = None
    smallest_detectable_inflation: float | None = None
    runs: int | None = None
    alpha: float | None = None
    violated: bool | None = None
    accountant: str | None = None
    mode: str | None = None
    unit: str | None = None
    epsilon_spent: float | None = None
    not_for_release: bool | None = None
    versions: str | None = None
    status: Status = "done"
    phase: str | None = None
    error: str | None = None
    claim_unit: str | None = None
    claim_relation: str | None = None
    claim_guarantee: str | None = None
    claim_scope: str | None = None
    claim_trust_model: str | None = None
    claim_mechanisms: str | None = None
    claim_randomness: str | None = None
    claim_side_channels: str | None = None
    claim_justification: str | None = None
    claim_subgroup_error: str | None = None
    claim_access: str | None = None
    claim_domain: str | None = None
    claim_accounting: str | None = None


COLUMNS = tuple(f.name for f in fields(Row))
CLAIM = tuple(name for name in COLUMNS if name.startswith("claim_"))
REQUIRED = tuple(f.name for f in fields(Row) if f.default is MISSING)


def to_plain(row: Row) -> dict[str, Any]:
    """Return `row` as JSON values: what is absent is left out, infinities become text."""
    plain: dict[str, Any] = {}
    for name in COLUMNS:
        value = getattr(row, name)
        if value is None or (isinstance(value, float) and isnan(value)):
            continue
        plain[name] = str(value) if isinstance(value, float) and isinf(value) else value
    return plain


def from_plain(plain: Mapping[str, Any]) -> Row:
    """Return the row that `to_plain` wrote."""
    values: dict[str, Any] = dict(plain)
    for name, value in plain.items():
        if value in ("inf", "-inf"):
            values[name] = float(value)
    return Row(**values)


def check(row: Row) -> None:
    """Hold `row` to the schema: the type of every column, and a claim that is whole.

    Rows of earlier versions state no claim; one that states a part of it is refused.

    Raises:
        InvalidValueError: the first column that breaks a rule.
    """
    for name in COLUMNS:
        value, (types, values, words) = getattr(row, name), _RULES[name]
        fits = value in values if values else isinstance(value, types)
        if not fits or (isinstance(value, bool) and bool not in types):
            raise InvalidValueError(f"row: {name}", value, words)
    if not row.epsilon > 0:
        raise InvalidValueError("row: epsilon", row.epsilon, "above 0")
    if not 0 <= row.delta <= 1:
        raise InvalidValueError("row: delta", row.delta, "from 0 to 1")
    stated = [name for name in CLAIM if getattr(row, name)]
    if stated and len(stated) < len(CLAIM):
        lacking = next(name for name in CLAIM if name not in stated)
        raise InvalidValueError(f"row: {lacking}", getattr(row, lacking), "stated")


def _rule(annotation: Any) -> tuple[tuple[type, ...], tuple[Any, ...], str]:
    """Return the types that a column takes, its values where they are listed, and both in words."""
    if get_origin(annotation) is Literal:
        values = get_args(annotation)
        return (str,), values, " or ".join(map(repr, values))
    types = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    words = " or ".join("absent" if t is NoneType else t.__name__ for t in types)
    return (*types, int) if float in types else tuple(types), (), words


_RULES = {f.name: _rule(f.type) for f in fields(Row)}
