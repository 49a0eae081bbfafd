"""DP-SGD: noisy sums of clipped per-sample gradients over Poisson samples of the records.

Trust boundary. A generator hands over a network and a per-sample loss, and gets noisy gradients.
The session alone holds records: it draws the batches, calls the loss on them, clips, sums and adds
noise. The loss is the generator's code, and it does see batches of codes, inside the session; it
could copy them out, and nothing in one process can prevent that. What is checked, on rows that are
no records, is that there is one loss a record and that no record's loss depends on another.
"""

# torch and opacus state their types only in part.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, NoReturn, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.journal import KeptTraining
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, LedgerError, TrainingError
from dpsynth.privacy.events import DpSgdEvent
from dpsynth.privacy.noise import noise_grid

if TYPE_CHECKING:
    from dpsynth.privacy.noise import NoiseSource
    from dpsynth.privacy.receipt import Receipt

_LABEL = "dpsgd"
# Room for one physical batch; a logical batch of any size is accumulated from such pieces.
_BATCH_BYTES = 2**28
# Of scaling sums of up to 2**22 gradients in doubles, relative to the clipping norm.
_ROUNDING = 2.0**-30


@final
@dataclass(frozen=True, kw_only=True)
class SgdPlan:
    """All of a DP-SGD run that its privacy depends on, fixed before the first step.

    Learning rates, optimisers, schedules and averages work on noisy gradients only: they are the
    caller's, and free.

    Args:
        sample_rate: probability q in (0, 1] with which each record joins a batch, on its own.
        steps: number of batches.
        clipping_norm: C, the largest L2 norm of one record's gradient over all parameters.
        noise_multiplier: standard deviation of the noise over C.
        sampling: "poisson"; what is priced is that each record joins on its own.

    Raises:
        InvalidValueError: a value outside its range, or another kind of sampling.
    """

    sample_rate: float
    steps: int
    clipping_norm: float
    noise_multiplier: float
    sampling: str = "poisson"

    def __post_init__(self) -> None:
        if self.sampling != "poisson":
            rule = "'poisson': shuffled or weighted batches cost more than is priced"
            raise InvalidValueError("sampling", self.sampling, rule)
        if not (isfinite(self.clipping_norm) and self.clipping_norm > 0):
            raise InvalidValueError("clipping_norm", self.clipping_norm, "a finite number above 0")
        _ = self.event

    @property
    def event(self) -> DpSgdEvent:
        """What the whole run costs, for an accountant."""
        return DpSgdEvent(
            noise_multiplier=self.noise_multiplier, sample_rate=self.sample_rate, steps=self.steps
        )


def rate_of(batch_size: float, *, rows: float) -> float:
    """Return the sample rate at which a batch has so many records on average.

    Args:
        batch_size: expected number of records of a batch, above 0.
        rows: number of records; public, or bought.

    Raises:
        InvalidValueError: a batch larger than the data.
    """
    if not (isfinite(batch_size) and 0 < batch_size <= rows):
        raise InvalidValueError("batch_size", batch_size, f"above 0 and at most the {rows:g} rows")
    return batch_size / rows


def refuse_mismatch(network: CheckedNetwork, plan: SgdPlan, *, domain: Domain, rows: float) -> None:
    """Refuse what does not belong together, before a plan is charged.

    Args:
        network: what the plan is to train.
        plan: of the training.
        domain: of the records.
        rows: the number of records to divide by.

    Raises:
        InvalidValueError: a network that was checked for another domain or clipping norm, or `rows`
            below 1.
    """
    if not (isfinite(rows) and rows >= 1):
        raise InvalidValueError("rows", rows, "a finite number of at least 1")
    if network.domain != domain:
        raise InvalidValueError("network", network.domain, f"one checked for {domain}")
    if network.clipped.norm != plan.clipping_norm:
        rule = f"{plan.clipping_norm}, for which the network must be checked"
        raise InvalidValueError("clipping_norm", network.clipped.norm, rule)


