"""Adult, the income extract of the 1994 United States census, in both of its usual forms."""

import json
from io import BytesIO

from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.csv_text import parse_csv
from dpsynth.data.datasets.dataset import Dataset, Target
from dpsynth.data.datasets.sources import read_shared
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table

_CITATION = (
    "Becker, B. and Kohavi, R. (1996). Adult. UCI Machine Learning Repository. doi:10.24432/C5XW20."
)

# Codes of these are ordered; those of the other columns are names.
_ORDERED = frozenset(
    {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
)


def mbi_adult() -> Dataset:
    """Return 48,842 people of the discretised form; the target is an income above 50,000 dollars.

    Columns and numbers of codes are those of the domain file that comes with the data.

    Raises:
        FileError: a file is missing or has another checksum.
    """
    (domain, content), checksum = read_shared(
        {
            "mbi_adult-domain.json": (
                "734f07d75cbc2acbe711984e6db520b3e95c9c727cf448c528ce0b38347bb147"
            ),
            "mbi_adult.csv": "de1b8341b65de6081d50863b9c15b90ed976e7e47322a7efc37968db98705400",
        }
    )
    schema = Schema(columns=tuple(_coded(n, s) for n, s in json.loads(domain).items()))
    return Dataset(
        name="mbi_adult",
        sha256=checksum,
        table=Table.from_frame(schema, parse_csv(BytesIO(content))),
        target=Target(column="income>50K", positive=1),
        citation=_CITATION + " Discretised as in McKenna, R., Miklau, G. and Sheldon, D. (2021).",
        licence="CC BY 4.0 (data); Apache-2.0 (the repository of the discretised file)",
    )


def _coded(name: str, size: int) -> Column:
    if name in _ORDERED:
        return IntegerColumn(name=name, lower=0, upper=size - 1)
    return CategoricalColumn(name=name, categories=tuple(range(size)))


def _texts(name: str, texts: str, *, missing: bool = False) -> CategoricalColumn:
    return CategoricalColumn(name=name, categories=tuple(texts.split()), missing=missing)


# Categories as the file's own description lists them (education by its number of years). Ages are
# of people above 16 and top-coded at 90, weekly hours at 99 and gains at 99,999 by the source.
SCHEMA = Schema(
    columns=(
        IntegerColumn(name="age", lower=17, upper=90),
        _texts(
            "workclass",
            "Private Self-emp-not-inc Self-emp-inc Federal-gov Local-gov State-gov Without-pay "
            "Never-worked",
            missing=True,
        ),
        IntegerColumn(name="fnlwgt", lower=0, upper=1_599_999, on_invalid="clip"),
        _texts(
            "education",
            "Preschool 1st-4th 5th-6th 7th-8th 9th 10th 11th 12th HS-grad Some-college Assoc-voc "
            "Assoc-acdm Bachelors Masters Prof-school Doctorate",
        ),
        IntegerColumn(name="education-num", lower=1, upper=16),
        _texts(
            "marital-status",
            "Married-civ-spouse Divorced Never-married Separated Widowed Married-spouse-absent "
            "Married-AF-spouse",
        ),
        _texts(
            "occupation",
            "Tech-support Craft-repair Other-service Sales Exec-managerial Prof-specialty "
            "Handlers-cleaners Machine-op-inspct Adm-clerical Farming-fishing Transport-moving "
            "Priv-house-serv Protective-serv Armed-Forces",
            missing=True,
        ),
        _texts("relationship", "Wife Own-child Husband Not-in-family Other-relative Unmarried"),
        _texts("race", "White Asian-Pac-Islander Amer-Indian-Eskimo Other Black"),
        _texts("sex", "Female Male"),
        IntegerColumn(name="capital-gain", lower=0, upper=99_999, bins=50),
        IntegerColumn(name="capital-loss", lower=0, upper=4_999, bins=50),
        IntegerColumn(name="hours-per-week", lower=1, upper=99),
        _texts(
            "native-country",
            "United-States Cambodia England Puerto-Rico Canada Germany "
            "Outlying-US(Guam-USVI-etc) India Japan Greece South China Cuba Iran Honduras "
            "Philippines Italy Poland Jamaica Vietnam Mexico Portugal Ireland France "
            "Dominican-Republic Laos Ecuador Taiwan Haiti Columbia Hungary Guatemala Nicaragua "
            "Scotland Thailand Yugoslavia El-Salvador Trinadad&Tobago Peru Hong "
            "Holand-Netherlands",
            missing=True,
        ),
        _texts("income", "<=50K >50K"),
    )
)


def uci_adult() -> Dataset:
    """Return 48,842 people of the raw form, training file first, test file (16,281 rows) after it.

    Values that the files write `?` are missing. The target is an income above 50,000 dollars.

    Raises:
        FileError: a file is missing or has another checksum.
    """
    import pandas as pd

    (train, test), checksum = read_shared(
        {
            "uci_adult.data": "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
            "uci_adult.test": "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
        }
    )
    # The test file opens with a line of its own, and ends each label with a full stop.
    test = test.partition(b"\n")[2].replace(b"K.\n", b"K\n")
    # Every comma in these files is followed by a space.
    frames = [
        parse_csv(BytesIO(content.replace(b", ", b",")), names=SCHEMA.names, missing=("?",))
        for content in (train, test)
    ]
    return Dataset(
        name="uci_adult",
        sha256=checksum,
        table=Table.from_frame(SCHEMA, pd.concat(frames, ignore_index=True)),
        target=Target(column="income", positive=">50K"),
        citation=_CITATION,
        licence="CC BY 4.0",
    )
