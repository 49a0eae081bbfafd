"""DP-SGD seen from outside: models trained through the curator from a start that is the worst case.

The attacker sees the final model only, as its loss on one record. At the start the model is certain
of the value that all other records have, so that their gradients vanish, and holds the canary's
value impossible, so that its gradient is longer than the clipping norm at every step that it joins.
The model never leaves that region. Its loss on the canary is then the sum of all noisy steps in the
canary's direction, and little of the privacy loss is hidden by seeing the last model alone.
"""

# torch and opacus state their types only in part.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.claim import ClaimAudit, summarised
from dpsynth.audit.class_bound import epsilon_of_gaussian
from dpsynth.audit.registration import Registration, looks_up_to
from dpsynth.audit.sequential import Part, Source, look_at
from dpsynth.audit.tradeoff import TradeOff
from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import MissingExtraError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.curves import gdp_mu
from dpsynth.privacy.noise import ResearchNoise

if TYPE_CHECKING:
    from torch import Tensor, nn

_OTHERS = 5
_START = 40.0  # logits apart at the start
_TRAVEL = 2.0  # logits that the noise of a whole run moves


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CanaryModels(Source):
    """Final losses on the canary of models trained with and without it.

    Args:
        plan: of the training.
        budget: the claim; its relation says how the tables differ.
        rng: source of all randomness.

    Reference: Annamalai & De Cristofaro 2024 (worst-case initial parameters, final model only).
    """

    plan: SgdPlan
    budget: Budget
    rng: np.random.Generator

    @property
    def families(self) -> tuple[str, ...]:
        return ("canary loss",)

    def learn(self, runs: int) -> None:
        del runs  # the score is fixed

    def scores(self, world: int, runs: int, *, part: Part = "test") -> NDArray[np.float64]:
        del part  # every run is a fresh one
        replaces = self.budget.relation is Neighbouring.REPLACE
        last = (["opposite"] if replaces else [], ["canary"])[world]
        table = _table(["plain"] * _OTHERS + last)
        return -np.array([[self._loss(table) for _ in range(runs)]])

    def _loss(self, table: Table) -> float:
        """Return the loss on the canary after one training."""
        import torch

        private = PrivateData(
            table, self.budget, noise=ResearchNoise(rng=self.rng), accountant="pld"
        )
        private.reserve([("dpsgd", self.plan.event)])
        model, norm, domain = _worst_start(), self.plan.clipping_norm, private.domain
        network = CheckedNetwork(model, _losses, clipping_norm=norm, domain=domain, rng=self.rng)
        session = private.dpsgd(self.plan, network, rows=float(_OTHERS))
        weights = next(model.parameters())
        batch = self.plan.sample_rate * _OTHERS
        noise = self.plan.noise_multiplier * self.plan.clipping_norm / batch
        rate = _TRAVEL / (noise * self.plan.steps**0.5)
        for _ in range(self.plan.steps):
            session.step()
            assert weights.grad is not None
            with torch.no_grad():
                weights -= rate * weights.grad
        with torch.no_grad():
            return float(_losses(model, torch.tensor([[1]]), None).double()[0])


def audit_final_models(
    budget: Budget,
    *,
    steps: int = 4,
    runs: int = 1000,
    alpha: float = 0.05,
    rng: np.random.Generator,
) -> ClaimAudit:
    """Return the verdict on full-batch DP-SGD at this budget, from final models alone.

    Training on the whole batch is a Gaussian mechanism, so that the bound by class holds.

    Args:
        budget: the claim, with delta above 0.
        steps: of each training.
        runs: test runs in each world; half as many more choose the threshold.
        alpha: probability of reporting a violation where there is none.
        rng: source of all randomness.

    Raises:
        InvalidValueError: fewer than 50 runs, or alpha outside (0, 1).
        MissingExtraError: torch is not installed.
    """
    try:
        import torch  # noqa: F401 - asked for before anything is planned
    except ImportError:
        raise MissingExtraError("DP-SGD", "neural") from None
    mu = gdp_mu(budget.epsilon, budget.delta)
    moved = 2.0 if budget.relation is Neighbouring.REPLACE else 1.0
    plan = SgdPlan(
        sample_rate=1.0,
        steps=steps,
        clipping_norm=1.0,
        noise_multiplier=moved * steps**0.5 / mu * (1 + 1e-6),
    )
    registration = Registration(
        mechanism=f"DP-SGD, final model, {steps} steps of the whole batch",
        claim=f"({budget.epsilon:g}, {budget.delta:g}), {budget.relation}, by pld",
        pairs=("worst-case start",),
        families=("canary loss",),
        looks=looks_up_to(runs),
        alpha=alpha,
    )
    source = CanaryModels(plan=plan, budget=budget, rng=rng)
    claimed = make_accountant("pld", budget).epsilon([plan.event])
    claim = TradeOff(mu=mu, pairs=((claimed, budget.delta),))
    looks = look_at([source], [claim], registration, delta=budget.delta)
    found = max(test.mu_lower for look in looks for test in look.tests)
    return summarised(
        looks,
        registration,
        budget,
        accountant="pld",
        epsilon_lower_of_class=epsilon_of_gaussian(found, budget.delta),
        claims=dict.fromkeys(registration.pairs, claim),
        mu_budget=mu,
    )


def _table(values: list[str]) -> Table:
    import pandas as pd

    column = CategoricalColumn(name="x", categories=("plain", "canary", "opposite"))
    return Table.from_frame(Schema(columns=(column,)), pd.DataFrame({"x": values}))


def _worst_start() -> "nn.Module":
    """Return a model of one column by its logits, certain of "plain"."""
    import torch
    from torch import nn

    model = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[_START], [-_START]]) / 2)
    return model


def _losses(module: "nn.Module", codes: "Tensor", generator: Any) -> "Tensor":
    """Return the loss of each record; the gradient of "opposite" is the canary's, negated."""
    import torch

    del generator
    logits = module(torch.ones(len(codes), 1, device=codes.device))
    apart = logits[:, 0] - logits[:, 1]
    value = codes[:, 0]
    canary = torch.nn.functional.softplus(apart)
    plain = torch.nn.functional.softplus(-apart)
    return torch.where(value == 1, canary, torch.where(value == 2, -canary, plain))
