"""docs/linked.md: its example is a schema, and every field and generator is named."""

import re
from dataclasses import fields
from pathlib import Path

from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.linked.synthesis import NUMBERS_SHARE, UNITS_SHARE
from dpsynth.registry import GENERATORS

TEXT = (Path(__file__).parents[2] / "docs" / "linked.md").read_text(encoding="utf-8")


def test_the_example_is_a_linked_schema() -> None:
    first, *_ = re.findall(r"^```python\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(first, names)
    schema = names["schema"]
    assert isinstance(schema, LinkedSchema)
    assert schema.key == "patient"


def test_fields_generators_and_shares_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, flags=re.MULTILINE)
    assert {f.name for f in fields(LinkedSchema)} <= set(rows)
    listed = re.search(r"needs a graphical model \((.*?)\)", TEXT, flags=re.DOTALL)
    assert listed is not None
    graphical = [n for n in GENERATORS if GENERATORS.get(n).model is GraphicalSyntheticModel]
    assert re.findall(r"`(\w+)`", listed[1]) == graphical
    assert f"`units_share` ({UNITS_SHARE})" in TEXT
    assert NUMBERS_SHARE == 1 / 3
