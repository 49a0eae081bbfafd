"""What statistical tests hold against a claim, as sentences; and of one step alone."""

from collections.abc import Iterable

from dpsynth.audit.claim import audit_transcript
from dpsynth.audit.neighbours import narrow_neighbours
from dpsynth.audit.replay import Worlds
from dpsynth.audit.transcript import Step, Transcript
from dpsynth.audit.verdict import ScoreTest
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import NoiseSource


def violations(tests: Iterable[ScoreTest]) -> tuple[str, ...]:
    """Return a sentence for each test that contradicts the claim."""
    return tuple(
        f"{test.family}: epsilon is at least {test.epsilon_lower:.3g}"
        for test in tests
        if test.violated
    )


def violations_of_step(
    step: Step, budget: Budget, *, accountant: str, runs: int, noise: NoiseSource
) -> tuple[str, ...]:
    """Return what an audit of one step on the narrow worst case finds.

    Args:
        step: all of a transcript.
        budget: the claim.
        accountant: whose claim it is.
        runs: in each world; alpha is .05.
        noise: what draws.
    """
    tables = narrow_neighbours(budget.relation)
    audit = audit_transcript(
        Transcript(steps=(step,)),
        budget,
        accountant=accountant,
        worlds=Worlds(codes=tables.codes(), domain=tables.domain, relation=budget.relation),
        runs=runs,
        alpha=0.05,
        noise=noise,
    )
    return violations(audit.tests)
