"""The verb audit: is the claim false?"""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dpsynth.cli.options import check_seed, guarantee_options, parse_assignments, set_option
from dpsynth.cli.output import print_table, write_json

if TYPE_CHECKING:
    from dpsynth.audit.claim import ClaimAudit

VIOLATED = 1


@click.command()
@click.argument("generator")
@set_option("the generator")
@guarantee_options
@click.option("--runs", type=int, default=10_000, show_default=True, help="In each of two worlds.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Of a false alarm.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the simulation.")
@click.option("--out", metavar="FILE", help="The verdict as JSON.")
@click.pass_context
def audit(
    context: click.Context,
    *,
    generator: str,
    assignments: tuple[str, ...],
    epsilon: float,
    delta: float,
    relation: str,
    runs: int,
    alpha: float,
    seed: int,
    out: str | None,
) -> None:
    """Test whether what GENERATOR measures keeps the promise of its budget.

    Exit code 1 when the claim is violated.
    """
    import numpy as np

    from dpsynth.audit.claim import audit_claim
    from dpsynth.privacy.budget import Budget
    from dpsynth.synthesis import build_generator, parse_relation

    verdict = audit_claim(
        build_generator(generator, parse_assignments(assignments)),
        Budget(epsilon=epsilon, delta=delta, relation=parse_relation(relation)),
        runs=runs,
        alpha=alpha,
        rng=np.random.default_rng(check_seed(seed)),
    )
    _print_verdict(verdict)
    if out is not None:
        write_json(asdict(verdict), out)
    if verdict.violated:
        click.echo("The claim is VIOLATED.", err=True)
        context.exit(VIOLATED)


def _print_verdict(verdict: "ClaimAudit") -> None:
    fields = asdict(verdict)
    del fields["tests"]
    fields["findings"] = "; ".join(verdict.findings) or "none"
    print_table(["audit", ""], [[k.replace("_", " "), v] for k, v in fields.items()])
    click.echo()
    print_table(
        ["score", "chosen for", "false positives", "false negatives", "epsilon lower", "mu lower"],
        [
            [
                t.family,
                t.goal,
                t.false_positives,
                t.false_negatives,
                t.epsilon_lower,
                t.mu_lower,
            ]
            for t in verdict.tests
        ],
    )
