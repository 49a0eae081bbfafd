"""DP-TabDDPM: a denoiser of records whose codes forget themselves step by step, by DP-SGD."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.domain import Domain
from dpsynth.data.schema import Schema
from dpsynth.generators.base import (
    Generator,
    KnownLaws,
    SyntheticModel,
    check_counts,
    check_installed,
    check_shares,
)
from dpsynth.generators.neural.calibrating import shift_to
from dpsynth.generators.neural.noising import Noising
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.generators.neural.softmax import (
    cross_entropy,
    in_batches,
    one_hot,
    parts,
    softmax,
)
from dpsynth.generators.neural.spending import check_sgd, start_of
from dpsynth.generators.neural.training import Training, device_of, train
from dpsynth.pgm.inversion import drawn_from

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from dpsynth.curator.gradients import PerSampleLoss

Array = NDArray[np.float64]
# Least probability of a code given its own noisy one, in logarithms.
_LEAST = 1e-12
_CALIBRATION_ROWS, _CALIBRATION_ROUNDS = 2**13, 3


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionModel(SyntheticModel, KnownLaws):
    """A denoiser and the kernels that it undoes. NumPy suffices.

    Its columns have the laws of `noising`, as `calibrated` sees to.

    Args:
        schema: the public description of the records.
        total: number of records it stands for.
        noising: how codes forget; its laws are those of the columns.
        denoiser: from what noisy codes say of their own columns, less the laws, and what is left at
            that step, to what they say of the other columns: logits side by side.
        shifts: added to the logits at each step, of shape (steps, logits).
    """

    schema: Schema
    total: float
    noising: Noising
    denoiser: Perceptron
    shifts: Array

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return in_batches(n, lambda rows: self._batch(rows, rng=rng))

    def one_way(self, attribute: str) -> Array:
        return self.total * self.noising.laws[self.schema.domain.axes((attribute,))[0]]

    def _batch(self, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        codes = start(self.noising, n, rng=rng)
        for step in range(self.noising.steps, 0, -1):
            logits = clean_logits(self.noising, self.denoiser, codes, step) + self.shifts[step - 1]
            codes = before(self.noising, codes, logits, step, rng=rng)
        return codes

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        found = {"total": np.array(self.total), "shifts": self.shifts}
        return {**found, **self.noising.arrays(), **self.denoiser.arrays("denoiser")}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(
            schema=schema,
            total=float(arrays["total"]),
            noising=Noising.from_arrays(arrays),
            denoiser=Perceptron.from_arrays("denoiser", arrays),
            shifts=arrays["shifts"],
        )


def start(noising: Noising, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return rows of codes that have forgotten everything: columns drawn from their laws."""
    columns = [
        np.searchsorted(np.cumsum(law)[:-1], rng.random(n), side="right") for law in noising.laws
    ]
    return np.stack(columns, axis=1)


def clean_logits(
    noising: Noising, denoiser: Perceptron, codes: NDArray[np.int64], step: int
) -> Array:
    """Return logits of the codes before all steps, given noisy ones, side by side."""
    own = [reached[step][column] for reached, column in zip(noising.so_far, codes.T, strict=True)]
    known = np.concatenate(own, axis=1)
    left = np.full((len(codes), 1), noising.kept[step])
    seen = np.concatenate([known - np.concatenate(noising.laws), left], axis=1)
    return np.log(np.maximum(known, _LEAST)) + denoiser(seen)


