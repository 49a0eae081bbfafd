"""How often attacks raise alarms where nothing leaks, and where something does:

    python scripts/attack_rates.py [--repetitions 200] [--power 20] [--rows 1000]
        [--data uci_adult] [--attack domias ...] [--targets 32]

Null: used, control and synthetic records are disjoint random samples of one table, so that the
synthetic ones say nothing of those that were used; attacks that run the mechanism again are given
one that releases such a sample whatever it is fitted to. Power: a tenth of the used records is
released as it is, alone ("copies") or among nine times as many unused ones ("diluted"). Printed for
each attack: shares of runs whose interval of the added risk is above zero, and of those whose
p-value is at most 5%.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from dpsynth.attacks.attack import Attack, AttackTarget, Refit
from dpsynth.attacks.questions import label
from dpsynth.attacks.secrets import dealt
from dpsynth.attacks.shadows import ShadowAttack
from dpsynth.attacks.singling_out import SinglingOut
from dpsynth.data.table import Table
from dpsynth.registry import ATTACKS, DATASETS
from dpsynth.report.tables import Grid

ALPHA = 0.05
Making = Callable[[Table, Table, np.random.Generator], Table]


def unrelated(train: Table, fresh: Table, rng: np.random.Generator) -> Table:
    """Release records that were not used."""
    return fresh.take(rng.permutation(len(fresh))[: len(train)])


def copies(train: Table, fresh: Table, rng: np.random.Generator) -> Table:  # noqa: ARG001
    """Release a tenth of the used records."""
    return train.take(rng.permutation(len(train))[: max(len(train) // 10, 1)])


def diluted(train: Table, fresh: Table, rng: np.random.Generator) -> Table:
    """Release a tenth of the used records among nine times as many that were not used."""
    some = copies(train, fresh, rng)
    others = fresh.take(rng.permutation(len(fresh))[: len(train) - len(some)])
    first = np.arange(len(train)) < len(some)
    return dealt(some, others, first)


def rates(
    attack: Attack, making: Making, table: Table, rows: int, repetitions: int, *, seed: int
) -> tuple[float, float]:
    """Return the shares of runs with an interval above zero, and with p at most 5%."""
    above = alarms = 0
    for rng in np.random.default_rng(seed).spawn(repetitions):
        order = rng.permutation(len(table))
        train, control = table.take(order[:rows]), table.take(order[rows : 2 * rows])
        fresh = table.take(order[2 * rows :])

        target = AttackTarget(
            train=train,
            control=control,
            synthetic=making(train, fresh, rng),
            refit=_mechanism(making, fresh),
        )
        result = attack.run(target, rng=rng)
        above += result.risk.lower > 0
        alarms += result.p_value <= ALPHA
    return above / repetitions, alarms / repetitions


def _mechanism(making: Making, fresh: Table) -> Refit:
    def refit(train: Table, *, rng: np.random.Generator) -> Table:
        return making(train, fresh, rng)

    return refit


def chosen(names: Sequence[str], *, targets: int | None = None) -> list[Attack]:
    """Return the attacks named, or all and singling out by one column.

    Args:
        names: of the registry.
        targets: of attacks on shadow releases, and as many releases attacked; None for defaults.
    """
    made: list[Attack] = []
    for name in names or ATTACKS:
        found = ATTACKS.get(name)()
        if targets is not None and isinstance(found, ShadowAttack):
            found = replace(found, targets=targets, releases=targets)
        made.append(found)
    return made if names else [*made, SinglingOut(columns=1)]


def main() -> None:
    parser = argparse.ArgumentParser(description="How often attacks raise alarms.")
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--power", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--data", default="uci_adult")
    parser.add_argument("--attack", nargs="*", default=[])
    parser.add_argument("--targets", type=int, help="of attacks on shadows, and their releases")
    options = parser.parse_args()
    table = DATASETS.get(options.data)().table
    lines: list[tuple[str, ...]] = []
    for attack in chosen(options.attack, targets=options.targets):
        cells = [label(attack)]
        for making, count in (
            (unrelated, options.repetitions),
            (copies, options.power),
            (diluted, options.power),
        ):
            if count:
                found = rates(attack, making, table, options.rows, count, seed=0)
                cells += [f"{share:.3f}" for share in found]
            else:
                cells += ["", ""]
        lines.append(tuple(cells))
        print(" | ".join(cells), flush=True)
    caption = (
        f"{options.rows} used and {options.rows} control records of {options.data}; "
        f"{options.repetitions} runs where nothing leaks, {options.power} where a tenth does; "
        f"seed 0, load {os.getloadavg()[0]:.1f}."
    )
    header = ("attack", "null: above 0", "null: p", "copies: above 0", "copies: p")
    grid = Grid(
        caption=caption,
        header=(*header, "diluted: above 0", "diluted: p"),
        rows=tuple(lines),
    )
    print(grid.markdown())


if __name__ == "__main__":
    main()
