"""A generator that has the plan of DP-SGD and fits in a moment: its gradients are not drawn."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.generators.base import Generator, SyntheticModel
from dpsynth.generators.neural.spending import start_of
from tests.curator.own_network import losses, network
from tests.tuning.toy import Rows


@final
@dataclass(frozen=True, kw_only=True)
class Planned(Generator):
    """Rows of uniform codes, after noisy one-way marginals and DP-SGD were paid for.

    Args:
        plan: "fixed" follows from public facts; "changed" has a step for each code of the columns;
            "missing" asks without a plan.
    """

    plan: str = "fixed"
    one_way_share: float = 0.3
    sample_rate: float = 0.1
    steps: int = 3
    clipping_norm: float = 1.0

    name: ClassVar[str] = "planned"
    accountant: ClassVar[str] = "pld"
    reference: ClassVar[str] = "none"
    model: ClassVar[type[SyntheticModel]] = Rows
    trains: ClassVar[bool] = True

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> Rows:
        total = 1.0
        if self.plan == "missing":
            private.marginal(private.domain.attributes[:1], sigma=100.0)
        elif self.plan == "changed":
            plan = SgdPlan(
                sample_rate=0.1,
                steps=sum(private.domain.shape),
                clipping_norm=1.0,
                noise_multiplier=100.0,
            )
            private.reserve([("dpsgd", plan.event)])
            _train(private, plan, rng)
        else:
            total, _, plan = start_of(private, self)
            _train(private, plan, rng)
        shape = private.domain.shape
        codes = np.stack([rng.integers(0, size, 100) for size in shape], axis=1)
        return Rows(schema=private.schema, total=total, codes=codes)


def _train(private: PrivateData, plan: SgdPlan, rng: np.random.Generator) -> None:
    """Pay for a training of which no step is taken."""
    norm, domain = plan.clipping_norm, private.domain
    checked = CheckedNetwork(network(), losses, clipping_norm=norm, domain=domain, rng=rng)
    private.dpsgd(plan, checked, rows=100.0)
