"""The verb audit: is the claim false?"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import click
from click.core import ParameterSource

from dpsynth.cli.options import (
    accountant_option,
    check_seed,
    guarantee_options,
    parse_assignments,
    set_option,
)
from dpsynth.cli.output import print_table, write_json
from dpsynth.cli.rerunning import foreign, own_generator
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dpsynth.audit.claim import ClaimAudit
    from dpsynth.audit.neighbours import NeighbouringTables
    from dpsynth.audit.registration import Registration
    from dpsynth.audit.subjects import Subject
    from dpsynth.data.table import Table
    from dpsynth.generators.base import Generator
    from dpsynth.privacy.budget import Budget

VIOLATED = 1
_WHITE_RUNS, _BLACK_RUNS = 10_000, 300
_NOT_FIELDS = ("registration", "looks", "findings", "failures")

# What a way of judging has no use for, by parameter.
_FITS = ("cache", "workers")
_NOT_IN_ONE_RUN = ("program", "schema_path", "table", "records", "black_box_only", "runs", *_FITS)


@click.command()
@click.argument("generator", required=False)
@set_option("the generator")
@guarantee_options
@accountant_option
@click.option("--command", "program", metavar="TEXT", help="A tool: 'tool {input} {output}'.")
@click.option("--schema", "schema_path", metavar="FILE", help="Public schema of the records.")
@click.option("--table", metavar="FILE", help="Audit on this table's most exposed records.")
@click.option("--records", type=int, default=1, show_default=True, help="How many of them.")
@click.option(
    "--black-box", "black_box_only", is_flag=True, help="Judge by synthetic records alone."
)
@click.option("--one-run", is_flag=True, help="A smoke test from a single fit.")
@click.option("--runs", type=int, help="Of the last look, a world: 10000, black box 300.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Of a false alarm.")
@click.option("--cache", metavar="FOLDER", help="Keeps black-box fits, and uses those it has.")
@click.option("--workers", type=int, default=1, show_default=True, help="Black-box fits at a time.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the simulation.")
@click.option("--out", metavar="FILE", help="The verdict as JSON; first the registration.")
@click.pass_context
def audit(context: click.Context, *, generator: str | None, **options: Any) -> None:
    """Test whether GENERATOR, or any tool, keeps the promise of its budget.

    GENERATOR is a registered name or module:factory; a factory's objects have fit(frame) and
    sample(rows). What will be looked at is printed, with a hash, before anything is drawn. Exit
    code 1 when the claim is violated.
    """
    asked = _Asked(generator=generator, **_renamed(options))
    _refuse(context, asked.unused)
    if asked.one_run:
        violated = asked.smoke_test()
    else:
        verdict = asked.white_box() if asked.subject is None else asked.black_box(asked.subject)
        _print_verdict(verdict)
        if asked.out is not None:
            write_json(_report(verdict), asked.out)
        violated = verdict.violated
    if violated:
        click.echo("The claim is VIOLATED.", err=True)
        context.exit(VIOLATED)


def _refuse(context: click.Context, unused: dict[str, str]) -> None:
    """Refuse options that were given and would change nothing."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in unused and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise InvalidValueError(
                parameter.opts[0], context.params[name], f"left out {unused[name]}"
            )