@final
class SgdSession:
    """The steps of one plan that has been charged; it hands out noisy gradients and nothing else.

    Made by `PrivateData.dpsgd`, after the charge.

    Args:
        codes: the encoded records, one row each; they stay inside.
        network: what is trained.
        plan: what has been charged.
        rows: the number of records to divide by.
        noise: source of the Poisson samples and of the Gaussian noise.
        receipt: returns the receipt of what has been spent; goes into the error of a failed run.
        kept: where its steps are kept; None: nowhere.

    Raises:
        TrainingError: an earlier run, which is gone on with, failed; it is not tried again.
    """

    def __init__(
        self,
        *,
        codes: NDArray[np.integer[Any]],
        network: CheckedNetwork,
        plan: SgdPlan,
        rows: float,
        noise: "NoiseSource",
        receipt: "Callable[[], Receipt]",
        kept: KeptTraining | None = None,
    ) -> None:
        import torch

        self._codes, self._network = np.ascontiguousarray(codes), network
        self._plan, self._noise, self._receipt = plan, noise, receipt
        self._taken, self._kept = 0, kept
        self._expected_batch = plan.sample_rate * rows
        self._generator = torch.Generator().manual_seed(network.seed)
        if kept is not None and (failed := kept.failed) is not None:
            self._taken = failed
            raise self._failure()

    @property
    def plan(self) -> SgdPlan:
        """What has been charged."""
        return self._plan

    @property
    def steps_taken(self) -> int:
        """Steps begun so far; a step that fails counts, since its noise may have been seen."""
        return self._taken

    def __reduce__(self) -> NoReturn:
        raise TypeError("an SgdSession holds records and cannot be pickled")

    def step(self) -> None:
        """Set `grad` of each trainable parameter to the noisy clipped sum over (q * rows).

        The divisor is the expected size of a batch, from public or bought numbers: the realised
        size of a Poisson sample is secret. An empty sample gives noise alone.

        Raises:
            LedgerError: every step of the plan has been taken.
            TrainingError: the loss is no longer finite at the trial rows.
        """
        import torch

        if self._taken >= self._plan.steps:
            raise LedgerError(
                _LABEL,
                f"all {self._plan.steps} steps of the plan are taken, and no more are paid for",
            )
        self.check()
        self._taken += 1
        chosen = np.flatnonzero(self._noise.bernoulli(self._plan.sample_rate, len(self._codes)))
        total = self._clipped_sum(chosen)
        mean = torch.as_tensor(self._noisy(total)).div_(self._expected_batch)
        parameters = [p for p in self._network.clipped.module.parameters() if p.requires_grad]
        pieces = mean.split([p.numel() for p in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter).to(parameter)

    def _noisy(self, total: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a sum of clipped gradients with noise.

        In release mode both are multiples of one grid, so that their sum is exact and is
        post-processing of the continuous mechanism. Rounding moves each of P coordinates by half a
        step of the grid, hence the distance of neighbouring sums by at most sqrt(P) steps; sums are
        made that much smaller first.
        """
        norm = self._plan.clipping_norm
        sigma = self._plan.noise_multiplier * norm
        if self._noise.mode == "release":
            grid = noise_grid(sigma)
            shrunk = max(0.0, 1.0 - sqrt(total.size) * grid / norm - _ROUNDING)
            total *= shrunk / grid
            np.rint(total, out=total)
            total *= grid
        total += self._noise.normal(sigma, total.size)
        return total

    @property
    def keeps(self) -> bool:
        """Whether what `keep` is given outlives the process."""
        return self._kept is not None

    def keep(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep what the steps so far led to, for `recalled` of a later run.

        The state of the loss's own randomness is kept in research mode only: how much of it was
        drawn tells how large the batches were.

        Args:
            arrays: whatever the caller goes on from; functions of noisy gradients alone.
        """
        if self._kept is None:
            return
        own = {"session.taken": np.array(self._taken)}
        if self._kept.research:
            own["session.generator"] = self._generator.get_state().numpy()
        self._kept.keep({**arrays, **own}, complete=self._taken == self._plan.steps)

    def recalled(self) -> dict[str, NDArray[Any]] | None:
        """Go on after the step at which `keep` was called last, and return what it was given; None
        where it never was."""
        import torch

        found = None if self._kept is None else self._kept.recalled()
        if found is None:
            return None
        self._taken = int(found.pop("session.taken"))
        if "session.generator" in found:
            self._generator.set_state(torch.as_tensor(found.pop("session.generator")))
        else:
            self._generator.seed()  # not once more the numbers of the first steps
        return found

    def check(self) -> None:
        """Stop a run that has diverged, judged by the parameters and by rows that are no records.

        The records' own losses decide nothing: one record's NaN would show it. A record whose
        gradient is not finite contributes zero instead.

        Raises:
            TrainingError: the loss is not finite at the trial rows.
        """
        if not isfinite(self.trial_loss()):
            if self._kept is not None:
                self._kept.fail(self._taken)
            raise self._failure()

    def _failure(self) -> TrainingError:
        receipt = self._receipt()
        return TrainingError(self._taken, self._plan.steps, receipt.epsilon_spent, receipt)

    def trial_loss(self) -> float:
        """Return the mean loss at the trial rows, which are no records: free to look at."""
        return self._network.trial_loss()

    def _clipped_sum(self, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the sum over the chosen records, accumulated over pieces that fit into memory."""
        import torch

        clipped = self._network.clipped
        parameters = [p for p in clipped.module.parameters() if p.requires_grad]
        sizes = [p.numel() for p in parameters]
        total = torch.zeros(sum(sizes), dtype=torch.float64)
        parts = total.split(sizes)
        size = max(1, _BATCH_BYTES // self._network.bytes_per_record)
        for start in range(0, len(chosen), size):
            rows = self._codes[chosen[start : start + size]]
            batch = torch.as_tensor(rows.astype(np.int64), device=parameters[0].device)
            for part, piece in zip(parts, clipped(batch, self._generator), strict=True):
                part.add_(piece.reshape(-1).to(part.device))
        return total.numpy()
