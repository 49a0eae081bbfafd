"""A cell of someone else's program: it is run on the split, and its release judged like others."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from dpsynth.harness.attacks import attack_rows
from dpsynth.harness.cell import Cell, Stopwatch
from dpsynth.harness.release import generation_seed, read_split, utility_rows
from dpsynth.harness.row import Row
from dpsynth.privacy.calibration import zcdp_rho
from dpsynth.third_party.contract import Answer, Order, place_order, take_delivery
from dpsynth.third_party.process import Finished, run_program, surroundings


def foreign_rows(cell: Cell, watch: Stopwatch) -> list[Row]:
    """Return the rows of a cell whose release someone else's program makes.

    Raises:
        ThirdPartyError: it fails, or leaves what the contract does not allow.
        FileError, UnknownNameError, DataError: records that do not fit the schema, or a data set
            that has changed since the cell was planned.
    """
    assert cell.dataset is not None
    assert cell.program is not None
    watch.enter("load")
    words = cell.program.command(cell.folder)
    train, holdout, target = read_split(cell)
    rng = np.random.default_rng(cell.stream("decoding", cell.dataset.name))
    order = _order(cell, len(train))
    label = cell.generator.label
    with tempfile.TemporaryDirectory(prefix="dpsynth-") as name:
        folder = Path(name)
        place_order(folder, train, order)
        watch.enter("fit")
        around = surroundings(os.environ, seed=order.seed, isolated=cell.program.is_ours)
        where = folder if cell.program.is_ours else cell.folder
        run = run_program(
            [*words, name], name=label, folder=where, environment=around, records=folder, echo=True
        )
        watch.enter("sample")
        schema = train.schema
        made = take_delivery(folder, schema, name=label, rows=order.rows, rng=rng)
    watch.enter("evaluate")
    synthetic, answer = made
    rows = list(utility_rows(cell, train, holdout, synthetic, target))
    if cell.attacks:
        watch.enter("attack")
        rows += attack_rows(cell, train, holdout, synthetic)
    rows += _told(cell, answer, run, rows=len(synthetic))
    versions = ", ".join(f"{name} {text}" for name, text in sorted(answer.versions.items()))
    return [replace(row, versions=versions) for row in rows]


def _order(cell: Cell, rows: int) -> Order:
    assert cell.program is not None
    return Order(
        mechanism=cell.program.mechanism,
        parameters=cell.generator.parameters,
        epsilon=cell.epsilon,
        delta=cell.delta,
        relation=str(cell.relation),
        rho=zcdp_rho(cell.epsilon, cell.delta) if cell.delta > 0 else None,
        seed=generation_seed(cell) % 2**32,
        rows=rows,
    )


def _told(cell: Cell, answer: Answer, run: Finished, *, rows: int) -> Iterator[Row]:
    """Yield what is known of the run, and what the program says of itself."""
    numbers = {
        "records returned": float(rows),
        "peak_rss_mb of the program": run.peak_mb,
        "seconds by its own count": answer.seconds,
        "epsilon it says it spent": answer.epsilon,
        "delta it says it spent": answer.delta,
    }
    for metric, value in numbers.items():
        if value is not None:
            yield cell.row(kind="run", metric=metric, value=value, higher_is_better=False)
