"""Tables in parts: the records of the whole, the errors of the whole, and one sentence for a bad
part."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import csv_blocks
from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.constraints import Ordered
from dpsynth.data.encoding import Codec
from dpsynth.data.files import load_file, save_file
from dpsynth.data.parts import larger_than_memory, part_paths, read_parts, row_groups
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, DpsynthError, FileError, InvalidValueError, UnknownNameError

SCHEMA = Schema(
    columns=(
        CategoricalColumn(name="text", categories=("a,b", "NA", "1", 'q"'), missing=True),
        CategoricalColumn(name="number", categories=(1, 2, 3), missing=True),
        CategoricalColumn(name="truth", categories=(False, True)),
        IntegerColumn(name="whole", lower=0, upper=999, missing=True),
        FloatColumn(name="real", lower=-1.0, upper=1.0, on_invalid="clip", missing=True),
    )
)


def table_of(rows: int, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, SCHEMA.domain.shape, (rows, len(SCHEMA.columns)))
    return Codec(schema=SCHEMA).decode(codes, rng=rng)


def joined(paths: list[Path], rows: int, schema: Schema = SCHEMA) -> pd.DataFrame:
    frames = [table.frame for table in read_parts(paths, schema, rows=rows)]
    assert all(0 < len(frame) <= rows for frame in frames)
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(rows=st.integers(1, 50), block=st.integers(1, 60), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_blocks_are_the_records_of_the_file(
    suffix: str, rows: int, block: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("parts") / f"t{suffix}"
    save_file(table_of(rows, seed), path)
    whole = load_file(path, SCHEMA).frame
    pd.testing.assert_frame_equal(joined([path], block), whole, check_exact=True)


@pytest.mark.parametrize(
    "fields",
    [
        ["1", "2.5", "3"],
        ["1", "", "3"],
        [" 1", "1e2", "-0"],
        ["31", "5", "007"],
        ["+5", "nan", ".5"],
        ['"12"', '""', "9"],
    ],
)
def test_csv_blocks_read_numbers_as_the_whole_file_does(
    fields: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "_BLOCK_BYTES", 40)  # a few lines
    schema = Schema(
        columns=(
            FloatColumn(name="x", lower=-10.0, upper=1000.0, missing=True),
            CategoricalColumn(name="pad", categories=("p" * 20,)),
        )
    )
    path = tmp_path / "t.csv"
    path.write_text("x,pad\n" + "".join(f"{field},{'p' * 20}\n" for field in fields * 3))
    assert len(list(read_parts([path], schema, rows=99))) > 2, "it was not read in blocks"
    whole = load_file(path, schema).frame
    pd.testing.assert_frame_equal(joined([path], 99, schema), whole, check_exact=True)


def test_empty_row_groups_and_files_without_records_are_passed_over(tmp_path: Path) -> None:
    frame = table_of(30).frame
    records = pa.Table.from_pandas(frame, preserve_index=False)
    with pq.ParquetWriter(tmp_path / "b.parquet", records.schema) as writer:
        for part in (records.slice(0, 0), records.slice(0, 20), records.slice(20, 0), records[20:]):
            writer.write_table(part)
    pq.write_table(records.slice(0, 0), tmp_path / "a.parquet")
    save_file(table_of(30), tmp_path / "c.csv")
    (tmp_path / "d.csv").write_text("text,number,truth,whole,real\n")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden.csv").write_text("x\n")
    paths = part_paths(tmp_path)
    assert [p.name for p in paths] == ["a.parquet", "b.parquet", "c.csv", "d.csv"]
    twice = pd.concat([frame, frame], ignore_index=True)
    pd.testing.assert_frame_equal(joined(paths, 7), twice, check_exact=True)
    assert sum(row_groups(paths[1])) == 30


def test_blocks_of_which_all_records_are_left_out_are_passed_over(tmp_path: Path) -> None:
    columns = tuple(IntegerColumn(name=name, lower=0, upper=3) for name in "ab")
    ordered = (Ordered(lower="a", upper="b"),)
    schema = Schema(columns=columns, constraints=ordered, on_violation="drop")
    frame = pd.DataFrame({"a": [3, 3, 0, 1, 3], "b": [0, 1, 0, 0, 2]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    whole = load_file(tmp_path / "t.csv", schema).frame
    pd.testing.assert_frame_equal(joined([tmp_path / "t.csv"], 2, schema), whole)
    frame[:2].to_csv(tmp_path / "none.csv", index=False)
    assert list(read_parts([tmp_path / "none.csv"], schema, rows=2)) == []


def break_value(path: Path) -> None:
    frame = table_of(40).frame
    frame.loc[33, "whole"] = 1000
    frame.to_parquet(path, index=False)


def break_empty(path: Path) -> None:
    table_of(9).frame[["text"]][:0].to_parquet(path)


def break_truncated(path: Path) -> None:
    save_file(table_of(40), path)
    path.write_bytes(path.read_bytes()[:-20])


def break_page(path: Path) -> None:
    save_file(table_of(4000), path)
    content = bytearray(path.read_bytes())
    content[4:400] = b"\xff" * 396
    path.write_bytes(bytes(content))


def break_csv_line(path: Path) -> None:
    save_file(table_of(40), path)
    path.write_text(path.read_text()[:-10].rsplit(",", 1)[0])


def break_encoding(path: Path) -> None:
    path.write_bytes(b"text,number,truth,whole,real\nNA,1,true,\xff,0\n")


@pytest.mark.parametrize(
    ("name", "spoil", "error"),
    [
        ("t.parquet", break_value, DataError),
        ("t.parquet", break_truncated, FileError),
        ("t.parquet", break_page, FileError),
        ("t.csv", break_csv_line, FileError),
        ("t.csv", break_encoding, FileError),
        ("t.parquet", lambda p: table_of(9).frame.drop(columns="real").to_parquet(p), LookupError),
        ("t.parquet", lambda p: table_of(9).frame.assign(z=1).to_parquet(p), UnknownNameError),
        ("t.parquet", break_empty, UnknownNameError),
        ("t.csv", lambda p: p.write_text("text,number,truth,whole\n"), UnknownNameError),
        ("t.csv", lambda p: p.write_text(""), FileError),
    ],
)
def test_a_bad_part_is_the_sentence_of_a_bad_file(
    name: str, spoil: Any, error: type[Exception], tmp_path: Path
) -> None:
    save_file(table_of(40), tmp_path / "good.parquet")
    spoil(tmp_path / name)
    with pytest.raises(error) as part:
        joined([tmp_path / "good.parquet", tmp_path / name], 16)
    with pytest.raises(error) as whole:
        load_file(tmp_path / name, SCHEMA)
    assert isinstance(part.value, DpsynthError)
    what_arrow_says = " ("
    assert str(part.value).split(what_arrow_says)[0] == str(whole.value).split(what_arrow_says)[0]
    assert str(tmp_path / name) in f"{part.value} {getattr(part.value, '__notes__', '')}"


def test_names_of_parts(tmp_path: Path) -> None:
    for name in ("p1.parquet", "p2.parquet", "q.csv", "odd.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in part_paths(str(tmp_path / "p*.parquet"))] == [
        "p1.parquet",
        "p2.parquet",
    ]
    assert part_paths(tmp_path / "missing.csv") == [tmp_path / "missing.csv"]
    with pytest.raises(FileError, match="no file has a name like this"):
        part_paths(str(tmp_path / "x*.csv"))
    with pytest.raises(InvalidValueError, match=r"ends in '\.csv'"):
        part_paths(str(tmp_path / "o*"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"no \.csv or \.parquet file in this folder"):
        part_paths(tmp_path / "empty")


def test_only_small_single_files_are_held_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(2**28 + 1)
    (tmp_path / "small.csv").touch()
    assert larger_than_memory(tmp_path / "large.csv")
    assert larger_than_memory(tmp_path)
    assert larger_than_memory(str(tmp_path / "*.csv"))
    assert not larger_than_memory(tmp_path / "small.csv")
    assert not larger_than_memory(tmp_path / "missing.csv")