def before(
    noising: Noising,
    codes: NDArray[np.int64],
    logits: Array,
    step: int,
    *,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return codes of one step less, drawn given those of this step and the clean ones' logits."""
    found = np.empty_like(codes)
    cuts = np.cumsum([len(law) for law in noising.laws])[:-1]
    for a, part in enumerate(np.split(logits, cuts, axis=1)):
        clean = drawn_from(np.cumsum(softmax(part), axis=1), uniform=rng.random(len(codes)))
        if step > 1:
            ahead = noising.by_step[a][step - 1].T[codes[:, a]]
            weights = noising.so_far[a][step - 1][clean] * ahead
            clean = drawn_from(np.cumsum(weights, axis=1), uniform=rng.random(len(codes)))
        found[:, a] = clean
    return found


def calibrated(
    noising: Noising, denoiser: Perceptron, domain: Domain, *, rng: np.random.Generator
) -> Array:
    """Return shifts with which the clean codes have the laws of the columns at every step.

    What rows say of their clean codes is, on average over rows, the law of the codes. A sample is
    drawn through all steps, and at each the logits are shifted until that holds.
    """
    laws = np.concatenate(noising.laws)
    shifts = np.zeros((noising.steps, laws.size))
    codes = start(noising, _CALIBRATION_ROWS, rng=rng)
    for step in range(noising.steps, 0, -1):
        logits = clean_logits(noising, denoiser, codes, step)
        shift = shift_to(logits, laws, domain, rounds=_CALIBRATION_ROUNDS)
        shifts[step - 1] = shift
        codes = before(noising, codes, logits + shift, step, rng=rng)
    return shifts


@final
@dataclass(frozen=True, kw_only=True)
class DpDiffusion(Generator):
    """Multinomial diffusion of records whose denoiser is trained by DP-SGD.

    Codes forget what they were, column by column, until only the noisy one-way laws are left
    (`Noising`). The denoiser predicts the clean codes of all columns. What a noisy code says of its
    own clean one is known by Bayes' rule, so the network only adds what the other columns say, and
    at first that is nothing: an untrained one draws independent columns. It sees, for each column,
    that known posterior law less the column's own, which is 0 where nothing is left.

    Each record is noised `draws` times, at as many steps drawn at random; the losses are averaged
    before the gradient is clipped, so that draws cost time and no privacy (noise multiplicity).
    Ordered columns walk to neighbouring codes where `walk` says so. After training the logits of
    each step are shifted until clean codes have the one-way laws there.

    Departures from TabDDPM: numbers are codes, with no noise on scaled values; they may walk, but
    forget like categories by default, which did as well; the end of diffusion is the columns' laws,
    not the uniform one; the loss is the cross-entropy of the clean codes alone, all steps alike,
    not the variational bound.

    One plan is reserved before anything is drawn: noisy 1-way marginals, then all steps.

    Loss of a record: mean over draws of the sum over columns of -log p(clean code | noisy record).
    Relation: both. Sensitivity: `MarginalQuery` for the marginals; the sum of clipped gradients
    moves by at most the clipping norm when a record comes or goes (and by twice that when one is
    replaced, which the accountant knows).
    Accounting: Poisson sampling, composed with the marginals by privacy loss distributions.
    Cost: the whole budget.

    Defaults come from simulated mixtures of 12 columns (docs/research/neural_diffusion.md).

    Args:
        one_way_share: part of the budget's mu^2 for the marginals.
        diffusion_steps: steps of forgetting, and of sampling.
        draws: noisy versions of each record in a batch.
        walk: whether ordered columns forget by walking to neighbours; else like categories.
        sample_rate: probability with which a record joins a batch.
        steps: number of batches.
        clipping_norm: largest gradient of a record, over all parameters.
        learning_rate: Adam's.
        hidden: units of the hidden layer.
        average_decay: of the running average of the weights.
        device: where to train; "auto" is a GPU where there is one.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Kotelnikov et al. 2023 (TabDDPM); Hoogeboom et al. 2021, equations 11 to 15; Dockhorn
        et al. 2023 (DPDM), section 3 and Algorithm 1 (noise multiplicity).
    """

    one_way_share: float = 0.3
    diffusion_steps: int = 25
    draws: int = 4
    walk: bool = False
    sample_rate: float = 0.1
    steps: int = 200
    clipping_norm: float = 1.0
    learning_rate: float = 0.01
    hidden: int = 128
    average_decay: float = 0.98
    device: str = "auto"

    name: ClassVar[str] = "dpdiffusion"
    accountant: ClassVar[str] = "pld"
    reference: ClassVar[str] = "Kotelnikov et al. 2023; Dockhorn et al. 2023, Algorithm 1"
    model: ClassVar[type[SyntheticModel]] = DiffusionModel
    trains: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share")
        check_counts(self, "diffusion_steps", "draws", "hidden")
        check_sgd(self)
        _ = self._training

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> DiffusionModel:
        check_installed(self)
        import torch

        device = device_of(self.device)
        total, shares, plan = start_of(private, self)
        noising = Noising(
            laws=tuple(parts(shares, private.domain)),
            ordered=tuple(
                self.walk and not isinstance(private.schema.column(a), CategoricalColumn)
                for a in private.domain.attributes
            ),
            steps=self.diffusion_steps,
        )
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        network = _network(shares.size, self.hidden, generator)
        loss = _loss(noising, self.draws)
        train(private, plan, network, loss, self._training, rows=total, rng=rng, device=device)
        denoiser = Perceptron.of(network)
        return DiffusionModel(
            schema=private.schema,
            total=total,
            noising=noising,
            denoiser=denoiser,
            shifts=calibrated(noising, denoiser, private.domain, rng=rng),
        )

    @property
    def _training(self) -> Training:
        return Training(learning_rate=self.learning_rate, average_decay=self.average_decay)


def _network(width: int, hidden: int, generator: "torch.Generator") -> "nn.Module":
    """Return a perceptron of one hidden layer whose first outputs are 0."""
    from torch import nn

    first, last = nn.Linear(width + 1, hidden), nn.Linear(hidden, width)
    nn.init.xavier_uniform_(first.weight, generator=generator)
    for zero in (first.bias, last.weight, last.bias):
        nn.init.zeros_(zero)
    return nn.Sequential(first, nn.ReLU(), last)


def _loss(noising: Noising, draws: int) -> "PerSampleLoss":
    """Return the per-sample loss: the mean over draws of a step, and of noise, of the cross-entropy
    of the clean codes."""
    import torch

    sizes = [len(law) for law in noising.laws]
    so_far = [torch.as_tensor(of, dtype=torch.float32) for of in noising.so_far]
    kept = torch.as_tensor(noising.kept, dtype=torch.float32)
    laws = torch.as_tensor(np.concatenate(noising.laws), dtype=torch.float32)

    def loss(network: Any, codes: "Tensor", generator: "torch.Generator") -> "Tensor":
        shape = (len(codes), draws)
        step = torch.randint(1, noising.steps + 1, shape, generator=generator)
        uniform = torch.rand(*shape, len(sizes), generator=generator)
        own: list[Tensor] = []
        plain = codes.cpu()  # noise is drawn there, wherever the network is
        for a, reached in enumerate(so_far):
            clean = plain[:, a : a + 1].expand(shape)
            passed = reached[step, clean].cumsum(-1)[..., :-1] <= uniform[..., a : a + 1]
            own.append(reached[step, passed.sum(-1)])
        known = torch.cat(own, -1)
        seen = torch.cat([known - laws, kept[step][..., None]], -1)
        logits = known.clamp(min=_LEAST).log().to(codes.device) + network(seen.to(codes.device))
        ones = one_hot(codes, sizes).unsqueeze(1).expand(logits.shape)
        return cross_entropy(logits, ones, sizes).mean(1)

    return loss
