"""The verb attack: what does this release give away?"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.options import (
    check_seed,
    parse_assignments,
    schema_option,
    set_option,
)
from dpsynth.cli.output import UNPROTECTED, print_table, write_json
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.audit.attack import Attack, AttackResult, Refit

_ALARM_HEADS = ["attack", "success", "95% interval", "guessing", "control", "excess", "p", "alarm"]


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
@click.option("--generator", help="What made SYNTHETIC, for attacks that run it again.")
@set_option("the generator")
@click.option("--epsilon", type=float, help="The generator's budget.")
@click.option("--delta", type=float, default=1e-9, show_default=True, help="The generator's.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the attacks.")
@click.option("--out", metavar="FILE", help="The results as JSON.")
def attack(
    *,
    train: str,
    synthetic: str,
    schema_path: str,
    control: str,
    names: tuple[str, ...],
    generator: str | None,
    assignments: tuple[str, ...],
    epsilon: float | None,
    delta: float,
    seed: int,
    out: str | None,
) -> None:
    """Attack SYNTHETIC records to learn about the TRAIN records they were made from.

    Every rate stands beside that of guessing and that of the same attack on as many control
    records. Attacks that run the generator again (membership) need --generator and --epsilon.
    """
    import numpy as np

    from dpsynth.audit.attack import matched_target
    from dpsynth.data.files import load_file
    from dpsynth.data.schema import Schema

    refit = _refit(generator, assignments, epsilon=epsilon, delta=delta)
    chosen = _attacks(names, can_refit=refit is not None)
    schema = Schema.load(schema_path)
    split, *streams = np.random.default_rng(check_seed(seed)).spawn(1 + len(chosen))
    target = matched_target(
        load_file(train, schema),
        load_file(control, schema),
        load_file(synthetic, schema),
        refit=refit,
        rng=split,
    )
    results = [a.run(target, rng=stream) for a, stream in zip(chosen, streams, strict=True)]
    print_table(_ALARM_HEADS, [_line(result) for result in results])
    click.echo(UNPROTECTED)
    if out is not None:
        write_json([asdict(result) for result in results], out)


def _attacks(names: tuple[str, ...], *, can_refit: bool) -> "list[Attack]":
    from dpsynth.registry import ATTACKS

    classes = [ATTACKS.get(name) for name in names or ATTACKS]
    if not names:
        classes = [c for c in classes if can_refit or not c.needs_refit]
    for cls in classes:
        if cls.needs_refit and not can_refit:
            rule = f"given, since the attack {cls.name!r} runs the generator again"
            raise InvalidValueError("--generator", None, rule)
    return [cls() for cls in classes]


def _refit(
    generator: str | None, assignments: tuple[str, ...], *, epsilon: float | None, delta: float
) -> "Refit | None":
    from dpsynth.harness.refit import mechanism
    from dpsynth.privacy.budget import Budget
    from dpsynth.synthesis import build_generator

    if generator is None:
        return None
    if epsilon is None:
        raise InvalidValueError("--epsilon", None, "given together with --generator")
    Budget(epsilon=epsilon, delta=delta)  # refuses what is out of range before the data are read
    chosen = build_generator(generator, parse_assignments(assignments))
    return mechanism(chosen, epsilon=epsilon, delta=delta)


def _line(result: "AttackResult") -> list[Any]:
    rate = result.rate
    return [
        result.attack,
        rate.value,
        f"{rate.lower:.3f} to {rate.upper:.3f}",
        result.baseline.value,
        result.control.value,
        result.risk.value,
        result.p_value,
        result.alarm,
    ]
