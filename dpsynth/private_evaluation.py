"""Total variation from real records, charged: for numbers that will be published.

A metric reads real records, and its value may tell of one of them. A mean of total variation
distances over a fixed workload hardly does, so that privacy costs it almost no precision.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.data.encoding import Codec
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.contingency import choose_sets
from dpsynth.opening import check_public_rows, read_table, with_unit
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.synthesis import parse_relation, random_streams

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.privacy.receipt import Receipt

CONFIDENCE = 0.95
_FEWEST_SETS = 30


@final
@dataclass(frozen=True, kw_only=True)
class PrivateScore:
    """A noisy mean total variation distance; a private output.

    Args:
        metric: the name of the metric without noise ("tvd_2way").
        sets: how many sets of columns it is the mean of.
        value: the noisy mean; noise may carry it below 0.
        lower, upper: interval at 95% for the value without noise.
        noise: standard deviation of the noise.
    """

    metric: str
    sets: int
    value: float
    lower: float
    upper: float
    noise: float


@final
@dataclass(frozen=True, kw_only=True)
class PrivateEvaluation:
    """Scores, and the receipt of what they spent on the real records."""

    scores: tuple[PrivateScore, ...]
    receipt: "Receipt"


def evaluate_privately(
    real: "DataFrame | Table | str | Path",
    synthetic: "DataFrame | Table | str | Path",
    schema: "Schema",
    *,
    epsilon: float,
    delta: float = 1e-9,
    relation: str | Neighbouring = Neighbouring.REPLACE,
    ways: tuple[int, ...] = (1, 2, 3),
    limit: int = 1000,
    seed: int | None = None,
) -> PrivateEvaluation:
    """Return noisy mean total variation distances of a synthetic table from real records.

    Neighbours differ in one record, and n, the number of records, is public: by the relation
    "replace", or because the schema declares `public_rows`. For each k, the L1 errors of the counts
    of m sets are bought as one vector (`FitErrorsQuery`), with an equal share of the budget.
    Sensitivity: one record changes each set's counts by d in L1 norm (2 under "replace", else 1),
    and so each error by d at most; the vector by d sqrt(m) in L2 norm. The mean distance is the sum
    of the errors over 2 n m and changes by d / 2n at most: 1/n under "replace".
    Cost: one Gaussian event a k (Laplace where delta is 0). Independent noise of deviation
    d sqrt(m) / mu on each error has deviation d / (2 n mu) in the mean, as if that alone were sold.
    The synthetic table is taken as public: a private output, or charged elsewhere.
    Its counts are scaled to n records and rounded to sixteenths of one; where it has n records that
    changes nothing, else a distance by at most (its occupied cells) / 64n.

    Args:
        real: records to protect.
        synthetic: records to judge, under the same schema.
        schema: public description of both.
        epsilon, delta: budget of this evaluation alone; delta 0 asks for pure differential privacy,
            under which the noise of a mean grows with the root of m.
        relation: "replace", or "add_remove" where the schema declares public_rows.
        ways: columns a set, each a score of its own.
        limit: most sets of each; beyond it, a seeded sample that depends on no record.
        seed: research mode, reproducible and not for release; None is release mode.

    Raises:
        InvalidValueError: the number of records is secret (also where some may be dropped), a unit
            has several rows, or a parameter is out of its range.
        FileError, DataError, UnknownNameError: records that do not fit the schema.

    Reference: R. McKenna, B. Mullins, D. Sheldon and G. Miklau, AIM (2022), definition 1; J. Dong,
        A. Roth and W. Su, Gaussian Differential Privacy (2022), theorem 2.
    """
    if not ways or min(ways) < 1:
        raise InvalidValueError("ways", ways, "numbers of columns, each at least 1")
    if limit < 1:
        raise InvalidValueError("limit", limit, "at least 1")
    if schema.max_rows_per_unit != 1:
        rule = "1: rows of a unit are sampled, so that how many remain is secret"
        raise InvalidValueError("max_rows_per_unit", schema.max_rows_per_unit, rule)
    if schema.constraints and schema.on_violation == "drop":
        rule = "'error': how many records are left after others were dropped is secret"
        raise InvalidValueError("on_violation", "drop", rule)
    budget = Budget(epsilon=epsilon, delta=delta, relation=parse_relation(relation))
    table, made = read_table(real, schema), read_table(synthetic, schema)
    check_public_rows(schema, len(table))
    noise, _, _ = random_streams(seed)
    private = PrivateData(
        table,
        with_unit(budget, schema),
        noise=noise,
        accountant="zcdp" if delta > 0 else "pure",
    )
    rows = private.public_rows
    if rows is None:
        rule = "'replace', or the schema must declare public_rows: a distance needs their number"
        raise InvalidValueError("relation", str(budget.relation), rule)
    codes = Codec(schema=schema).encode(made)
    share = private.remaining / len(ways)
    scores: list[PrivateScore] = []
    for k in ways:
        sets = choose_sets(len(schema.names), k, limit=limit, seed=0)
        # Shares add up to what remains, but for rounding.
        amount = min(share, private.remaining)
        scores.append(_score(private, codes, sets, rows=rows, amount=amount))
    receipt = replace(private.receipt(), releases="answers")
    return PrivateEvaluation(scores=tuple(scores), receipt=receipt)


def _score(
    private: PrivateData,
    codes: NDArray[np.integer[Any]],
    sets: list[tuple[int, ...]],
    *,
    rows: int,
    amount: float,
) -> PrivateScore:
    names, sizes, k = private.domain.attributes, private.domain.sizes, len(sets[0])
    cliques = [tuple(names[i] for i in chosen) for chosen in sets]
    position = {name: i for i, name in enumerate(names)}

    def expected(clique: Clique) -> NDArray[np.float64]:
        shape = tuple(sizes[a] for a in clique)
        where = np.ravel_multi_index([codes[:, position[a]].astype(np.intp) for a in clique], shape)
        counts = np.bincount(where, minlength=int(np.prod(shape))).reshape(shape)
        return counts.astype(np.float64) * (rows / len(codes))

    errors, sigma = private.fit_errors(cliques, expected, amount=amount, label=f"tvd_{k}way")
    value = float(errors.mean()) / (2 * rows)
    noise = sigma / (2 * rows * len(sets) ** 0.5)
    reach = _quantile(len(sets), laplace=private.ledger.accountant.name == "pure") * noise
    return PrivateScore(
        metric=f"tvd_{k}way",
        sets=len(sets),
        value=value,
        lower=max(value - reach, 0.0),
        upper=min(max(value + reach, 0.0), 1.0),
        noise=noise,
    )


def _quantile(sets: int, *, laplace: bool) -> float:
    """Return how many deviations the noise of a mean stays within, at the level of the interval.

    A mean of few Laplace numbers is no Gaussian one: by Chebyshev's inequality then.
    """
    if laplace and sets < _FEWEST_SETS:
        return (1 - CONFIDENCE) ** -0.5
    return NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
