"""What each record adds to a mean, a share or a slope, as weights of cells of marginals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.code_values import CodeValues
from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.domain import Clique
from dpsynth.data.encoding import Codec
from dpsynth.data.regressors import regressors
from dpsynth.errors import InvalidValueError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.inference.copies import measured_model
from dpsynth.inference.resolution import Resolution
from dpsynth.pgm.independent_rows import independent_rows
from dpsynth.pgm.uncertainty import Uncertainty

if TYPE_CHECKING:
    from dpsynth.generators.base import SyntheticModel

Array = NDArray[np.float64]

SAMPLED_ROWS = 20_000
"""Rows of a model that tell the sampling variance of its slopes to about 2%."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Influence:
    """A quantity of the model, and its derivative by the records.

    Args:
        value: in the model.
        weights: clique -> what one record more in a cell adds to the quantity, times the number of
            records.
        sampling: variance of the quantity over samples of as many records.
        within_bins: as of `Interval`.

    Reference: Hampel 1974 (the influence curve).
    """

    value: float
    weights: Mapping[Clique, Array]
    sampling: float
    within_bins: float | None = 0.0


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A model, and least squares over its noisy measurements.

    Args:
        model: the fit.
        uncertainty: of it.
        resolution: the attribute and codes by which each column was measured.
    """

    model: GraphicalSyntheticModel
    uncertainty: Uncertainty
    resolution: Resolution

    @classmethod
    def of(cls, model: "SyntheticModel", *, rng: np.random.Generator) -> Self:
        """Return what `model` measured.

        Raises:
            InvalidValueError: it keeps no noisy measurements.
        """
        fitted = measured_model(model)
        uncertainty = fitted.uncertainty(rng=rng)
        return cls(
            model=fitted,
            uncertainty=uncertainty,
            resolution=Resolution(
                model=fitted.model,
                columns=fitted.schema.names,
                measurements=fitted.measurements,
                values={
                    c.name: CodeValues.of(c).mean
                    for c in fitted.schema.columns
                    if not (isinstance(c, CategoricalColumn) or c.missing)
                },
            ),
        )

    def step(self, influence: Influence) -> tuple[float, float]:
        """Return the step from the model's figure to the unbiased one, and its noise's variance."""
        total, effects = self.model.total, self.uncertainty.measured
        fitted = sum(
            float((of * self.model.marginal(clique)).sum())
            for clique, of in influence.weights.items()
        )
        value, variance = effects.joint_query(influence.weights, links=self.uncertainty.links)
        return (value - fitted) / total, variance / total**2


def share_influence(measured: Measured, column: CategoricalColumn, code: int) -> Influence:
    """Return that of the share of records with `code` of `column`."""
    counts, total = measured.model.marginal((column.name,)), measured.model.total
    share = float(counts[code]) / total
    weights = np.full(counts.shape, -share)
    weights[code] += 1
    return Influence(
        value=share, weights={(column.name,): weights}, sampling=share * (1 - share) / total
    )


def mean_influence(measured: Measured, column: IntegerColumn | FloatColumn) -> Influence:
    """Return that of the mean of the values of `column` that are there."""
    values, total = CodeValues.of(column), measured.model.total
    present = np.isfinite(values.mean)
    shares = np.where(present, measured.model.marginal((column.name,)), 0.0)
    here = float(shares.sum()) / total
    shares = shares / shares.sum()
    centres, spread = np.where(present, values.mean, 0.0), np.where(present, values.variance, 0.0)
    mean = float(shares @ centres)
    deviations = np.where(present, centres - mean, 0.0)
    return Influence(
        value=mean,
        weights={(column.name,): deviations / here},
        sampling=float(shares @ (deviations**2 + spread)) / (here * total),
        within_bins=float(shares @ np.where(present, values.reach, 0.0)),
    )


def slope_influences(
    measured: Measured, outcome: str, causes: tuple[str, ...], *, rng: np.random.Generator
) -> dict[str, Influence]:
    """Return those of the slopes of `outcome` on `causes`, all at once, by least squares.

    A record's influence on the slopes is A^-1 z (y - z'b): a sum of functions of one column or of
    two, which are weights of one-way marginals and of pairs.

    Args:
        measured: the model.
        outcome: the column to explain.
        causes: the columns that explain it; empty: all other numeric ones.
        rng: draws the rows that tell the sampling variance.

    Raises:
        InvalidValueError: as of `released_intervals`.
    """
    names = _numeric(measured, outcome, causes)
    measured.resolution.check(names, outcome)
    laws = {name: CodeValues.of(_column(measured, name)) for name in names}
    moments = _moments(measured, laws)
    inverse: Array = np.linalg.pinv(moments[:-1, :-1]).astype(np.float64)
    slopes = inverse @ moments[:-1, -1]
    sampling = _sampling(measured, names, inverse, slopes, rng)
    found: dict[str, Influence] = {}
    # The residual is a sum over 1, the causes and the outcome, with these factors.
    residual = np.append(-slopes, 1.0)
    for j, cause in enumerate(names[:-1], start=1):
        product = np.outer(np.append(inverse[j], 0.0), residual)
        found[cause] = Influence(
            value=float(slopes[j]),
            weights=_weights(measured, laws, product + product.T),
            sampling=float(sampling[j]),
            within_bins=None,
        )
    return found


def _numeric(measured: Measured, outcome: str, causes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the causes and then the outcome, all of them numeric and without missing values."""
    chosen = regressors(measured.model.schema, outcome, causes)
    for field, name in (("slopes_of", outcome), *(("on", cause) for cause in chosen)):
        if _column(measured, name).missing:
            rule = "a column without missing values: pairs do not tell which records lack them"
            raise InvalidValueError(field, name, rule)
    return (*chosen, outcome)


