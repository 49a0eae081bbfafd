"""The verb attack: what does this release give away?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dpsynth.atomic import check_writable
from dpsynth.cli.options import check_seed, schema_option, set_option
from dpsynth.cli.output import UNPROTECTED, write_json
from dpsynth.cli.rerunning import refit_of
from dpsynth.errors import DpsynthError, FileError, InvalidValueError

if TYPE_CHECKING:
    from dpsynth.attacks.attack import Attack, AttackTarget, Question
    from dpsynth.attacks.questions import Finding
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table

_HEADS = ("attack", "used", "never used", "guessing", "the release adds", "alarm")
_TABLE_WIDTH = 118
"""Columns that names and numbers take side by side; a narrower terminal would cut them off."""
_QUESTIONS: "Mapping[Question, str]" = {
    "singling out": "Can a person be singled out?",
    "linkability": "Can records of a person be linked?",
    "inference": "Can something be inferred about a person?",
}


@click.command()
@click.argument("train")
@click.argument("synthetic")
@schema_option("Their")
@click.option(
    "--control", required=True, metavar="FILE", help="Real records that the generator never saw."
)
@click.option(
    "--attack", "names", multiple=True, help="An attack's name; by default all that can run."
)
@click.option("--secret", "secrets", multiple=True, help="A column to infer; by default each.")
@click.option(
    "--generator", help="What made SYNTHETIC, for attacks that run it again; or module:factory."
)
@click.option(
    "--command", "program", metavar="TEXT", help="The same, as a tool: 'tool {input} {output}'."
)
@set_option("the generator")
@click.option("--epsilon", type=float, help="The generator's budget.")
@click.option("--delta", type=float, default=1e-9, show_default=True, help="The generator's.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the attacks.")
@click.option("--html", metavar="FILE", help="The page as HTML.")
@click.option("--out", metavar="FILE", help="The results as JSON.")
def attack(
    *,
    train: str,
    synthetic: str,
    schema_path: str,
    control: str,
    names: tuple[str, ...],
    secrets: tuple[str, ...],
    generator: str | None,
    program: str | None,
    assignments: tuple[str, ...],
    epsilon: float | None,
    delta: float,
    seed: int,
    html: str | None,
    out: str | None,
) -> None:
    """Attack SYNTHETIC records to learn about the TRAIN records they were made from.

    One page answers the regulators' three questions: can a person be singled out, can their records
    be linked, can something be inferred about them? Every rate stands beside that of the same
    attack on as many records never used, and beside that of guessing. SYNTHETIC may come from any
    generator. Attacks that run the generator again need --generator, and --epsilon where it is one
    of this library; or --command.
    """
    import numpy as np

    from dpsynth.attacks.attack import matched_target
    from dpsynth.attacks.holdout import check_control
    from dpsynth.attacks.questions import answer, by_question, run_attacks
    from dpsynth.data.schema import Schema

    for path in (html, out):
        if path is not None:
            check_writable(path)
    refit = refit_of(generator, program, assignments, epsilon=epsilon, delta=delta)
    schema = Schema.load(schema_path)
    for name in secrets:
        schema.column(name)
    chosen = _attacks(names, secrets, can_refit=refit is not None)
    used, unused, released = (_records(path, schema) for path in (train, control, synthetic))
    shared = check_control(used, unused, attacks=len(chosen))
    split, attacking = np.random.default_rng(check_seed(seed)).spawn(2)
    target = matched_target(used, unused, released, refit=refit, rng=split)
    findings = run_attacks(chosen, target, rng=attacking)
    notes = _notes(target, len(used), len(unused), shared)
    notes += [f"{f.label}: {note}" for f in findings for note in f.result.notes]
    questions = {_QUESTIONS[q]: (answer(f), f) for q, f in by_question(findings).items()}
    _print_page(synthetic, questions, notes)
    if html is not None:
        from dpsynth.report.attack_page import write_attack_page

        write_attack_page(html, synthetic=synthetic, questions=questions, notes=notes, seed=seed)
    if out is not None:
        write_json([_record(finding) for finding in findings], out)


def _records(path: str, schema: "Schema") -> "Table":
    from dpsynth.data.files import load_file

    try:
        return load_file(path, schema)
    except FileError:
        raise
    except DpsynthError as error:
        error.add_note(f"in {path}")
        raise


def _attacks(
    names: tuple[str, ...], secrets: tuple[str, ...], *, can_refit: bool
) -> "list[Attack]":
    from dpsynth.attacks.singling_out import SinglingOut
    from dpsynth.registry import ATTACKS

    classes = [ATTACKS.get(name) for name in names or ATTACKS]
    if not names:
        classes = [c for c in classes if can_refit or not c.needs_refit]
    for cls in classes:
        if cls.needs_refit and not can_refit:
            rule = f"given, or --command, since the attack {cls.name!r} runs the generator again"
            raise InvalidValueError("--generator", None, rule)
    guessing = "secrets" if secrets else None
    made = [
        cls(secrets=secrets) if guessing in cls.__dataclass_fields__ else cls() for cls in classes
    ]
    return made if names else [*made, SinglingOut(columns=1)]


def _notes(target: "AttackTarget", used: int, unused: int, shared: int) -> list[str]:
    """Return what a reader has to know beside the numbers, a sentence or two each."""
    rows = len(target.synthetic)
    size = len(target.train)
    notes = [
        f"{rows} synthetic row{'s' if rows != 1 else ''}; {size} of {used} used records and "
        f"{size} of {unused} control records are compared, since only equal numbers compare.",
        "Intervals are at 95%. The release adds (used - never used) / (1 - never used). Alarms "
        "hold at 5% for all attacks together (Holm), by tests that are sharper than its interval.",
        "Silence is not safety: where records repeat one another, attacks measured against a "
        "control have little power.",
        UNPROTECTED,
    ]
    if shared:
        text = f"{shared} control records equal a training record, no more than coincidence has it."
        notes.insert(1, text)
    if rows < 50:
        notes.insert(1, "So few synthetic rows can hardly be attacked: read nothing into silence.")
    return notes


def _print_page(
    synthetic: str, questions: "Mapping[str, tuple[str, Sequence[Finding]]]", notes: Sequence[str]
) -> None:
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    terminal = sys.stdout.isatty()
    # A pipe or a file has no width of its own.
    console = Console(file=sys.stdout, width=None if terminal else 120, highlight=False)
    console.print(Text(f"What does {synthetic} give away?", style="bold"))
    for question, (said, findings) in questions.items():
        console.print()
        alarm = any(f.alarm for f in findings)
        console.print(Text(question, style="bold red" if alarm else "bold"))
        console.print(Text(said))
        lines = [(_cells(f), "red" if f.alarm else "") for f in findings]
        if console.width < _TABLE_WIDTH:
            for (label, *cells), style in lines:
                named = (f"{head} {cell}" for head, cell in zip(_HEADS[1:], cells, strict=True))
                console.print(Text(f"- {label}: {', '.join(named)}", style=style))
            continue
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
        for i, head in enumerate(_HEADS):
            side = "left" if i == 0 else "right"
            grid.add_column(head, justify=side, no_wrap=i > 0, overflow="fold")
        for cells, style in lines:
            grid.add_row(*cells, style=style)
        console.print(grid)
    for note in notes:
        console.print(Text(note))


def _cells(finding: "Finding") -> tuple[str, ...]:
    """Return what stands under `_HEADS`."""
    from dpsynth.attacks.questions import interval

    result = finding.result
    return (
        finding.label,
        interval(result.rate),
        interval(result.control),
        f"{result.baseline.value:.1%}",
        interval(result.risk),
        "YES" if finding.alarm else "no",
    )


def _record(finding: "Finding") -> dict[str, Any]:
    return {
        "question": finding.attack.question,
        **asdict(finding.result),
        "rate": asdict(finding.result.rate),
        "baseline": asdict(finding.result.baseline),
        "control": asdict(finding.result.control),
        "risk": asdict(finding.result.risk),
        "alarm": finding.alarm,
        "threat": asdict(finding.attack.threat),
    }
