"""Fit records larger than memory: peak memory and seconds of whole processes, speed of counting.

    python scripts/bench_scale.py [--rows 100000000] [--generators mst two_stage] [--folder DIR]
        [--schemas closed open] [--kinds parquet csv] [--continuous]

Records of 20 columns (texts, whole numbers, numbers) are made on the spot, in Parquet files of five
million; they and the temporary file need some 4 GB for 100 million. Each fit is one process of
`dpsynth synthesize`, imports and synthetic records included. An open schema knows no more of the
columns than whether they hold texts, whole numbers or numbers. The three ways to count all pairs
(codes made anew for each pass, DuckDB, codes kept in a file) are timed on fewer rows; DuckDB only
where it is installed. The machine's load is part of the numbers, and is printed with them.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import combinations, product
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, process_time
from typing import Any

import numpy as np
from peers.running import PeerError, timed

from dpsynth.curator.blocks import BlockCounter
from dpsynth.curator.counting import CellCounter
from dpsynth.curator.spool import spooled
from dpsynth.curator.tally import BLOCK, Tally, passes
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.parts import part_paths, read_parts
from dpsynth.data.schema import Schema
from dpsynth.report.tables import Grid

_PART, _CHUNK = 5_000_000, 2**19
_SIZES = (2, 3, 4, 5, 7, 9, 12, 12)
_WORDS = tuple(f"category {i}" for i in range(max(_SIZES)))
_WRITERS = {"parquet": ("pyarrow.parquet", "ParquetWriter"), "csv": ("pyarrow.csv", "CSVWriter")}
Timing = tuple[float, float]


def schema_of_records() -> Schema:
    """Return the schema of what `make` writes."""
    columns: list[Column] = [
        CategoricalColumn(name=f"text{i}", categories=_WORDS[:size])
        for i, size in enumerate(_SIZES)
    ]
    columns += [IntegerColumn(name=f"whole{i}", lower=0, upper=99, bins=20) for i in range(6)]
    columns += [FloatColumn(name=f"real{i}", lower=0, upper=1000, bins=32) for i in range(6)]
    return Schema(columns=tuple(columns))


def open_schema_of_records() -> OpenSchema:
    """Return what the names and kinds of the columns alone say."""
    columns = [
        OpenText(name=column.name, missing=False)
        if isinstance(column, CategoricalColumn)
        else OpenNumber(name=column.name, whole=isinstance(column, IntegerColumn), missing=False)
        for column in schema_of_records().columns
    ]
    return OpenSchema(columns=tuple(columns))


SCHEMAS = {"closed": schema_of_records, "open": open_schema_of_records}


def make(folder: Path, rows: int, kind: str = "parquet", *, continuous: bool = False) -> None:
    """Write records in parts; columns depend on one another through a hidden number of each row.

    Real numbers have one decimal, and so some 10,000 values, or are continuous: each its own.
    """
    module, writer_of = _WRITERS[kind]
    make_writer = getattr(import_module(module), writer_of)
    rng = np.random.default_rng(0)
    for part, begin in enumerate(range(0, rows, _PART)):
        end, writer = min(begin + _PART, rows), None
        for start in range(begin, end, _CHUNK):
            records = _records(min(_CHUNK, end - start), rng, continuous=continuous)
            if writer is None:
                writer = make_writer(folder / f"part-{part:03d}.{kind}", records.schema)
            writer.write_table(records)
        if writer is not None:
            writer.close()


def _records(rows: int, rng: np.random.Generator, *, continuous: bool) -> Any:
    pa = import_module("pyarrow")
    hidden = rng.random(rows, dtype=np.float32)

    def blurred() -> np.ndarray:
        return (hidden + rng.random(rows, dtype=np.float32)) / 2

    columns: dict[str, Any] = {}
    for i, size in enumerate(_SIZES):
        codes = np.minimum((blurred() * size).astype(np.int8), size - 1)
        words = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(_WORDS[:size]))
        columns[f"text{i}"] = words.cast(pa.string())
    columns |= {f"whole{i}": (blurred() * 99).astype(np.int32) for i in range(6)}
    for i in range(6):
        real = blurred().astype(np.float64) * 1000.0
        columns[f"real{i}"] = real * rng.random(rows) if continuous else np.round(real, 1)
    return pa.table(columns)


def fits(
    folder: Path, generators: list[str], schemas: list[str], out: int | None, timeout: float
) -> Grid:
    """Run the command on all records, a process a generator and schema."""
    schema, log = folder / "schema.toml", folder / "log.txt"
    lines: list[tuple[str, ...]] = []
    for generator, known in product(generators, schemas):
        schema.write_text(SCHEMAS[known]().to_toml())
        target = folder / "synthetic" / f"{generator}.parquet"
        command = [sys.executable, "-m", "dpsynth", "synthesize", str(folder)]
        command += ["--schema", str(schema), "--generator", generator, "--epsilon", "1"]
        command += ["--out-of-core", "--out", str(target), *(["--rows", str(out)] if out else [])]
        before = _of_children()
        try:
            seconds, peak = timed(command, log=log, timeout=timeout)
            spent, written = _of_children() - before, f"{target.stat().st_size / 2**20:.0f}"
            lines.append(
                (generator, known, f"{seconds:.0f}", f"{spent:.0f}", f"{peak:.0f}", written)
            )
        except PeerError as error:
            lines.append((generator, known, str(error), "", "", ""))
        target.unlink(missing_ok=True)
    return Grid(
        caption="Whole processes: read, check, encode, fit, sample, write.",
        header=("generator", "schema", "s", "processor s", "peak MiB", "MiB written"),
        rows=tuple(lines),
    )


def _of_children() -> float:
    """Return the processor seconds of all processes that this one has waited for."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def counting(folder: Path) -> Grid:
    """Time ways to count all pairs of columns, a row, on one core."""
    schema, paths = schema_of_records(), part_paths(folder)
    codec = Codec(schema=schema)
    domain = codec.domain
    pairs = list(combinations(domain.attributes, 2))
    lines: list[tuple[str, ...]] = []

    def line(name: str, rows: int, timing: Timing) -> None:
        lines.append((name, *(f"{seconds / rows * 1e9:.0f}" for seconds in timing)))

    tables = read_parts(paths, schema, rows=BLOCK)
    reading = _clock(lambda: _exhaust(codec.encode(table) for table in tables))
    with spooled(paths, schema) as stored:
        rows = stored.blocks.rows
        line("read, check and encode, once a pass (Arrow) or once in all (file)", rows, reading)
        counter = BlockCounter(stored.blocks, domain)
        line("all pairs from the file", rows, _clock(lambda: counter.count_together(pairs)))
        tallies = [Tally(plan) for plan in passes(pairs, domain)]
    codes = next(codec.encode(t) for t in read_parts(paths, schema, rows=BLOCK))
    columns = {a: codes[:, i] for i, a in enumerate(domain.attributes)}
    kernel = _clock(lambda: [tally.add(columns) for tally in tallies])
    line("all pairs of codes in memory, by larger cliques", len(codes), kernel)
    single = _clock(lambda: CellCounter(codes, domain).count_together(pairs))
    line("all pairs of codes in memory, one by one", len(codes), single)
    if find_spec("duckdb"):
        for name, timing in _duckdb(paths, schema):
            line(name, rows, timing)
    return Grid(
        caption=f"{len(pairs)} pairs of 20 columns, {rows:,} rows, nanoseconds a row.",
        header=("way", "wall", "processor"),
        rows=tuple(lines),
    )


