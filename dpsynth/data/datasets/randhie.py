"""The RAND Health Insurance Experiment: visits to a doctor under randomised insurance plans."""

from importlib import import_module
from typing import TYPE_CHECKING

from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.datasets.dataset import Dataset, Target
from dpsynth.data.datasets.sources import check_values
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

# The documentation bounds the logarithms by what they are of: a coinsurance rate is a percentage,
# and payments of the experiment stayed below 1,000 (participation) and 4,000 (deductible) dollars
# of its time. Counts of visits are top-coded at 31, an event of four visits in a thousand, so that
# zero visits keep a code of their own.
SCHEMA = Schema(
    columns=(
        IntegerColumn(name="mdvis", lower=0, upper=31, on_invalid="clip"),
        FloatColumn(name="lncoins", lower=0.0, upper=4.8),
        CategoricalColumn(name="idp", categories=(0, 1)),
        FloatColumn(name="lpi", lower=0.0, upper=8.0),
        FloatColumn(name="fmde", lower=0.0, upper=9.6),
        FloatColumn(name="physlm", lower=0.0, upper=1.0, bins=20),
        FloatColumn(name="disea", lower=0.0, upper=64.0),
        CategoricalColumn(name="hlthg", categories=(0, 1)),
        CategoricalColumn(name="hlthf", categories=(0, 1)),
        CategoricalColumn(name="hlthp", categories=(0, 1)),
    )
)

_CHECKSUM = "08a4b4e0b848c29e696f2fa2ac9b619ca133f1c4996e35f1c09adf2b2f718ef2"


def randhie() -> Dataset:
    """Return 20,190 person-years; the target is whether there was any visit (`mdvis` above 0).

    The experiment followed people for three or five years, so that one person has several rows;
    the file carries no identifier, and the unit of privacy can only be the row.

    Raises:
        MissingExtraError: statsmodels is not installed.
        FileError: the package holds other data.
    """
    try:
        package = import_module("statsmodels.datasets.randhie")
    except ImportError as error:
        raise MissingExtraError("the data set 'randhie'", "datasets") from error
    frame: pd.DataFrame = package.load_pandas().data[list(SCHEMA.names)]
    return Dataset(
        name="randhie",
        sha256=check_values("randhie", frame, _CHECKSUM),
        table=Table.from_frame(SCHEMA, frame),
        target=Target(column="mdvis", above=0),
        citation=(
            "Cameron, A. C. and Trivedi, P. K. (2005). Microeconometrics: Methods and "
            "Applications. Cambridge University Press. Data: RAND Health Insurance Experiment."
        ),
        licence="public domain",
    )
