"""NIST's excerpts of the American Community Survey: five areas of Massachusetts, two years."""

import json
from collections.abc import Iterable
from io import BytesIO

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.csv_text import parse_csv
from dpsynth.data.datasets.dataset import Dataset, Target
from dpsynth.data.datasets.sources import read_shared
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table

_NOT_APPLICABLE = "N"

_CHECKSUMS = {
    2018: "067b99e8180a6b8149d03fa31b5a29aa6d9ff66a9173e6425915d46a4bb77cad",
    2019: "5489f7d45bccad8ae591dfe9011638def521b3f8641edf169bb45fea2c62fb44",
}


def _category(name: str, codes: Iterable[object], *, applicable: bool = True) -> CategoricalColumn:
    """Return a column of codes as texts, with N first where a code may not apply."""
    texts = tuple(str(code) for code in codes)
    return CategoricalColumn(
        name=name, categories=texts if applicable else (_NOT_APPLICABLE, *texts)
    )


def _columns(areas: Iterable[str], industries: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns as the data dictionary describes them; numbers may be N, so missing.

    Incomes are top-coded at 150,000 dollars and weights at 639, which makes bins of 5,000 and 20.
    """
    return (
        _category("PUMA", areas),
        IntegerColumn(name="AGEP", lower=0, upper=99),
        _category("SEX", (1, 2)),
        _category("MSP", range(1, 7), applicable=False),
        _category("HISP", range(5)),
        _category("RAC1P", range(1, 10)),
        _category("NOC", range(20), applicable=False),
        _category("NPF", range(2, 21), applicable=False),
        _category("HOUSING_TYPE", (1, 2, 3)),
        _category("OWN_RENT", (0, 1, 2)),
        FloatColumn(name="DENSITY", lower=1400.0, upper=3800.0, bins=24),
        CategoricalColumn(
            name="INDP",
            categories=(*industries, "other"),
            on_invalid="other",
            other="other",
        ),
        _category("INDP_CAT", range(19), applicable=False),
        _category("EDU", range(1, 13), applicable=False),
        FloatColumn(
            name="PINCP", lower=-10_000.0, upper=150_000.0, missing=True, on_invalid="clip"
        ),
        _category("PINCP_DECILE", range(10), applicable=False),
        IntegerColumn(name="POVPIP", lower=0, upper=501, missing=True),
        _category("DVET", range(1, 7), applicable=False),
        _category("DREM", (1, 2), applicable=False),
        _category("DPHY", (1, 2), applicable=False),
        _category("DEYE", (1, 2)),
        _category("DEAR", (1, 2)),
        IntegerColumn(name="PWGTP", lower=0, upper=639, on_invalid="clip"),
        IntegerColumn(name="WGTP", lower=0, upper=639, on_invalid="clip"),
    )


def nist_ma2018() -> Dataset:
    """Return 7,244 people of 2018; the target is an income above 50,000 dollars.

    Raises:
        FileError: a file is missing or has another checksum.
    """
    return _load(2018)


def nist_ma2019() -> Dataset:
    """Return 7,634 people of 2019; the target is an income above 50,000 dollars.

    Raises:
        FileError: a file is missing or has another checksum.
    """
    return _load(2019)


def _load(year: int) -> Dataset:
    # Both years have the schema of 2019, so that one can be compared with the other: the sixteen
    # records of 2018 in industries that it does not list go to the industry "other".
    (dictionary, content), checksum = read_shared(
        {
            "nist_ma2019_schema.json": (
                "5ae7498b794e7216e33e7ddd42f024f24c069b806ced2ab8c443fb963ddcac4c"
            ),
            f"nist_ma{year}.csv": _CHECKSUMS[year],
        }
    )
    listed = json.loads(dictionary)["schema"]
    schema = Schema(columns=_columns(listed["PUMA"]["values"], listed["INDP"]["values"]))
    frame = parse_csv(BytesIO(content), texts=schema.names)
    for column in schema.columns:
        if not isinstance(column, CategoricalColumn):
            values = frame[column.name]
            frame[column.name] = values.where(values != _NOT_APPLICABLE)
    return Dataset(
        name=f"nist_ma{year}",
        sha256=checksum,
        table=Table.from_frame(schema, frame),
        target=Target(column="PINCP", above=50_000),
        citation=(
            "Task, C., Bhagat, K., Streat, D., Simpson, A. and Howarth, G. (2023). NIST Diverse "
            "Community Excerpts Data. National Institute of Standards and Technology. "
            "doi:10.18434/mds2-2895."
        ),
        licence="not subject to copyright in the United States; acknowledge NIST",
    )
