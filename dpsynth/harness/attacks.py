"""The attacks of a release cell: on the records that were used, and on as many that were not."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.harness.cell import Cell
from dpsynth.harness.row import Row
from dpsynth.parameters import construct
from dpsynth.registry import ATTACKS
from dpsynth.synthesis import build_generator, synthesize

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
    from dpsynth.audit.attack import AttackTarget

    assert cell.dataset is not None
    size = min(len(train), len(holdout))
    rng = np.random.default_rng(cell.stream("attack split", cell.dataset.name))
    target = AttackTarget(
        train=train.take(np.sort(rng.permutation(len(train))[:size])),
        control=holdout.take(np.sort(rng.permutation(len(holdout))[:size])),
        synthetic=synthetic,
        refit=_refit(cell),
    )
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


def _refit(cell: Cell) -> "Callable[..., Table]":
    """Return the cell's mechanism: a fit to any table at the cell's budget, and a sample of it."""

    def refit(train: "Table", *, rng: np.random.Generator) -> "Table":
        generator = build_generator(cell.generator.name, cell.generator.parameters)
        return synthesize(
            train,
            generator=generator,
            epsilon=cell.epsilon,
            delta=cell.delta,
            seed=int(rng.integers(2**62)),
            relation=cell.relation,
            accountant=cell.generator.accountant,
        ).sample()

    return refit
