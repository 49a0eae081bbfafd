"""The paper's numbers as LaTeX macros: nothing that was measured is typed by hand."""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan, log10
from typing import TYPE_CHECKING

from dpsynth.errors import InvalidValueError
from dpsynth.harness.store import Record
from dpsynth.privacy.receipt import Receipt
from dpsynth.report.paper_tables import GENERATORS, shown
from dpsynth.report.summary import ALPHA, Exposure, Point, Verdict
from dpsynth.report.tables import escaped

if TYPE_CHECKING:
    from dpsynth.harness.yardstick import Yardstick

PREFIX = "dps"
EPSILON = 1.0  # the budget at which the paper quotes single numbers
# What models more than columns on their own.
_DEPENDENT = ("mwem", "privbayes", "mst", "two_stage", "dpvae")
_LIBRARIES = {
    "Python": "python",
    "Numpy": "numpy",
    "Torch": "torch",
    "Opacus": "opacus",
    "Accounting": "dp-accounting",
}


def as_macros(values: Mapping[str, str]) -> str:
    r"""Return one `\newcommand` a value, named `PREFIX` and the key.

    Args:
        values: name, letters only, -> LaTeX.

    Raises:
        InvalidValueError: a name with other characters, which TeX would end early.
    """
    lines = ["% Generated from a results store; do not edit."]
    for name, value in values.items():
        if not (name.isascii() and name.isalpha()):
            raise InvalidValueError("macro", name, "letters only")
        lines.append(rf"\newcommand{{\{PREFIX}{name}}}{{{value}}}")
    return "\n".join(lines) + "\n"


def data_numbers(facts: "Yardstick") -> dict[str, str]:
    """Return the macros on the records."""
    return {
        "Dataset": escaped(facts.name),
        "Rows": _grouped(facts.rows),
        "Columns": str(facts.columns),
        "TrainRows": _grouped(facts.train_rows),
        "Domain": f"$10^{{{log10(facts.domain_cells):.0f}}}$",
        "Distinct": _grouped(facts.distinct),
    }


def protocol_numbers(experiment: Mapping[str, object], records: Sequence[Record]) -> dict[str, str]:
    """Return the macros on what was run, with which versions, and what became of it."""
    epsilons = sorted({float(r.settings["epsilon"]) for r in records})
    delta = {float(r.settings["delta"]) for r in records}
    seeds = {r.settings["seed"] for r in records if r.settings["kind"] == "release"}
    kinds = [r.settings["kind"] for r in records]
    libraries: dict[str, str] = records[0].settings["fingerprint"]["libraries"]
    receipts = [Receipt.from_json(r.receipt) for r in records if r.receipt is not None]
    return {
        "Epsilons": _listed([f"{e:g}" for e in epsilons]),
        "SmallestEpsilon": f"{epsilons[0]:g}",
        "LargestEpsilon": f"{epsilons[-1]:g}",
        "QuotedEpsilon": f"{EPSILON:g}",
        "Delta": " and ".join(_scientific(d) for d in sorted(delta)),
        "Relation": str(experiment["relation"]).replace("_", "/"),
        "Holdout": rf"{100 * float(str(experiment['holdout'])):g}\%",
        "Seeds": str(len(seeds)),
        "Cells": str(len(records)),
        "Releases": str(kinds.count("release")),
        "Audits": str(kinds.count("audit")),
        "Failed": _or_none(sum(r.status != "done" for r in records)),
        "Minutes": f"{sum(sum(r.seconds.values()) for r in records) / 60:.1f}",
        "Receipts": str(len(receipts)),
        "Overspent": _or_none(sum(r.epsilon_spent > r.budget.epsilon for r in receipts)),
        "Accountants": _listed(sorted({_accountant(r.accountant) for r in receipts})),
        **{name: escaped(libraries.get(key, "--")) for name, key in _LIBRARIES.items()},
    }


def utility_numbers(points: Sequence[Point]) -> dict[str, str]:
    """Return the macros on utility: single numbers at `EPSILON`, and what falls with epsilon."""
    numbers: dict[str, str] = {}
    for short, metric in (("Tvd", "tvd_2way"), ("Auc", "tstr_auc")):
        quoted = [p for p in points if p.metric == metric and p.epsilon == EPSILON]
        for point in quoted:
            numbers[short + _letters(point.generator)] = f"{point.score.value:.3f}"
        first = quoted[0]
        numbers[f"{short}Holdout"] = f"{first.holdout:.3f}"
        numbers[f"{short}Without"] = f"{first.independent:.3f}"
        sign = 1 if first.higher_is_better else -1
        best = max(quoted, key=lambda p: sign * p.score.value)
        numbers[f"{short}Best"] = shown(best.generator)
        last = max(p.epsilon for p in points)
        final = [p for p in points if p.metric == metric and p.epsilon == last]
        best = max(final, key=lambda p: sign * p.score.value)
        numbers[f"{short}BestLast"] = shown(best.generator)
        numbers[f"{short}BestLastValue"] = f"{best.score.value:.3f}"
    dependent = [
        p
        for p in points
        if p.metric == "tvd_2way" and p.epsilon == EPSILON and p.generator in _DEPENDENT
    ]
    for end, chosen in (("Least", min), ("Most", max)):
        point = chosen(dependent, key=lambda p: p.score.value)
        numbers[f"Tvd{end}"] = f"{point.score.value:.3f}"
        numbers[f"Tvd{end}Name"] = shown(point.generator)
    measuring = [g for g in dict.fromkeys(p.generator for p in points) if g != "uniform"]
    numbers["Measuring"] = str(len(measuring))
    numbers["Falling"] = str(sum(_falls(points, g) for g in measuring))
    return numbers


