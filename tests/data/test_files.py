"""Files: what is written is read back equal, and a bad file is one sentence."""

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.files import (
    load_csv,
    load_file,
    load_parquet,
    read_frame,
    save_blocks,
    save_file,
)
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, DpsynthError, FileError, InvalidValueError, UnknownNameError

NUMBER = Schema(columns=(IntegerColumn(name="a", lower=0, upper=9),))


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    kinds = st.one_of(
        st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True),
        st.lists(st.integers(1 - 2**53, 2**53 - 1), min_size=1, max_size=5, unique=True),
        st.just([False, True]),
    )
    names = draw(st.lists(st.text(min_size=1), min_size=3, max_size=3, unique=True))
    missing = draw(st.booleans())
    return Schema(
        columns=(
            CategoricalColumn(name=names[0], categories=tuple(draw(kinds)), missing=missing),
            IntegerColumn(name=names[1], lower=1 - 2**53, upper=2**53 - 1, missing=missing),
            FloatColumn(name=names[2], lower=-1e17, upper=1e-3, missing=missing),
        )
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(schema=schemas(), seed=st.integers(0, 2**32 - 1), width=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read_back(suffix: str, schema: Schema, seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    schema = Schema(columns=schema.columns[:width])
    codes = rng.integers(0, schema.domain.shape, (30, width))
    table = Codec(schema=schema).decode(codes, rng=rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{suffix}"
        save_file(table, path)
        again = load_file(path, schema)
    pd.testing.assert_frame_equal(table.frame, again.frame, check_exact=True)


def test_only_an_empty_field_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('c\nNA\n\n""\nNone\nnull\n', encoding="utf-8")
    column = CategoricalColumn(name="c", categories=("NA", "None", "null"), missing=True)
    table = load_csv(path, Schema(columns=(column,)))
    assert table.values("c").codes.tolist() == [0, -1, 1, 2]


def test_texts_stay_texts_and_a_byte_order_mark_is_no_name(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("zip,a\n01234,1\n".encode("utf-8-sig"))
    column = CategoricalColumn(name="zip", categories=("01234",))
    assert len(load_csv(path, Schema(columns=(column, *NUMBER.columns)))) == 1


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "a header line and at least one record"),
        (b"a\n1,2\n3,4\n", r"record 1 has more fields \(2\) than the header line \(1\)"),
        (b"a,b\n1\n", r"record 1 has fewer fields \(1\) than the header line \(2\)"),
        (b"a\n1\n2,3\n", r"record 2 has more fields"),
        (b"a\n\xff\n", "line 2 holds the byte 0xff, so it is not a text in UTF-8"),
    ],
)
def test_a_file_that_is_no_csv_is_one_sentence(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    for read in (lambda: load_csv(path, NUMBER), lambda: read_frame(path)):
        with pytest.raises(FileError, match=rule) as refusal:
            read()
        assert "\n" not in str(refusal.value)
        assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "kind", "rule"),
    [
        ("a\n", DataError, "no rows"),
        ("b\n1\n", UnknownNameError, "column of the table 'a'"),
        ("a,b\n1,2\n", UnknownNameError, "column of the schema 'b'"),
        ("a\n2020-01-01\n", DataError, "must be numbers"),
        ("a\nten\n", DataError, "column 'a' has 'ten'"),
        ("a\n10\n", DataError, "between 0 and 9"),
        ("a\nTrue\n", DataError, "must be numbers"),
        ('a\n1\n""\n', DataError, "missing = false"),
        ("a\n99999999999999999999\n", DataError, "between 0 and 9"),
    ],
)
def test_records_that_do_not_fit_are_named(
    tmp_path: Path, content: str, kind: type[DpsynthError], rule: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(kind, match=rule):
        load_file(path, NUMBER)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(FileError, match="no such file"):
            load_file(tmp_path / name, NUMBER)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileError, match="cannot be read"):
        load_file(tmp_path / "folder.csv", NUMBER)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(FileError, match="not a Parquet file"):
        load_parquet(tmp_path / "bad.parquet", NUMBER)


def test_the_suffix_says_which_kind(tmp_path: Path) -> None:
    table = Codec(schema=NUMBER).decode(np.array([[3]]), rng=np.random.default_rng(0))
    for act in (
        lambda: load_file("t.xlsx", NUMBER),
        lambda: read_frame("t"),
        lambda: save_file(table, tmp_path / "t.json"),
    ):
        with pytest.raises(InvalidValueError, match=r"'\.csv' or '\.parquet'"):
            act()
    save_file(table, tmp_path / "T.CSV")
    assert (tmp_path / "T.CSV").read_text() == "a\n3\n"


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    table = Codec(schema=NUMBER).decode(np.array([[3]]), rng=np.random.default_rng(0))
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(FileError, match="nothing was changed"):
        save_file(table, tmp_path / "t.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_blocks_are_one_file_and_are_asked_for_one_by_one(tmp_path: Path, suffix: str) -> None:
    codec, rng = Codec(schema=NUMBER), np.random.default_rng(0)
    blocks = [np.array([[3], [4]]), np.array([[5]]), np.array([[6], [7]])]

    def alive() -> int:
        gc.collect()
        return sum(type(thing) is Table for thing in gc.get_objects())

    before = alive()

    def tables() -> Iterator[Table]:
        for codes in blocks:
            assert alive() <= before + 1  # the one just written
            yield codec.decode(codes, rng=rng)

    path = tmp_path / f"t{suffix}"
    assert save_blocks(tables(), path) == 5
    assert load_file(path, NUMBER).frame["a"].tolist() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path, suffix: str) -> None:
    table = Codec(schema=NUMBER).decode(np.array([[3]]), rng=np.random.default_rng(0))
    path = tmp_path / f"t{suffix}"
    save_file(table, path)
    before = path.read_bytes()

    def tables() -> Iterator[Table]:
        yield table
        raise InvalidValueError("block", 2, "drawn")

    with pytest.raises(InvalidValueError, match="block is 2"):
        save_blocks(tables(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_dates_beside_a_large_field_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"day,note\n2020-01-01,{'x' * 3_000_000}\n")
    assert read_frame(path)["day"].tolist() == ["2020-01-01"]


def test_texts_are_quoted_where_they_must_be(tmp_path: Path) -> None:
    texts = ("a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", " a ", "'")
    schema = Schema(columns=(CategoricalColumn(name="c", categories=texts), *NUMBER.columns))
    codes = np.column_stack([np.arange(7), np.arange(7)])
    table = Codec(schema=schema).decode(codes, rng=np.random.default_rng(0))
    save_file(table, tmp_path / "t.csv")
    assert load_file(tmp_path / "t.csv", schema).frame["c"].tolist() == list(texts)
    assert read_frame(tmp_path / "t.csv")["c"].tolist() == list(texts)
