"""No files, bad Parquet files, and schemas that contradict the file: both doors refuse each in one
sentence, before anything is spent or written."""

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.files import load_file
from dpsynth.data.schema import Schema
from tests.doors import Doors

INTEGER = IntegerColumn(name="a", lower=0, upper=9)
FLOAT = FloatColumn(name="a", lower=0, upper=9)
TEXT = CategoricalColumn(name="a", categories=("x", "y"))


def written(table: pa.Table) -> bytes:
    buffer = BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def column_of(values: Any) -> bytes:
    return written(pa.table({"a": values}))


BROKEN_TEXT = pa.Array.from_buffers(
    pa.string(), 1, [None, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff")]
)
WHOLE = column_of([1, 2, 3])

PARQUET: dict[str, tuple[bytes, Column, str]] = {
    "a CSV file": (b"a\n1\n", INTEGER, "d.parquet: it is not a Parquet file, or a damaged one"),
    "nothing": (b"", INTEGER, "it is not a Parquet file, or a damaged one"),
    "half a file": (
        WHOLE[: len(WHOLE) // 2],
        INTEGER,
        "it is not a Parquet file, or a damaged one",
    ),
    "broken texts": (column_of(BROKEN_TEXT), TEXT, "it is not a Parquet file, or a damaged one"),
    "no rows": (column_of(pa.array([], pa.int64())), INTEGER, "table has 'no rows', but"),
    "no columns": (written(pa.table({})), INTEGER, "unknown column of the table 'a'; known: none"),
    "names twice": (
        written(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])),
        INTEGER,
        "column 'a' has 'several columns of that name', but names must be unique",
    ),
    "lists": (column_of([[1]]), INTEGER, "column 'a' has 'ndarray', but values must be texts"),
    "records": (column_of([{"q": 1}]), TEXT, "column 'a' has 'dict', but values must be texts"),
    "bytes": (column_of([b"1"]), INTEGER, "column 'a' has 'bytes', but values must be texts"),
    "nothing but gaps": (column_of([None]), INTEGER, "column 'a' has nan, but its schema says"),
    "dates": (
        column_of(pa.array([9], pa.date32())),
        INTEGER,
        "column 'a' has 1970-01-10, but values",
    ),
    "dates out of range": (
        column_of(pa.array([10**7], pa.date32())),
        INTEGER,
        "a date beyond the year 9999",
    ),
    "times": (
        column_of(pa.array([9], pa.timestamp("us", "UTC"))),
        INTEGER,
        "has 1970-01-01 00:00:00.000009+00:00, but",
    ),
    "large integers": (
        column_of(pa.array([2**63], pa.uint64())),
        INTEGER,
        "has 9223372036854775808, but values must",
    ),
    "infinite": (column_of([np.inf]), FLOAT, "column 'a' has inf, but values must lie between"),
    "truth values": (column_of([True]), INTEGER, "column 'a' has True, but values must be numbers"),
    "text": (column_of(["12 kg"]), INTEGER, "column 'a' has '12 kg', but values must be numbers"),
}


@pytest.mark.parametrize("case", PARQUET)
def test_a_parquet_file_with_a_mistake(doors: Doors, case: str) -> None:
    content, column, said = PARQUET[case]
    (doors.folder / "d.parquet").write_bytes(content)
    sentence = doors.refuse("d.parquet", Schema(columns=(column,)), said)
    doors.refuse_in_blocks("d.parquet", sentence)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 0], pa.uint8()),
        pa.array([1.0, -0.0], pa.float32()),
        pa.array([1, 0], pa.decimal128(5, 2)),
        pa.array(["1", "0"], pa.large_string()),
        pa.array(["1", "0"]).dictionary_encode(),
    ],
    ids=lambda v: str(v.type),
)
def test_numbers_of_every_parquet_type_are_numbers(doors: Doors, values: Any) -> None:
    (doors.folder / "d.parquet").write_bytes(column_of(values))
    schema = Schema(columns=(FLOAT,))
    assert str(load_file("d.parquet", schema).frame["a"].tolist()) == "[1.0, 0.0]"
    doors.take("d.parquet", schema)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def unreadable(path: Path) -> None:
    path.write_bytes(b"a\n1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")


