"""What a user asks of a sample, as strata: parts of a model's records, each with its share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.conditions import Condition, Part, parse_condition, parse_conditions
from dpsynth.data.domain import Clique
from dpsynth.data.encoding import Ranges
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.evidence import Likelihood
from dpsynth.sampling.raking import Margin, even, rake
from dpsynth.sampling.sifting import Law

MOST_STRATA = 2**12
"""Each stratum is a model of its own, whose marginals are worked out to sample it."""

# Shares that a user writes as decimals need not add up to 1 exactly.
_ROUNDING = 1e-9


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Stratum:
    """Some of the records that a sample is made of.

    Args:
        evidence: what tells them from the others of the same law.
        ranges: where their numbers lie within the bins.
        share: how many of the sample's rows they get; those of all strata add up to 1.
    """

    evidence: Mapping[str, Likelihood]
    ranges: Ranges
    share: float


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Axis:
    """Disjoint parts of one column, in proportions that are given or the model's own."""

    name: str
    parts: tuple[Part, ...]
    margin: Margin | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Request:
    """Which records, and in which proportions; a sample of all of them asks for nothing.

    Args:
        where: column -> condition on its values (`parse_condition`); all must be satisfied.
        balance: columns whose combinations of codes shall be equally frequent: categories, a
            missing value, or bins of numbers.
        shares: column -> condition -> the share of rows that satisfy it. Conditions on one column
            are disjoint; what none of them names gets the rest.
    """

    where: Mapping[str, Any] = field(default_factory=dict[str, Any])
    balance: Sequence[str] = ()
    shares: Mapping[str, Mapping[Any, float]] = field(
        default_factory=dict[str, Mapping[Any, float]]
    )

    @classmethod
    def of(
        cls,
        where: Mapping[str, Any] | None,
        balance: Sequence[str],
        shares: Mapping[str, Mapping[Any, float]] | None,
    ) -> Self:
        """Return the request, None being nothing asked for."""
        return cls(
            where={} if where is None else where,
            balance=balance,
            shares={} if shares is None else shares,
        )

    def __bool__(self) -> bool:
        return bool(self.where or self.balance or self.shares)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Strata:
    """What a sample is made of.

    Args:
        law: what the evidence of the strata adds to.
        parts: at least one.
        total: expected number of records of the model that satisfy the conditions.
    """

    law: Law
    parts: Sequence[Stratum]
    total: float


def stratify(law: Law, request: Request) -> Strata:
    """Return the strata of a sample, from the law of all records.

    Raises:
        InvalidValueError: a condition that no value satisfies, a share out of its range, shares of
            conditions that overlap, a column both balanced and given shares, too many strata.
        UnknownNameError: a column or a category that the schema lacks.
        ContradictionError: no record of the model satisfies the conditions, or has the shares.
    """
    schema, sizes = law.schema, law.schema.domain.sizes
    conditions = parse_conditions(schema, request.where)
    balance = _balance(schema, request)
    axes = [
        _shares_axis(schema, name, shares, conditions.pop(name, None))
        for name, shares in request.shares.items()
    ]
    fixed: dict[str, Part] = {}
    for name, condition in conditions.items():
        parts = condition.parts()
        if len(parts) == 1:
            fixed[name] = parts[0]
        else:
            axes.append(_Axis(name=name, parts=parts))
    law = law.given({name: Likelihood(values=part.likelihood) for name, part in fixed.items()})
    ranges = {name: part.span for name, part in fixed.items() if part.span is not None}
    if not balance and not axes:
        whole = Stratum(evidence={}, ranges=ranges, share=1.0)
        return Strata(law=law, parts=(whole,), total=law.total)
    joint = _joint(law, balance, axes)
    shares = _raked(joint, balance, axes)
    places = np.argwhere(shares > 0)
    if len(places) > MOST_STRATA:
        raise InvalidValueError("balance", len(places), f"at most {MOST_STRATA} combinations")
    codes = [[_code(schema, name, code) for code in range(sizes[name])] for name in balance]
    options = codes + [list(axis.parts) for axis in axes]
    names = [*balance, *(axis.name for axis in axes)]
    parts = [
        _stratum(
            [(name, own[i]) for name, own, i in zip(names, options, place, strict=True)],
            ranges=ranges,
            share=float(shares[tuple(place)]),
        )
        for place in places
    ]
    return Strata(law=law, parts=tuple(parts), total=float(joint.sum()))


