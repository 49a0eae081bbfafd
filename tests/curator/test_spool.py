"""Records out of core: the fits of records in memory to the last bit, and nothing left behind."""

import os
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.curator import admission
from dpsynth.curator.blocks import BlockCounter
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.curator.spool import Spool, spooled
from dpsynth.data.columns import CategoricalColumn, IntegerColumn
from dpsynth.data.files import save_file
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import (
    DataError,
    FileError,
    InvalidValueError,
    RecordsElsewhereError,
    UnknownNameError,
)
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.tables import coded_schema, coded_table, dependent_codes

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("aim", "two_stage", "residual")]


@pytest.fixture(scope="module")
def randhie(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Path]:
    """The table, and a folder that holds it in three parts of two kinds."""
    table = dpsynth.DATASETS.get("randhie")().table
    folder = tmp_path_factory.mktemp("randhie")
    for name, rows in (
        ("a.csv", (0, 7000)),
        ("b.parquet", (7000, 7001)),
        ("c.parquet", (7001, 20190)),
    ):
        save_file(table.take(np.arange(*rows)), folder / name)
    return table, folder


@pytest.mark.parametrize("generator", ["mst", "mwem", "privbayes", "tree", "independent", *SLOW])
def test_fits_are_those_of_records_in_memory(generator: str, randhie: tuple[Table, Path]) -> None:
    table, folder = randhie
    memory = dpsynth.synthesize(table, generator=generator, epsilon=1.0, seed=3)
    file = dpsynth.synthesize(folder, schema=table.schema, generator=generator, epsilon=1.0, seed=3)
    assert file.receipt.to_json() == memory.receipt.to_json()
    pd.testing.assert_frame_equal(
        file.sample(5000).frame, memory.sample(5000).frame, check_exact=True
    )


def test_a_file_out_of_core_is_the_file_in_memory(tmp_path: Path) -> None:
    table = coded_table(dependent_codes(900, (4, 3, 5), rng=np.random.default_rng(0)), (4, 3, 5))
    save_file(table, tmp_path / "t.csv")
    fits = [
        dpsynth.synthesize(
            tmp_path / "t.csv",
            schema=table.schema,
            generator="mst",
            epsilon=1.0,
            seed=1,
            out_of_core=out_of_core,
        )
        for out_of_core in (None, True, False)
    ]
    assert len({fit.sample(300).frame.to_csv() for fit in fits}) == 1


def test_the_temporary_file_has_no_name_and_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    save_file(coded_table(np.zeros((9, 2), dtype=int), (2, 2)), tmp_path / "t.csv")
    kept: list[Spool] = []

    class StopError(Exception):
        pass

    def stop_inside() -> None:
        with spooled([tmp_path / "t.csv"], coded_schema((2, 2))) as stored:
            assert isinstance(stored.blocks, Spool)
            assert "9" not in repr(stored)
            kept.append(stored.blocks)
            status = os.fstat(kept[0]._file.fileno())
            assert (status.st_size, status.st_mode & 0o777, status.st_nlink) == (18, 0o600, 0)
            assert list((tmp_path / "temporary").iterdir()) == []
            raise StopError

    with pytest.raises(StopError):
        stop_inside()
    assert kept[0]._file.closed


def test_no_room_for_codes_is_one_sentence() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        spool = Spool(full, coded_schema((2,)).domain)
        with pytest.raises(FileError, match="codes cannot be kept there"):
            spool.append(np.zeros((5, 1), dtype=np.uint8))


def test_lost_codes_are_not_passed_over(tmp_path: Path) -> None:
    save_file(coded_table(np.zeros((9, 2), dtype=int), (2, 2)), tmp_path / "t.csv")
    with spooled([tmp_path / "t.csv"], coded_schema((2, 2))) as stored:
        assert isinstance(stored.blocks, Spool)
        stored.blocks._file.truncate(12)
        counter = BlockCounter(stored.blocks, coded_schema((2, 2)).domain)
        assert counter.counts(("c0",)).tolist() == [9, 0]
        with pytest.raises(FileError, match="are lost"):
            counter.counts(("c1",))


def test_no_folder_for_temporary_files_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with (
        pytest.raises(FileError, match="no temporary file can be made"),
        spooled([tmp_path / "t.csv"], coded_schema((2,))),
    ):
        pass