@pytest.mark.parametrize("name", ["d.csv", "d.parquet"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.mkdir, "there is no .csv or .parquet file in this folder"),
        (a_pipe, "it cannot be read, because it is a pipe or a device and not a file"),
        (a_loop, "it cannot be read (Too many levels of symbolic links)"),
        (unreadable, "it cannot be read (Permission denied)"),
        (lambda _: None, "there is no such file"),
    ],
    ids=["folder", "pipe", "loop", "unreadable", "absent"],
)
def test_what_is_no_file(
    doors: Doors, name: str, make: Callable[[Path], object], said: str
) -> None:
    make(doors.folder / name)
    doors.refuse(name, Schema(columns=(INTEGER,)), f"{name}: {said}")


def test_a_parquet_file_by_the_name_of_csv(doors: Doors) -> None:
    (doors.folder / "d.csv").write_bytes(WHOLE)
    rule = "it is a Parquet file, so its name must end in '.parquet'"
    doors.refuse("d.csv", Schema(columns=(INTEGER,)), rule)
    (doors.folder / "PAR1.csv").write_bytes(b"PAR1\n1\n")
    doors.take("PAR1.csv", Schema(columns=(IntegerColumn(name="PAR1", lower=0, upper=9),)))


@pytest.mark.parametrize("path", ["\0.csv", "x" * 5000 + ".csv", "d.xlsx", "d", ""])
def test_names_that_no_file_has(doors: Doors, path: str) -> None:
    doors.refuse(path, Schema(columns=(INTEGER,)), "")


def test_a_schema_that_is_no_file(doors: Doors) -> None:
    (doors.folder / "d.csv").write_text("a\n1\n")
    a_pipe(doors.folder / "pipe.toml")
    (doors.folder / "latin.toml").write_bytes(b"unit = '\xe4'")
    for path, said in (
        ("pipe.toml", "it cannot be read, because it is a pipe or a device and not a file"),
        ("/dev/zero", "it cannot be read, because it is a pipe or a device and not a file"),
        ("latin.toml", "it cannot be read, as it is not a text in UTF-8"),
        ("none.toml", "no such schema file"),
    ):
        code, complaint = doors.run(
            *("synthesize", "d.csv", "--schema", path, "--epsilon", "1", "--out", "o.csv")
        )
        assert (code, complaint) == (2, f"dpsynth: {path}: {said}.\n")
    assert doors.charges == []


def test_the_number_of_records_is_what_the_schema_declares(doors: Doors) -> None:
    (doors.folder / "d.csv").write_text("a\n1\n2\n")
    doors.take("d.csv", Schema(columns=(INTEGER,), public_rows=2))
    doors.charges.clear()
    rule = "table has '2 rows', but its schema declares public_rows = 3"
    for path in ("o.csv", "r.json"):
        (doors.folder / path).unlink()
    sentence = doors.refuse("d.csv", Schema(columns=(INTEGER,), public_rows=3), rule)
    doors.refuse_in_blocks("d.csv", sentence)


def test_of_a_unit_with_more_rows_than_declared_some_are_left_out(doors: Doors) -> None:
    (doors.folder / "d.csv").write_text("a\n1\n1\n2\n")
    text = Schema(columns=(INTEGER,)).to_toml().replace('unit = "record"', 'unit = "a"')
    rule = "'unit = a' is not allowed, max_rows_per_unit must be declared with it"
    doors.refuse("d.csv", text.replace("max_rows_per_unit = 1\n", ""), rule)
    doors.take("d.csv", Schema(columns=(INTEGER,), unit="a", max_rows_per_unit=1))
