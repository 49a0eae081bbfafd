"""Files whose values are codes already: a disability survey, ship passengers, two censuses."""

from io import BytesIO
from typing import TYPE_CHECKING

from dpsynth.data.columns import CategoricalColumn, IntegerColumn
from dpsynth.data.csv_text import parse_csv
from dpsynth.data.datasets.dataset import Dataset, Target
from dpsynth.data.datasets.sources import read_shared
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table

if TYPE_CHECKING:
    import pandas as pd


def _read(name: str, checksum: str) -> "tuple[pd.DataFrame, str]":
    (content,), found = read_shared({name: checksum})
    return parse_csv(BytesIO(content)), found


def _codes(name: str, size: int, *, first: int = 0, missing: bool = False) -> CategoricalColumn:
    return CategoricalColumn(
        name=name, categories=tuple(range(first, first + size)), missing=missing
    )


_DISABILITIES = (
    "eating",
    "getting in/out of bed",
    "getting around inside",
    "dressing",
    "bathing",
    "using toilet",
    "heavy house work",
    "light house work",
    "laundry",
    "cooking",
    "grocery shopping",
    "getting about outside",
    "traveling",
    "managing money",
    "taking medicine",
    "telephoning",
)

NLTCS = Schema(columns=tuple(_codes(name, 2) for name in _DISABILITIES))


def nltcs() -> Dataset:
    """Return 21,574 people and which of 16 activities they cannot do unaided.

    The target is managing money, one of the four that PrivBayes (Zhang et al. 2017, section 6.1)
    predicts.

    Raises:
        FileError: the file is missing or has another checksum.
    """
    frame, checksum = _read(
        "aim_nltcs.csv", "1b8f091c6e6ab2635cc96d4f19bd39a892fc48e488b0304e92077b4e67f1f89c"
    )
    return Dataset(
        name="nltcs",
        sha256=checksum,
        table=Table.from_frame(NLTCS, frame),
        target=Target(column="managing money", positive=1),
        citation=(
            "Manton, K. G. National Long-Term Care Survey: 1982, 1984, 1989, 1994, 1999 and 2004. "
            "Inter-university Consortium for Political and Social Research. "
            "doi:10.3886/ICPSR09681.v5."
        ),
        licence="not stated by the source",
    )


# One code more than the file's own domain stands for a missing age, cabin, or label.
_UNKNOWN = {"Age": 90, "Cabin": 8, "Survived": 2}

TITANIC = Schema(
    columns=(
        IntegerColumn(name="Pclass", lower=0, upper=2),
        _codes("Sex", 2),
        IntegerColumn(name="Age", lower=0, upper=89, missing=True),
        IntegerColumn(name="SibSp", lower=0, upper=8),
        IntegerColumn(name="Parch", lower=0, upper=6),
        IntegerColumn(name="Fare", lower=0, upper=31),
        _codes("Cabin", 8, missing=True),
        _codes("Embarked", 3),
        _codes("Survived", 2, missing=True),
    )
)


def titanic() -> Dataset:
    """Return 1,304 passengers; the target is survival.

    For 415 of them, the test part of a competition, survival is missing and so not positive.

    Raises:
        FileError: the file is missing or has another checksum.
    """
    frame, checksum = _read(
        "aim_titanic.csv", "025b238bf2e4e0d6dacd570d20226a6d8cbb9557a719629878e9a6dfb91142ab"
    )
    frame = frame.assign(
        **{name: frame[name].where(frame[name] != code) for name, code in _UNKNOWN.items()}
    )
    return Dataset(
        name="titanic",
        sha256=checksum,
        table=Table.from_frame(TITANIC, frame),
        target=Target(column="Survived", positive=1),
        citation=(
            "Encyclopedia Titanica; discretised as in McKenna, R., Mullins, B., Sheldon, D. and "
            "Miklau, G. (2022). AIM. PVLDB 15(11)."
        ),
        licence="not stated by the source",
    )


# The domain file gives column 2 one code fewer, but one record of the file has the code 21.
_BR2000_SIZES = (2, 7, 22, 10, 16, 2, 2, 2, 2, 4, 16, 2, 16, 2)

BR2000 = Schema(columns=tuple(_codes(str(i), size) for i, size in enumerate(_BR2000_SIZES)))


def br2000() -> Dataset:
    """Return 38,000 people of the Brazilian census of 2000; columns are numbered, not named.

    What a column means is not stated, so that every code is a category. The target is the last
    column, which is binary.

    Raises:
        FileError: the file is missing or has another checksum.
    """
    frame, checksum = _read(
        "privmrf_br2000.csv", "63d851b4cd7ee5ad18e346739f28013316aa575550a32b5841ebcd9566cddb71"
    )
    return Dataset(
        name="br2000",
        sha256=checksum,
        table=Table.from_frame(BR2000, frame),
        target=Target(column="13", positive=1),
        citation=(
            "Minnesota Population Center, Integrated Public Use Microdata Series International; "
            "coded as in Cai, K., Lei, X., Wei, J. and Xiao, X. (2021). Data Synthesis via "
            "Differentially Private Markov Random Fields. PVLDB 14(11)."
        ),
        licence="Apache-2.0 (the repository); terms of the census data not stated there",
    )


_REGIONS = (*(f"E1200000{i}" for i in range(1, 10)), "W92000004")


def _census_column(name: str, last: int, *, needs_code: bool = False) -> CategoricalColumn:
    """Return a column with the codes 1 to `last`, and -9 where none is required."""
    codes = tuple(range(1, last + 1))
    return CategoricalColumn(name=name, categories=(-9, *codes) if needs_code else codes)


UK_CENSUS = Schema(
    columns=(
        CategoricalColumn(name="Region", categories=_REGIONS),
        CategoricalColumn(name="Residence Type", categories=("H", "C")),
        _census_column("Family Composition", 6, needs_code=True),
        _census_column("Population Base", 3),
        _census_column("Sex", 2),
        IntegerColumn(name="Age", lower=1, upper=8),
        _census_column("Marital Status", 5),
        _census_column("Student", 2),
        _census_column("Country of Birth", 2, needs_code=True),
        _census_column("Health", 5, needs_code=True),
        _census_column("Ethnic Group", 5, needs_code=True),
        _census_column("Religion", 9, needs_code=True),
        _census_column("Economic Activity", 9, needs_code=True),
        _census_column("Occupation", 9, needs_code=True),
        _census_column("Industry", 12, needs_code=True),
        _census_column("Hours worked per week", 4, needs_code=True),
        _census_column("Approximated Social Grade", 4, needs_code=True),
    )
)


def uk_census() -> Dataset:
    """Return 50,000 people of the 2011 census of England and Wales, without their identifier.

    Codes are those of the teaching file's own list of variables, also those that no record of this
    excerpt has; -9 stands for "no code required". The target is very good health (code 1).

    Raises:
        FileError: the file is missing or has another checksum.
    """
    frame, checksum = _read(
        "uk_census2011_small.csv",
        "183975c0ff42ae3a1cb14281a5776f58d73d6937f7c85bb82c3f5aa881ea1267",
    )
    return Dataset(
        name="uk_census",
        sha256=checksum,
        table=Table.from_frame(UK_CENSUS, frame.drop(columns="Person ID")),
        target=Target(column="Health", positive=1),
        citation="Office for National Statistics (2014). 2011 Census Microdata Teaching File.",
        licence="Open Government Licence (the teaching file); MIT (the repository)",
    )