def _moments(measured: Measured, laws: Mapping[str, CodeValues]) -> Array:
    """Return the model's mean products of 1 and the columns, of shape (1 + columns, the same)."""
    names = list(laws)
    found = np.eye(len(names) + 1)
    model, total = measured.model, measured.model.total
    for i, (name, law) in enumerate(laws.items(), start=1):
        shares = model.marginal((name,)) / total
        found[0, i] = found[i, 0] = shares @ law.mean
        found[i, i] = shares @ (law.mean**2 + law.variance)
        for k in range(i + 1, len(names) + 1):
            pair = model.marginal((name, names[k - 1])) / total
            found[i, k] = found[k, i] = law.mean @ pair @ laws[names[k - 1]].mean
    return found


def _weights(
    measured: Measured, laws: Mapping[str, CodeValues], factors: Array
) -> dict[Clique, Array]:
    """Return the weights of half the sum of `factors` times products of 1 and the columns."""
    names = list(laws)
    found: dict[Clique, Array] = {(): np.array(factors[0, 0] / 2)}
    for i, (name, law) in enumerate(laws.items(), start=1):
        single = factors[0, i] * law.mean + factors[i, i] / 2 * (law.mean**2 + law.variance)
        found[(name,)] = single
        for k in range(i + 1, len(names) + 1):
            clique, means = measured.resolution.pair(name, names[k - 1])
            found[clique] = factors[i, k] * np.outer(*means)
    return found


def _sampling(
    measured: Measured,
    names: tuple[str, ...],
    inverse: Array,
    slopes: Array,
    rng: np.random.Generator,
) -> Array:
    """Return the sampling variances of all coefficients, whatever the law of the residuals."""
    model = measured.model
    rows = independent_rows(
        model.model.tree, model.model.calibration.marginals, SAMPLED_ROWS, rng=rng
    )
    codes = rows[:, : len(model.schema.names)]
    table = Codec(schema=model.schema).decode(codes, rng=rng)
    values = [np.asarray(table.values(name), dtype=np.float64) for name in names]
    design = np.column_stack([np.ones(SAMPLED_ROWS), *values[:-1]])
    influence = (design @ inverse) * (values[-1] - design @ slopes)[:, None]
    return influence.var(axis=0) / model.total


def _column(measured: Measured, name: str) -> IntegerColumn | FloatColumn:
    column = measured.model.schema.column(name)
    assert not isinstance(column, CategoricalColumn)
    return column
