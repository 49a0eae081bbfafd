"""The loop of DP-SGD: learning rates, Adam, and the running average of the weights, all free."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING, final

import numpy as np

from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.gradients import PerSampleLoss
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import check_positive, check_shares
from dpsynth.generators.neural.networks import WeightAverage
from dpsynth.generators.neural.snapshots import Moments, Snapshots, Stream, Weights
from dpsynth.generators.progress import Reporter

if TYPE_CHECKING:
    import torch
    from torch import nn


@final
@dataclass(frozen=True, kw_only=True)
class Training:
    """What is done with noisy gradients: post-processing.

    Args:
        learning_rate: Adam's, at its height.
        warm_up: part of the steps in which the rate rises to it.
        fading: whether the rate falls to 0 afterwards, along half a cosine.
        average_decay: of the running average of the weights.

    Raises:
        InvalidValueError: a value outside its range.
    """

    learning_rate: float
    warm_up: float = 0.0
    fading: bool = False
    average_decay: float = 0.98

    def __post_init__(self) -> None:
        check_positive(self, "learning_rate")
        if not 0 <= self.warm_up < 1:
            raise InvalidValueError("warm_up", self.warm_up, "at least 0 and below 1")
        check_shares(self, "average_decay")

    def rate(self, step: int, steps: int) -> float:
        """Return the factor of the learning rate at a step, from 0, of so many."""
        risen = self.warm_up * steps
        if step < risen:
            return (step + 1.0) / (risen + 1.0)
        return 0.5 * (1.0 + cos(pi * (step - risen) / (steps - risen))) if self.fading else 1.0


def train(
    private: PrivateData,
    plan: SgdPlan,
    network: "nn.Module",
    loss: PerSampleLoss,
    training: Training,
    *,
    rows: float,
    rng: np.random.Generator,
    device: "torch.device",
) -> None:
    """Take all steps of a reserved plan; the network then holds the average of its weights.

    Args:
        private: charged for the plan now.
        plan: what was reserved.
        network: what is trained.
        loss: one loss a record, as of `CheckedNetwork`.
        training: rates and averages.
        rows: the number of records to divide by; public, or bought.
        rng: source of the loss's own randomness.
        device: where to train; `device_of` says which before anything is bought.

    Raises:
        TrainingError: the loss is no longer finite at rows that are no records.
        InvalidValueError, PrivacyError: as of `CheckedNetwork` and `PrivateData.dpsgd`.
    """
    import torch

    network.to(device)
    norm, domain = plan.clipping_norm, private.domain
    checked = CheckedNetwork(network, loss, clipping_norm=norm, domain=domain, rng=rng)
    session = private.dpsgd(plan, checked, rows=rows)
    optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    average = WeightAverage(network, decay=training.average_decay)
    reporter = Reporter(private.ledger, plan.steps)
    moved = {"network": Weights(network), "optimiser": Moments(optimiser)}
    snapshots = Snapshots(session, {**moved, "average": average, "rng": Stream(rng)})
    for step in range(snapshots.restore(), plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = training.learning_rate * training.rate(step, plan.steps)
        session.step()
        optimiser.step()
        average.update()
        kept = snapshots.save(last=step + 1 == plan.steps)
        if kept or not session.keeps:
            reporter.report(step + 1, lambda: (session.trial_loss(), gradient_norm(network)))
    average.apply()
    session.check()


def gradient_norm(network: "nn.Module") -> float:
    """Return the L2 norm of the gradient of all parameters, as the last step left it."""
    return length([p.grad for p in network.parameters() if p.grad is not None])


def length(parts: "Sequence[torch.Tensor]") -> float:
    """Return the L2 norm of all numbers in tensors together."""
    return float(sum(float(part.double().square().sum()) for part in parts) ** 0.5)


def device_of(device: str) -> "torch.device":
    """Return the device to train on: "auto" is a GPU where there is one.

    Raises:
        InvalidValueError: torch knows no such device, or cannot reach it here.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device).cpu()
        return torch.device(device)
    except (RuntimeError, AssertionError):  # the latter where torch was built without it
        raise InvalidValueError("device", device, "'auto', 'cpu', or a device of torch") from None
