"""Facts of a table that no data set of the benchmark shares: there, advice is extrapolation."""

from collections.abc import Iterator

from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.recommendation.benchmark import Benchmark
from dpsynth.recommendation.facts import Facts

_WORDS = {
    "rows": "rows",
    "columns": "columns",
    "codes": "codes a column (geometric mean)",
    "largest": "codes of the largest column",
}


def unlike(benchmark: Benchmark, facts: Facts, budget: Budget) -> Iterator[str]:
    """Yield a sentence for each fact outside what was measured."""
    for name, words in _WORDS.items():
        value, seen = getattr(facts, name), benchmark.datasets[name]
        if value is not None and not seen.min() <= value <= seen.max():
            measured = f"{_written(seen.min())} to {_written(seen.max())}"
            yield f"no data set like this: {_written(value)} {words} ({measured} were measured)"
    scores = benchmark.scores
    epsilons = scores["epsilon"]
    if not epsilons.min() <= budget.epsilon <= epsilons.max():
        measured = f"{epsilons.min():g} to {epsilons.max():g}"
        yield f"no measurement like this: epsilon {budget.epsilon:g} ({measured} were measured)"
    if budget.delta == 0:
        yield "scores were measured with Gaussian noise; pure privacy needs more, and costs utility"
    if budget.relation != Neighbouring.ADD_REMOVE:
        yield "scores were measured under add_remove; neighbours by replacement need more noise"


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