def private_of(
    frame: pd.DataFrame, schema: Schema, tmp_path: Path, accountant: str = "zcdp"
) -> PrivateData:
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    budget = Budget(
        epsilon=1.0, delta=1e-6, unit=schema.unit, max_rows_per_unit=schema.max_rows_per_unit
    )
    noise = ResearchNoise(rng=np.random.default_rng(0))
    with spooled([tmp_path / "t.parquet"], schema) as stored:
        return PrivateData(stored, budget, noise=noise, accountant=accountant)


def test_training_on_records_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    frame = pd.DataFrame({"c0": [0, 1], "c1": [1, 0]})
    private = private_of(frame, coded_schema((2, 2)), tmp_path, "pld")
    plan = SgdPlan(sample_rate=0.1, steps=10, clipping_norm=1.0, noise_multiplier=9.0)
    event = private.marginal_event(("c0",), sigma=99.0)
    with pytest.raises(RecordsElsewhereError, match="they are in a file"):
        private.reserve([("marginal", event), ("dpsgd", plan.event)])
    assert private.ledger.entries == ()
    private.reserve([("marginal", event)])  # nothing was reserved before either


def test_units_with_too_many_rows_are_refused(tmp_path: Path) -> None:
    names = CategoricalColumn(name="who", categories=("ann", "bob"))
    schema = Schema(columns=(names,), unit="who", max_rows_per_unit=2)
    assert private_of(pd.DataFrame({"who": ["ann", "bob", "ann"]}), schema, tmp_path)
    with pytest.raises(DataError, match="a unit may have at most 2 rows"):
        private_of(pd.DataFrame({"who": ["ann", "bob", "ann", "ann"]}), schema, tmp_path)


def test_an_identifier_that_is_no_column_is_refused(tmp_path: Path) -> None:
    """Blocks keep no identifiers, so that nothing would bound the rows of one."""
    schema = coded_schema((2,), unit="who", max_rows_per_unit=1)
    with pytest.raises(UnknownNameError, match="unknown column of the schema 'who'"):
        private_of(pd.DataFrame({"c0": [0, 1], "who": ["ann", "ann"]}), schema, tmp_path)


def test_a_unit_that_shares_codes_is_refused(tmp_path: Path) -> None:
    number = IntegerColumn(name="who", lower=0, upper=9, bins=2)
    schema = Schema(columns=(number,), unit="who", max_rows_per_unit=2)
    with pytest.raises(InvalidValueError, match="with a code for each of its values"):
        private_of(pd.DataFrame({"who": [0, 1, 2]}), schema, tmp_path)


def test_too_many_rows_are_refused_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, schema = pd.DataFrame({"c0": [0, 1, 0]}), coded_schema((2,))
    budget, noise = Budget(epsilon=1.0, delta=1e-6), ResearchNoise(rng=np.random.default_rng(0))
    for ceiling, refused in ((4, False), (3, True)):
        monkeypatch.setattr(admission, "ROW_CEILING", ceiling)
        refusal = pytest.raises(DataError, match="too many rows") if refused else nullcontext()
        with refusal:
            private_of(frame, schema, tmp_path)
        with refusal:
            PrivateData(Table.from_frame(schema, frame), budget, noise=noise)


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    table = coded_table(np.zeros((9, 2), dtype=int), (2, 2))
    save_file(table, tmp_path / "a.parquet")
    other = coded_table(np.zeros((9, 3), dtype=int), (2, 2, 2))
    save_file(other, tmp_path / "b.parquet")
    with pytest.raises(UnknownNameError, match="unknown column of the schema 'c2'") as caught:
        dpsynth.synthesize(tmp_path, schema=table.schema, epsilon=1.0)
    assert caught.value.__notes__ == [f"in {tmp_path / 'b.parquet'}"]
    (tmp_path / "none.csv").write_text("c0,c1\n")
    with pytest.raises(DataError, match="no rows"):
        dpsynth.synthesize(
            tmp_path / "none.csv", schema=table.schema, epsilon=1.0, out_of_core=True
        )
    with pytest.raises(InvalidValueError, match="left out unless the records are in files"):
        dpsynth.synthesize(table, epsilon=1.0, out_of_core=True)
    with pytest.raises(InvalidValueError, match="schema is None"):
        dpsynth.synthesize(tmp_path, epsilon=1.0)
