"""Run one of this project's generators by the contract of docs/third_party.md, on codes."""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

import dpsynth
from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.schema import Schema
from dpsynth.synthesis import build_generator


def _column(of: dict[str, Any]) -> Column:
    """Return the public description of one attribute's codes; a missing value is the last."""
    name, values, missing = of["name"], of["size"] - of["missing"], of["missing"]
    if of["kind"] != "categorical":
        return IntegerColumn(name=name, lower=0, upper=values - 1, bins=values, missing=missing)
    codes = tuple(str(code) for code in range(values))
    return CategoricalColumn(name=name, categories=codes, missing=missing)


def main() -> None:
    folder = Path(sys.argv[1])
    request = json.loads((folder / "request.json").read_text())
    records = pd.read_parquet(folder / "train_codes.parquet")
    for of in request["columns"]:
        name = of["name"]
        if of["kind"] == "categorical":
            records[name] = records[name].astype(str)
        if of["missing"]:
            records[name] = records[name].where(records[name].astype(int) != of["size"] - 1)
    model = dpsynth.synthesize(
        records,
        schema=Schema(columns=tuple(_column(of) for of in request["columns"])),
        generator=build_generator(request["mechanism"], request["parameters"]),
        epsilon=request["epsilon"],
        delta=request["delta"],
        seed=request["seed"],
    )
    drawn = model.sample(request["rows"]).frame
    coded = {
        of["name"]: drawn[of["name"]].astype(object).fillna(of["size"] - 1).astype("int64")
        for of in request["columns"]
    }
    pd.DataFrame(coded).to_parquet(folder / "synthetic_codes.parquet")
    answer = {"versions": {"dpsynth": version("dpsynth")}, "epsilon": model.receipt.epsilon_spent}
    (folder / "response.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
