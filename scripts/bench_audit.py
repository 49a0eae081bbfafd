"""Audits measured: how fast, and how near their lower bounds come to the claims.

    python scripts/bench_audit.py [speed] [marginal] [sgd] [one-run]

`speed`: seconds of processor time for the replays and the verdict on one recorded transcript of
every marginal generator. `marginal`: mu_lower over the mu of the budget, on each of the narrow
pairs, beside what endless runs would show there. `sgd`: epsilon_lower over epsilon, white box
(canary transcripts) and black box (final models).
`one-run`: what a smoke test from one run finds. Nothing here is better than what is measured: every
bound holds with confidence 0.95 over everything its audit looked at.
"""

import sys
from collections.abc import Mapping, Sequence
from time import process_time

import numpy as np

from dpsynth.audit.canary_models import audit_final_models
from dpsynth.audit.claim import ClaimAudit, audit_claim, audit_transcript
from dpsynth.audit.endless import mu_limit
from dpsynth.audit.neighbours import narrow_neighbours, worst_cases
from dpsynth.audit.one_run import smoke_test
from dpsynth.audit.recording import BRANCHES, recorded
from dpsynth.audit.replay import Worlds
from dpsynth.audit.transcript import SgdStep, Transcript
from dpsynth.curator.sgd import SgdPlan
from dpsynth.generators.base import Generator
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import dpsgd_noise_multiplier
from dpsynth.privacy.noise import ResearchNoise
from dpsynth.registry import GENERATORS

MARGINAL = (
    *("uniform", "independent", "mwem", "privbayes", "mst", "aim", "aim_gdp", "tree"),
    *("pairs_first", "residual", "two_stage"),
)
EPSILONS = (1.0, 2.0, 4.0, 10.0)
SEED = 0
_RUNS = 1_000_000


def noise() -> ResearchNoise:
    return ResearchNoise(rng=np.random.default_rng(SEED))


def speed() -> None:
    """Print seconds for 10,000 and 100,000 test runs a world (half as many train and validate)."""
    print("| generator | answers | 10,000 runs | 100,000 runs |\n|---|---|---|---|")
    budget = Budget(epsilon=1.0, delta=1e-5)
    for name in MARGINAL:
        generator = GENERATORS.get(name)()
        recording = recorded(
            generator,
            budget,
            accountant=generator.accountant,
            tables=narrow_neighbours(budget.relation),
            noise=noise(),
            branches=1,
            rng=np.random.default_rng(SEED),
        )
        seconds: list[float] = []
        for runs in (50, 10_000, 100_000):  # the first only to import what is needed
            start = process_time()
            audit_transcript(
                recording.transcript,
                budget,
                accountant=generator.accountant,
                worlds=recording.worlds,
                runs=runs,
                alpha=0.05,
                noise=noise(),
            )
            seconds.append(process_time() - start)
        answers = len(recording.transcript.steps)
        print(f"| {name} | {answers} | {seconds[1]:.2f} s | {seconds[2]:.2f} s |", flush=True)


def marginal(deltas: Sequence[float] = (1e-2, 1e-5)) -> None:
    """Print mu_lower beside the claim for three marginal generators on the narrow worst cases."""
    print("| generator | delta | epsilon | mu of the budget | mu lower | by pair, of its limit |")
    print("|---|---|---|---|---|---|")
    for name in ("mst", "aim", "privbayes"):
        generator = GENERATORS.get(name)()
        for delta in deltas:
            for epsilon in EPSILONS:
                budget = Budget(epsilon=epsilon, delta=delta)
                found = audit_claim(
                    generator,
                    budget,
                    runs=_RUNS,
                    rng=np.random.default_rng(SEED),
                    neighbours=worst_cases(budget.relation),
                )
                assert found.mu_budget is not None
                ratio = found.mu_lower / found.mu_budget
                print(
                    f"| {name} | {delta:g} | {epsilon:g} | {found.mu_budget:.4f} | "
                    f"{found.mu_lower:.4f} ({ratio:.3f}){_alarm(found)} | "
                    f"{_pairs(found, _limits(generator, budget))} |",
                    flush=True,
                )


