"""An audit cell: does what a generator measures keep the promise of its budget?"""

from dataclasses import asdict

import numpy as np

from dpsynth.harness.cell import Cell, Stopwatch
from dpsynth.harness.row import Row
from dpsynth.synthesis import build_generator

_COLUMNS = (
    "epsilon_claimed",
    "epsilon_lower",
    "epsilon_lower_of_class",
    "epsilon_largest_measurable",
    "mu_claimed",
    "mu_budget",
    "mu_lower",
    "smallest_detectable_inflation",
    "runs",
    "alpha",
    "violated",
)


def audit_rows(cell: Cell, watch: Stopwatch) -> list[Row]:
    """Return the verdict on the claim of the cell's generator at its budget, as one row."""
    from dpsynth.audit.claim import audit_claim, narrow_pairs

    assert cell.audit is not None
    watch.enter("audit")
    generator = build_generator(cell.generator.name, cell.generator.parameters)
    verdict = audit_claim(
        generator,
        cell.budget,
        runs=cell.audit.runs,
        alpha=cell.audit.alpha,
        rng=np.random.default_rng(cell.stream("audit", cell.generator.name)),
        accountant=cell.generator.accountant,
        neighbours=narrow_pairs(generator, cell.budget.relation),
    )
    numbers = {k: v for k, v in asdict(verdict).items() if k in _COLUMNS}
    return [
        cell.row(
            kind="audit",
            metric="claim",
            value=verdict.epsilon_lower,
            lower=verdict.epsilon_lower,
            accountant=cell.generator.accountant or generator.accountant,
            mode="research",
            unit=cell.budget.unit,
            not_for_release=True,
            **numbers,
        )
    ]
