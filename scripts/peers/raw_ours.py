"""Run one of this project's generators on raw records: `python raw_ours.py TASK.json OUT.csv`.

Bounds and categories are declared; bins of numbers are bought (`binning = "privtree"`).
"""

import json
import sys
from pathlib import Path
from typing import Any

import dpsynth
from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.data.open_columns import OpenColumn, OpenNumber
from dpsynth.data.open_schema import OpenSchema


def _column(of: dict[str, Any]) -> Column | OpenColumn:
    if of["categories"]:
        texts = tuple(str(category) for category in of["categories"])
        return CategoricalColumn(name=of["name"], categories=texts, missing=of["missing"])
    return OpenNumber(
        name=of["name"],
        whole=of["whole"],
        lower=of["lower"],
        upper=of["upper"],
        missing=of["missing"],
    )


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    dpsynth.synthesize(
        task["records"],
        schema=OpenSchema(columns=tuple(_column(of) for of in task["columns"])),
        generator=task["mechanism"],
        epsilon=task["epsilon"],
        delta=task["delta"],
        seed=task["seed"],
    ).sample_to(sys.argv[2], task["rows"])


if __name__ == "__main__":
    main()
