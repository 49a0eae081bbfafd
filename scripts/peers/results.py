"""One JSON line a run: kept at once, read again by the next call, shown as Markdown."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from dpsynth.report.summary import over_seeds
from dpsynth.report.tables import Grid

Row: TypeAlias = dict[str, Any]
KEY = ("data", "contender", "version", "epsilon", "delta", "seed", "timeout")
METRICS = ("tvd_1way", "tvd_2way", "tvd_3way", "tvd_2way_max", "tstr_auc")
TITLES = ("1-way TVD", "2-way TVD", "3-way TVD", "max 2-way", "AUC")


def load(path: Path) -> dict[tuple[Any, ...], Row]:
    """Return the kept rows by key; a line that was cut off counts as not run."""
    rows: dict[tuple[Any, ...], Row] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            rows[key(row)] = row
    return rows


def key(row: Row) -> tuple[Any, ...]:
    """Return what makes a run the same run."""
    return tuple(row[name] for name in KEY)


def append(path: Path, row: Row) -> None:
    """Keep a row; a last line that was cut off is left behind on a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and not path.read_text().endswith("\n")
    with path.open("a") as file:
        file.write(("\n" if torn else "") + json.dumps(row) + "\n")


def markdown(rows: Iterable[Row]) -> str:
    """Return one table a data set and epsilon: mean and half of the 95% interval over seeds."""
    groups: dict[tuple[str, float], dict[str, list[Row]]] = {}
    for row in rows:
        group = groups.setdefault((row["data"], row["epsilon"]), {})
        group.setdefault(row["contender"], []).append(row)
    return "\n".join(_table(*where, group) for where, group in sorted(groups.items()))


def ratios(rows: Iterable[Row], *, ours: str = "ours/two_stage") -> str:
    """Return one table: our mechanism beside the best peer of each data set and epsilon.

    The best peer is the one of the least mean 3-way error among those that gave a result, and its
    area another peer's where that is larger. Ratios of ours to it are at equal epsilon and at half.

    Args:
        rows: of any number of data sets and epsilons.
        ours: the contender to compare.
    """
    found: dict[tuple[str, float], dict[str, list[Row]]] = {}
    for row in rows:
        if row["status"] == "done":
            group = found.setdefault((row["data"], row["epsilon"]), {})
            group.setdefault(row["contender"], []).append(row["scores"])
    lines: list[tuple[str, ...]] = []
    for (data, epsilon), group in sorted(found.items()):
        peers = [name for name in group if not name.startswith(("ours/", "diffprivlib/"))]
        if ours not in group or not peers:
            continue
        best = min(peers, key=lambda name: _mean(group[name], "tvd_3way"))
        least = _mean(group[best], "tvd_3way")
        half = found.get((data, epsilon / 2), {}).get(ours)
        judged = [name for name in peers if "tstr_auc" in group[name][0]]
        ablest = max(judged, key=lambda name: _mean(group[name], "tstr_auc"), default=None)
        lines.append(
            (
                data,
                f"{epsilon:g}",
                _number([scores["tvd_3way"] for scores in group[ours]]),
                f"{least:.4f} ({best}, {len(group[best])} runs)",
                f"{_mean(group[ours], 'tvd_3way') / least:.2f}",
                "" if half is None else f"{_mean(half, 'tvd_3way') / least:.2f}",
                _number([scores.get("tstr_auc") for scores in group[ours]]),
                _number([scores["tstr_auc"] for scores in group[ablest]] if ablest else []),
            )
        )
    return Grid(
        caption=f"### {ours} beside the best peer",
        header=(
            "data",
            "epsilon",
            "3-way TVD",
            "best peer",
            "ratio",
            "at half",
            "AUC",
            "peers' AUC",
        ),
        rows=tuple(lines),
    ).markdown()


def _mean(scores: list[Row], metric: str) -> float:
    return float(np.mean([one[metric] for one in scores]))


def _table(data: str, epsilon: float, contenders: dict[str, list[Row]]) -> str:
    everything = [row for rows in contenders.values() for row in rows]
    rows = [line for name, found in contenders.items() for line in _lines(name, found)]
    for title, field in (("real hold-out", "holdout"), ("independent, no noise", "independent")):
        # The references of a seed are the same for every contender.
        seeds = {row["seed"]: row[field] for row in everything if field in row}
        cells = [_number([found.get(m) for found in seeds.values()]) for m in METRICS]
        rows.append((f"*{title}*", f"{len(seeds)}", "", "", *cells))
    return Grid(
        caption=f"### {data}, epsilon {epsilon:g}, delta {everything[0]['delta']:g}",
        header=("mechanism", "seeds", "s", "peak MB", *TITLES),
        rows=tuple(rows),
    ).markdown()


def _lines(name: str, rows: list[Row]) -> list[tuple[str, ...]]:
    """Return a contender's line, and one that says what became of the runs without a result."""
    lines: list[tuple[str, ...]] = []
    done = [row for row in rows if row["status"] == "done"]
    if done:
        cells = [_number([r["seconds"] for r in done], digits=1)]
        cells.append(_number([r["peak_mb"] for r in done], digits=0))
        cells += [_number([r["scores"].get(m) for r in done]) for m in METRICS]
        lines.append((name, f"{len(done)} of {len(rows)}", *cells))
    reasons = sorted({row["status"].replace("|", "/") for row in rows} - {"done"})
    if reasons:
        lost = f"{len(rows) - len(done)} of {len(rows)} without a result"
        lines.append((name, lost, "; ".join(reasons), *("" for _ in range(1 + len(TITLES)))))
    return lines


def _number(values: list[float | None], *, digits: int = 4) -> str:
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return ""
    found = over_seeds(known)
    mean = f"{found.value:.{digits}f}"
    return mean if len(known) == 1 else f"{mean} ± {found.upper - found.value:.{digits}f}"
