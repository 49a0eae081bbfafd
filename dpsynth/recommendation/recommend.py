"""Which generator, from public facts of a schema and from what was measured on other data sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import DpsynthError, UnknownNameError
from dpsynth.generators.base import check_installed
from dpsynth.opening import fitting_accountant
from dpsynth.parameters import construct
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.recommendation.advice import BASELINE, Advice
from dpsynth.recommendation.benchmark import COSTS, METRICS, Benchmark
from dpsynth.recommendation.expectation import Expectation
from dpsynth.recommendation.facts import Facts
from dpsynth.recommendation.likeness import unlike
from dpsynth.recommendation.regret import Regret
from dpsynth.registry import GENERATORS


@final
@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What is to be expected of one generator.

    Args:
        generator: its name.
        score, lower, upper: under the metric; nine in ten data sets left out were within intervals
            made alike.
        seconds, memory_mb: of fit and sample, and of the whole process, as measured elsewhere.
        refused: why it cannot be used here; None: it can.
    """

    generator: str
    score: float
    lower: float
    upper: float
    seconds: float
    memory_mb: float
    refused: str | None


@final
@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """A generator for one metric, with what the advice is worth.

    Args:
        metric: what it is to be best at.
        generator: the one; None where all are refused.
        by_facts: whether the facts chose it; else it is the baseline, which no choice by facts beat
            on data sets left out, or the next best where that one is refused.
        prospects: of all ranked generators, the best expectation first.
        regret: of choosing by the facts, on data sets left out.
        baseline: that of always taking `BASELINE`.
        unranked: generator -> how it compared with `BASELINE` where it was measured, on too few
            sources of data to be ranked: mean ratio of scores.
        warnings: facts unlike those of every data set that was measured.
    """

    metric: str
    generator: str | None
    by_facts: bool
    prospects: tuple[Prospect, ...]
    regret: Regret
    baseline: Regret
    unranked: dict[str, float]
    warnings: tuple[str, ...]


def recommend(
    schema: Schema | OpenSchema,
    budget: Budget,
    *,
    metric: str = "workload_error",
    rows: int | None = None,
    accountant: str | None = None,
    most_seconds: float | None = None,
    most_memory_mb: float | None = None,
    benchmark: Benchmark | None = None,
) -> Recommendation:
    """Return which generator to take. It reads no records, and costs nothing.

    Args:
        schema: of the table.
        budget: what may be spent on it.
        metric: what the rows are to be good at, one of `METRICS`.
        rows: how many records there are, where that is public or may be guessed; by default what
            the schema declares public, else it is not looked at.
        accountant: its name; by default each generator's own, and "pure" where delta is 0.
        most_seconds: generators expected to take longer are refused.
        most_memory_mb: likewise for what the process holds.
        benchmark: what was measured; by default what comes with the package.

    Raises:
        UnknownNameError: no such metric.
        InvalidValueError: rows below 1.
    """
    if metric not in METRICS:
        raise UnknownNameError("metric of recommendations", metric, METRICS)
    known, facts = benchmark or Benchmark.load(), Facts.of(schema, rows=rows)
    rows_known = facts.rows is not None
    scores, *costs = (
        Expectation(benchmark=known, column=column, rows_known=rows_known)
        for column in (metric, *COSTS)
    )
    advice = Advice(expectation=scores)
    features = facts.features(budget, rows_known=rows_known)
    seconds, memory = (cost.at(features) for cost in costs)
    limits = ((seconds, most_seconds, "s"), (memory, most_memory_mb, "MiB"))
    prospects = [
        Prospect(
            generator=name,
            score=score,
            lower=lower,
            upper=upper,
            seconds=float(seconds[name]),
            memory_mb=float(memory[name]),
            refused=_refusal(name, budget, accountant, is_open=isinstance(schema, OpenSchema))
            or _beyond([(float(cost[name]), most, unit) for cost, most, unit in limits]),
        )
        for name, (score, lower, upper) in advice.scores(features).items()
    ]
    usable = [p.generator for p in prospects if p.refused is None]
    by_facts, always = advice.regrets()
    better = by_facts.mean < always.mean
    takes_baseline = BASELINE in usable and not better
    return Recommendation(
        metric=metric,
        generator=BASELINE if takes_baseline else next(iter(usable), None),
        by_facts=better,
        prospects=tuple(prospects),
        regret=by_facts,
        baseline=always,
        unranked=advice.elsewhere(),
        warnings=tuple(unlike(known, facts, budget)),
    )


def _refusal(name: str, budget: Budget, accountant: str | None, *, is_open: bool) -> str | None:
    """Return why a generator cannot be fitted here with this budget; None: it can."""
    try:
        generator = construct(GENERATORS.get(name), {}, owner=name)
        check_installed(generator)
        asked = accountant or ("pure" if budget.delta == 0 else None)
        chosen = fitting_accountant(generator, asked, is_open=is_open)
        generator.check_noise(chosen)
        make_accountant(chosen, budget)
    except DpsynthError as error:
        return str(error)
    return None


def _beyond(limits: Sequence[tuple[float, float | None, str]]) -> str | None:
    for cost, most, unit in limits:
        if most is not None and cost > most:
            return f"expected to take {cost:.3g} {unit}"
    return None
