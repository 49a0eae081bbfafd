"""Cells for tests of the machinery around them."""

from dpsynth.harness.cell import Cell, Fingerprint
from dpsynth.harness.config import Choice, DatasetChoice
from dpsynth.privacy.budget import Neighbouring


def make_cell(generator: str = "ok", **changes: object) -> Cell:
    settings = {
        "kind": "release",
        "dataset": DatasetChoice(name="toy"),
        "generator": Choice(name=generator, label=generator),
        "epsilon": 1.0,
        "delta": 1e-9,
        "relation": Neighbouring.ADD_REMOVE,
        "seed": 0,
        "fingerprint": Fingerprint(code="c", libraries={"numpy": "2"}, data="d"),
    }
    return Cell(**{**settings, **changes})  # pyright: ignore[reportArgumentType]
