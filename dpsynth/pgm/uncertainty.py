"""How far a fitted model may be from the records: standard errors and intervals of marginals."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.bounded_interval import bounded_interval
from dpsynth.pgm.effects import Effects
from dpsynth.pgm.independent_rows import Codes, frequencies, independent_rows
from dpsynth.pgm.inference import Arrays, Oracle
from dpsynth.pgm.measurement import NoisyMarginal, beyond_margins
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.pairs import pair_marginals
from dpsynth.pgm.queries import marginal_of
from dpsynth.pgm.tangent import Tangent

Array = NDArray[np.float64]

# The share of uniform records in the distribution at which derivatives are taken. A fit leaves
# 1e-10 records in cells that the noise pushed below 0; what lies behind such a cell would
# otherwise count as much as any other.
_SMOOTHING = 0.03
_TOLERANCE = 1e-3
_STEPS = 200
# Largest relative change of a probability in a difference quotient.
_NUDGE = 1e-6


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """Counts of the cells of a marginal, or the value of one query, with standard errors.

    Args:
        fitted: what the model says; never negative for counts, hence biased near 0.
        unbiased: the same without the pull of non-negativity; cells may be negative.
        standard_error: of `unbiased`, in records. The model's own figure is closer, if anything.
        draws: number of draws that the standard error rests on; None where it is exact.
    """

    fitted: Array
    unbiased: Array
    standard_error: Array
    draws: int | None

    def interval(self, *, level: float = 0.95, bounded: bool = True) -> tuple[Array, Array]:
        """Return lower and upper limits of intervals that contain the truth at a rate of `level`.

        Args:
            level: between 0 and 1; for each cell alone, not for all at once.
            bounded: the truth is known not to be negative, as counts are.

        Raises:
            InvalidValueError: a level that is not strictly between 0 and 1.
        """
        from scipy.stats import norm, t

        if not 0 < level < 1:
            raise InvalidValueError("level", level, "above 0 and below 1")
        tail = 0.5 + 0.5 * level
        quantile = float(norm.ppf(tail))
        wider = 1.0 if self.draws is None else float(t.ppf(tail, self.draws)) / quantile
        errors = wider * self.standard_error
        if bounded:
            return bounded_interval(self.unbiased, errors, level=level)
        return self.unbiased - quantile * errors, self.unbiased + quantile * errors


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Draw:
    """One possible error of the measured marginals, and the rows that are part of it.

    Args:
        direction: change of the log-weights that it makes, cell after cell.
        growth: relative error of the total.
        rows: as many records as the model stands for, drawn from it.
    """

    direction: Array
    growth: float
    rows: Codes


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Uncertainty:
    """Standard errors of any marginal of a model, from its noisy measurements alone: free.

    Attributes inside a measured clique: the noise, through least squares over all measurements
    that bear on them; exact, without assumptions. Other attributes: the noise, carried to them by
    the derivative of the fit, and the chance by which records drawn from a distribution of the
    model's structure depart from it. **What the structure itself gets wrong there is not
    covered**: no measurement says anything about it. Where pairs that were never measured interact
    beyond what the measured ones imply, their intervals are too short.

    What was measured in groups of codes says nothing of single ones: marginals of its attributes
    are taken for unmeasured, and a group's noise is spread over its cells.

    Estimates are the model's plus one step of a linear correction for what its fit leaves over of
    the least-squares estimates. That undoes the bias of non-negative fits (noise in many empty
    cells, cut off at 0, is taken from the full ones).

    Args:
        model: the fit.
        measurements: all that it was fitted to, at least one.
        public_total: the model's total is not a noisy figure.
        rng: source of the draws, used once, when an unmeasured marginal is first asked for.
        draws: number of draws; a standard error from 32 is within a quarter of its limit, which
            intervals allow for.

    Raises:
        InvalidValueError: no measurements, or fewer than 2 draws.

    Reference: Javanmard & Montanari 2014 (one-step correction of a constrained estimate, and its
        intervals); Wainwright & Jordan 2008, section 3 (derivatives of expected statistics).
    """

    model: GraphicalModel
    measurements: Sequence[NoisyMarginal]
    public_total: bool
    rng: np.random.Generator
    draws: int = 32

    def __post_init__(self) -> None:
        if not self.measurements:
            raise InvalidValueError("measurements", 0, "at least one noisy marginal")
        if self.draws < 2:
            raise InvalidValueError("draws", self.draws, "at least 2")

    def standard_error(
        self, attributes: Iterable[str], *, population: bool = False
    ) -> NDArray[np.float64]:
        """Return the standard errors of the counts of `attributes`, as `marginals` gives them."""
        wanted = tuple(attributes)
        return self.marginals([wanted], population=population)[wanted].standard_error

    def marginals(
        self, cliques: Iterable[Iterable[str]], *, population: bool = False
    ) -> dict[Clique, Estimate]:
        """Return the estimates of many marginals, axes in the order given; faster than one by one.

        Args:
            cliques: any attributes, each once in its clique.
            population: the truth is the distribution that the records are a sample of, scaled to
                the model's total, not the records themselves.

        Raises:
            InvalidValueError: an attribute twice, or an answer above the model's ceiling.
            UnknownNameError: an attribute that the domain lacks.
        """
        wanted = list(dict.fromkeys(tuple(clique) for clique in cliques))
        fitted = {clique: self.model.marginal(clique) for clique in wanted}
        found: dict[Clique, Estimate] = {}
        errors = self._errors([c for c in wanted if not self._exact.covers(c)], population)
        for clique in wanted:
            if clique in errors:
                change, deviations = errors[clique]
                found[clique] = Estimate(
                    fitted=fitted[clique],
                    unbiased=fitted[clique] + change,
                    standard_error=np.sqrt((deviations**2).mean(axis=0)),
                    draws=self.draws,
                )
            else:
                variance = np.full(fitted[clique].shape, self._exact.variance(clique))
                if population:
                    variance = variance + self._sampling(fitted[clique])
                found[clique] = Estimate(
                    fitted=fitted[clique],
                    unbiased=self._exact.marginal(clique),
                    standard_error=np.sqrt(variance),
                    draws=None,
                )
        return found

    def query(
        self, attributes: Iterable[str], weights: Array, *, population: bool = False
    ) -> Estimate:
        """Return the sum of `weights` times the counts of `attributes`, each array of shape ().

        Args:
            attributes: any attributes, each once.
            weights: one a cell, axes in the order of `attributes`. Where some are negative the
                value may be too: ask for its interval with `bounded=False`.
            population: as of `marginals`.

        Raises:
            InvalidValueError: weights of another shape; attributes as `marginals` says.
        """
        clique = tuple(attributes)
        counts = self.model.marginal(clique)
        if weights.shape != counts.shape:
            raise InvalidValueError("weights", weights.shape, f"of shape {counts.shape}")
        fitted, draws = (weights * counts).sum(), None
        if self._exact.covers(clique):
            unbiased = (weights * self._exact.marginal(clique)).sum()
            variance = self._exact.query_variance(clique, weights)
            if population:
                mean = fitted / self.model.total
                variance += ((weights - mean) ** 2 * counts).sum()
        else:
            change, deviations = self._errors([clique], population)[clique]
            unbiased, draws = fitted + (weights * change).sum(), self.draws
            values = (deviations * weights).reshape(self.draws, -1).sum(axis=1)
            variance = (values**2).mean()
        return Estimate(
            fitted=np.array(fitted),
            unbiased=np.array(unbiased),
            standard_error=np.array(sqrt(variance)),
            draws=draws,
        )

    @cached_property
    def _exact(self) -> Effects:
        """Least squares of what was measured code by code, which nothing has to be assumed for."""
        total = self.model.total if self.public_total else None
        single = [m for m in self.measurements if not m.grouped]
        return Effects.of(self.model.domain, single, total=total).with_groups(self.links)

    @cached_property
    def measured(self) -> Effects:
        """Least squares of everything, in groups only where nothing else was measured."""
        effects = {**self._effects.effects, **self._exact.effects}
        return Effects(domain=self.model.domain, effects=effects)

    @cached_property
    def _effects(self) -> Effects:
        """Least squares of everything; groups of codes are shared out as the model does."""
        if not any(m.grouped for m in self.measurements):
            return self._exact
        total = self.model.total if self.public_total else None
        single = [shared_out(self.model, m) if m.grouped else m for m in self.measurements]
        return Effects.of(self.model.domain, single, total=total).with_groups(self.links)

    @cached_property
    def links(self) -> dict[str, tuple[str, NDArray[np.intp]]]:
        """Attributes that are known in interactions only, and whose codes group another's."""
        alone = {m.clique[0] for m in self.measurements if len(m.clique) == 1}
        wanted = {a for m in self.measurements if m.centred for a in m.clique} - alone
        return {name: grouped_by(self.model, name, alone) for name in sorted(wanted)}

    @cached_property
    def _tangent(self) -> Tangent:
        """The smoothed model's, for changes of the log-weights of measured cells."""
        domain, tree = self.model.domain, self.model.tree
        cliques = dict.fromkeys(domain.canonical(m.clique) for m in self.measurements)
        smooth = [
            (1 - _SMOOTHING) * marginal + _SMOOTHING / marginal.size
            for marginal in self.model.calibration.marginals
        ]
        return Tangent(oracle=Oracle(tree=tree, cliques=tuple(cliques)), marginals=smooth)

    @cached_property
    def _correction(self) -> tuple[Array, float]:
        """Direction and growth that take the fit to the least-squares estimates."""
        left = self._measured(self._effects) - self.model.total * self._project(self.model)
        return self._solved(left / self.model.total)

    @cached_property
    def _drawn(self) -> list[_Draw]:
        tree, marginals = self.model.tree, self.model.calibration.marginals
        size, fitted = max(1, round(self.model.total)), self._project(self.model)
        found: list[_Draw] = []
        for _ in range(self.draws):
            rows = independent_rows(tree, marginals, size, rng=self.rng)
            shares = [frequencies(tree.domain, rows, clique) for clique in tree.cliques]
            sampling = self._tangent.project(shares) - fitted
            errors = self._effects.noise(rng=self.rng).with_groups(self.links)
            noise = self._measured(errors) / self.model.total
            direction, growth = self._solved(noise + sampling)
            found.append(_Draw(direction=direction, growth=growth, rows=rows))
        return found

    def _project(self, model: GraphicalModel) -> Array:
        return self._tangent.project(model.calibration.marginals)

    def _measured(self, effects: Effects) -> Array:
        return np.concatenate([effects.marginal(c).ravel() for c in self._tangent.oracle.cliques])

    def _solved(self, change: Array) -> tuple[Array, float]:
        """Return the direction, and the growth of the total, that make a change of the shares."""
        growth = float(change.sum()) / len(self._tangent.oracle.cliques)
        rest = change - growth * self._tangent.expected
        return self._tangent.solve(rest, tolerance=_TOLERANCE, steps=_STEPS), growth

    def _errors(
        self, cliques: Sequence[Clique], population: bool
    ) -> dict[Clique, tuple[Array, Array]]:
        """Return for each of unmeasured `cliques` its correction, and its error in each draw."""
        if not cliques:
            return {}
        domain, size = self.model.domain, self.model.total
        base = self._answers(self._tangent.marginals, cliques)
        correction = self._carried(*self._correction, base)
        errors: dict[Clique, list[Array]] = {clique: [] for clique in cliques}
        exact = {c: self.model.marginal(c) / size for c in cliques}
        for draw in self._drawn:
            carried = self._carried(draw.direction, draw.growth, base)
            for clique in cliques:
                error = carried[clique]
                if not population:
                    error = error - (frequencies(domain, draw.rows, clique) - exact[clique])
                errors[clique].append(size * error)
        return {c: (size * correction[c], np.stack(errors[c])) for c in cliques}

    def _carried(
        self, direction: Array, growth: float, base: dict[Clique, Array]
    ) -> dict[Clique, Array]:
        """Return how the shares of marginals change along a direction.

        Args:
            direction: of the log-weights.
            growth: relative change of the total.
            base: the marginals' shares in the smoothed model.
        """
        changes, marginals = self._tangent.changes(direction), self._tangent.marginals
        largest = max(float(np.abs(c / p).max()) for c, p in zip(changes, marginals, strict=True))
        nudge = _NUDGE / max(largest, _NUDGE)
        moved = [p + nudge * c for p, c in zip(marginals, changes, strict=True)]
        answers = self._answers(moved, list(base))
        return {c: (answers[c] - base[c]) / nudge + growth * base[c] for c in base}

    def _answers(self, marginals: Arrays, cliques: Sequence[Clique]) -> dict[Clique, Array]:
        tree, ceiling = self.model.tree, self.model.ceiling
        found = pair_marginals(tree, marginals, [c for c in cliques if len(c) == 2])
        for clique in cliques:
            if clique not in found:
                found[clique] = marginal_of(tree, marginals, clique, ceiling=ceiling)
        return found

    def _sampling(self, counts: Array) -> Array:
        """Return the variance of counts in a sample of the model's size."""
        return counts * (1 - counts / self.model.total)


