"""The yardstick: facts on the records, and the attacks on an outright copy of them."""

from pathlib import Path
from typing import Any

import pytest

from dpsynth.errors import DataError, FileError
from dpsynth.harness.store import Record, Store
from dpsynth.harness.yardstick import yardstick
from dpsynth.registry import DATASETS

DATASET: dict[str, Any] = {"name": "breast_cancer"}
# Membership needs the mechanism again, and a copy has none.
ATTACKS: list[dict[str, Any]] = [
    {"name": "linkability", "label": "linked", "parameters": {"targets": 100}},
    {"name": "membership", "label": "membership", "parameters": {}},
]


def record(data: str) -> Record:
    settings = {"dataset": DATASET, "fingerprint": {"data": data}}
    return Record(cell="one", settings=settings, status="done", rows=())


def store(path: Path, data: str, **changes: Any) -> Store:
    made = Store(path)
    experiment = {
        "datasets": [DATASET],
        "attacks": ATTACKS,
        "relation": "add_remove",
        "holdout": 0.25,
        "seeds": [0, 1],
    }
    made.write_plan({**experiment, **changes}, ["one"], [])
    made.write(record(data))
    return made


@pytest.fixture(scope="module")
def checksum() -> str:
    return DATASETS.get("breast_cancer")().sha256


def test_a_copy_of_distinct_records_is_recognised(tmp_path: Path, checksum: str) -> None:
    found = yardstick(store(tmp_path, checksum))
    assert (found.rows, found.train_rows) == (569, 427)
    assert found.distinct == 569
    assert [(r.seed, r.metric, r.generator) for r in found.copied] == [
        (0, "linked", "copy"),
        (1, "linked", "copy"),
    ]
    for row in found.copied:
        assert row.attack_rate == 1.0  # both halves of a copied record are nearest to its copy
        assert row.control_rate is not None
        assert row.control_rate < 0.5


def test_other_records_are_refused(tmp_path: Path, checksum: str) -> None:
    other = store(tmp_path, checksum[::-1])
    with pytest.raises(DataError, match="made from other records"):
        yardstick(other)


@pytest.mark.parametrize(
    "datasets",
    [[DATASET, {"name": "digits"}], [{"name": "mine", "path": "a.csv", "schema": "a.toml"}]],
)
def test_an_experiment_without_one_registered_data_set_is_refused(
    tmp_path: Path, checksum: str, datasets: list[dict[str, Any]]
) -> None:
    with pytest.raises(FileError, match="not on one registered data set"):
        yardstick(store(tmp_path, checksum, datasets=datasets))
