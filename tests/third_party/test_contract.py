"""The contract: a program finds what it was promised, and nothing it leaves is taken on trust."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.categorical import CategoricalColumn
from dpsynth.data.columns import FloatColumn, IntegerColumn
from dpsynth.data.files import load_file
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DpsynthError
from dpsynth.third_party.contract import Answer, Order, place_order, take_delivery
from tests.third_party.adapters import BREACHES, CODES, RECORDS, adapter

SCHEMA = Schema(
    columns=(
        CategoricalColumn(name="x0", categories=("0", "1", "2", "3")),
        IntegerColumn(name="x1", lower=0, upper=2),
    )
)
CODED = np.random.default_rng(0).integers(0, (4, 3), size=(60, 2))
TABLE = Table.from_frame(SCHEMA, pd.DataFrame({"x0": CODED[:, 0].astype(str), "x1": CODED[:, 1]}))
ORDER = Order(
    mechanism="mst",
    parameters={"degree": 3},
    epsilon=1.0,
    delta=1e-9,
    relation="add_remove",
    rho=0.01,
    seed=7,
    rows=60,
)


def delivered(program: str, folder: Path, patch: pytest.MonkeyPatch) -> tuple[Table, Answer]:
    """Return what is made of what `program` leaves in `folder`; it runs in this process."""
    place_order(folder, TABLE, ORDER)
    patch.setattr(sys, "argv", ["adapter.py", str(folder)])
    exec(compile(program, "adapter.py", "exec"), {"__name__": "__main__"})
    rng = np.random.default_rng(1)
    return take_delivery(folder, SCHEMA, name="toy", rows=ORDER.rows, rng=rng)


@pytest.mark.parametrize("written", [CODES, RECORDS])
def test_what_is_left_in_either_form_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    table, answer = delivered(adapter(written), tmp_path, monkeypatch)
    assert table.frame.equals(TABLE.frame)
    assert (answer.versions, answer.epsilon, answer.seconds) == ({"toy": "1.2"}, 1.0, 0.5)


def test_columns_may_have_any_order_and_codes_any_type_of_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = 'codes = codes[["x1", "x0"]].astype({"x0": float, "x1": "Int8"})\n'
    table, _ = delivered(adapter(turned + CODES), tmp_path, monkeypatch)
    assert table.frame.equals(TABLE.frame)


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    program, said = BREACHES[name]
    with pytest.raises(DpsynthError) as error:
        delivered(program, tmp_path, monkeypatch)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_request_tells_the_budget_and_the_domain(tmp_path: Path) -> None:
    schema = Schema(
        columns=(
            CategoricalColumn(name="town", categories=("a", "b"), missing=True),
            IntegerColumn(name="age", lower=0, upper=99, bins=10),
            FloatColumn(name="pay", lower=0.0, upper=1.0, bins=4, missing=True),
        )
    )
    records = pd.DataFrame({"town": ["a", None], "age": [5, 99], "pay": [0.3, None]})
    table = Table.from_frame(schema, records)
    place_order(tmp_path, table, ORDER)
    request = json.loads((tmp_path / "request.json").read_text())
    assert request.pop("columns") == [
        {
            "name": "town",
            "kind": "categorical",
            "size": 3,
            "missing": True,
            "categories": ["a", "b"],
        },
        {"name": "age", "kind": "integer", "size": 10, "missing": False, "lower": 0, "upper": 99},
        {"name": "pay", "kind": "float", "size": 5, "missing": True, "lower": 0.0, "upper": 1.0},
    ]
    assert request == {
        "contract": 1,
        "mechanism": "mst",
        "parameters": {"degree": 3},
        "epsilon": 1.0,
        "delta": 1e-9,
        "relation": "add_remove",
        "rho": 0.01,
        "seed": 7,
        "rows": 60,
    }
    codes = pd.read_parquet(tmp_path / "train_codes.parquet")
    assert codes.to_numpy().tolist() == [[0, 0, 1], [2, 9, 4]]
    assert load_file(tmp_path / "train.parquet", schema).frame.equals(table.frame)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return `content` with a few bytes changed, or cut short."""
    changed = bytearray(content)
    for place in rng.integers(0, len(changed), rng.integers(1, 4)):
        changed[place] = rng.integers(0, 256)
    return bytes(changed[: rng.integers(1, len(changed))] if rng.random() < 0.2 else changed)


@pytest.mark.parametrize("file", ["response.json", "synthetic.parquet", "synthetic_codes.parquet"])
def test_a_damaged_file_is_refused_in_a_sentence_or_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """150 damaged copies of each file, seed 0."""
    written = RECORDS if file == "synthetic.parquet" else CODES
    delivered(adapter(written), tmp_path, monkeypatch)
    whole, rng = (tmp_path / file).read_bytes(), np.random.default_rng(0)
    said: list[str] = []
    for _ in range(150):
        (tmp_path / file).write_bytes(damaged(whole, rng))
        try:
            table, _ = take_delivery(tmp_path, SCHEMA, name="toy", rows=ORDER.rows, rng=rng)
            assert table.schema == SCHEMA
        except DpsynthError as error:
            said.append(str(error))
    assert len(said) > 20
    assert all(len(sentence.splitlines()) == 1 for sentence in said)