def grouped_by(
    model: GraphicalModel, name: str, measured: Container[str]
) -> tuple[str, NDArray[np.intp]]:
    """Return the measured attribute whose codes `name` groups in `model`, and each code's group.

    Raises:
        InvalidValueError: there is none.
    """
    for clique, potential in zip(model.cliques, model.potentials, strict=True):
        if len(clique) == 2 and name in clique:
            (other,) = set(clique) - {name}
            table = potential if clique[1] == name else potential.T
            if other in measured and (np.isfinite(table).sum(axis=1) == 1).all():
                return other, np.isfinite(table).argmax(axis=1)
    raise InvalidValueError(
        "measurements", name, "measured alone too, or groups of an attribute that is"
    )


def shared_out(model: GraphicalModel, measurement: NoisyMarginal) -> NoisyMarginal:
    """Return a measurement in groups as one of single codes, shared out as `model` does.

    The noise of a group is spread evenly over its cells; groups of other than the average size are
    given more or less than they have.
    """
    cells = measurement.cells(model.domain)
    key = model.domain.canonical(measurement.clique)
    counts = model.marginal(key)
    assert cells is not None  # it was measured in groups
    order = [measurement.clique.index(a) for a in key]
    sums = np.bincount(cells, counts.ravel(), measurement.values.size)
    # A group that the model leaves empty is shared out evenly.
    inside = np.where(sums > 0, sums, np.bincount(cells, minlength=sums.size))[cells]
    shares = np.where(sums[cells] > 0, counts.ravel(), 1.0) / inside
    values = measurement.values.transpose(order)
    if measurement.centred:  # what it does not show is as the model has it
        whole = sums.reshape(values.shape).astype(np.float64)
        values = values + whole - beyond_margins(whole)
    spread = values.ravel()[cells] * shares
    sigma = measurement.sigma * sqrt(sums.size / counts.size)
    return NoisyMarginal(
        clique=key,
        values=spread.reshape(counts.shape),
        sigma=sigma,
        centred=measurement.centred,
    )
