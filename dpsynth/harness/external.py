"""Releases that someone else made: judged like others, under a claim that nobody checked."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import msgspec

from dpsynth.data.files import load_file
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.harness.attacks import attack_rows
from dpsynth.harness.cell import Cell, Fingerprint, Stopwatch
from dpsynth.harness.checksum import file_hash
from dpsynth.harness.config import Choice, DatasetChoice
from dpsynth.harness.fingerprint import code_hash, library_versions, load_dataset
from dpsynth.harness.record import Record
from dpsynth.harness.release import predicts, split, utility_rows
from dpsynth.harness.statement import stated
from dpsynth.harness.store import Store
from dpsynth.harness.yardstick import check_same
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.registry import ATTACKS

if TYPE_CHECKING:
    from dpsynth.data.datasets import Dataset
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is said of records that someone else made, and not checked.

    Args:
        generator: the label that rows get; none of the experiment's own.
        dataset: one of the experiment's data sets.
        epsilon, delta: what they are said to cost.
        seed: of the split whose training records they were fitted to.
        source: who made them, how.
    """

    generator: str
    dataset: str
    epsilon: float
    delta: float = 1e-9
    seed: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        if not self.generator.strip():
            raise InvalidValueError("generator", self.generator, "a name")
        Budget(epsilon=self.epsilon, delta=self.delta)


@final
class Judge:
    """Judges releases of others as the experiment of a store judges its own.

    Args:
        store: a results store.
        folder: where the relative paths of its experiment start.

    Raises:
        FileError: no store there.
    """

    def __init__(self, store: Store, *, folder: Path = Path()) -> None:
        self._store, self._folder = store, folder
        self._experiment: dict[str, Any] = store.experiment()

    def split(self, dataset: str, seed: int) -> "tuple[Table, Table]":
        """Return (training records, hold-out) of a split: a generator may be fitted to the first.

        Raises:
            UnknownNameError: no such data set in the experiment.
            InvalidValueError: no such seed in it.
            DataError: the store's results were made from other records.
        """
        choice = self._dataset(dataset)
        return self._split(self._cell(choice, _nobody(dataset, seed)), self._load(choice))

    def judge(self, file: str | Path, claim: Claim) -> Record:
        """Return the record of the release in `file`, once the store has it.

        Its cell stays with the store whatever is swept later. Attacks that run the mechanism again
        are left out.

        Raises:
            FileError, DataError: no such file, or records that do not fit the data set's schema.
            UnknownNameError, InvalidValueError: a claim that does not fit the experiment.
        """
        labels = {g["label"] for g in self._experiment["generators"]}
        if claim.generator in labels:
            rule = "a name that no generator of the experiment has"
            raise InvalidValueError("generator", claim.generator, rule)
        choice = self._dataset(claim.dataset)
        watch = Stopwatch()
        watch.enter("load")
        dataset = self._load(choice)
        synthetic = load_file(file, dataset.table.schema)
        cell = self._measured(self._cell(choice, claim, content=file_hash(Path(file))), dataset)
        train, holdout = self._split(cell, dataset)
        watch.enter("evaluate")
        cached = replace(cell, cache=self._store.path / "references")
        rows = list(utility_rows(cached, train, holdout, synthetic, dataset.target))
        if cell.attacks:
            watch.enter("attack")
            rows += attack_rows(cell, train, holdout, synthetic)
        watch.stop()
        rows += [
            cell.row(kind="run", metric=f"seconds {phase}", value=value, higher_is_better=False)
            for phase, value in watch.seconds.items()
        ]
        record = Record(
            cell=cell.id,
            settings=cell.to_plain(),
            status="done",
            rows=stated(rows, cell, None),
            seconds=dict(watch.seconds),
        )
        with self._store.locked():
            self._store.write_imported(record)
            self._store.compact()
        return record

    def _dataset(self, name: str) -> DatasetChoice:
        choices = {
            d["name"]: msgspec.convert(d, DatasetChoice) for d in self._experiment["datasets"]
        }
        if name not in choices:
            raise UnknownNameError("data set of the experiment", name, choices)
        return choices[name]

    def _load(self, choice: DatasetChoice) -> "Dataset":
        dataset = load_dataset(choice, self._folder)
        check_same(self._store, dataset)
        return dataset

    def _split(self, cell: Cell, dataset: "Dataset") -> "tuple[Table, Table]":
        assert cell.dataset is not None
        return split(dataset.table, cell.holdout, cell.stream("split", cell.dataset.name))

    def _cell(self, choice: DatasetChoice, claim: Claim, *, content: str = "") -> Cell:
        seeds = self._experiment["seeds"]
        if claim.seed not in seeds:
            rule = "one of the experiment's: " + ", ".join(map(str, seeds))
            raise InvalidValueError("seed", claim.seed, rule)
        made = {"sha256": content, "source": claim.source}
        return Cell(
            kind="import",
            dataset=choice,
            generator=Choice(name="external", label=claim.generator, parameters=made),
            epsilon=claim.epsilon,
            delta=claim.delta,
            relation=Neighbouring(self._experiment["relation"]),
            seed=claim.seed,
            fingerprint=Fingerprint(code="", libraries={}),
            holdout=self._experiment["holdout"],
        )

    def _measured(self, cell: Cell, dataset: "Dataset") -> Cell:
        """Return `cell` with what the experiment measures, and what the numbers depend on."""
        chosen = {
            section: tuple(msgspec.convert(c, Choice) for c in self._experiment[section])
            for section in ("metrics", "attacks")
        }
        known = Fingerprint(
            code=code_hash(chosen), libraries=library_versions(), data=dataset.sha256
        )
        has_target = dataset.target is not None
        return replace(
            cell,
            fingerprint=known,
            metrics=tuple(m for m in chosen["metrics"] if has_target or not predicts(m)),
            attacks=tuple(
                a
                for a in chosen["attacks"]
                if a.only is None and not ATTACKS.get(a.name).needs_refit
            ),
        )


def _nobody(dataset: str, seed: int) -> Claim:
    return Claim(generator="nobody", dataset=dataset, epsilon=1.0, seed=seed)
