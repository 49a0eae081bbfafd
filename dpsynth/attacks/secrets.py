"""Who is asked which secret: one column a person, so that people stay independent trials."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.attacks.attack import AttackTarget
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class People:
    """People who are attacked together, used and unused ones in random order.

    What an attack finds out about one of them may depend on all of them: which of them were used is
    a random deal all the same where the release tells nothing, so that Fisher's test is exact.

    Args:
        table: their records.
        used: which were in the training table, half of them.
        secret: number of the column that each is asked for.
    """

    table: "Table"
    used: NDArray[np.bool_]
    secret: NDArray[np.intp]


def draw_people(
    target: "AttackTarget", most: int, secrets: tuple[str, ...] | None, *, rng: np.random.Generator
) -> People:
    """Return at most `most` people of each kind, and what each is asked.

    Args:
        target: the release and what the auditor holds.
        most: of each kind.
        secrets: columns in turn; None for all.
        rng: source of who they are and of what each is asked.

    Raises:
        InvalidValueError: no secret.
        UnknownNameError: a column that the schema lacks.
    """
    asked = secret_columns(target.train.schema, secrets)
    size = min(most, len(target.train), len(target.control))
    used = np.zeros(2 * size, dtype=np.bool_)
    used[rng.permutation(2 * size)[:size]] = True
    chosen = [
        table.take(rng.permutation(len(table))[:size]) for table in (target.train, target.control)
    ]
    return People(
        table=dealt(chosen[0], chosen[1], used),
        used=used,
        secret=np.resize(asked, 2 * size)[rng.permutation(2 * size)],
    )


def secret_columns(schema: "Schema", secrets: tuple[str, ...] | None) -> list[int]:
    """Return the numbers of the columns named by `secrets`, of all where it is None."""
    if secrets is None:
        return list(range(len(schema.names)))
    if not secrets:
        raise InvalidValueError("secrets", secrets, "one column or more")
    return [schema.names.index(schema.column(name).name) for name in secrets]


def dealt(used: "Table", unused: "Table", places: NDArray[np.bool_]) -> "Table":
    """Return one table of both, with the used records at `places`."""
    import pandas as pd

    from dpsynth.data.table import Table

    order = np.empty(places.size, dtype=np.intp)
    order[places] = np.arange(len(used))
    order[~places] = len(used) + np.arange(len(unused))
    joined = {
        name: pd.concat(
            [pd.Series(used.values(name)), pd.Series(unused.values(name))], ignore_index=True
        ).array
        for name in used.schema.names
    }
    return Table.canonical(used.schema, joined).take(order)
