"""Tuning on private records: the best of a random number of runs, paid for before the first.

Trying settings on the records and keeping the best is not free: which one wins depends on them, and
every look at a score is a release. Here the number of runs is drawn from a law, each run draws its
setting uniformly from a public list, fits, and ends with a noisy score of its own; only the run of
the best score is released. That costs a few times one run, whatever the number of settings.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dpsynth.errors import InvalidValueError, NoModelError, TrainingError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.calibration import gdp_mu, largest_scale
from dpsynth.privacy.events import ComposedEvent, GdpEvent, RepeatedEvent, StoppingLaw
from dpsynth.privacy.rounding import rounded_up
from dpsynth.privacy.stopping import DRAW_DISTANCE
from dpsynth.tuning.grid import candidates_of, parse_grid, stated
from dpsynth.tuning.scoring import PairScore, scored_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from pandas import DataFrame

    from dpsynth.curator.private_data import PrivateData
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.generators.base import Generator, SyntheticModel
    from dpsynth.privacy.noise import NoiseSource
    from dpsynth.synthesis import Synthesis

# Where the search for one run's epsilon begins, as a part of the whole: near where it ends.
_FIRST_GUESS = 0.5
# More would take days, and cost as much as they find.
_MOST_RUNS = 1000.0
NAIVE = (
    "left out for private records: each trial would read them, and which one wins tells of them, "
    "so that a search whose trials and scores are not paid for has no guarantee; the best of a "
    "random number of runs is paid for as a whole (mean_runs), and trials are for public records"
)
"""Why a number of trials is refused beside private records, as the rule of an error."""


@final
@dataclass(frozen=True, kw_only=True)
class Stopping:
    """How many runs there are, and what a run spends on its score.

    Args:
        mean_runs: expected number of runs, above 1.
        law: of their number.
        score_share: what the score may cost beside the fit, as a part of the mu^2 of the fit's
            budget.

    Raises:
        InvalidValueError: a value outside its range.
    """

    mean_runs: float
    law: StoppingLaw
    score_share: float

    def __post_init__(self) -> None:
        if not (isfinite(self.mean_runs) and 1.0 < self.mean_runs <= _MOST_RUNS):
            rule = f"above 1 and at most {_MOST_RUNS:g}"
            raise InvalidValueError("mean_runs", self.mean_runs, rule)
        if not 0 < self.score_share < 1:
            raise InvalidValueError("score_share", self.score_share, "above 0 and below 1")


@final
@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Runs of equal events, whatever the candidate, that fit a budget together.

    Args:
        event: all of them.
        budgets: of the fit and of the score within one run.
        score: what ends a run.
    """

    event: RepeatedEvent
    budgets: tuple[Budget, Budget]
    score: PairScore


@final
@dataclass(frozen=True, kw_only=True)
class _Run:
    score: float
    model: "SyntheticModel"
    generator: "Generator"
    skipped: int


