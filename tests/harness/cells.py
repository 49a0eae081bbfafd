"""Cells and plans for tests of the machinery around them."""

from dpsynth.harness.cell import Cell, Fingerprint
from dpsynth.harness.config import Choice, DatasetChoice, Experiment, Limits
from dpsynth.harness.sweep import Plan
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


def make_plan_of(*cells: Cell, limits: Limits | None = None) -> Plan:
    """Return a plan of `cells`, of an experiment that says no more than it must."""
    first = make_cell()
    assert first.dataset is not None
    experiment = Experiment(
        name="x",
        datasets=(first.dataset,),
        generators=(first.generator,),
        epsilons=(first.epsilon,),
        limits=limits or Limits(),
    )
    return Plan(experiment=experiment, cells=cells, skipped=())
