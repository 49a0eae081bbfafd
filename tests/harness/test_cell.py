"""A cell's identity covers all that matters and no more; its random streams are apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpsynth.harness.cell import Fingerprint
from dpsynth.harness.config import Choice, DatasetChoice
from dpsynth.privacy.budget import Neighbouring
from tests.harness.cells import make_cell

FINGERPRINT = Fingerprint(code="c", libraries={"numpy": "2"}, data="d")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "audit"},
        {"dataset": DatasetChoice(name="other")},
        {"dataset": DatasetChoice(name="toy", target="c0")},
        {"generator": Choice(name="ok", label="ok", parameters={"rounds": 3})},
        {"generator": Choice(name="ok", label="ok", accountant="gdp")},
        {"epsilon": 1.5},
        {"delta": 1e-6},
        {"relation": Neighbouring.REPLACE},
        {"seed": 1},
        {"metrics": (Choice(name="tvd_1way", label="tvd_1way"),)},
        {"holdout": 0.4},
        {"fingerprint": Fingerprint(code="c2", libraries={"numpy": "2"}, data="d")},
        {"fingerprint": Fingerprint(code="c", libraries={"numpy": "2.1"}, data="d")},
        {"fingerprint": Fingerprint(code="c", libraries={"numpy": "2"}, data="d2")},
    ],
    ids=str,
)
def test_whatever_matters_changes_the_identity(change: dict[str, Any]) -> None:
    assert make_cell(**change).id != make_cell().id


@pytest.mark.parametrize("change", [{"folder": Path("/elsewhere")}, {"cache": Path("/cache")}])
def test_where_it_runs_does_not(change: dict[str, Any]) -> None:
    assert make_cell(**change).id == make_cell().id


def test_streams_are_reproducible_and_apart() -> None:
    cell = make_cell()
    states = {
        tuple(cell.stream(role, *identity).generate_state(4))
        for role in ("split", "generation", "evaluation")
        for identity in ((), ("randhie",), ("mst", 1.0))
    }
    assert len(states) == 9
    again = make_cell(generator="other", epsilon=2.0).stream("split", "randhie")
    assert np.array_equal(
        again.generate_state(4), cell.stream("split", "randhie").generate_state(4)
    )
    assert not np.array_equal(
        make_cell(seed=1).stream("split", "randhie").generate_state(4), again.generate_state(4)
    )