def tune(
    data: "DataFrame | Table | str | Path",
    *,
    schema: "Schema | str | Path | None" = None,
    generator: str,
    grid: Mapping[str, Sequence[Any]],
    fixed: Mapping[str, Any] | None = None,
    epsilon: float,
    delta: float = 1e-9,
    mean_runs: float = 8.0,
    law: str | StoppingLaw = StoppingLaw.LOGARITHMIC,
    score_share: float = 0.1,
    seed: int | None = None,
    relation: str | Neighbouring = Neighbouring.ADD_REMOVE,
) -> "Synthesis":
    """Return the best of a random number of models, with the receipt of all of them.

    Nothing else leaves: neither how many runs there were, nor what the others scored. How long the
    call takes does tell of their number, as of everything else that time tells of.

    Args:
        data: the sensitive records, as of `synthesize`.
        schema: the public schema, closed.
        generator: a name of the registry, or module:Class; one that fits under a plan.
        grid: hyperparameter -> the values that it may have; public, chosen without the records.
            Such as change no event: learning rates, widths, depths, averages, clipping norms.
        fixed: hyperparameters that all candidates share.
        epsilon: of everything together; finite, above 0.
        delta: in (0, 1).
        mean_runs: expected number of runs, above 1.
        law: "logarithmic" (cheapest), "geometric", or "poisson", which may have no run at all.
        score_share: of what a run may spend, in mu^2, how much its score gets on top of its fit.
        seed: asks for research mode, reproducible and not for release.
        relation: "add_remove"; "replace" for generators without DP-SGD.

    Raises:
        InvalidValueError: a parameter outside its range, an open schema, or a candidate whose
            events differ.
        UnknownNameError: no such generator or hyperparameter.
        NoModelError: no run was drawn, or none ended; the budget is spent.
        PrivacyError: the generator needs what Renyi DP has no bound for.

    Reference: Papernot & Steinke 2022, Theorems 2 and 6.
    """
    from dpsynth.generators.limits import check_constraints
    from dpsynth.opening import door
    from dpsynth.synthesis import parse_relation, random_streams

    values = parse_grid(grid, fixed)
    candidates = candidates_of(generator, values, fixed)
    budget = Budget(epsilon=epsilon, delta=delta, relation=parse_relation(relation))
    stopping = Stopping(mean_runs=mean_runs, law=_parse_law(law), score_share=score_share)
    noise, rng, sampling_seed = random_streams(seed)
    _check_closed(data, schema)
    opened = door(
        data,
        schema,
        budget,
        noise=noise,
        accountant="rdp",
        chosen=candidates[0],
        by=None,
        public=None,
        out_of_core=None,
        cluster=None,
    )
    # streams of their own: that of the runs goes on by how many there are
    rehearsing, closing = rng.spawn(2)
    with opened as private:
        for candidate in candidates:
            check_constraints(candidate, private)
        runs = repetition(private, candidates, stopping, rng=rehearsing)
        best = _best_run(private, runs, candidates, noise, rng=rng)
        declared = f"candidates of tuning ({stated(values)})"
        return _released(private, best, declared, sampling_seed, rng=closing)


def _check_closed(
    data: "DataFrame | Table | str | Path", schema: "Schema | str | Path | None"
) -> None:
    """Refuse an open schema: what is bought before the runs would be none of theirs."""
    from dpsynth.data.open_schema import OpenSchema
    from dpsynth.opening import read_schema

    if isinstance(read_schema(data, schema), OpenSchema):
        rule = "closed for tuning: `dpsynth schema of` writes one of a fitted model"
        raise InvalidValueError("schema", "open", rule)


def repetition(
    private: "PrivateData",
    candidates: "Sequence[Generator]",
    stopping: Stopping,
    *,
    rng: np.random.Generator,
) -> Repetition:
    """Return the runs with the least noise that all of `private`'s budget allows.

    Each candidate's plan is rehearsed, so that all runs have the same events for certain.

    Args:
        private: under the Renyi accountant; nothing of it was asked yet.
        candidates: at least one.
        stopping: how many runs.
        rng: what a fit draws before its first answer, which changes nothing.

    Raises:
        InvalidValueError: a generator without a plan, a candidate with another one, or an epsilon
            that is too small for any.
    """
    budget, pairs = private.budget, scored_pairs(private.domain)

    def planned(candidate: "Generator", epsilon: float) -> ComposedEvent:
        own = replace(budget, epsilon=epsilon)
        found = private.rehearsed(lambda door: candidate.fit(door, rng=rng), own)
        if found is None:
            raise InvalidValueError("generator", candidate.name, "one that asks of the records")
        return found

    def runs(epsilon: float) -> Repetition:
        mu = gdp_mu(epsilon, private.ledger.accountant.delta) * sqrt(stopping.score_share)
        score = PairScore(pairs=pairs, amount=GdpEvent(mu=mu))
        paid = ComposedEvent(events=(score.event(private),))
        event = RepeatedEvent(
            run=(planned(candidates[0], epsilon), paid),
            mean_runs=stopping.mean_runs,
            stopping=stopping.law,
            sampling_distance=DRAW_DISTANCE,
        )
        own = replace(budget, epsilon=epsilon)
        return Repetition(event=event, budgets=(own, budget), score=score)

    whole = budget.epsilon * _FIRST_GUESS
    accountant = private.ledger.accountant
    scale = largest_scale(accountant, lambda factor: [runs(whole * factor).event])
    found = runs(whole * scale)
    for candidate in candidates[1:]:
        if planned(candidate, found.budgets[0].epsilon) != found.event.run[0]:
            raise _other_events(candidate, candidates[0])
    return found


