"""Two data sets that come with scikit-learn: tumour measurements and images of digits."""

from importlib import import_module
from typing import TYPE_CHECKING

from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.datasets.dataset import Dataset, Target
from dpsynth.data.datasets.sources import check_values
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table

if TYPE_CHECKING:
    import pandas as pd

# Upper bounds of each feature as (mean, standard error, worst), rounded up from the table of the
# data set's public description; every feature is a size or a ratio, and so at least 0.
_UPPER = {
    "radius": (32.0, 3.2, 40.0),
    "texture": (40.0, 5.0, 50.0),
    "perimeter": (200.0, 24.0, 256.0),
    "area": (2560.0, 640.0, 4480.0),
    "smoothness": (0.2, 0.04, 0.24),
    "compactness": (0.4, 0.16, 1.2),
    "concavity": (0.48, 0.4, 1.28),
    "concave points": (0.24, 0.064, 0.32),
    "symmetry": (0.32, 0.08, 0.72),
    "fractal dimension": (0.1, 0.032, 0.24),
}


def _measurements() -> tuple[FloatColumn, ...]:
    names = ("mean {}", "{} error", "worst {}")
    return tuple(
        FloatColumn(name=name.format(feature), lower=0.0, upper=uppers[i])
        for i, name in enumerate(names)
        for feature, uppers in _UPPER.items()
    )


_DIAGNOSES = ("malignant", "benign")

BREAST_CANCER = Schema(
    columns=(*_measurements(), CategoricalColumn(name="diagnosis", categories=_DIAGNOSES))
)

DIGITS = Schema(
    columns=(
        *(
            IntegerColumn(name=f"pixel_{i}_{j}", lower=0, upper=16)
            for i in range(8)
            for j in range(8)
        ),
        CategoricalColumn(name="digit", categories=tuple(range(10))),
    )
)


_BREAST_CANCER_CHECKSUM = "54cbf95e148c6eed11e8b2ac1637b5f44a8053293412279de71c47b345e9eb50"
_DIGITS_CHECKSUM = "30aa855cd90427ff3c4996b3f40109597c57049f8a038cc52db1efeac8ad2e26"


def breast_cancer() -> Dataset:
    """Return 569 tumours with 30 measurements each; the target is the malignant ones.

    Raises:
        FileError: the package holds other data.
    """
    bunch = import_module("sklearn.datasets").load_breast_cancer(as_frame=True)
    frame: pd.DataFrame = bunch.frame.rename(columns={"target": "diagnosis"})
    checksum = check_values("breast_cancer", frame, _BREAST_CANCER_CHECKSUM)
    frame = frame.assign(diagnosis=frame["diagnosis"].map(dict(enumerate(_DIAGNOSES))))
    return Dataset(
        name="breast_cancer",
        sha256=checksum,
        table=Table.from_frame(BREAST_CANCER, frame),
        target=Target(column="diagnosis", positive="malignant"),
        citation=(
            "Wolberg, W., Mangasarian, O., Street, N. and Street, W. (1993). Breast Cancer "
            "Wisconsin (Diagnostic). UCI Machine Learning Repository. doi:10.24432/C5DW2B."
        ),
        licence="CC BY 4.0",
    )


def digits() -> Dataset:
    """Return 1,797 images of 8 x 8 pixels with 17 levels; the target is the digit 8.

    Raises:
        FileError: the package holds other data.
    """
    bunch = import_module("sklearn.datasets").load_digits(as_frame=True)
    frame: pd.DataFrame = bunch.frame.rename(columns={"target": "digit"})
    return Dataset(
        name="digits",
        sha256=check_values("digits", frame, _DIGITS_CHECKSUM),
        table=Table.from_frame(DIGITS, frame),
        target=Target(column="digit", positive=8),
        citation=(
            "Alpaydin, E. and Kaynak, C. (1998). Optical Recognition of Handwritten Digits. "
            "UCI Machine Learning Repository. doi:10.24432/C50P49."
        ),
        licence="CC BY 4.0",
    )
