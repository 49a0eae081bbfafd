"""Run one of this project's generators on a task: `python run_ours.py TASK.json OUT.csv`."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

import dpsynth
from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.schema import Schema
from dpsynth.generators.base import Generator
from dpsynth.synthesis import build_generator


def _generator(task: dict[str, Any]) -> str | Generator:
    """Return the mechanism; "NAME_label" is the one that is told what will be predicted."""
    name = task["mechanism"].removesuffix("_label")
    if name == task["mechanism"] or task["target"] is None:
        return name
    return build_generator(name, {"label": task["target"]})


def _column(name: str, size: int, *, ordered: bool, missing: bool) -> Column:
    """Return the public description of one attribute's codes; a missing value is the last."""
    values = size - missing
    if ordered:
        return IntegerColumn(name=name, lower=0, upper=values - 1, bins=values, missing=missing)
    codes = tuple(str(code) for code in range(values))
    return CategoricalColumn(name=name, categories=codes, missing=missing)


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    sizes, missing = task["sizes"], set(task["missing"])
    columns = tuple(
        _column(name, size, ordered=name in task["ordered"], missing=name in missing)
        for name, size in sizes.items()
    )
    texts = {c.name: str for c in columns if isinstance(c, CategoricalColumn)}
    records = pd.read_csv(task["records"], dtype=texts)
    for name in missing:
        records[name] = records[name].where(records[name].astype(int) != sizes[name] - 1)
    model = dpsynth.synthesize(
        records,
        schema=Schema(columns=columns),
        generator=_generator(task),
        epsilon=task["epsilon"],
        delta=task["delta"],
        seed=task["seed"],
    )
    drawn = model.sample(task["rows"]).frame
    coded = {name: drawn[name].astype(object).fillna(sizes[name] - 1) for name in missing}
    drawn.assign(**coded).to_csv(sys.argv[2], index=False)


if __name__ == "__main__":
    main()
