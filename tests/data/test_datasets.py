"""Data sets: the documented records, verified checksums, and labels that a classifier learns."""

import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.datasets import Dataset, Target
from dpsynth.data.datasets.sources import VARIABLE, check_values, read_shared, shared_folder
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import FileError, InvalidValueError, MissingExtraError, UnknownNameError
from dpsynth.registry import DATASETS

# name -> rows, columns, percentage of positive labels
KNOWN = {
    "br2000": (38_000, 14, 27.57),
    "breast_cancer": (569, 31, 37.26),
    "digits": (1_797, 65, 9.68),
    "mbi_adult": (48_842, 14, 23.93),
    "nist_ma2018": (7_244, 24, 34.70),
    "nist_ma2019": (7_634, 24, 37.71),
    "nltcs": (21_574, 16, 22.94),
    "online_shoppers": (12_330, 18, 15.47),
    "randhie": (20_190, 10, 68.76),
    "titanic": (1_304, 9, 26.07),
    "uci_adult": (48_842, 15, 23.93),
    "uk_census": (50_000, 17, 45.48),
}
SCIKIT_LEARN = ("breast_cancer", "digits")
PACKAGED = ("randhie", *SCIKIT_LEARN)


def load(name: str) -> Dataset:
    if name not in PACKAGED:
        try:
            shared_folder()
        except FileError as absence:
            pytest.skip(str(absence))
    return DATASETS.get(name)()


def test_every_data_set_is_known_here() -> None:
    assert set(KNOWN) <= set(DATASETS)


@pytest.mark.parametrize(
    "name",
    # scikit-learn alone takes seconds to import.
    [pytest.param(n, marks=pytest.mark.slow if n in SCIKIT_LEARN else ()) for n in KNOWN],
)
def test_a_data_set_has_its_records_and_its_terms(name: str) -> None:
    dataset = load(name)
    rows, columns, positive = KNOWN[name]
    assert (len(dataset.table), len(dataset.table.schema.columns)) == (rows, columns)
    assert dataset.name == name
    assert len(dataset.sha256) == 64
    assert dataset.citation
    assert dataset.licence
    assert dataset.target is not None
    labels = dataset.target.labels(dataset.table)
    assert labels.shape == (rows,)
    assert 100 * labels.mean() == pytest.approx(positive, abs=0.01)
    assert not dataset.table.schema.inferred
    codes = Codec(schema=dataset.table.schema).encode(dataset.table)
    assert (codes < np.array(dataset.table.schema.domain.shape)).all()
    assert str(rows) not in repr(dataset)


def test_randhie_is_coded_finely_enough_and_not_more() -> None:
    schema = load("randhie").table.schema
    assert max(schema.domain.shape) <= 32
    assert schema.column("mdvis") == IntegerColumn(
        name="mdvis", lower=0, upper=31, on_invalid="clip"
    )


def test_missing_values_of_raw_adult_are_missing() -> None:
    frame = load("uci_adult").table.frame
    absent = frame.isna().sum()
    assert absent[absent > 0].to_dict() == {
        "workclass": 2_799,
        "occupation": 2_809,
        "native-country": 857,
    }
    assert frame["age"].iloc[[0, 32_561]].tolist() == [39, 25]


def test_coded_adult_has_the_domain_of_its_file() -> None:
    shape = load("mbi_adult").table.schema.domain.shape
    assert shape == (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2)


def test_values_that_do_not_apply_are_categories_or_missing() -> None:
    table = load("nist_ma2019").table
    column = table.schema.column("MSP")
    assert isinstance(column, CategoricalColumn)
    assert column.categories[0] == "N"
    assert table.frame["PINCP"].isna().sum() == 1_120
    assert load("nist_ma2018").table.schema == table.schema
    assert (load("nist_ma2018").table.frame["INDP"] == "other").sum() == 16


def test_unknown_codes_of_titanic_are_missing() -> None:
    absent = load("titanic").table.frame.isna().sum()
    assert absent[absent > 0].to_dict() == {"Age": 261, "Cabin": 1_011, "Survived": 415}


def test_a_folder_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(FileError, match=VARIABLE):
        DATASETS.get("nltcs")()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(FileError, match="missing"):
        DATASETS.get("nltcs")()


def test_the_folder_is_found_beside_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert shared_folder() == tmp_path / "shared" / "data"


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "f.csv").write_bytes(b"a\n1\n")
    (content,), found = read_shared({"f.csv": sha256(b"a\n1\n").hexdigest()})
    assert content == b"a\n1\n"
    with pytest.raises(FileError, match="SHA-256"):
        read_shared({"f.csv": found[::-1]})


def test_changed_numbers_of_a_package_are_refused() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    with pytest.raises(FileError, match="SHA-256"):
        check_values("package", frame, "0" * 64)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.datasets.randhie", None)
    with pytest.raises(MissingExtraError, match=r"dpsynth\[datasets\]"):
        DATASETS.get("randhie")()


SCHEMA = Schema(
    columns=(
        FloatColumn(name="x", lower=0, upper=9, missing=True),
        CategoricalColumn(name="c", categories=(0, 1), missing=True),
    )
)
TABLE = Table.from_frame(SCHEMA, pd.DataFrame({"x": [1, 5, None], "c": [1, None, 0]}))


def test_a_missing_value_is_not_positive() -> None:
    assert Target(column="x", above=3).labels(TABLE).tolist() == [False, True, False]
    assert Target(column="c", positive=1).labels(TABLE).tolist() == [True, False, False]
    assert Target(column="c", positive=0).labels(TABLE).tolist() == [False, False, True]


def test_a_target_that_does_not_fit_is_refused() -> None:
    for fields in ({}, {"above": 1.0, "positive": 1}):
        with pytest.raises(InvalidValueError, match="not both"):
            Target(column="x", **fields)
    with pytest.raises(InvalidValueError, match="left out for numbers"):
        Target(column="x", positive=1).labels(TABLE)
    with pytest.raises(InvalidValueError, match="left out for categories"):
        Target(column="c", above=1).labels(TABLE)
    with pytest.raises(InvalidValueError, match="a category of 'c'"):
        Target(column="c", positive=2).labels(TABLE)
    with pytest.raises(UnknownNameError):
        Target(column="y", above=1).labels(TABLE)
