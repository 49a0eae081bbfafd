"""Options that several verbs share."""

import tomllib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def guarantee_options(command: F) -> F:
    """Add --epsilon, --delta and --relation."""
    epsilon = click.option("--epsilon", type=float, required=True, help="Budget, above 0.")
    delta = click.option(
        "--delta",
        type=float,
        default=1e-9,
        show_default=True,
        help="Chance of a worse loss, below 1; 0 asks for pure differential privacy.",
    )
    relation = click.option(
        "--relation",
        type=click.Choice(["add_remove", "replace"]),
        default="add_remove",
        show_default=True,
        help="Neighbouring tables: one record more, or one record changed.",
    )
    return epsilon(delta(relation(command)))


def running_options(command: F) -> F:
    """Add --workers, --cluster and --dry-run: where the cells of an experiment run."""
    workers = click.option(
        "--workers", type=int, help="Processes at a time; by default one a core."
    )
    cluster = click.option(
        "--cluster",
        "--scheduler",
        "cluster",
        metavar="ADDRESS",
        help="Dask scheduler (tcp://HOST:PORT) whose workers run the cells.",
    )
    dry_run = click.option(
        "--dry-run", is_flag=True, help="Count the cells, say what they cost, and stop."
    )
    return workers(cluster(dry_run(command)))


def schema_option(whose: str) -> Callable[[F], F]:
    """Add --schema, which must be given.

    Args:
        whose: "Its" or "Their", for the help.
    """
    return click.option(
        "--schema",
        "schema_path",
        required=True,
        metavar="FILE",
        help=f"{whose} public schema (TOML).",
    )


def accountant_option(command: F) -> F:
    """Add --accountant."""
    return click.option(
        "--accountant",
        type=click.Choice(["zcdp", "gdp", "pure", "pld", "bounded_range", "rdp"]),
        help="By default what suits the generator.",
    )(command)


def limits_options(command: F) -> F:
    """Add --max-seconds and --max-memory."""
    seconds = click.option(
        "--max-seconds",
        type=float,
        help="Wall time of the command; utility is given up for it.",
    )
    memory = click.option(
        "--max-memory",
        type=float,
        metavar="MIB",
        help="Most memory that the process holds; utility is given up for it.",
    )
    return seconds(memory(command))


def place_options(command: F) -> F:
    """Add --out-of-core/--in-memory and --cluster."""
    out_of_core = click.option(
        "--out-of-core/--in-memory",
        default=None,
        help="Where records are held; by default files of up to 256 MiB are in memory.",
    )
    cluster = click.option(
        "--cluster",
        metavar="ADDRESS",
        help="Dask scheduler (tcp://HOST:PORT) whose workers read the Parquet files and count.",
    )
    return out_of_core(cluster(command))


def set_option(what: str) -> Callable[[F], F]:
    """Add --set NAME=VALUE, repeatable."""
    return click.option(
        "--set", "assignments", multiple=True, metavar="NAME=VALUE", help=f"A parameter of {what}."
    )


def seed_option(command: F) -> F:
    """Add --seed, which asks for research mode."""
    return click.option(
        "--seed",
        type=int,
        help="Research mode: reproducible, and not for release. By default release mode.",
    )(command)


def sampling_seed_option(command: F) -> F:
    """Add --seed of what a saved model draws."""
    return click.option(
        "--seed", type=int, help="By default the model's own in research mode, else fresh."
    )(command)


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Return NAME=VALUE pairs as parameters; a value is read as TOML, or else as text.

    Raises:
        InvalidValueError: one without the sign.
    """
    found: dict[str, Any] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign or not name:
            raise InvalidValueError("--set", assignment, "of the form NAME=VALUE")
        try:
            found[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[name.strip()] = text
    return found


def check_seed(seed: int) -> int:
    """Return `seed`, or raise InvalidValueError when it is negative."""
    if seed < 0:
        raise InvalidValueError("--seed", seed, "at least 0")
    return seed


def seeded(seed: int | None) -> "np.random.Generator | None":
    """Return a generator of `seed`, None where none is given; errors as of `check_seed`."""
    import numpy as np

    return None if seed is None else np.random.default_rng(check_seed(seed))


def check_rows(rows: int | None) -> None:
    """Raise InvalidValueError when fewer than one row is asked for."""
    if rows is not None and rows < 1:
        raise InvalidValueError("--rows", rows, "at least 1")
