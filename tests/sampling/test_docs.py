"""docs/sampling.md: its example runs, and does what its comments say."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data.datasets.adult import SCHEMA
from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table

TEXT = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, size, 3000) for size in SCHEMA.domain.shape], axis=1)
    table = Codec(schema=SCHEMA).decode(codes, rng=rng)
    dpsynth.synthesize(table, generator="independent", epsilon=1.0).save("adult.dpsynth")
    (example,) = re.findall(r"^```python\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    # Each sample that is only shown is kept, to look at.
    names: dict[str, object] = {"shown": (shown := [])}
    exec(
        re.sub(r"^(model\.sample\(.*\))(  #.*)?$", r"shown.append(\1)", example, flags=re.M), names
    )
    conditional, balanced, oversampled, together = (t.frame for t in shown)
    assert conditional["sex"].eq("Female").all()
    assert conditional["age"].ge(65).all()
    assert set(balanced.groupby(["sex", "income"], observed=True).size()) == {250}
    assert oversampled["income"].eq(">50K").sum() == 500
    assert together["age"].between(25, 64).all()
    assert together["race"].eq("White").sum() == pytest.approx(400, abs=2)
    people, men = names["people"], names["men"]
    assert isinstance(people, Table)
    assert isinstance(men, Table)
    assert men.frame["sex"].eq("Male").all()
    pd.testing.assert_series_equal(people.frame["education"], men.frame["education"])


def test_every_form_of_condition_is_listed() -> None:
    for form in ('">=65"', '"!=3"', '"18..65"', "(18, None)", "`None`", '`"!="`'):
        assert form in TEXT
