"""Open schemas out of core: what is bought is that of memory to the last bit, after every check."""

import os
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.curator import number_spool, raw_spool
from dpsynth.curator.raw_spool import raw_spooled
from dpsynth.data import parts as data_parts
from dpsynth.data.clock import Clock
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.constraints import Forbidden
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import DpsynthError, FileError
from dpsynth.synthesis import Synthesis
from tests.doors import counted_charges

ROWS = 6000
COLUMNS: tuple[Column | OpenColumn, ...] = (
    OpenText(name="city"),
    OpenNumber(name="visits", whole=True, missing=False),
    OpenNumber(name="pay", whole=False),
    OpenNumber(name="weight", whole=False, lower=-9, binning="quantile", missing=False),
    OpenNumber(name="day", whole=True, clock=Clock(kind="date")),
    OpenNumber(name="score", whole=True, lower=0, upper=999, binning="width"),
    FloatColumn(name="share", lower=0, upper=1, missing=True),
    CategoricalColumn(name="sex", categories=("f", "m")),
)
SCHEMA = OpenSchema(columns=COLUMNS)
CLOSED = Schema(
    columns=(
        CategoricalColumn(
            name="city", categories=("Rome", "else"), on_invalid="other", other="else", missing=True
        ),
        IntegerColumn(name="visits", lower=0, upper=1500, on_invalid="clip"),
        FloatColumn(name="pay", lower=0, upper=3000, on_invalid="clip", missing=True),
        FloatColumn(name="weight", lower=-9, upper=9, on_invalid="clip"),
        IntegerColumn(name="day", lower=18000, upper=19000, clock=Clock(kind="date"), missing=True),
        IntegerColumn(name="score", lower=0, upper=999),
        FloatColumn(name="share", lower=0, upper=1, missing=True),
        CategoricalColumn(name="sex", categories=("f", "m")),
    ),
    on_violation="drop",
)


