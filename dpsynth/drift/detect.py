"""Has the population changed? A new batch beside a saved model, under a budget of the batch's own.

The model is a private output already and costs nothing; the batch's records are protected like
those of any fit: everything that is read of them is charged, and the receipt lists it.
"""

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.table import Table
from dpsynth.drift.asking import Answers, ask
from dpsynth.drift.comparison import Compared, compare
from dpsynth.drift.labels import group_labels
from dpsynth.drift.reference import Reference
from dpsynth.errors import InvalidValueError
from dpsynth.opening import read_table, stored_files, stored_records, with_unit
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.synthesis import Synthesis, parse_relation, random_streams

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.data.schema import Schema
    from dpsynth.privacy.noise import NoiseSource
    from dpsynth.privacy.receipt import Receipt


@final
@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of one marginal; every number is a private output.

    Args:
        columns: one column, or two whose dependence was compared.
        p_value: how often chance alone would part batch and model as far in this marginal.
        adjusted: the same for the least of all marginals' p-values (Bonferroni).
        values: the group of values that moved most, for people.
        expected: its share of the model's records.
        found: its share of the batch, with noise.
        deviation: standard deviation of their difference by chance and noise.
    """

    columns: tuple[str, ...]
    p_value: float
    adjusted: float
    values: str
    expected: float
    found: float
    deviation: float


@final
@dataclass(frozen=True, kw_only=True)
class Drift:
    """The verdict on a batch, and what it cost.

    Args:
        drifted: whether the batch is not drawn from the population that the model describes.
        p_value: of all marginals together.
        alpha: largest rate of false alarms.
        rows: noisy number of records in the batch, or the public one.
        changes: every marginal that was compared, the least likely first.
        left_out: columns that were not compared: never measured, or drowned by the noise.
        receipt: what was spent on the batch.
    """

    drifted: bool
    p_value: float
    alpha: float
    rows: float
    changes: tuple[Change, ...]
    left_out: tuple[str, ...]
    receipt: "Receipt"


def detect_drift(
    model: Synthesis | str | Path,
    data: "DataFrame | Table | str | Path",
    *,
    epsilon: float,
    delta: float = 1e-9,
    alpha: float = 0.05,
    seed: int | None = None,
    relation: str | Neighbouring = Neighbouring.ADD_REMOVE,
    draws: int = 20_000,
) -> Drift:
    """Return whether a new batch of records is still of the population that `model` describes.

    Noisy marginals of the batch are compared with the noisy ones that the model was fitted to, not
    with the model, whose own errors would raise false alarms. Each comparison is calibrated by
    simulated draws of both tables and both noises (`comparison.compare`), and all together by
    Bonferroni's inequality, which assumes nothing about how columns depend.

    Args:
        model: a fitted model that kept its noisy marginals, or the path of a saved one.
        data: the new records, with the model's columns; in memory or in files, as of `synthesize`.
        epsilon, delta: the batch's budget; delta 0 asks for pure differential privacy.
        alpha: largest rate of false alarms, between 0 and 1.
        seed: research mode, reproducible and not for release; None is release mode.
        relation: whether the batch's size is secret ("add_remove") or public ("replace").
        draws: simulations; the least p-value is the number of marginals over half of them.

    Raises:
        InvalidValueError: a parameter outside its range, or a model without noisy marginals.
        DataError: records that do not fit the model's schema.
        FileError: a file that is missing or damaged.
    """
    if not 0 < alpha < 1:
        raise InvalidValueError("alpha", alpha, "above 0 and below 1")
    if draws < 100:
        raise InvalidValueError("draws", draws, "at least 100")
    budget = Budget(epsilon=epsilon, delta=delta, relation=parse_relation(relation))
    fitted = model if isinstance(model, Synthesis) else Synthesis.load(model)
    reference = Reference.of(fitted)
    noise, rng, _ = random_streams(seed)
    with _door(data, fitted.schema, budget, noise) as private:
        answers = ask(private, reference)
    compared = [
        compare(
            reference,
            answer,
            answers.size(i),
            rows_per_unit=private.schema.max_rows_per_unit,
            laplace=private.ledger.accountant.name == "pure",
            draws=draws,
            rng=rng,
        )
        for i, answer in enumerate(answers.marginals)
    ]
    changes = _changes(private.schema, answers, compared, rng=rng)
    p_value = changes[0].adjusted if changes else 1.0
    seen = {column for change in changes for column in change.columns}
    return Drift(
        drifted=p_value <= alpha,
        p_value=p_value,
        alpha=alpha,
        rows=answers.size(0).rows,
        changes=changes,
        left_out=tuple(n for n in private.schema.names if n not in seen),
        receipt=replace(private.receipt(), releases="answers"),
    )


@contextmanager
def _door(
    data: "DataFrame | Table | str | Path", schema: "Schema", budget: Budget, noise: "NoiseSource"
) -> Generator[PrivateData]:
    """Yield the door to a batch under a model's schema, of which it has its own number of rows."""
    rules = replace(schema, public_rows=None)
    files = stored_files(data, out_of_core=None, cluster=None)
    held = nullcontext(read_table(data, rules)) if files is None else stored_records(files, rules)
    with held as records:
        yield PrivateData(
            records,
            with_unit(budget, rules),
            noise=noise,
            accountant="gdp" if budget.delta > 0 else "pure",
        )


def _changes(
    schema: "Schema", answers: Answers, compared: list[Compared], *, rng: np.random.Generator
) -> tuple[Change, ...]:
    found: list[Change] = []
    for answer, of in zip(answers.marginals, compared, strict=True):
        moved = np.abs(of.found - of.expected) / np.maximum(of.deviation, 1e-300)
        cell = np.unravel_index(int(moved.argmax()), moved.shape)
        labels = [
            group_labels(schema.column(column), groups, rng=rng)[int(at)]
            for column, groups, at in zip(answer.clique, answer.groups, cell, strict=True)
        ]
        found.append(
            Change(
                columns=answer.clique,
                p_value=of.p_value,
                adjusted=min(1.0, of.p_value * len(compared)),
                values=" and ".join(labels),
                expected=float(of.expected[cell]),
                found=float(of.found[cell]),
                deviation=float(of.deviation[cell]),
            )
        )
    return tuple(sorted(found, key=lambda change: change.p_value))
