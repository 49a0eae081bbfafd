"""Every kind of column that a file may name, under every pair of keys, and under any values."""

import datetime
from decimal import Decimal
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.data.column_kinds import KEYS
from dpsynth.data.open_schema import OpenSchema, parse_schema
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DpsynthError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.doors import check_sentence

VALUES = (
    *("true", "0", "-1", "2.5", "nan", "-inf", "''", "'x'", "[]", "['x', 1]", "[[]]", "{}"),
    *("9007199254740992", "1" * 400, "1979-05-27", "1979-05-27T10:00:00Z", "'2020-01-01'"),
    *("[0, 5, 10]", "[0, nan]", "[[0, 1, 1]]", "[[5, 1, -1]]", "'privtree'", "'error'", "'int8'"),
    *("'3h'", "'UTC'", "'%d/%m/%Y'", "'%'", "'1 days'", "10:30:00", "99", "'category'"),
)
WHOLE: dict[str, dict[str, str]] = {
    "integer": {"lower": "0", "upper": "9"},
    "float": {"lower": "0", "upper": "10"},
    "date": {"lower": "'1970-01-01'", "upper": "'1970-01-10'"},
    "datetime": {"lower": "'1970-01-01'", "upper": "'1971-01-01'"},
    "duration": {"lower": "'0 days'", "upper": "'2 days'"},
    "categorical": {"categories": "['x', 'y']"},
    "boolean": {},
    "text": {},
    "identifier": {},
}


def typed(act: Any) -> Any:
    """Return what `act` returns, or None when it is refused in a sentence."""
    try:
        return act()
    except DpsynthError as error:
        check_sentence(error)
        return None


def written(kind: str, keys: dict[str, str]) -> str:
    head = f'[[column]]\nname = "a"\nkind = "{kind}"\n'
    return head + "".join(f"{key} = {value}\n" for key, value in keys.items())


@pytest.mark.parametrize("kind", KEYS)
def test_every_pair_of_keys_takes_values_of_all_sorts(kind: str) -> None:
    """Each key with each value, and each pair of keys with values drawn for it, seed 0."""
    rng, accepted = np.random.default_rng(0), 0
    own = [key for key in KEYS[kind] if key not in ("kind", "name")]
    tried = [{key: value} for key in own for value in VALUES]
    for one, two in combinations(own, 2):
        for first, second in rng.choice(len(VALUES), (12, 2)):
            tried.append({one: VALUES[first], two: VALUES[second]})
    for keys in tried:
        text = written(kind, WHOLE[kind] | keys)
        schema = typed(lambda text=text: parse_schema(text))
        if schema is not None:
            accepted += 1
            assert parse_schema(schema.to_toml()) == schema
    assert accepted > 1 or kind == "identifier"


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.decimals(),
    st.text(max_size=12),
    st.sampled_from(["2020-01-05", "1 days 02:00:00", "12 kg", "10:30", "inf", "-0.0", "1e400"]),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.datetimes(timezones=st.just(datetime.UTC)),
    st.just(Decimal("sNaN")),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
)
COLUMNS = [
    column
    for kind in ("integer", "float", "date", "datetime", "duration", "text", "boolean")
    for column in parse_schema(written(kind, {})).columns
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column)[:60])
@given(values=st.lists(ANYTHING, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_values_are_refused_or_held(column: Any, values: list[object]) -> None:
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    schema = OpenSchema(columns=(column,))
    noise = ResearchNoise(rng=np.random.default_rng(0))
    door = typed(
        lambda: PrivateColumns(frame, schema, Budget(epsilon=1.0, delta=1e-6), noise=noise)
    )
    assert door is None or door.ledger.entries == ()


@pytest.mark.parametrize("kind", ["date", "datetime", "duration"])
@given(values=st.lists(ANYTHING, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_values_are_no_times_or_times(kind: str, values: list[object]) -> None:
    schema = parse_schema(written(kind, WHOLE[kind] | {"missing": "true"}))
    assert isinstance(schema, Schema)
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    table = typed(lambda: Table.from_frame(schema, frame))
    if table is not None:
        again = Table.from_frame(schema, table.frame)
        assert again.frame.equals(table.frame)
