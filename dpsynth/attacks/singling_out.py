"""Singling out: does the release tell how to describe exactly one person of the training table?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.attack import Attack, AttackResult, AttackTarget, Question, ThreatModel
from dpsynth.attacks.dealing import permutation_p_value
from dpsynth.attacks.predicates import MISSING, Comparison, Predicate, Term, compare
from dpsynth.attacks.records import plain_records
from dpsynth.data.columns import CategoricalColumn, Column

ATTEMPTS = 4
"""Records tried for each predicate wanted; a release of many duplicates yields fewer."""


@final
@dataclass(frozen=True, kw_only=True)
class SinglingOut(Attack):
    """Describe one person by conditions that single out a synthetic record.

    Scenario: the attacker holds the release and nothing else, and writes predicates that match
    exactly one synthetic record: with one column, a value that occurs once, or a bound beyond the
    least or largest; with more, the values of a random synthetic record, column after column in
    random order until no other record matches. In every second predicate numbers become "at least"
    or "at most", by the side of the median that they lie on: values find copies, bounds outliers.
    Success: the predicate matches exactly one record of the training sample. Baseline: predicates
    of the same lengths from random values of the public schema. Control: the same predicates on as
    many records that were not in the training table; in a smaller table the chance of exactly one
    match differs for that alone.

    The p-value re-deals the records of both samples at random. Predicates overlap, several may
    isolate one person, and a test that takes them for independent trials raises false alarms where
    tables are small.

    Args:
        predicates: predicates wanted; with one column, at most as many as there are.
        columns: most columns a predicate; 1 for the univariate ones, None for no limit.
        records: most records of each sample.

    Raises:
        InvalidValueError: a parameter below 1.
    """

    name: ClassVar[str] = "singling_out"
    question: ClassVar[Question] = "singling out"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="the public schema",
        succeeds="a predicate matches exactly one record of the training sample",
    )
    reference: ClassVar[str] = (
        "M. Giomi, F. Boenisch, C. Wehmeyer and B. Tasnadi, A Unified Framework for Quantifying "
        "Privacy Risk in Synthetic Data (2023), section 5.1; A. Cohen and K. Nissim, Towards "
        "Formalizing the GDPR's Notion of Singling Out (2020)"
    )
    needs_refit: ClassVar[bool] = False
    predicates: int = 500
    columns: int | None = None
    records: int = 5000

    def __post_init__(self) -> None:
        self._check_counts()

    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        schema = target.train.schema.columns
        size = min(self.records, len(target.train), len(target.control))
        samples = [
            plain_records(table.take(rng.permutation(len(table))[:size]))
            for table in (target.train, target.control)
        ]
        both = np.asfortranarray(np.concatenate(samples))
        synthetic = plain_records(target.synthetic)
        if self.columns == 1:
            chosen = univariate(schema, synthetic)
            chosen = [chosen[i] for i in rng.permutation(len(chosen))[: self.predicates]]
        else:
            chosen = self._multivariate(schema, synthetic, rng)
        lengths = [len(predicate.terms) for predicate in chosen] or [1]
        guesses = [_guess(schema, int(n), rng) for n in rng.choice(lengths, self.predicates)]
        matched = _matches(chosen, both)
        hits, control_hits = (
            int((part.sum(axis=1) == 1).sum()) for part in (matched[:, :size], matched[:, size:])
        )
        naive = _matches(guesses, samples[0]).sum(axis=1) == 1
        return AttackResult(
            attack=self.name,
            identity=self.identity,
            successes=hits,
            trials=len(chosen),
            baseline_successes=int(naive.sum()),
            baseline_trials=len(guesses),
            control_successes=control_hits,
            control_trials=len(chosen),
            p_value=permutation_p_value(matched, hits - control_hits, success="one", rng=rng),
        )

    def _multivariate(
        self, schema: Sequence[Column], synthetic: NDArray[np.float64], rng: np.random.Generator
    ) -> list[Predicate]:
        """Return distinct predicates that each match exactly one synthetic record."""
        medians = [float(np.nanmedian(c)) if np.isfinite(c).any() else 0.0 for c in synthetic.T]
        found: dict[Predicate, None] = {}
        for attempt in range(self.predicates * ATTEMPTS):
            if len(found) == self.predicates:
                break
            row = synthetic[rng.integers(len(synthetic))]
            terms: list[Term] = []
            for i in rng.permutation(len(schema))[: self.columns].tolist():
                side = "equal" if attempt % 2 else _side(schema[i], row[i], medians[i])
                terms.append((i, side, MISSING if np.isnan(row[i]) else float(row[i])))
            isolated = _isolate(terms, synthetic)
            if isolated is not None:
                found[isolated] = None
        return list(found)


def univariate(schema: Sequence[Column], synthetic: NDArray[np.float64]) -> list[Predicate]:
    """Return every predicate on one column that matches exactly one synthetic record.

    A value that occurs once, a single missing value, and, for numbers, "at most" the least and "at
    least" the largest where those occur once.
    """
    found: list[Predicate] = []
    for i, (column, numbers) in enumerate(zip(schema, synthetic.T, strict=True)):
        present = numbers[np.isfinite(numbers)]
        values, counts = np.unique(present, return_counts=True)
        terms: list[tuple[Comparison, float]] = [("equal", float(v)) for v in values[counts == 1]]
        if len(numbers) - len(present) == 1:
            terms.append(("equal", MISSING))
        if not isinstance(column, CategoricalColumn) and len(values):
            if counts[0] == 1:
                terms.append(("at most", float(values[0])))
            if counts[-1] == 1:
                terms.append(("at least", float(values[-1])))
        found.extend(Predicate(terms=((i, comparison, v),)) for comparison, v in terms)
    return found


def _guess(schema: Sequence[Column], length: int, rng: np.random.Generator) -> Predicate:
    """Return a predicate on `length` columns of random values, which needs no release."""
    terms: list[Term] = []
    for i in rng.permutation(len(schema))[:length].tolist():
        column = schema[i]
        if isinstance(column, CategoricalColumn):
            terms.append((i, "equal", float(rng.integers(len(column.categories)))))
            continue
        value = float(rng.uniform(column.lower, column.upper))
        terms.append((i, "at least" if rng.random() < 0.5 else "at most", value))
    return Predicate(terms=tuple(terms))


def _isolate(terms: Sequence[Term], synthetic: NDArray[np.float64]) -> Predicate | None:
    """Return the shortest run of `terms`, from the first, that matches exactly one record."""
    left = np.arange(len(synthetic))
    for used, (column, comparison, value) in enumerate(terms, start=1):
        left = left[compare(synthetic[left, column], comparison, value)]
        if len(left) == 1:
            return Predicate(terms=tuple(sorted(terms[:used])))
    return None


def _matches(predicates: Sequence[Predicate], records: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not predicates:
        return np.zeros((0, len(records)), dtype=np.bool_)
    return np.array([p.matches(records) for p in predicates])


def _side(column: Column, value: float, median: float) -> Comparison:
    if isinstance(column, CategoricalColumn) or np.isnan(value):
        return "equal"
    return "at least" if value >= median else "at most"
