"""Visits to an online shop, and whether they ended in a purchase."""

from io import BytesIO

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.csv_text import parse_csv
from dpsynth.data.datasets.dataset import Dataset, Target
from dpsynth.data.datasets.sources import read_shared
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "June", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _clipped(name: str, upper: float) -> FloatColumn:
    return FloatColumn(name=name, lower=0.0, upper=upper, on_invalid="clip")


def _numbered(name: str, last: int) -> Column:
    return CategoricalColumn(name=name, categories=tuple(range(1, last + 1)))


# Counts and durations (in seconds) have no natural bound: they are top-coded at round numbers. A
# special day is nearer in steps of a fifth.
SCHEMA = Schema(
    columns=(
        IntegerColumn(name="Administrative", lower=0, upper=31, on_invalid="clip"),
        _clipped("Administrative_Duration", 1_600.0),
        IntegerColumn(name="Informational", lower=0, upper=31, on_invalid="clip"),
        _clipped("Informational_Duration", 1_600.0),
        IntegerColumn(name="ProductRelated", lower=0, upper=319, on_invalid="clip"),
        _clipped("ProductRelated_Duration", 9_600.0),
        FloatColumn(name="BounceRates", lower=0.0, upper=0.2),
        FloatColumn(name="ExitRates", lower=0.0, upper=0.2),
        _clipped("PageValues", 160.0),
        FloatColumn(name="SpecialDay", lower=0.0, upper=1.0, bins=6),
        CategoricalColumn(name="Month", categories=_MONTHS),
        _numbered("OperatingSystems", 8),
        _numbered("Browser", 13),
        _numbered("Region", 9),
        _numbered("TrafficType", 20),
        CategoricalColumn(
            name="VisitorType", categories=("Returning_Visitor", "New_Visitor", "Other")
        ),
        CategoricalColumn(name="Weekend", categories=(False, True)),
        CategoricalColumn(name="Revenue", categories=(False, True)),
    )
)


def online_shoppers() -> Dataset:
    """Return 12,330 visits; the target is a purchase (`Revenue`), one in six.

    Raises:
        FileError: the file is missing or has another checksum.
    """
    (content,), checksum = read_shared(
        {
            "uci_online_shoppers.csv": (
                "ed94c9c95b15c20333f0539e69e06f4139ba9dd42cc8634f624c1595e02601f9"
            )
        }
    )
    return Dataset(
        name="online_shoppers",
        sha256=checksum,
        table=Table.from_frame(SCHEMA, parse_csv(BytesIO(content))),
        target=Target(column="Revenue", positive=True),
        citation=(
            "Sakar, C. and Kastro, Y. (2018). Online Shoppers Purchasing Intention Dataset. "
            "UCI Machine Learning Repository. doi:10.24432/C5F88Q."
        ),
        licence="CC BY 4.0",
    )