def audit_numbers(verdicts: Sequence[Verdict], alpha: float) -> dict[str, str]:
    """Return the macros on the audits: verdicts, and how near lower bounds come to the claims."""
    last = max(v.epsilon for v in verdicts)
    final = [v for v in verdicts if v.epsilon == last]
    shares = [v.epsilon_lower / v.epsilon for v in final]
    mus = [v.mu_lower / v.mu_claimed for v in final if not isnan(v.mu_claimed)]
    most = [v.epsilon_largest_measurable for v in verdicts]
    inflations = [v.smallest_detectable_inflation for v in final]
    return {
        "AuditRuns": _grouped(max(v.runs for v in verdicts)),
        "AuditAlpha": f"{alpha:g}",
        "Violated": _or_none(sum(v.violated for v in verdicts)),
        "ShareLow": _percent(min(shares)),
        "ShareHigh": _percent(max(shares)),
        "MuShareLow": _percent(min(mus)),
        "MuShareHigh": _percent(max(mus)),
        "Measurable": f"{min(most):.2f}",
        "Inflation": f"{max(inflations):.2f}",
    }


def attack_numbers(exposures: Sequence[Exposure], copies: Sequence[Exposure]) -> dict[str, str]:
    """Return the macros on the attacks, and on the same attacks on a copy of the records."""
    alarms = [
        f"{e.attack.replace('_', ' ')} of {shown(e.generator)} at epsilon {e.epsilon:g}"
        for e in exposures
        if e.alarm
    ]
    numbers = {
        "Attacks": str(len(exposures)),
        "Alarms": _or_none(len(alarms)),
        "AlarmLevel": _probability(ALPHA / len(exposures)),
        "AlarmList": f" ({escaped(_listed(alarms))})" if alarms else "",
    }
    for copy in copies:
        name = "Copy" + _letters(copy.attack)
        numbers[name] = "raises an alarm" if copy.alarm else "raises no alarm"
        numbers[f"{name}Rate"] = f"{copy.rate.value:.3f}"
        numbers[f"{name}Control"] = f"{copy.control.value:.3f}"
        numbers[f"{name}Risk"] = f"{copy.risk.value:.3f}"
        numbers[f"{name}P"] = _probability(copy.p_value)
    return numbers


def _falls(points: Sequence[Point], generator: str) -> bool:
    """Return whether the mean error at the largest epsilon is below that at the smallest."""
    line = [p for p in points if p.metric == "tvd_2way" and p.generator == generator]
    ends = min(line, key=lambda p: p.epsilon), max(line, key=lambda p: p.epsilon)
    return ends[1].score.value < ends[0].score.value


def _letters(name: str) -> str:
    """Return `name` as part of a macro's name: "singling_out" -> "SinglingOut"."""
    display = GENERATORS.get(name, name).replace("-", "")
    return "".join(part[:1].upper() + part[1:].lower() for part in display.split("_"))


def _accountant(name: str) -> str:
    return {"zcdp": "zCDP", "gdp": "Gaussian DP", "pld": "PLD", "rdp": "RDP"}.get(
        name, name.replace("_", " ")
    )


def _listed(items: Iterable[str]) -> str:
    *start, last = items
    return f"{', '.join(start)} and {last}" if start else last


def _or_none(count: int) -> str:
    return str(count) if count else "none"


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", "{,}")


def _percent(share: float) -> str:
    return rf"{100 * share:.0f}\%"


def _scientific(value: float) -> str:
    """Return a power of ten, or a digit times one, as mathematics; other numbers as they are."""
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    if value == 0 or float(f"{mantissa}e{exponent}") != value:
        return f"{value:g}"
    factor = "" if mantissa == "1" else rf"{mantissa}\cdot"
    return f"${factor}10^{{{int(exponent)}}}$"


def _probability(value: float) -> str:
    """Return two significant digits, in powers of ten below a thousandth."""
    if value >= 1e-3 or value == 0:
        return f"{value:.2g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return rf"${mantissa}\cdot10^{{{int(exponent)}}}$"