def _renamed(options: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": parse_assignments(options.pop("assignments")), **options}


@final
@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The options of one call, and what they amount to."""

    generator: str | None
    parameters: dict[str, Any]
    epsilon: float
    delta: float
    relation: str
    accountant: str | None
    program: str | None
    schema_path: str | None
    table: str | None
    records: int
    black_box_only: bool
    one_run: bool
    runs: int | None
    alpha: float
    cache: str | None
    workers: int
    seed: int
    out: str | None

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if (self.generator is None) == (self.program is None):
            rule = "given once, or --command in its place"
            raise InvalidValueError("GENERATOR", self.generator, rule)
        if self.table is not None and self.schema_path is None:
            raise InvalidValueError("--schema", None, "given together with --table")

    @property
    def budget(self) -> "Budget":
        from dpsynth.privacy.budget import Budget
        from dpsynth.synthesis import parse_relation

        return Budget(
            epsilon=self.epsilon, delta=self.delta, relation=parse_relation(self.relation)
        )

    @property
    def own(self) -> "Generator | None":
        """The generator, where it is one of this library's kind."""
        if self.generator is None:
            return None
        return own_generator(self.generator, self.parameters)

    @property
    def unused(self) -> dict[str, str]:
        """Options that this call would not look at, by parameter, and when they are left out."""
        if self.one_run:
            return dict.fromkeys(
                _NOT_IN_ONE_RUN, "with --one-run, which makes table and fit itself"
            )
        found = {} if self.table else {"records": "without --table"}
        if self.program is not None or self.own is None:
            found["accountant"] = "for what is not a generator of this library"
        elif not self.black_box_only:
            found |= dict.fromkeys(_FITS, "without --black-box: answers are replayed, not fits")
        return found

    @property
    def subject(self) -> "Subject | None":
        """What is run as a black box, or None where answers can be replayed."""
        from dpsynth.audit.subjects import Mechanism

        own = self.own
        if own is None:
            return foreign(self.generator, self.program, self.parameters, epsilon=self.epsilon)
        if not self.black_box_only:
            return None
        import numpy as np

        from dpsynth.harness.config import Choice
        from dpsynth.harness.fingerprint import code_hash
        from dpsynth.harness.refit import mechanism

        fit = mechanism(
            own,
            epsilon=self.epsilon,
            delta=self.delta,
            relation=self.relation,
            accountant=self.accountant,
        )

        def run(table: "Table", seed: int) -> "Table":
            return fit(table, rng=np.random.default_rng(seed))

        code = code_hash({"generators": (Choice(name=own.name, label=own.name),)})
        return Mechanism(
            label=own.name, function=run, code=f"{code} {own!r} {self.delta} {self.accountant}"
        )

    def pairs(self) -> "Mapping[str, NeighbouringTables]":
        import numpy as np

        from dpsynth.audit.claim import narrow_pairs
        from dpsynth.audit.neighbours import narrow_neighbours
        from dpsynth.audit.vulnerable import schema_pair, vulnerable_pairs
        from dpsynth.data.files import load_file
        from dpsynth.data.schema import Schema

        relation = self.budget.relation
        if self.schema_path is None:
            own = self.own
            if own is not None and self.subject is None:
                return narrow_pairs(own, relation)
            if own is None:
                raise InvalidValueError("--schema", None, "given, since the tool reads a CSV")
            return {"corner": narrow_neighbours(relation)}
        schema = Schema.load(self.schema_path)
        if self.table is None:
            rng = np.random.default_rng(self.seed)
            return {"worst case of the schema": schema_pair(schema, relation, rng=rng)}
        return vulnerable_pairs(load_file(self.table, schema), relation, count=self.records)

    def white_box(self) -> "ClaimAudit":
        import numpy as np

        from dpsynth.audit.claim import audit_claim

        own = self.own
        assert own is not None
        return audit_claim(
            own,
            self.budget,
            runs=self.runs or _WHITE_RUNS,
            alpha=self.alpha,
            rng=np.random.default_rng(self.seed),
            accountant=self.accountant,
            neighbours=self.pairs(),
            announce=self.announce,
        )

    def black_box(self, subject: "Subject") -> "ClaimAudit":
        from dpsynth.audit.black_box import audit_black_box

        return audit_black_box(
            subject,
            self.budget,
            self.pairs(),
            runs=self.runs or _BLACK_RUNS,
            alpha=self.alpha,
            seed=self.seed,
            cache=None if self.cache is None else Path(self.cache),
            workers=self.workers,
            announce=self.announce,
        )

    @property
    def announce(self) -> "Callable[[Registration], None]":
        def write(registration: "Registration") -> None:
            print_table(["registered beforehand", ""], [list(p) for p in registration.lines()])
            click.echo()
            if self.out is not None:
                write_json({"registration": _registered(registration)}, self.out)

        return write

    def smoke_test(self) -> bool:
        """Print the bounds of one run, and return whether they exceed the claim."""
        import numpy as np

        from dpsynth.audit.one_run import smoke_test

        if (own := self.own) is None:
            rule = "a generator of this library for --one-run"
            raise InvalidValueError("GENERATOR", self.generator, rule)
        rng = np.random.default_rng(self.seed)
        bounds = smoke_test(own, self.budget, alpha=self.alpha, accountant=self.accountant, rng=rng)
        found = {**asdict(bounds), "violated": bounds.epsilon_lower > self.epsilon}
        print_table(["one run", ""], [[k.replace("_", " "), v] for k, v in found.items()])
        if self.out is not None:
            write_json(found, self.out)
        return found["violated"]


def _registered(registration: "Registration") -> dict[str, Any]:
    return {**asdict(registration), "sha256": registration.digest}


def _report(verdict: "ClaimAudit") -> dict[str, Any]:
    return {**asdict(verdict), "registration": _registered(verdict.registration)}


def _print_verdict(verdict: "ClaimAudit") -> None:
    fields = {k: v for k, v in asdict(verdict).items() if k not in _NOT_FIELDS}
    fields["findings"] = "; ".join(verdict.findings) or "none"
    fields["failed runs"] = "; ".join(map(str, verdict.failures)) or "none"
    print_table(["audit", ""], [[k.replace("_", " "), v] for k, v in fields.items()])
    click.echo()
    lines: list[list[Any]] = []
    for look in verdict.looks:
        if look.runs == verdict.runs:
            for family in dict.fromkeys(test.family for test in look.tests):
                tests = [test for test in look.tests if test.family == family]
                epsilon = max(test.epsilon_lower for test in tests)
                best = max(tests, key=lambda test: test.mu_lower)
                counts = [best.false_positives, best.false_negatives, epsilon, best.mu_lower]
                lines.append([look.pair, family, *counts, any(test.violated for test in tests)])
    heads = ["pair", "score", "false positives", "false negatives", "epsilon lower", "mu lower"]
    print_table([*heads, "violated"], lines)
