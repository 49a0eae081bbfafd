"""A release cell: split, fit, sample, evaluate, attack."""

from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, InvalidValueError
from dpsynth.harness.attacks import attack_rows
from dpsynth.harness.cell import Cell, Stopwatch
from dpsynth.harness.config import Choice, Forgotten
from dpsynth.harness.fingerprint import load_dataset
from dpsynth.harness.references import references_of
from dpsynth.harness.row import Row
from dpsynth.parameters import construct
from dpsynth.preparation.prepare import Preparation
from dpsynth.registry import METRICS
from dpsynth.synthesis import build_generator, synthesize

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.data.datasets import Target
    from dpsynth.data.schema import Schema
    from dpsynth.evaluation.metric import Metric
    from dpsynth.privacy.receipt import Receipt


def release_rows(cell: Cell, watch: Stopwatch) -> "tuple[list[Row], Receipt]":
    """Return the rows of a release cell and the receipt of its fit."""
    watch.enter("load")
    train, holdout, target = read_split(cell)
    watch.enter("fit")
    generator = build_generator(cell.generator.name, cell.generator.parameters)
    choice = cell.generator.preparation
    synthesis = synthesize(
        train if choice is None else train.frame,
        schema=None if choice is None else forgotten(train.schema, choice),
        preparation=None if choice is None else prepared(choice),
        generator=generator,
        epsilon=cell.epsilon,
        delta=cell.delta,
        seed=generation_seed(cell),
        relation=cell.relation,
        accountant=cell.generator.accountant,
    )
    watch.enter("sample")
    synthetic = synthesis.sample()
    if choice is not None:  # judged under what the data set's own schema says
        synthetic = clipped(train.schema, synthetic.frame)
    watch.enter("evaluate")
    rows = list(utility_rows(cell, train, holdout, synthetic, target))
    if cell.attacks:
        watch.enter("attack")
        rows += attack_rows(cell, train, holdout, synthetic)
    return rows, synthesis.receipt


def read_split(cell: Cell) -> "tuple[Table, Table, Target | None]":
    """Return (train, hold-out, what metrics predict) of the records that `cell` was planned with.

    Raises:
        FileError: a missing file.
        DataError: records that do not fit their schema, that are others by now, or too few.
    """
    assert cell.dataset is not None
    dataset = load_dataset(cell.dataset, cell.folder)
    if dataset.sha256 != cell.fingerprint.data:  # changed since, or another file on this host
        rule = f"the cell was planned with records of checksum {cell.fingerprint.data[:12]}"
        raise DataError(None, f"the checksum {dataset.sha256[:12]}", rule)
    parts = split(dataset.table, cell.holdout, cell.stream("split", cell.dataset.name))
    return *parts, dataset.target


def forgotten(schema: "Schema", choice: Forgotten) -> OpenSchema:
    """Return the schema without what `choice` forgets of its numbers."""
    return OpenSchema.forgetting(schema, binning=choice.binning, bounds=choice.bounds)


def prepared(choice: Forgotten) -> Preparation:
    """Return how much of the budget may buy it."""
    return Preparation(share=choice.share, column_share=choice.share)


def clipped(schema: "Schema", frame: "pd.DataFrame") -> Table:
    """Return synthetic records under `schema`, with numbers out of its bounds moved into them.

    Raises:
        DataError, UnknownNameError: records that do not fit the schema otherwise.
    """
    columns = tuple(
        column if isinstance(column, CategoricalColumn) else replace(column, on_invalid="clip")
        for column in schema.columns
    )
    within = Table.from_frame(replace(schema, columns=columns), frame)
    return Table.from_frame(schema, within.frame)


def split(table: "Table", share: float, stream: np.random.SeedSequence) -> "tuple[Table, Table]":
    """Return (train, hold-out): a random partition with `share` of the records held out.

    Raises:
        DataError: a table too small for both parts to hold a record.
    """
    held = round(len(table) * share)
    if not 0 < held < len(table):
        raise DataError(None, f"{len(table)} records", f"a hold-out of {share} needs more of them")
    order = np.random.default_rng(stream).permutation(len(table))
    return table.take(np.sort(order[held:])), table.take(np.sort(order[:held]))


def generation_seed(cell: Cell) -> int:
    """Return the seed of the cell's fit and sample."""
    plain = cell.to_plain()
    keys = ("dataset", "generator", "epsilon", "delta", "relation")
    stream = cell.stream("generation", {key: plain[key] for key in keys})
    return int.from_bytes(stream.generate_state(4, np.uint32).tobytes(), "little")


def utility_rows(
    cell: Cell, train: "Table", holdout: "Table", synthetic: "Table", target: "Target | None"
) -> Iterator[Row]:
    """Yield one row for each metric of the cell.

    Args:
        cell: what it is part of.
        train: the records that the generator was fitted to.
        holdout: records that it never saw.
        synthetic: the release.
        target: what metrics of prediction predict.
    """
    from dpsynth.evaluation.evaluate import evaluate

    assert cell.dataset is not None
    metrics = [build_metric(choice, target) for choice in cell.metrics]
    labels = {m.identity: c.label for m, c in zip(metrics, cell.metrics, strict=True)}
    references = references_of(cell, train, holdout, metrics, target)
    found = evaluate(
        train,
        holdout,
        synthetic,
        metrics=metrics,
        target=target,
        rng=np.random.default_rng(cell.stream("evaluation", cell.dataset.name)),
        references=references,
    )
    for evaluation in found:
        numbers = {k: v for k, v in asdict(evaluation).items() if k != "metric"}
        yield cell.row(kind="utility", metric=labels[evaluation.identity], **numbers)


def build_metric(choice: Choice, target: "Target | None") -> "Metric":
    """Return the metric of `choice`; one that predicts is given `target`.

    Raises:
        UnknownNameError: no such metric or parameter.
        InvalidValueError: a parameter that is refused, or a target that is needed and absent.
    """
    cls = METRICS.get(choice.name)
    if not predicts(choice):
        return construct(cls, choice.parameters, owner=choice.name)
    if target is None:
        raise InvalidValueError("target", None, f"given for the metric {choice.name!r}")
    return construct(cls, choice.parameters, owner=choice.name, given={"target": target})


def predicts(choice: Choice) -> bool:
    """Return whether the metric of `choice` predicts a target."""
    return any(f.name == "target" for f in fields(METRICS.get(choice.name)))
