"""Random texts, bytes and mutations of valid files: a table or a typed sentence, nothing else.

`DPSYNTH_FUZZ=20` draws twenty times as many examples.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.files import load_csv, load_file, load_parquet, read_frame, save_file
from dpsynth.data.infer import infer_schema
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DpsynthError, SchemaError, UnknownNameError
from tests.doors import check_sentence

TIMES = int(os.environ.get("DPSYNTH_FUZZ", "1"))


def examples(number: int) -> settings:
    return settings(max_examples=number * TIMES, deadline=None)


SCHEMA = Schema(
    unit="person",
    max_rows_per_unit=3,
    columns=(
        IntegerColumn(name="age", lower=0, upper=110, bins=37, on_invalid="clip", missing=True),
        CategoricalColumn(name="sex", categories=("f", "m"), on_invalid="other", other="m"),
        FloatColumn(name="wage", lower=-1.5, upper=1e6),
        CategoricalColumn(name="zip", categories=(1, 2, 30), missing=True),
        CategoricalColumn(name="ill", categories=(False, True)),
    ),
)
TOML = SCHEMA.to_toml().encode()
FRAME = pd.DataFrame(
    {
        "age": pd.array([1, None, 30], dtype="Int64"),
        "sex": ['"f"', "m", "x,\ny"],
        "wage": [-0.5, 3.0, 1e5],
        "zip": [1, None, 30],
        "ill": [True, False, True],
    }
)
CSV = FRAME.to_csv(index=False).encode()
# What is spliced in is likely to mean something where it lands.
TOML_PIECES = (
    *("[[column]]\n", "[column]\n", "kind = ", "name = ", "bins = ", "lower = ", "upper = ", "inf"),
    *('"categorical"', '"integer"', '"float"', '"clip"', '"other"', '"error"', "nan", "-0.0", "''"),
    *("1e999", "9" * 5000, "[" * 2000, "{" * 50, "1979-05-27", "2020-99-99", "true", "\\ud800"),
    *("0x_1", '"""', "\0", "\ufeff", "public_rows = 0\n", "unit = 1\n", "inferred = [[]]\n", "#"),
)
CSV_PIECES = (
    *(",", '"', '""', "\n", "\r", "\r\n", "\0", "\ufeff", "nan", "inf", "1e400", "0x1", "9" * 400),
    *("12 kg", "=1", "٣", "1_0", "True", "NA", "-0.0", "2020-01-01", "12:30:00", "\u2028", ";"),
)


