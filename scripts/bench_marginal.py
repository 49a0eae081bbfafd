"""Time and weigh the marginal mechanisms: beside their peers, by rows, columns and epsilon.

    python scripts/bench_marginal.py [--only rows rest ...] [--peers]

Every figure is of a process of its own, import included unless it says otherwise; peak memory is
that of the process. Ratios are of runs of one call of this script. Peers run only with --peers:
their environments are made on first use, and a run takes minutes. The machine's load is part of
the numbers, and is printed with them.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
from compare_peers import Bout
from peers.contenders import CONTENDERS, MARGINAL, Contender
from peers.running import PeerError, run, timed

from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.domain import Domain
from dpsynth.data.encoding import Codec
from dpsynth.data.files import load_file, save_file
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.harness.config import DatasetChoice
from dpsynth.harness.fingerprint import load_dataset
from dpsynth.registry import GENERATORS
from dpsynth.report.tables import Grid

HERE = Path(__file__).parent
DELTA = 1e-9
LIMITS = ((), ("--max-memory", "300"), *(("--max-seconds", s) for s in ("10", "5", "3")))
Line = tuple[str, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Bench:
    """What is measured, and where.

    Args:
        data: a registered data set of codes.
        rows: sizes of the resampled tables.
        columns: of the wide table.
        fits: of the tiny table.
        timeout: seconds a run.
        peers: whether peers run too.
        folder: for records, results and logs.
    """

    data: str
    rows: tuple[int, ...]
    columns: int
    fits: int
    timeout: float
    peers: bool
    folder: Path

    def bout(self) -> Bout:
        dataset = load_dataset(DatasetChoice(name=self.data), Path())
        return Bout(dataset=dataset, seed=0, scored=("tvd_3way",))

    def job(self, name: str, **arguments: Any) -> tuple[dict[str, float], float, float]:
        """Return what a job found, and the seconds and peak of its whole process."""
        log = self.folder / "job.txt"
        command = [sys.executable, str(HERE / "marginal_jobs.py"), name, json.dumps(arguments)]
        seconds, peak = timed(command, log=log, timeout=self.timeout)
        return json.loads(log.read_text().splitlines()[-1]), seconds, peak

    def command(self, words: Sequence[str]) -> tuple[float, float]:
        """Return the seconds and the peak of `dpsynth` with these words, in the folder."""
        command = [sys.executable, "-m", "dpsynth", *words]
        return timed(command, log=self.folder / "command.txt", timeout=self.timeout)

    def write(self, table: Table) -> None:
        """Write the records, as CSV, and their schema, for `synthesized`."""
        save_file(table, self.folder / "records.csv")
        (self.folder / "records.toml").write_text(table.schema.to_toml())

    def synthesized(self, options: Sequence[str]) -> tuple[float, float]:
        """Return what `dpsynth synthesize` takes of the records, at epsilon 1."""
        front = ("synthesize", "records.csv", "--schema", "records.toml", "--epsilon", "1")
        return self.command((*front, *options))


def mechanisms(bench: Bench) -> Grid:
    """Ours on the training records of a split, at epsilon 1, beside the fastest peer's."""
    bout = bench.bout()
    task = {**bout.task(), "epsilon": 1.0, "delta": DELTA}

    def one(contender: Contender) -> tuple[float, Line]:
        made = run(contender, task, timeout=bench.timeout)
        error = bout.judge(made.table)["scores"]["tvd_3way"]
        return made.seconds, (f"{made.seconds:.1f}", f"{made.peak_mb:.0f}", f"{error:.4f}")

    lines: list[Line] = []
    for mechanism in MARGINAL:
        mine, *others = (c for c in CONTENDERS if c.name.endswith(f"/{mechanism}"))
        try:
            seconds, cells = one(mine)
        except PeerError as error:
            lines.append((mechanism, str(error), *[""] * 6))
            continue
        rivals: list[tuple[float, str, Line]] = []
        for other in others if bench.peers else ():
            try:
                theirs, peer_cells = one(other)
                rivals.append((theirs, other.project, peer_cells))
            except PeerError as error:
                print(f"{other.name}: {error}", file=sys.stderr)
        if rivals:
            theirs, project, peer_cells = min(rivals)
            lines.append((mechanism, *cells, project, *peer_cells, f"{theirs / seconds:.0f}"))
        else:
            lines.append((mechanism, *cells, *[""] * 5))
    ours, peer = ("s", "peak MB", "3-way TVD"), ("fastest peer", "its s", "its MB", "its 3-way TVD")
    return Grid(
        caption=f"Mechanisms on {bench.data}, {task['rows']:,} training rows, epsilon 1.",
        header=("mechanism", *ours, *peer, "times ours"),
        rows=tuple(lines),
    )