def records(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    rare = [f"only {i}" for i in range(rows)]
    cities = np.where(rng.random(rows) < 0.9, rng.choice(["Rome", "Oslo", "Bonn"], rows), rare)
    days = pd.Timestamp("2020-02-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D")
    frame = pd.DataFrame(
        {
            "city": cities,
            "visits": rng.poisson(3, rows) * rng.integers(1, 400, rows),
            "pay": np.round(rng.lognormal(6, 1, rows), 2),
            "weight": rng.normal(0, 3, rows),
            "day": days,
            "score": rng.integers(0, 1000, rows),
            "share": rng.random(rows) ** 2,
            "sex": rng.choice(["f", "m"], rows),
        }
    )
    for name in ("city", "pay", "day", "share"):
        frame.loc[rng.random(rows) < 0.1, name] = None
    return frame


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All records in one CSV file."""
    path = tmp_path_factory.mktemp("whole") / "all.csv"
    records().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds them in parts of two kinds, one of which has no records."""
    folder, frame = tmp_path_factory.mktemp("parts"), records()
    frame[:2500].to_csv(folder / "a.csv", index=False)
    frame[2500:2501].to_parquet(folder / "b.parquet", index=False)
    frame[2501:].to_parquet(folder / "c.parquet", index=False, row_group_size=900)
    frame[:0].to_parquet(folder / "d.parquet", index=False)
    return folder


def fit(data: Path, schema: OpenSchema | Schema = SCHEMA, **options: Any) -> Synthesis:
    options = {"generator": "independent", "epsilon": 2.0, "seed": 5, **options}
    return dpsynth.synthesize(data, schema=schema, **options)


def check_same(one: Synthesis, other: Synthesis) -> None:
    """Check that pieces, too, which columns leave out when they are compared, are the same."""
    assert one.receipt.to_json() == other.receipt.to_json()
    assert one.schema.to_toml() == other.schema.to_toml()
    assert one.schema == other.schema
    mine, theirs = one.sample(2000).frame, other.sample(2000).frame
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


@pytest.mark.parametrize("held", [2**22, 2**10], ids=["in memory", "in runs"])
@pytest.mark.parametrize("generator", ["independent", "mst"])
def test_what_is_bought_is_that_of_memory(
    generator: str, held: int, whole: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_spool, "HELD", held)
    monkeypatch.setattr(raw_spool, "BLOCK", 700)
    runs, written = list[int](), number_spool.written

    def watched(file: IO[bytes], at: int, capacity: int, *more: Any, **named: Any) -> Any:
        runs.append(capacity)
        return written(file, at, capacity, *more, **named)

    monkeypatch.setattr(number_spool, "written", watched)
    memory = fit(whole, generator=generator, out_of_core=False)
    assert runs == []
    check_same(fit(whole, generator=generator, out_of_core=True), memory)
    check_same(fit(parts, generator=generator), memory)
    assert (len(runs) > 50) == (held < 2**22)
    bought = [entry.label for entry in memory.receipt.entries]
    for label in ("frequent values of city", "tree of day", "decimals of pay", "spread of share"):
        assert label in bought


def test_records_that_a_constraint_leaves_out_are_asked_nothing(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_spool, "BLOCK", 700)
    rule = Forbidden(when={"visits": "<500", "city": "Rome"})  # of open columns, too
    schema = OpenSchema(columns=COLUMNS, settings={"constraints": (rule,), "on_violation": "drop"})
    memory = fit(whole, schema, out_of_core=False)
    check_same(fit(whole, schema, out_of_core=True), memory)
    assert memory.model.total < 0.9 * ROWS


@pytest.mark.parametrize("opened", [True, False], ids=["open", "closed"])
def test_files_are_read_again_only_where_what_is_bought_makes_the_codes(
    opened: bool, whole: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one record of a part is left out, and others.
    rule = Forbidden(when={"sex": str(records()["sex"][2500]), "score": "0..900"})
    schema = SCHEMA if opened else replace(CLOSED, constraints=(rule,))
    memory = fit(whole, schema, out_of_core=False)
    assert "spread of pay" in [entry.label for entry in memory.receipt.entries]
    monkeypatch.setattr(raw_spool, "BLOCK", 700)
    read, reading = list[str](), data_parts.opened_to_read

    def watched(path: Path) -> Any:
        read.append(path.name)
        return reading(path)

    monkeypatch.setattr(data_parts, "opened_to_read", watched)
    check_same(fit(parts, schema), memory)
    assert read == [path.name for path in sorted(parts.iterdir())] * (2 if opened else 1)


def test_without_a_delta_and_with_bounds(whole: Path) -> None:
    schema = OpenSchema(columns=tuple(c for c in COLUMNS if c.name != "city"))
    path = whole.parent / "numbers.csv"
    records().drop(columns="city").to_csv(path, index=False)
    for options in ({"delta": 0.0, "accountant": "pure"}, {"accountant": "gdp"}):
        models = [fit(path, schema, out_of_core=o, **options) for o in (False, True)]
        check_same(*models)


def test_units_are_counted_and_the_receipt_is_that_of_memory(whole: Path) -> None:
    who = CategoricalColumn(name="who", categories=tuple(f"p{i}" for i in range(ROWS // 2)))
    schema = OpenSchema(
        columns=(who, OpenNumber(name="pay", whole=False)),
        settings={"unit": "who", "max_rows_per_unit": 2},
    )
    frame = records()[["pay"]].assign(who=[f"p{i // 2}" for i in range(ROWS)])
    path = whole.parent / "units.csv"
    frame.to_csv(path, index=False)
    model = fit(path, schema, out_of_core=True)
    assert model.receipt.budget.max_rows_per_unit == 2
    assert "bounds of pay" in [entry.label for entry in model.receipt.entries]


def with_pay(schema: OpenSchema, **settings: Any) -> OpenSchema:
    return OpenSchema(columns=schema.columns, settings=settings)


def last(name: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return what puts a value into the last record alone."""

    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        column = frame[name].astype(object)
        column.iloc[-1] = value
        return frame.assign(**{name: column})

    return changed


REFUSED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], OpenSchema, str]] = {
    "no number": (last("pay", "12 kg"), SCHEMA, "'12 kg', but values must be numbers"),
    "infinite": (last("pay", "inf"), SCHEMA, "must be finite"),
    "a fraction": (last("visits", 1.5), SCHEMA, "has 1.5, but values must be whole numbers"),
    "too large": (last("visits", 2**60), SCHEMA, "within 2"),
    "missing": (last("visits", None), SCHEMA, "missing = false"),
    "no date": (last("day", "2020-02-31"), SCHEMA, "values must be dates"),
    "out of bounds": (last("share", 1.5), SCHEMA, "between 0.0 and 1.0"),
    "no category": (last("sex", "x"), SCHEMA, "one of the 2 categories"),
    "a column too many": (lambda f: f.assign(more=1), SCHEMA, "unknown column of the schema"),
    "a column too few": (lambda f: f.drop(columns="pay"), SCHEMA, "unknown column of the table"),
    "no records": (lambda f: f[:0], SCHEMA, "no rows"),
    "public rows": (lambda f: f, with_pay(SCHEMA, public_rows=7), "public_rows = 7"),
    "a constraint": (
        last("sex", "m"),
        with_pay(SCHEMA, constraints=(Forbidden(when={"sex": "m"}),)),
        "constraint 1 of the schema",
    ),
    "all dropped": (
        lambda f: f.assign(sex="m"),
        with_pay(SCHEMA, constraints=(Forbidden(when={"sex": "m"}),), on_violation="drop"),
        "no rows that keep the constraints",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_refused_before_anything_is_spent(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, schema, said = REFUSED[case]
    monkeypatch.setattr(raw_spool, "BLOCK", 100)
    charges = counted_charges(monkeypatch)
    change(records(1000)).to_csv(tmp_path / "d.csv", index=False)
    sentences = set[str]()
    for out_of_core in (False, True):
        with pytest.raises(DpsynthError, match=said) as refusal:
            fit(tmp_path / "d.csv", schema, out_of_core=out_of_core)
        sentences.add(str(refusal.value))
    assert len(sentences) == 1
    assert charges == []


UNITS: dict[str, tuple[Column | OpenColumn, str]] = {
    "too many rows": (CategoricalColumn(name="who", categories=("a", "b")), "at most 2 rows"),
    "shared codes": (IntegerColumn(name="who", lower=0, upper=99, bins=2), "code for each of its"),
    "open": (OpenText(name="who"), "code for each of its"),
}


@pytest.mark.parametrize("case", UNITS)
def test_units_that_cannot_be_bounded_are_refused_before_anything_is_spent(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charges = counted_charges(monkeypatch)
    column, said = UNITS[case]
    values = [1, 2, 1, 1] if isinstance(column, IntegerColumn) else ["a", "b", "a", "a"]
    pd.DataFrame({"who": values, "x": 1.5}).to_csv(tmp_path / "d.csv", index=False)
    columns = (column, OpenNumber(name="x", whole=False))
    schema = OpenSchema(columns=columns, settings={"unit": "who", "max_rows_per_unit": 2})
    with pytest.raises(DpsynthError, match=said):
        fit(tmp_path / "d.csv", schema, out_of_core=True)
    with pytest.raises(DpsynthError, match="unknown column of the schema 'who'"):
        fit(tmp_path / "d.csv", replace(schema, columns=columns[1:]), out_of_core=True)
    assert charges == []


def test_an_accountant_of_plans_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DpsynthError, match="an open schema needs 'zcdp', 'gdp' or 'pure'"):
        fit(tmp_path / "none.csv", accountant="pld")


@pytest.mark.parametrize(
    ("schema", "options", "said"),
    [
        (SCHEMA, {"accountant": "gdp"}, "cannot bound 'DP-SGD'"),
        (SCHEMA, {"out_of_core": True}, "they are in a file"),
        (Schema(columns=(COLUMNS[-2],)), {"accountant": "gdp"}, "cannot bound 'DP-SGD'"),  # type: ignore[arg-type]
        (Schema(columns=(COLUMNS[-2],)), {"out_of_core": True}, "they are in a file"),  # type: ignore[arg-type]
    ],
)
def test_training_is_refused_before_anything_is_bought(
    schema: OpenSchema, options: Any, said: str, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charges = counted_charges(monkeypatch)
    with pytest.raises(DpsynthError, match=said):
        fit(whole, schema, generator="dpvae", **options)
    assert charges == []


def test_too_many_texts_are_refused_before_anything_is_spent(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charges = counted_charges(monkeypatch)
    monkeypatch.setattr(raw_spool, "TEXT_BYTES", 300 * 220)
    with pytest.raises(DpsynthError, match="too many to count them out of memory") as refusal:
        fit(whole, out_of_core=True)
    assert "column 'city' has '" in str(refusal.value)
    assert charges == []


def test_a_file_that_changes_between_its_readings_is_refused(
    parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled = raw_spool.spooled

    @contextmanager
    def touched(paths: list[Path], schema: Schema) -> Any:
        os.utime(parts / "a.csv")
        with spooled(paths, schema) as stored:
            yield stored

    monkeypatch.setattr(raw_spool, "spooled", touched)
    with pytest.raises(FileError, match=r"a\.csv: it changed while its records were counted"):
        fit(parts)


@pytest.mark.parametrize("wrong", [False, True])
def test_no_temporary_file_is_left(
    wrong: bool, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_spool, "HELD", 2**10)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened, temporary = list[IO[bytes]](), number_spool.temporary

    @contextmanager
    def kept() -> Any:
        with temporary() as file:
            opened.append(file)
            assert os.fstat(file.fileno()).st_nlink == 0
            yield file

    monkeypatch.setattr(number_spool, "temporary", kept)
    paths = [parts / "a.csv", parts / "c.parquet"]
    if wrong:
        last("pay", -np.inf)(records(100)).to_csv(tmp_path / "w.csv", index=False)
        with (
            pytest.raises(DpsynthError, match="must be finite"),
            raw_spooled([*paths, tmp_path / "w.csv"], SCHEMA),
        ):
            pass
        assert len(opened) > 3
    else:
        with raw_spooled(paths, SCHEMA) as columns:
            held = [file for file in opened if not file.closed]
            assert 3 < len(held) < len(opened), "runs are gone once they are merged"
            assert columns.numbers("pay").present > 0
            assert [p.name for p in tmp_path.iterdir()] == []
            raise_if_shown(repr(columns))
    assert all(file.closed for file in opened)


def raise_if_shown(text: str) -> None:
    assert "Rome" not in text
    assert str(ROWS - 1) not in text