def _pairs(found: ClaimAudit, limits: Mapping[str, float]) -> str:
    """Return each pair's largest bound, and its limit, over the mu of the budget."""
    best: dict[str, float] = {}
    for look in found.looks:
        name = look.pair.rpartition(" ")[0]
        best[name] = max(best.get(name, 0.0), *(test.mu_lower for test in look.tests))
    whole = found.mu_budget
    assert whole is not None
    said = (f"{name} {mu / whole:.3f} of {limits[name] / whole:.3f}" for name, mu in best.items())
    return ", ".join(said)


def _limits(generator: Generator, budget: Budget) -> dict[str, float]:
    """Return what endless runs would show on the transcripts that the audit records."""
    rng = np.random.default_rng(SEED)
    limits: dict[str, float] = {}
    for name, tables in worst_cases(budget.relation).items():
        found = recorded(
            generator,
            budget,
            accountant=generator.accountant,
            tables=tables,
            noise=ResearchNoise(rng=rng),
            branches=BRANCHES,
            rng=rng,
        )
        limits[name] = mu_limit(found.transcript, found.worlds)
    return limits


def sgd() -> None:
    """Print epsilon_lower beside epsilon for DP-SGD, white box and black box."""
    print("| DP-SGD | epsilon | runs | by class | at delta, class unknown | processor |")
    print("|---|---|---|---|---|---|")
    for rate, steps in ((1.0, 10), (0.1, 100), (0.02, 500)):
        for epsilon in EPSILONS:
            budget = Budget(epsilon=epsilon, delta=1e-5)
            multiplier = dpsgd_noise_multiplier(
                epsilon, budget.delta, sample_rate=rate, steps=steps, relation=budget.relation
            )
            plan = SgdPlan(
                sample_rate=rate, steps=steps, clipping_norm=1.0, noise_multiplier=multiplier
            )
            step = SgdStep(
                label="dpsgd",
                event=plan.event,
                plan=plan,
                sample_rate=rate,
                sigma=multiplier,
                steps=steps,
            )
            tables = narrow_neighbours(budget.relation)
            start = process_time()
            runs = 500_000 if epsilon < 2 else 200_000
            found = audit_transcript(
                Transcript(steps=(step,)),
                budget,
                accountant="pld",
                worlds=Worlds(codes=tables.codes(), domain=tables.domain, relation=budget.relation),
                runs=runs,
                alpha=0.05,
                noise=noise(),
            )
            _sgd_line(f"white box, q {rate:g}, {steps} steps", found, process_time() - start)
    for epsilon in EPSILONS:
        start = process_time()
        budget = Budget(epsilon=epsilon, delta=1e-5)
        found = audit_final_models(budget, runs=1000, rng=np.random.default_rng(SEED))
        _sgd_line("black box, final model, q 1, 4 steps", found, process_time() - start)


def _sgd_line(name: str, found: ClaimAudit, seconds: float) -> None:
    by_class = found.epsilon_lower_of_class or 0.0
    print(
        f"| {name} | {found.epsilon_claimed:g} | {found.runs:,} | {by_class:.2f} "
        f"({by_class / found.epsilon_claimed:.2f}){_alarm(found)} | {found.epsilon_lower:.2f} | "
        f"{seconds:.0f} s |",
        flush=True,
    )


def _alarm(found: ClaimAudit) -> str:
    return " VIOLATED" if found.violated else ""


def one_run() -> None:
    """Print what one fit with 1,000 canaries shows."""
    print("| generator | epsilon | right of 200 guesses | epsilon lower | mu lower |")
    print("|---|---|---|---|---|")
    for name in ("independent", "mst", "aim", "privbayes"):
        for epsilon in EPSILONS:
            budget = Budget(epsilon=epsilon, delta=1e-5)
            rng = np.random.default_rng(SEED)
            found = smoke_test(GENERATORS.get(name)(), budget, rng=rng)
            print(
                f"| {name} | {epsilon:g} | {found.correct} | {found.epsilon_lower:.2f} | "
                f"{found.mu_lower:.2f} |",
                flush=True,
            )


PARTS = {"speed": speed, "marginal": marginal, "sgd": sgd, "one-run": one_run}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        sys.exit(f"unknown part {unknown[0]!r}; known: {', '.join(PARTS)}")
    for name in chosen:
        print(f"\n## {name}\n")
        PARTS[name]()