def _other_events(candidate: "Generator", first: "Generator") -> InvalidValueError:
    names = [f.name for f in fields(candidate)]
    differing = [n for n in names if getattr(candidate, n) != getattr(first, n)]
    settings = {name: getattr(candidate, name) for name in differing}
    rule = (
        "such that every run has the same events, which is what is paid for: tune what is done "
        "with answers (learning rates, widths, averages), and fix what is asked (sample rates, "
        "steps, shares), or tune that on public records"
    )
    return InvalidValueError("a candidate of the grid", settings, rule)


def _best_run(
    private: "PrivateData",
    runs: Repetition,
    candidates: "Sequence[Generator]",
    noise: "NoiseSource",
    *,
    rng: np.random.Generator,
) -> _Run | None:
    """Return the run of the best score, and tell nobody of the others."""
    from dpsynth.generators.progress import unwatched

    label = _label(private, runs.event)
    private.reserve([(label, runs.event)])
    best: _Run | None = None
    with unwatched(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fitting, scoring in private.repeated(runs.event, runs.budgets, label=label):
            chosen = candidates[int(noise.words(1)[0]) % len(candidates)]
            run = _run(fitting, scoring, chosen, runs.score, rng=rng)
            if run is not None and (best is None or run.score > best.score):
                best = run
    return best


def _run(
    fitting: "PrivateData",
    scoring: "PrivateData",
    chosen: "Generator",
    score: PairScore,
    *,
    rng: np.random.Generator,
) -> _Run | None:
    """Return one run, or None where its training diverged, which is worse than any score."""
    from dpsynth.generators.marginal.workload import recording_skipped

    with recording_skipped() as skipped:
        try:
            model = chosen.fit(fitting, rng=rng)
        except TrainingError:
            return None
    found = score(scoring, model, rng=rng)
    return _Run(score=found, model=model, generator=chosen, skipped=len(skipped))


def _released(
    private: "PrivateData",
    best: _Run | None,
    declared: str,
    sampling_seed: int | None,
    *,
    rng: np.random.Generator,
) -> "Synthesis":
    from dpsynth.sampling.interpolation import with_interpolated_values
    from dpsynth.synthesis import Synthesis

    receipt = private.receipt()
    receipt = replace(receipt, unprotected=(*receipt.unprotected, declared))
    if best is None:
        rule = "no run was drawn, or the training of each diverged"
        raise NoModelError(rule, receipt.epsilon_spent, receipt)
    return Synthesis(
        model=with_interpolated_values(best.model, rng=rng),
        receipt=receipt,
        generator=best.generator,
        sampling_seed=sampling_seed,
        skipped=best.skipped,
    )


def _label(private: "PrivateData", event: RepeatedEvent) -> str:
    """Return what the ledger calls the runs, with the price of a single one."""
    one = rounded_up(private.ledger.accountant.epsilon(event.run))
    law = f"{event.stopping.value}, {event.mean_runs:g} on average"
    return f"best of a random number of runs ({law}), each alone of epsilon {one}"


def _parse_law(law: str | StoppingLaw) -> StoppingLaw:
    try:
        return StoppingLaw(law)
    except ValueError:
        rule = " or ".join(repr(known.value) for known in StoppingLaw)
        raise InvalidValueError("law", law, rule) from None