def _balance(schema: Schema, request: Request) -> Clique:
    balance = request.balance
    if isinstance(balance, str):
        raise InvalidValueError("balance", balance, "a list of columns")
    for name in balance:
        schema.column(name)
        if name in request.shares:
            raise InvalidValueError(f"shares of {name!r}", "given", "left out, as it is balanced")
    if len(set(balance)) < len(balance):
        raise InvalidValueError("balance", balance, "columns, each named once")
    return tuple(balance)


def _shares_axis(
    schema: Schema, name: str, shares: Mapping[Any, float], within: Condition | None
) -> _Axis:
    """Return the parts of a column whose conditions get shares, the rest of it last.

    Args:
        schema: the public description.
        name: the column.
        shares: condition -> its share.
        within: what the column's values must satisfy anyway.
    """
    column = schema.column(name)
    everything = ~Condition(column=column, spans=())
    within = everything if within is None else within
    if not isinstance(shares, Mapping) or not shares:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidValueError(f"shares of {name!r}", shares, "a mapping of conditions to numbers")
    for share in shares.values():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InvalidValueError(f"a share of {name!r}", share, "a number from 0 to 1")
    named = [parse_condition(column, value) & within for value in shares]
    for i, one in enumerate(named):
        if not one.parts():
            value = list(shares)[i]
            raise InvalidValueError(f"shares of {name!r}", value, "possible where 'where' holds")
        if any((one & other).parts() for other in named[:i]):
            raise InvalidValueError(f"shares of {name!r}", list(shares), "of disjoint conditions")
    pieces = [*named, ~reduce(or_, named) & within]
    rest = 1.0 - sum(shares.values())
    rest = 0.0 if abs(rest) < _ROUNDING else rest
    if rest < 0 or (rest > 0 and not pieces[-1].parts()):
        rule = "1 in all" if rest > 0 else "at most 1 in all"
        raise InvalidValueError(f"shares of {name!r}", dict(shares), rule)
    parts = [piece.parts() for piece in pieces]
    wanted = np.array([*shares.values(), rest])
    groups = np.repeat(np.arange(len(pieces)), [len(own) for own in parts])
    margin = Margin(groups=groups, shares=wanted / wanted.sum(), what=f"shares of {name!r}")
    return _Axis(name=name, parts=tuple(part for own in parts for part in own), margin=margin)


def _raked(
    joint: NDArray[np.float64], balance: Clique, axes: Sequence[_Axis]
) -> NDArray[np.float64]:
    """Return the shares of the combinations in `joint` that the user asks for."""
    # Cells come first, so that systematic rounding gives each its rows to within one.
    cells = joint.reshape(-1, *joint.shape[len(balance) :])
    margins = {i + 1: axis.margin for i, axis in enumerate(axes) if axis.margin is not None}
    if balance:
        weights = cells.sum(axis=tuple(range(1, cells.ndim)))
        what = f"balance of {', '.join(map(repr, balance))}"
        margins[0] = Margin(groups=np.arange(len(cells)), shares=even(weights), what=what)
    return rake(cells, margins).reshape(joint.shape)


def _code(schema: Schema, name: str, code: int) -> Part:
    return Part(likelihood=np.eye(1, schema.column(name).size, code)[0], span=None)


def _stratum(parts: Sequence[tuple[str, Part]], *, ranges: Ranges, share: float) -> Stratum:
    """Return the stratum of the records that are in all `parts` of columns.

    Args:
        parts: column and part; a column may occur twice.
        ranges: of columns that are not among them, or that are cut by none of the parts.
        share: of the rows of a sample.
    """
    evidence: dict[str, Likelihood] = {}
    own = dict(ranges)
    for name, part in parts:
        known = Likelihood(values=part.likelihood)
        evidence[name] = evidence[name] * known if name in evidence else known
        if part.span is not None:
            own[name] = part.span
    return Stratum(evidence=evidence, ranges=own, share=share)


def _joint(law: Law, balance: Clique, axes: Sequence[_Axis]) -> NDArray[np.float64]:
    """Return the expected counts of combinations: one axis a balanced column, one each of `axes`.

    Raises:
        InvalidValueError: their columns have too many cells together.
    """
    names = tuple(dict.fromkeys([*balance, *(axis.name for axis in axes)]))
    place = {name: i for i, name in enumerate(names)}
    operands: list[Any] = [law.marginal(names), list(range(len(names)))]
    kept = [place[name] for name in balance]
    for i, axis in enumerate(axes):
        operands += [
            np.stack([p.likelihood for p in axis.parts]),
            [len(names) + i, place[axis.name]],
        ]
        kept.append(len(names) + i)
    return np.einsum(*operands, kept, optimize=True)
