"""The attacks of a release cell: on the records that were used, and on as many that were not."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.harness.cell import Cell
from dpsynth.harness.refit import mechanism
from dpsynth.harness.row import Row
from dpsynth.parameters import construct
from dpsynth.registry import ATTACKS
from dpsynth.synthesis import build_generator

if TYPE_CHECKING:
    from dpsynth.data.table import Table


def attack_rows(cell: Cell, train: "Table", holdout: "Table", synthetic: "Table") -> list[Row]:
    """Return one row for each attack of the cell.

    Args:
        cell: what to run.
        train: the records that the generator was fitted to.
        holdout: records that it never saw; controls are drawn from both at equal size.
        synthetic: the release.
    """
    from dpsynth.attacks.attack import matched_target

    assert cell.dataset is not None
    rng = np.random.default_rng(cell.stream("attack split", cell.dataset.name))
    refits = any(ATTACKS.get(choice.name).needs_refit for choice in cell.attacks)
    refit = _mechanism(cell) if refits else None
    target = matched_target(train, holdout, synthetic, refit=refit, rng=rng)
    rows: list[Row] = []
    for choice in cell.attacks:
        attack = construct(ATTACKS.get(choice.name), choice.parameters, owner=choice.label)
        stream = cell.stream("attack", cell.dataset.name, choice.label)
        result = attack.run(target, rng=np.random.default_rng(stream))
        risk = result.risk
        rates = {
            f"{name}_{part}": getattr(rate, field)
            for name, rate in (
                ("attack", result.rate),
                ("baseline", result.baseline),
                ("control", result.control),
            )
            for part, field in (("rate", "value"), ("lower", "lower"), ("upper", "upper"))
        }
        rows.append(
            cell.row(
                kind="attack",
                metric=choice.label,
                identity=result.identity,
                value=risk.value,
                lower=risk.lower,
                upper=risk.upper,
                higher_is_better=False,
                p_value=result.p_value,
                alpha=result.alpha,
                **rates,
            )
        )
    return rows


def _mechanism(cell: Cell) -> "Callable[..., Table]":
    """Return the cell's mechanism: a fit to any table at the cell's budget, and a sample of it."""
    return mechanism(
        build_generator(cell.generator.name, cell.generator.parameters),
        epsilon=cell.epsilon,
        delta=cell.delta,
        relation=cell.relation,
        accountant=cell.generator.accountant,
    )
