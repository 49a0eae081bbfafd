"""The verb audit-planted: does the auditor find the bugs that it should?"""

import time

import click

from dpsynth.cli.options import check_seed
from dpsynth.cli.output import print_table, write_json

MISSED = 1


@click.command("audit-planted")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the simulations.")
@click.option("--out", metavar="FILE", help="The table as JSON.")
@click.pass_context
def audit_planted(
    context: click.Context, *, names: tuple[str, ...], seed: int, out: str | None
) -> None:
    """Run the auditor on mechanisms with a known bug, and on their correct twins.

    NAME is a planted bug's; all of them by default. Exit code 1 when a bug is missed, or a twin is
    accused.
    """
    import numpy as np

    from dpsynth.audit.planted import PLANTED
    from dpsynth.errors import UnknownNameError

    rng = np.random.default_rng(check_seed(seed))
    for name in names:
        if name not in PLANTED:
            raise UnknownNameError("planted bug", name, PLANTED)
    lines: list[dict[str, object]] = []
    for bug in (PLANTED[name] for name in names or PLANTED):
        start = time.perf_counter()
        caught = bool(bug.faulty.findings(rng=rng))
        seconds = time.perf_counter() - start
        accused = bool(bug.twin.findings(rng=rng))
        lines.append(
            {
                "bug": bug.name,
                "cheapest catcher": bug.catcher,
                "caught": caught,
                "twin passes": not accused,
                "seconds": round(seconds, 3),
            }
        )
    print_table(list(lines[0]), [list(line.values()) for line in lines])
    right = sum(bool(line["caught"] and line["twin passes"]) for line in lines)
    click.echo(f"{right} of {len(lines)} bugs are caught, with their twins passing.")
    if out is not None:
        write_json(lines, out)
    if right < len(lines):
        context.exit(MISSED)