def by_rows(bench: Bench) -> Grid:
    """MST on resampled records: only reading, encoding and counting should grow with them."""
    table = load_dataset(DatasetChoice(name=bench.data), Path()).table
    codes, schema = Codec(schema=table.schema).encode(table), bench.folder / "schema.toml"
    schema.write_text(_schema_of_codes(table.schema.domain))
    lines: list[Line] = []
    for number in bench.rows:
        records = bench.folder / "records.parquet"
        drawn = np.random.default_rng(number).integers(0, len(codes), number)
        pd.DataFrame({n: codes[drawn, i] for i, n in enumerate(table.schema.names)}).to_parquet(
            records, index=False
        )
        del drawn
        found, seconds, peak = bench.job(
            "rows", records=str(records), schema=str(schema), generator="mst"
        )
        parts = (f"{found[key]:.2f}" for key in ("read", "encode", "count", "rest"))
        lines.append((f"{number:,}", f"{seconds:.1f}", *parts, f"{peak:.0f}"))
    return Grid(
        caption=f"`mst` by rows ({bench.data} resampled, from Parquet), in seconds.",
        header=("rows", "process", "read, check", "encode", "count", "the rest", "peak MB"),
        rows=tuple(lines),
    )


def _schema_of_codes(domain: Domain) -> str:
    columns = (
        CategoricalColumn(name=n, categories=tuple(range(size))) for n, size in domain.sizes.items()
    )
    return Schema(columns=tuple(columns)).to_toml()


def wide(bench: Bench) -> Grid:
    """Mechanisms among whose candidates are all pairs of many columns."""
    lines: list[Line] = []
    for name in (name for name in MARGINAL if name in set(GENERATORS)):  # no label here
        try:
            found, seconds, peak = bench.job(
                "wide", columns=bench.columns, number=10_000, generator=name
            )
            lines.append((name, f"{seconds:.1f}", f"{found['fit']:.1f}", f"{peak:.0f}"))
        except PeerError as error:
            lines.append((name, str(error), "", ""))
    return Grid(
        caption=f"{bench.columns} columns of 5 codes, 10,000 rows, epsilon 1.",
        header=("mechanism", "process, s", "fit, s", "peak MB"),
        rows=tuple(lines),
    )


def by_epsilon(bench: Bench) -> Grid:
    """Seconds at small and large budgets."""
    task, epsilons = bench.bout().task(), (0.001, 1.0, 100.0)
    lines: list[Line] = []
    ours = [c for c in CONTENDERS if c.project == "ours" and c.mechanism in MARGINAL]
    for contender in ours:
        cells: list[str] = []
        for epsilon in epsilons:
            budget = {"epsilon": epsilon, "delta": DELTA}
            try:
                made = run(contender, {**task, **budget}, timeout=bench.timeout)
                cells.append(f"{made.seconds:.1f}")
            except PeerError as error:
                cells.append(str(error))
        lines.append((contender.mechanism, *cells))
    return Grid(
        caption=f"Seconds by epsilon on {bench.data}, whole processes.",
        header=("mechanism", *(f"{e:g}" for e in epsilons)),
        rows=tuple(lines),
    )