def _duckdb(paths: list[Path], schema: Schema) -> Iterator[tuple[str, Timing]]:
    """Yield the time that DuckDB takes to encode (without checks), and to count all pairs."""
    connection = import_module("duckdb").connect()
    connection.execute("set threads = 1")
    terms = [
        f"(list_position({list(_WORDS[:n])}, text{i}) - 1)::utinyint as c{i}"
        for i, n in enumerate(_SIZES)
    ]
    terms += [f"(whole{i} // 5)::utinyint as c{8 + i}" for i in range(6)]
    terms += [f"least(31, floor(real{i} / 31.25))::utinyint as c{14 + i}" for i in range(6)]
    files = [str(path) for path in paths]
    query = f"create temp table codes as select {', '.join(terms)} from read_parquet({files})"
    yield "DuckDB: encode, without checks", _clock(lambda: connection.execute(query))
    names = [f"c{i}" for i in range(len(schema.columns))]
    pairs = list(combinations(names, 2))
    grouped = f"select {', '.join(names)}, count(*) from codes group by grouping sets "
    grouped += "(" + ", ".join(f"({a}, {b})" for a, b in pairs) + ")"
    yield "DuckDB: grouping sets", _clock(lambda: connection.execute(grouped).fetchnumpy())

    def one_by_one() -> None:
        for a, b in pairs:
            connection.execute(f"select {a}, {b}, count(*) from codes group by all").fetchnumpy()

    yield "DuckDB: a query a pair", _clock(one_by_one)


def _exhaust(items: Iterator[object]) -> None:
    for _ in items:
        pass


def _clock(call: Callable[[], object]) -> Timing:
    wall, processor = perf_counter(), process_time()
    call()
    return perf_counter() - wall, process_time() - processor


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--counting-rows", type=int, default=2_000_000, help="0: none")
    parser.add_argument("--generators", nargs="*", default=["mst", "two_stage"])
    parser.add_argument("--schemas", nargs="*", default=list(SCHEMAS), choices=list(SCHEMAS))
    parser.add_argument("--kinds", nargs="*", default=["parquet"], choices=list(_WRITERS))
    parser.add_argument("--continuous", action="store_true", help="no two real numbers are equal")
    parser.add_argument("--out-rows", type=int, help="synthetic; by default what the model holds")
    parser.add_argument("--timeout", type=float, default=7200.0, help="seconds a fit")
    parser.add_argument("--folder", type=Path, help="where records are made; a temporary one")
    options = parser.parse_args(arguments)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {options.rows:,} rows\n")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        small = Path(name) / "small"
        small.mkdir()
        if options.counting_rows:
            make(small, options.counting_rows)
            print(counting(small).markdown(), flush=True)
        for kind in options.kinds if options.generators else ():
            large = Path(name) / kind
            large.mkdir()
            make(large, options.rows, kind, continuous=options.continuous)
            grid = fits(
                large, options.generators, options.schemas, options.out_rows, options.timeout
            )
            print(f"{kind}\n\n{grid.markdown()}", flush=True)
            shutil.rmtree(large)


if __name__ == "__main__":
    main()
