"""What the records of an experiment are like, and what its attacks see where nothing is hidden."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dpsynth.errors import DataError, FileError
from dpsynth.harness.attacks import attack_rows
from dpsynth.harness.cell import Cell, Fingerprint
from dpsynth.harness.config import Choice, DatasetChoice
from dpsynth.harness.fingerprint import load_dataset
from dpsynth.harness.release import split
from dpsynth.harness.row import Row
from dpsynth.harness.store import Store
from dpsynth.privacy.budget import Neighbouring
from dpsynth.registry import ATTACKS

if TYPE_CHECKING:
    from dpsynth.data.datasets import Dataset

COPY = "copy"


@final
@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """Facts on the records of an experiment. They are read from real records, without noise.

    Args:
        name: the data set.
        citation: where it comes from.
        rows, columns: of the whole table.
        train_rows: of the part that generators are fitted to.
        domain_cells: combinations of codes that a record can have.
        distinct: how many different records there are, the target's column left out.
        copied: the attacks of the experiment on an outright copy of its training table, one row a
            seed, under the generator's name "copy"; those that refit a generator are left out.
    """

    name: str
    citation: str
    rows: int
    columns: int
    train_rows: int
    domain_cells: int
    distinct: int
    copied: tuple[Row, ...]


def yardstick(store: Store) -> Yardstick:
    """Return the facts on the one registered data set of `store`'s experiment.

    Raises:
        FileError: no store there, several data sets, or a file of the user's own (whose folder the
            store does not know).
        DataError: the records are not those that the store's results were made from.
    """
    experiment = store.experiment()
    choices = [DatasetChoice(**d) for d in experiment["datasets"]]
    if len(choices) != 1 or choices[0].path is not None:
        raise FileError(store.path, "its experiment is not on one registered data set")
    dataset = load_dataset(choices[0], Path())
    check_same(store, dataset)
    frame = dataset.table.frame
    if dataset.target is not None:
        frame = frame.drop(columns=dataset.target.column)
    held = round(len(dataset.table) * experiment["holdout"])
    return Yardstick(
        name=dataset.name,
        citation=dataset.citation,
        rows=len(dataset.table),
        columns=len(dataset.table.schema.names),
        train_rows=len(dataset.table) - held,
        domain_cells=prod(dataset.table.schema.domain.shape),
        distinct=len(frame.drop_duplicates()),
        copied=tuple(
            row
            for seed in experiment["seeds"]
            for row in _attack_copy(experiment, choices[0], dataset, seed)
        ),
    )


def check_same(store: Store, dataset: "Dataset") -> None:
    """Raise DataError when results in `store` under this name were made from other records."""
    sums = {
        record.settings["fingerprint"]["data"]
        for record in store.records()
        if (choice := record.settings["dataset"]) and choice["name"] == dataset.name
    }
    if sums - {dataset.sha256}:
        rule = f"the results in {store.path} were made from other records"
        raise DataError(None, f"the checksum {dataset.sha256[:12]}", rule)


def _attack_copy(
    experiment: dict[str, Any], choice: DatasetChoice, dataset: "Dataset", seed: int
) -> list[Row]:
    attacks = [Choice(**{**a, "only": None}) for a in experiment["attacks"]]
    cell = Cell(
        kind="release",
        dataset=choice,
        generator=Choice(name=COPY, label=COPY),
        epsilon=float("inf"),
        delta=1.0,
        relation=Neighbouring(experiment["relation"]),
        seed=seed,
        fingerprint=Fingerprint(code="", libraries={}),
        attacks=tuple(a for a in attacks if not ATTACKS.get(a.name).needs_refit),
    )
    stream = cell.stream("split", dataset.name)
    train, holdout = split(dataset.table, experiment["holdout"], stream)
    return attack_rows(cell, train, holdout, train)
