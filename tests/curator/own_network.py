"""A user's own generator, whose network may be one that DP-SGD cannot train."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import nn

from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.generators.base import Generator, SyntheticModel
from tests.tuning.toy import Rows

Loss = Callable[[Any, Any, Any], Any]
HIDDEN = 5


class Centred(nn.Module):
    """A layer that mixes records and is on nobody's list."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


class Remembering(nn.Module):
    """A layer that mixes nothing, and keeps the mean of what it saw last."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(HIDDEN))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x.detach().mean(0)
        return x


def losses(module: nn.Module, codes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return one loss a record."""
    del generator
    first = codes[:, :1].float()
    return (module(first) - first).square().sum(1)


def averaged(module: nn.Module, codes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return losses(module, codes, generator).mean()


def divided(module: nn.Module, codes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    found = losses(module, codes, generator)
    return found / found.sum()


def network(*between: nn.Module) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(1, HIDDEN), *between, nn.Tanh(), nn.Linear(HIDDEN, 1))


def frozen() -> nn.Sequential:
    """Return a network none of whose parameters is trained."""
    return network().requires_grad_(False)


WRONG: dict[str, tuple[Callable[[], nn.Module], Loss, str]] = {
    "BatchNorm": (lambda: network(nn.BatchNorm1d(HIDDEN)), losses, "layer '1' is 'BatchNorm1d'"),
    "mixing layer": (lambda: network(Centred()), losses, "layer '1' is 'Centred, which mixes"),
    "running mean": (lambda: network(Remembering()), losses, "buffer '1.seen'"),
    "averaged loss": (network, averaged, "one loss a record, not averaged"),
    "mixing loss": (network, divided, "loss is 'one that mixes records'"),
    "nothing to train": (frozen, losses, "module is 'Sequential', but it must be trainable"),
}
"""What is wrong -> network, loss, and what the sentence says (a pattern)."""


@final
@dataclass(frozen=True, kw_only=True)
class OwnNetwork(Generator):
    """Rows of uniform codes, after a step of DP-SGD.

    Args:
        wrong: of `WRONG`; "" for a network that can be trained.
    """

    wrong: str = ""

    name: ClassVar[str] = "own_network"
    accountant: ClassVar[str] = "pld"
    reference: ClassVar[str] = "none"
    model: ClassVar[type[SyntheticModel]] = Rows
    trains: ClassVar[bool] = True

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> Rows:
        make, loss, _ = WRONG.get(self.wrong, (network, losses, ""))
        plan = SgdPlan(sample_rate=0.1, steps=1, clipping_norm=1.0, noise_multiplier=50.0)
        checked = CheckedNetwork(
            make(), loss, clipping_norm=plan.clipping_norm, domain=private.domain, rng=rng
        )
        private.reserve([("dpsgd", plan.event)])
        private.dpsgd(plan, checked, rows=100.0).step()
        shape = private.domain.shape
        codes = np.stack([rng.integers(0, size, 100) for size in shape], axis=1)
        return Rows(schema=private.schema, total=100.0, codes=codes)
