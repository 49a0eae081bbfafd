"""Ten million distinct texts where two categories are declared: the first is refused, or all go to
the category for others, in bounded time and memory."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.csv_text import parse_csv
from dpsynth.data.files import load_file
from dpsynth.data.schema import Schema
from tests.doors import Doors

NAMES = ("name0", "rest")
MANY = CategoricalColumn(name="a", categories=NAMES)
OTHER = CategoricalColumn(name="a", categories=NAMES, on_invalid="other", other="rest")


def test_many_distinct_texts_are_refused_by_the_first(doors: Doors) -> None:
    text = "a\n" + "".join(f"name{i}\n" for i in range(200_000))
    (doors.folder / "d.csv").write_text(text)
    doors.refuse("d.csv", Schema(columns=(MANY,)), "column 'a' has 'name1', but it must be one of")
    # A dictionary of nearly as many texts as records is what takes time and memory.
    few = "a\n" + "".join(f"name{i % 1000}\n" for i in range(200_000))
    kept = [parse_csv(BytesIO(t.encode()), texts=["a"])["a"].dtype for t in (text, few)]
    assert [isinstance(dtype, pd.CategoricalDtype) for dtype in kept] == [False, True]
    assert load_file("d.csv", Schema(columns=(OTHER,))).frame["a"].value_counts()["rest"] == 199_999


MEASURED = """
import os, sys, time
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.files import load_file
from dpsynth.data.schema import Schema
from dpsynth.errors import DataError
from dpsynth.memory import resident_mb
rules = {"on_invalid": "other", "other": "rest"} if sys.argv[2] == "other" else {}
column = CategoricalColumn(name="a", categories=("name0", "rest"), **rules)
start = time.process_time()
try:
    found = load_file(sys.argv[1], Schema(columns=(column,))).frame["a"].value_counts().tolist()
except DataError as error:
    found = error
print(found, time.process_time() - start, resident_mb(os.getpid()), sep="|")
"""


@pytest.fixture(scope="module")
def ten_million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "d.csv"
    with path.open("w") as file:
        file.write("a\n")
        for start in range(0, 10**7, 10**6):
            file.writelines(f"name{i}\n" for i in range(start, start + 10**6))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "said", "seconds"),
    [
        ("error", "column 'a' has 'name1', but it must be one of the 2 categories declared.", 12),
        ("other", "[9999999, 1]", 60),
    ],
)
def test_ten_million_distinct_texts(
    ten_million: Path, rule: str, said: str, seconds: float
) -> None:
    command = [sys.executable, "-c", MEASURED, str(ten_million), rule]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, taken, held = done.stdout.strip().split("|")
    assert found == said
    assert float(taken) < seconds
    assert float(held) < 1500
