"""An accountant that a generator cannot do with is refused before columns are bought for it."""

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.open_columns import OpenNumber
from dpsynth.data.open_schema import OpenSchema
from dpsynth.errors import PrivacyError
from tests.conformance.short import narrow
from tests.conformance.test_generators import NAMES, needs_torch
from tests.doors import counted_charges

SCHEMA = OpenSchema(
    columns=(
        OpenNumber(name="x", whole=False, lower=0.0, upper=10.0),
        CategoricalColumn(name="s", categories=("a", "b")),
    )
)


@pytest.mark.parametrize("accountant", ["pure", "zcdp", "pld"])
@pytest.mark.parametrize("name", NAMES)
def test_refusals_come_before_purchases(
    name: str, accountant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_torch(name)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.random(300) * 10, "s": rng.choice(["a", "b"], 300)})
    charges, fitted = counted_charges(monkeypatch), False
    delta = 0.0 if accountant == "pure" else 1e-6
    with suppress(PrivacyError):
        dpsynth.synthesize(
            frame,
            schema=SCHEMA,
            generator=narrow(name),
            epsilon=2.0,
            delta=delta,
            seed=0,
            accountant=accountant,
        )
        fitted = True
    assert fitted == bool(charges)
