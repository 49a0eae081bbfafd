"""Tuning on public records, which costs nothing: Optuna proposes, a simulated budget is spent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, final

from dpsynth.errors import (
    DpsynthError,
    InvalidValueError,
    MissingExtraError,
    NoModelError,
    UnknownNameError,
)
from dpsynth.privacy.budget import Neighbouring
from dpsynth.tuning.grid import Grid, Range, Values, parameters_toml, parse_grid

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from pandas import DataFrame

    from dpsynth.data.datasets import Target
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.synthesis import Synthesis

Told: TypeAlias = Callable[[int, float | None, float | None], None]

_HOLDOUT = 0.2
_REFUSAL = "refusal"


@final
@dataclass(frozen=True, kw_only=True)
class TunedParameters:
    """The best hyperparameters that were tried on public records.

    Args:
        generator: its name.
        parameters: what was chosen, with what was fixed.
        utility: name of the metric.
        value: its value on the hold-out of the public records.
        epsilon: the simulated budget.
        trials: how many were tried.
        proxy: what kind of records they were tried on.
    """

    generator: str
    parameters: Mapping[str, Any]
    utility: str
    value: float
    epsilon: float
    trials: int
    proxy: str = "public records"

    def to_toml(self) -> str:
        """Return the file that `dpsynth synthesize --parameters` reads."""
        remark = (
            f"tuned on {self.proxy}: {self.utility} {self.value:.6g} on their hold-out, "
            f"at a simulated epsilon of {self.epsilon:g}, best of {self.trials} trials"
        )
        return parameters_toml(self.generator, self.parameters, remark)


def tune_on_public(
    data: "DataFrame | Table | str | Path",
    *,
    schema: "Schema | str | Path | None" = None,
    generator: str,
    grid: Mapping[str, Any],
    fixed: Mapping[str, Any] | None = None,
    epsilon: float,
    delta: float = 1e-9,
    trials: int = 30,
    utility: str = "tvd_2way",
    target: "Target | None" = None,
    seed: int = 0,
    relation: str | Neighbouring = Neighbouring.ADD_REMOVE,
    told: Told | None = None,
) -> TunedParameters:
    """Return the hyperparameters of the best utility among `trials` that Optuna proposes.

    Where the generator's defaults are among what may be tried they are the first trial, so that
    what is chosen was better than they are, on these records.

    The records have no guarantee: they must be public, and say nothing of those that will be
    protected. Four fifths are fitted at the simulated budget, the rest is what utility is held to.

    Args:
        data: public records like the private ones.
        schema: their schema, closed.
        generator: a name of the registry, or module:Class.
        grid: hyperparameter -> its values, or a `Range` (low, high, log).
        fixed: hyperparameters of every trial.
        epsilon, delta, relation: of the simulated budget: that of the release to come.
        trials: how many, at least 1.
        utility: a metric of the registry.
        target: what to predict, for a metric that needs it.
        seed: of the split, the proposals and the simulated noise.
        told: is given, after each trial, how many have ended, the value of this one (None where it
            was refused) and the best so far (None where all were).

    Raises:
        InvalidValueError, UnknownNameError: a parameter outside its range.
        NoModelError: no trial ended with a model.
        MissingExtraError: Optuna is not installed.

    Reference: Akiba et al. 2019 (Optuna; its tree-structured Parzen estimator).
    """
    from dpsynth.evaluation.metric import make_metrics
    from dpsynth.synthesis import build_generator, random_streams, synthesize

    if trials < 1:
        raise InvalidValueError("trials", trials, "at least 1")
    values, (metric,) = parse_grid(grid, fixed), make_metrics([utility], target=target)
    study = _study(_defaults(generator, fixed, values), seed, metric.higher_is_better)
    train, holdout = _split(_closed_table(data, schema), random_streams(seed)[1])

    def objective(trial: Any) -> float:
        settings = {**(fixed or {}), **{n: _proposed(trial, n, v) for n, v in values.items()}}
        made = _fitted(
            trial,
            lambda: synthesize(
                train,
                generator=build_generator(generator, settings),
                epsilon=epsilon,
                delta=delta,
                seed=seed + trial.number,
                relation=relation,
            ),
        )
        rows = made.sample(len(train))
        return metric(holdout, rows, rng=random_streams(seed)[1]).value

    best = _best_trial(study, objective, trials, told)
    return TunedParameters(
        generator=generator,
        parameters={**(fixed or {}), **best.params},
        utility=utility,
        value=float(best.value or 0.0),
        epsilon=epsilon,
        trials=trials,
    )


def _fitted(trial: Any, fit: "Callable[[], Synthesis]") -> "Synthesis":
    """Return what `fit` returns; where it is refused the trial ends, and keeps the reason."""
    try:
        return fit()
    except UnknownNameError:
        raise  # a name is as unknown to every other trial
    except DpsynthError as error:
        trial.set_user_attr(_REFUSAL, str(error))
        raise _optuna().TrialPruned(str(error)) from error


def _defaults(generator: str, fixed: Mapping[str, Any] | None, grid: Grid) -> dict[str, Any] | None:
    """Return the generator's own values, None where one of them is not in the grid."""
    from dpsynth.synthesis import build_generator

    try:
        own: Any = build_generator(generator, dict(fixed or {}))
    except InvalidValueError:  # what is fixed needs other values beside it
        return None
    found = {name: getattr(own, name, None) for name in grid}
    return found if all(_among(values, found[name]) for name, values in grid.items()) else None


def _among(values: Values, value: Any) -> bool:
    if not isinstance(values, Range):
        return value in values
    return isinstance(value, int | float) and values.low <= value <= values.high


def _study(first: dict[str, Any] | None, seed: int, maximised: bool) -> Any:
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="maximize" if maximised else "minimize", sampler=sampler)
    if first is not None:
        study.enqueue_trial(first)
    return study


def _best_trial(
    study: Any, objective: Callable[[Any], float], trials: int, told: Told | None
) -> Any:
    def tell(of: Any, trial: Any) -> None:
        ended = [t.value for t in of.trials if t.value is not None]
        if told is not None:
            told(len(of.trials), trial.value, of.best_value if ended else None)

    study.optimize(objective, n_trials=trials, callbacks=[tell])
    try:
        return study.best_trial
    except ValueError:
        last = study.trials[-1].user_attrs[_REFUSAL].removesuffix(".")
        rule = f"every trial on the public records failed, the last one thus: {last}"
        raise NoModelError(rule, 0.0, None) from None


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("tuning on public records", "tuning") from None
    return optuna


def _closed_table(
    data: "DataFrame | Table | str | Path", schema: "Schema | str | Path | None"
) -> "Table":
    from dpsynth.data.schema import Schema
    from dpsynth.opening import read_schema, read_table

    rules = read_schema(data, schema)
    if not isinstance(rules, Schema):
        raise InvalidValueError("schema", "open", "closed, for tuning")
    return read_table(data, rules)


def _split(table: "Table", rng: "np.random.Generator") -> "tuple[Table, Table]":
    order = rng.permutation(len(table))
    held = max(1, round(_HOLDOUT * len(table)))
    if held == len(table):
        raise InvalidValueError("records", len(table), "at least 2, to hold some out")
    return table.take(order[held:]), table.take(order[:held])


def _proposed(trial: Any, name: str, values: Values) -> Any:
    if not isinstance(values, Range):
        return trial.suggest_categorical(name, list(values))
    suggest = trial.suggest_int if values.whole else trial.suggest_float
    return suggest(name, values.low, values.high, log=values.log)