@st.composite
def mutated(draw: st.DrawFn, whole: bytes, pieces: tuple[str, ...]) -> bytes:
    """Return `whole` with slices cut out, copied, or replaced by pieces or random bytes."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(whole)))
        end = min(len(whole), start + draw(st.one_of(st.just(0), st.integers(0, 40))))
        copied = draw(st.integers(0, len(whole)))
        new = draw(
            st.one_of(
                st.sampled_from(pieces).map(str.encode) if pieces else st.binary(max_size=8),
                st.binary(max_size=4),
                st.just(whole[copied : copied + 30]),
            )
        )
        whole = whole[:start] + new + whole[end:]
    return whole


def typed(act: Callable[[], Any]) -> Any:
    """Return what `act` returns, or None when it is refused in a sentence."""
    try:
        return act()
    except DpsynthError as error:
        check_sentence(error)
        return None


@given(text=st.text())
@examples(100)
@example("column = [[[" + "[" * 5000)
@example("public_rows = " + "1" * 5000)
@example("public_rows = 2020-99-99")
def test_no_text_is_more_than_a_schema_can_bear(text: str) -> None:
    typed(lambda: Schema.from_toml(text))


@given(content=mutated(TOML, TOML_PIECES))
@examples(300)
def test_a_mutated_schema_is_a_schema_or_a_sentence(content: bytes) -> None:
    schema = typed(lambda: Schema.from_toml(content.decode(errors="surrogateescape")))
    if schema is not None:
        assert Schema.from_toml(schema.to_toml()) == schema


KEYS: dict[str, dict[str, str]] = {
    "integer": {"lower": "0", "upper": "9", "bins": "5", "on_invalid": "'clip'"},
    "float": {"lower": "0", "upper": "9", "bins": "5", "on_invalid": "'clip'"},
    "categorical": {"categories": "['x']", "on_invalid": "'other'", "other": "'x'"},
}
VALUES = (
    *("true", "0", "-1", "2.5", "nan", "-inf", "''", "'x'", "[]", "['x', 1]", "[[]]", "{}"),
    *("9007199254740992", "1" * 400, "1e400", "1979-05-27", "['x', 'x']", "[true, 1]", "['']"),
)


def written(kind: str, keys: dict[str, str]) -> str:
    return f'[[column]]\nname = "a"\nkind = "{kind}"\n' + "".join(
        f"{key} = {value}\n" for key, value in keys.items()
    )


@pytest.mark.parametrize("kind", KEYS)
def test_every_pair_of_keys_takes_every_pair_of_values(kind: str) -> None:
    refused = 0
    for one, two in combinations(("missing", *KEYS[kind]), 2):
        for values in product(VALUES, repeat=2):
            keys = KEYS[kind] | dict(zip((one, two), values, strict=True))
            schema = typed(lambda keys=keys: Schema.from_toml(written(kind, keys)))
            refused += schema is None
            if schema is not None:
                assert Schema.from_toml(schema.to_toml()) == schema
    assert refused > 1000


@pytest.mark.parametrize("kind", KEYS)
def test_a_column_has_no_key_of_another_kind_and_lacks_none(kind: str) -> None:
    Schema.from_toml(written(kind, KEYS[kind]))
    for key in {key for keys in KEYS.values() for key in keys} - set(KEYS[kind]):
        with pytest.raises(UnknownNameError, match=f"key of schema column 'a' '{key}'"):
            Schema.from_toml(written(kind, KEYS[kind] | {key: "1"}))
    for key in {"lower", "upper", "categories"} & set(KEYS[kind]):
        with pytest.raises(SchemaError, match=f"needs the key '{key}'"):
            Schema.from_toml(written(kind, {k: v for k, v in KEYS[kind].items() if k != key}))


def loaded(content: bytes, suffix: str, read: Callable[[Path], Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"d{suffix}"
        path.write_bytes(content)
        return typed(lambda: read(path))


@given(content=st.binary(max_size=200))
@examples(100)
@example(b'"')
@example(b'a\n"')
@example(b"\xef\xbb\xbf")
def test_no_bytes_are_more_than_the_readers_can_bear(content: bytes) -> None:
    for suffix, read in ((".csv", load_csv), (".parquet", load_parquet)):
        loaded(content, suffix, lambda path, read=read: read(path, SCHEMA))
        loaded(content, suffix, read_frame)


@given(content=mutated(CSV, CSV_PIECES))
@examples(200)
def test_a_mutated_csv_file_is_a_table_or_a_sentence(content: bytes) -> None:
    table = loaded(content, ".csv", lambda path: load_csv(path, SCHEMA))
    assert table is None or isinstance(table, Table)
    frame = loaded(content, ".csv", read_frame)
    if frame is not None:
        typed(lambda: infer_schema(frame, public=True))


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


@given(content=mutated(parquet_bytes(FRAME), ()))
@examples(100)
def test_a_mutated_parquet_file_is_a_table_or_a_sentence(content: bytes) -> None:
    table = loaded(content, ".parquet", lambda path: load_parquet(path, SCHEMA))
    assert table is None or isinstance(table, Table)


VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.text(max_size=9),
    st.binary(max_size=3),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(
        [pd.NA, pd.NaT, np.float32(1), np.bool_(True), np.str_("1"), 10**5000, "\ud800"]
    ),
    st.sampled_from([object(), print, int, ..., {1: 2}, {1}, np.ones(2), pd.Series([1])]),
    st.sampled_from(CSV_PIECES),
)
COLUMNS: tuple[Column, ...] = (
    *SCHEMA.columns,
    CategoricalColumn(name="c", categories=("1", "x"), on_invalid="other", other="x", missing=True),
    FloatColumn(name="f", lower=0, upper=9, on_invalid="clip", missing=True),
)


@given(values=st.lists(VALUE, min_size=1, max_size=4), exact=st.booleans())
@examples(200)
def test_a_column_of_any_objects_is_taken_or_refused(values: list[Any], exact: bool) -> None:
    series = pd.Series(values, dtype=object)
    if not exact:
        # Pandas itself stumbles over some; its types are what is wanted here.
        with suppress(Exception):
            series = series.infer_objects()
    for column in COLUMNS:
        frame = pd.DataFrame({column.name: series})
        table = typed(lambda column=column, frame=frame: Table.from_frame(_one(column), frame))
        assert table is None or len(table) == len(values)


@given(values=st.lists(VALUE, min_size=1, max_size=4))
@examples(100)
@example(values=[10**5000, "x"])
@example(values=[10**400, 1])
def test_a_draft_is_refused_or_fits(values: list[Any]) -> None:
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    schema = typed(lambda: infer_schema(frame, public=True))
    if schema is not None:
        assert len(Table.from_frame(schema, frame)) == len(values)


def _one(column: Column) -> Schema:
    return Schema(columns=(column,))


NASTY = st.one_of(
    st.text(min_size=1, max_size=6),
    st.lists(
        st.sampled_from([*CSV_PIECES, "a", " ", "\t", "|", "\x85", "\x0b", "\\", "'", "PAR1"]),
        min_size=1,
        max_size=4,
    ).map("".join),
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.lists(NASTY, min_size=1, max_size=3, unique=True))
    rows, data, columns = draw(st.integers(1, 5)), {}, list[Column]()
    for name in names:
        kind, missing = draw(st.sampled_from(["text", "integer", "float"])), draw(st.booleans())
        values: Any
        if kind == "text":
            texts = tuple(draw(st.lists(NASTY, min_size=1, max_size=4, unique=True)))
            columns.append(CategoricalColumn(name=name, categories=texts, missing=missing))
            values = st.sampled_from(texts)
        elif kind == "integer":
            bound = 2**53 - 1
            columns.append(IntegerColumn(name=name, lower=-bound, upper=bound, missing=missing))
            values = st.integers(-bound, bound)
        else:
            columns.append(FloatColumn(name=name, lower=-1e300, upper=1e300, missing=missing))
            values = st.floats(-1e300, 1e300)
        drawn = st.one_of(st.none(), values) if missing else values
        data[name] = pd.Series([draw(drawn) for _ in range(rows)], dtype=object)
    return Table.from_frame(Schema(columns=tuple(columns)), pd.DataFrame(data))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(table=tables())
@examples(100)
def test_nasty_texts_and_numbers_are_read_back(suffix: str, table: Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"d{suffix}"
        save_file(table, path)
        again = load_file(path, table.schema)
        pd.testing.assert_frame_equal(again.frame, table.frame, check_exact=True)
        assert Schema.from_toml(table.schema.to_toml()) == table.schema


@pytest.mark.parametrize("make", [
    lambda: CategoricalColumn(name="a", categories=("\ud800",)),
    lambda: CategoricalColumn(name="\ud800", categories=("x",)),
    lambda: Schema(columns=SCHEMA.columns, unit="\ud800"),
    lambda: Schema(columns=SCHEMA.columns, inferred=("\ud800",)),
])  # fmt: skip
def test_lone_surrogates_are_no_texts(make: Callable[[], object]) -> None:
    with pytest.raises(SchemaError, match=r"'\\ud800' is not allowed"):
        make()
