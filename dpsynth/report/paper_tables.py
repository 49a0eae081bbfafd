"""The paper's tables: no wider than a page, most with one column an epsilon."""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan

from dpsynth.report.summary import Exposure, Interval, Point, Verdict
from dpsynth.report.tables import Grid

GENERATORS = {
    "uniform": "Uniform",
    "independent": "Independent",
    "mwem": "MWEM",
    "privbayes": "PrivBayes",
    "mst": "MST",
    "two_stage": "Two-stage",
    "dpvae": "DP-VAE",
}
METRICS = {
    "tvd_1way": "1-way",
    "tvd_2way": "2-way",
    "tvd_3way": "3-way",
    "workload_error": "workload",
    "correlation_difference": "correlation",
    "tstr_auc": "AUC",
}
_RATES = ("attack", "baseline", "control")
COPY = "copy"  # the generator's name in a yardstick's rows
HOLDOUT, INDEPENDENT = "real hold-out", "independent, no noise"


def utility_by_epsilon(points: Sequence[Point], metric: str) -> Grid:
    """Return one metric: a row a generator, a column an epsilon, then the two references."""
    chosen = [p for p in points if p.metric == metric]
    cells = {(p.generator, p.epsilon): _with_half_width(p.score) for p in chosen}
    first, epsilons = chosen[0], sorted({p.epsilon for p in chosen})
    rows = _pivot(cells, epsilons)
    rows.append((HOLDOUT, *(f"{first.holdout:.3f}",) * len(epsilons)))
    rows.append((INDEPENDENT, *(f"{first.independent:.3f}",) * len(epsilons)))
    seeds = max(p.score.seeds for p in chosen)
    over = f"mean over {seeds} seeds" if seeds > 1 else "one seed"
    better = "higher" if first.higher_is_better else "lower"
    caption = (
        f"{_title(metric)} by epsilon, {better} is better: {over}, with half the width of the "
        "95% interval."
    )
    return Grid(caption=caption, header=_header("generator", epsilons), rows=tuple(rows))


def metrics_at(points: Sequence[Point], epsilon: float) -> Grid:
    """Return every metric at one epsilon: a row a generator, a column a metric."""
    chosen = [p for p in points if p.epsilon == epsilon]
    metrics = list(dict.fromkeys(p.metric for p in chosen))
    cells = {(p.generator, p.metric): f"{p.score.value:.3f}" for p in chosen}
    firsts = [next(p for p in chosen if p.metric == m) for m in metrics]
    rows = _pivot(cells, metrics)
    rows.append((HOLDOUT, *(f"{p.holdout:.3f}" for p in firsts)))
    rows.append((INDEPENDENT, *(f"{p.independent:.3f}" for p in firsts)))
    caption = (
        f"All metrics at epsilon {epsilon:g}, means over seeds: total variation of 1-, 2- and "
        "3-way marginals, workload error and correlation difference (lower is better); AUC of "
        "a classifier trained on synthetic and tested on real records (higher is better; the "
        "reference is one trained on the training table)."
    )
    header = ("generator", *(METRICS.get(m, m) for m in metrics))
    return Grid(caption=caption, header=header, rows=tuple(rows))


def audit_bounds(verdicts: Sequence[Verdict]) -> Grid:
    """Return the lower bound on epsilon: a row a generator, a column a claim."""
    claims = sorted({v.epsilon for v in verdicts})
    cells = {
        (v.generator, v.epsilon): f"{v.epsilon_lower:.3f}" + ("!" if v.violated else "")
        for v in verdicts
    }
    rows = _pivot(cells, claims)
    most = {
        e: min(v.epsilon_largest_measurable for v in verdicts if v.epsilon == e) for e in claims
    }
    rows.append(("largest measurable", *(f"{most[e]:.2f}" for e in claims)))
    caption = (
        "Audits: lower bound on epsilon by claimed epsilon, and what an attack that never errs "
        "would have given. A claim that is rejected has an exclamation mark."
    )
    return Grid(caption=caption, header=_header("generator", claims), rows=tuple(rows))


def audit_mus(verdicts: Sequence[Verdict]) -> Grid:
    """Return the lower bound on mu beside the claimed one: a row a generator, a column a claim."""
    claims = sorted({v.epsilon for v in verdicts})
    cells = {
        (v.generator, v.epsilon): f"{v.mu_lower:.3f} / "
        + ("--" if isnan(v.mu_claimed) else f"{v.mu_claimed:.3f}")
        for v in verdicts
    }
    caption = (
        "Audits: lower bound on the Gaussian-DP parameter / the claimed one, by claimed epsilon. "
        "DP-SGD with Poisson sampling has no single such parameter."
    )
    rows = _pivot(cells, claims)
    return Grid(caption=caption, header=_header("generator", claims), rows=tuple(rows))


def attack_risks(exposures: Sequence[Exposure]) -> Grid:
    """Return the risk of every attack by epsilon, then its rates at the largest epsilon."""
    epsilons = sorted({e.epsilon for e in exposures})
    cells: dict[tuple[str, str], str] = {}
    for e in sorted(exposures, key=lambda e: e.attack):
        name = f"{e.attack.replace('_', ' ')}, {shown(e.generator)}"
        cells[name, f"{e.epsilon:g}"] = _signed(e.risk.value) + ("*" if e.alarm else "")
        if e.epsilon == epsilons[-1]:
            rates = zip(_RATES, (e.rate, e.baseline, e.control), strict=True)
            cells |= {(name, column): f"{rate.value:.3f}" for column, rate in rates}
    columns = (*(f"{e:g}" for e in epsilons), *_RATES)
    caption = (
        "Attacks, means over seeds: risk, (attack − control) / (1 − control), by epsilon, and at "
        f"epsilon {epsilons[-1]:g} the rates of success on records that were used (attack), of "
        "guessing without the release (baseline), and on records that were not used (control). A "
        "star marks an alarm, corrected for the number of attacks."
    )
    rows = tuple(_pivot(cells, columns))
    return Grid(caption=caption, header=("attack, generator", *columns), rows=rows)


def shown(generator: str) -> str:
    """Return what the paper calls `generator`."""
    return GENERATORS.get(generator, generator)


def _title(metric: str) -> str:
    name = METRICS.get(metric, metric)
    return f"Mean {name} total variation" if metric.startswith("tvd") else name


def _pivot(
    cells: Mapping[tuple[str, float], str] | Mapping[tuple[str, str], str],
    columns: Iterable[float] | Iterable[str],
) -> list[tuple[str, ...]]:
    """Return a row for each first key, in order, with the cell of every column or a blank."""
    found: dict[tuple[str, object], str] = dict(cells)  # pyright: ignore[reportAssignmentType]
    wanted = list(columns)
    return [
        (shown(name), *(found.get((name, c), "") for c in wanted))
        for name in dict.fromkeys(name for name, _ in found)
    ]


def _header(first: str, epsilons: Sequence[float]) -> tuple[str, ...]:
    return (first, *(f"{e:g}" for e in epsilons))


def _signed(value: float) -> str:
    """Return `value` with a minus where it does not round to zero."""
    text = f"{abs(value):.3f}"
    return f"−{text}" if value < 0 and float(text) else text


def _with_half_width(interval: Interval) -> str:
    if isnan(interval.lower):
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ± {(interval.upper - interval.lower) / 2:.3f}"