def rest(bench: Bench) -> Grid:
    """Exchange rates, calibration of a tree, tiny fits, imports."""
    small, _, _ = bench.job("small", fits=bench.fits)
    exact, _, _ = bench.job("calibration", data=bench.data)
    lines = [
        (f"{bench.fits:,} fits of mst to 10 x 3 bits", f"{small['wall']:.2f}"),
        ("... of processor time", f"{small['processor']:.2f}"),
        ("(1, 1e-9) to rho", f"{exact['zcdp']:.4f}"),
        ("(1, 1e-9) to mu", f"{exact['gdp']:.4f}"),
        (f"calibration of a tree of {exact['cells']:,.0f} cells", f"{exact['tree']:.3f}"),
    ]
    for module in ("dpsynth", "dpsynth.cli"):
        command = [sys.executable, "-c", f"import {module}"]
        log = bench.folder / "import.txt"
        best = min(timed(command, log=log, timeout=bench.timeout)[0] for _ in range(5))
        lines.append((f"import {module}, process, best of 5", f"{best:.2f}"))
    return Grid(caption="What fits pay once, or often.", header=("", "s"), rows=tuple(lines))


def ceilings(bench: Bench) -> Grid:
    """`dpsynth synthesize` under limits: what they take, what it costs in utility."""
    bout, lines = bench.bout(), list[Line]()
    train, out = bout.parts[0], bench.folder / "synthetic.parquet"
    bench.write(train)
    for limits in LIMITS:
        for generator in ("two_stage", "aim"):
            options = (*limits, "--generator", generator, "--seed", "0", "--out", out.name)
            try:
                seconds, peak = bench.synthesized(options)
                scores = bout.judge(load_file(out, train.schema))["scores"]
                cells = (f"{seconds:.1f}", f"{peak:.0f}", f"{scores['tvd_3way']:.4f}")
            except PeerError as error:
                cells = (str(error), "", "")
            lines.append((" ".join(limits) or "none", generator, *cells))
    return Grid(
        caption=f"`dpsynth synthesize` of {bench.data}, {len(train):,} rows, epsilon 1.",
        header=("limit", "generator", "s", "peak MB", "3-way TVD"),
        rows=tuple(lines),
    )


def sampling(bench: Bench) -> Grid:
    """`dpsynth sample` of a saved model to Parquet, by rows."""
    lines: list[Line] = []
    bench.write(bench.bout().parts[0])
    bench.synthesized(["--seed", "0", "--out", "synthetic.parquet", "--model", "fit.model"])
    for number in bench.rows:
        words = f"sample fit.model --rows {number} --seed 0 --out rows.parquet".split()
        seconds, peak = bench.command(words)
        lines.append(
            (f"{number:,}", f"{seconds:.1f}", f"{peak:.0f}", f"{number / seconds * 60:,.0f}")
        )
    return Grid(
        caption=f"`dpsynth sample` of `two_stage` fitted to {bench.data}, to Parquet.",
        header=("rows", "s", "peak MB", "rows a minute"),
        rows=tuple(lines),
    )


SECTIONS: dict[str, Callable[[Bench], Grid]] = {
    "mechanisms": mechanisms,
    "rows": by_rows,
    "wide": wide,
    "epsilon": by_epsilon,
    "rest": rest,
    "ceilings": ceilings,
    "sampling": sampling,
}


def tables(bench: Bench, sections: Sequence[str]) -> Iterator[str]:
    """Yield a Markdown table a section."""
    for name in sections:
        load = os.getloadavg()[0]
        yield f"{SECTIONS[name](bench).markdown()}\nLoad of the machine at its start: {load:.1f}.\n"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--data", default="mbi_adult", help="a registered data set")
    parser.add_argument("--rows", nargs="+", type=float, default=[1e4, 1e5, 1e6, 1e7])
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--fits", type=int, default=1000)
    parser.add_argument("--timeout", type=float, default=600, help="seconds a run")
    parser.add_argument("--peers", action="store_true", help="run other projects' too")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    args = parse(words)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            data=args.data,
            rows=tuple(int(n) for n in args.rows),
            columns=args.columns,
            fits=args.fits,
            timeout=args.timeout,
            peers=args.peers,
            folder=Path(folder),
        )
        for table in tables(bench, args.only):
            print(table, flush=True)


if __name__ == "__main__":
    main()
