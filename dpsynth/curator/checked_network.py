"""What DP-SGD may train: a network and its loss that were tried on rows that are no records, free.

A session of DP-SGD is opened for nothing else. So whatever is wrong with a network is refused
before its plan is charged, and, where the caller checks it first, before the plan is reserved.
"""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from math import isfinite
from typing import TYPE_CHECKING, NoReturn, final

import numpy as np

from dpsynth.curator.gradients import PerSampleLoss, clipped_sum
from dpsynth.curator.probe import Probe
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, MissingExtraError

if TYPE_CHECKING:
    from torch import nn


@final
class CheckedNetwork:
    """A network, the loss of each record, and how the clipped sum of its gradients is formed.

    Args:
        module: the network, on the device where it will be trained; put into training mode.
        loss: (module, codes of shape (batch, attributes), generator) -> losses (batch,).
        clipping_norm: of the plan that will train it.
        domain: of the records; public (`PrivateData.domain`).
        rng: source of the loss's own randomness and of the trial rows.

    Raises:
        InvalidValueError: a clipping norm that is not above 0, no trainable parameter, a layer or
            loss that mixes records, a loss already averaged.
        MissingExtraError: torch (or Opacus, where the network needs it) is not installed.
    """

    def __init__(
        self,
        module: "nn.Module",
        loss: PerSampleLoss,
        *,
        clipping_norm: float,
        domain: Domain,
        rng: np.random.Generator,
    ) -> None:
        try:
            import torch  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError:
            raise MissingExtraError("DP-SGD", "neural") from None
        if not (isfinite(clipping_norm) and clipping_norm > 0):
            raise InvalidValueError("clipping_norm", clipping_norm, "a finite number above 0")
        module.train()
        device = next((p.device for p in module.parameters()), "cpu")
        self.domain = domain
        self.probe = Probe(domain=domain, rng=rng, device=device)
        self.clipped = clipped_sum(
            module=module,
            loss=loss,
            norm=clipping_norm,
            probe=self.probe.codes,
            generator=self.probe.generator(),
        )
        self.probe.refuse_mixing(module, loss)
        self.probe.refuse_wrong_sum(self.clipped)
        self.bytes_per_record = self.clipped.bytes_per_record(
            self.probe.codes, self.probe.generator()
        )
        self.seed = int(rng.integers(2**62))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a CheckedNetwork stands for what was checked and cannot be copied")

    def trial_loss(self) -> float:
        """Return the mean loss at the trial rows: not finite where one of them is not."""
        return self.probe.trial_loss(self.clipped.module, self.clipped.loss)
