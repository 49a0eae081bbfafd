"""DP-VAE: a variational autoencoder of one-hot records, trained by DP-SGD from noisy 1-ways."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.data.domain import Domain
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError, MissingExtraError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import fitted, total_of
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.generators.neural.networks import WeightAverage, autoencoder
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.privacy.calibration import dpsgd_noise_multiplier, gdp_mu

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_BATCH = 2**13
# Least share of records that a code is given as a start: its logit stays finite.
_LEAST_SHARE = 1e-4
_CALIBRATION_ROWS, _CALIBRATION_ROUNDS = 2**13, 20


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class VaeModel(SyntheticModel):
    """A decoder: standard normal noise in, one distribution an attribute out. NumPy suffices.

    Args:
        schema: the public description of the records.
        total: number of records it stands for.
        weights: (hidden weights, hidden biases, output weights, output biases), inputs last.
    """

    schema: Schema
    total: float
    weights: tuple[NDArray[np.float64], ...]

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        batches = [min(_BATCH, n - start) for start in range(0, n, _BATCH)]
        return np.concatenate([self._batch(size, rng=rng) for size in batches])

    def _batch(self, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        logits = decode(self.weights, rng.standard_normal((n, self.weights[0].shape[1])))
        columns: list[NDArray[np.int64]] = []
        for part in _parts(logits, self.schema.domain):
            # The largest of Gumbel-perturbed logits is a draw of their softmax.
            columns.append(np.argmax(part + rng.gumbel(size=part.shape), axis=1))
        return np.stack(columns, axis=1)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        named = {f"weights_{i}": w for i, w in enumerate(self.weights)}
        return {"total": np.array(self.total), **named}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        weights = tuple(arrays[f"weights_{i}"] for i in range(4))
        return cls(schema=schema, total=float(arrays["total"]), weights=weights)


def decode(
    weights: Sequence[NDArray[np.float64]], latent: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the logits of all attributes, side by side, for each row of `latent`."""
    hidden = np.tanh(latent @ weights[0].T + weights[1])
    return hidden @ weights[2].T + weights[3]


def _parts(flat: NDArray[np.float64], domain: Domain) -> list[NDArray[np.float64]]:
    return np.split(flat, np.cumsum(domain.shape)[:-1], axis=-1)


@final
@dataclass(frozen=True, kw_only=True)
class DpVae(Generator):
    """A variational autoencoder whose encoder and decoder are both trained by DP-SGD.

    One plan is reserved before anything is drawn: noisy 1-way marginals, then all steps. The
    marginals give the number of records, the decoder's first biases, and, after training, the
    shares to which its biases are calibrated; all of that is post-processing.

    Loss of a record: cross-entropy of each attribute's softmax plus the KL divergence of its latent
    law from the standard normal one.
    Relation: both. Sensitivity: `MarginalQuery` for the marginals; the sum of clipped gradients
    moves by at most the clipping norm when a record comes or goes (and by twice that when one is
    replaced, which the accountant knows).
    Accounting: Poisson sampling, composed with the marginals by privacy loss distributions.
    Cost: the whole budget.

    Args:
        one_way_share: part of the budget's mu^2 for the marginals.
        sample_rate: probability with which a record joins a batch.
        steps: number of batches.
        clipping_norm: largest gradient of a record, over all parameters.
        learning_rate: Adam's.
        hidden: units of each hidden layer.
        latent: dimensions of the latent variable.
        average_decay: of the running average of the weights.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Kingma & Welling 2014, equation 10; Abadi et al. 2016, Algorithm 1; Acs et al. 2018
        (private generative models of records).
    """

    one_way_share: float = 0.3
    sample_rate: float = 0.1
    steps: int = 200
    clipping_norm: float = 1.0
    learning_rate: float = 0.02
    hidden: int = 64
    latent: int = 8
    average_decay: float = 0.98

    name: ClassVar[str] = "dpvae"
    accountant: ClassVar[str] = "pld"
    trains: ClassVar[bool] = True
    reference: ClassVar[str] = "Kingma & Welling 2014, equation 10; Abadi et al. 2016, Algorithm 1"
    model: ClassVar[type[SyntheticModel]] = VaeModel

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "average_decay")
        for field in ("clipping_norm", "learning_rate"):
            value = getattr(self, field)
            if not (isfinite(value) and value > 0):
                raise InvalidValueError(field, value, "a finite number above 0")
        check_counts(self, "hidden", "latent", "steps")
        if not 0 < self.sample_rate <= 1:
            raise InvalidValueError("sample_rate", self.sample_rate, "above 0 and at most 1")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> VaeModel:
        try:
            import torch
        except ImportError:
            raise MissingExtraError("the generator 'dpvae'", "neural") from None
        attributes, sigma = informative(private.domain), self._sigma(private)
        events = [private.marginal_event((a,), sigma=sigma) for a in attributes]
        budget = private.budget
        plan = SgdPlan(
            sample_rate=self.sample_rate,
            steps=self.steps,
            clipping_norm=self.clipping_norm,
            noise_multiplier=dpsgd_noise_multiplier(
                budget.epsilon,
                budget.delta,
                sample_rate=self.sample_rate,
                steps=self.steps,
                relation=budget.relation,
                also=events,
            ),
        )
        labels = [f"marginal {a}" for a in attributes]
        private.reserve([*zip(labels, events, strict=True), ("dpsgd", plan.event)])
        measured = [private.marginal((a,), sigma=sigma) for a in attributes]
        total, shares = total_of(private, measured), _shares(private, measured)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        network = autoencoder(
            width=shares.size, hidden=self.hidden, latent=self.latent, generator=generator
        )
        network["decoder"][-1].bias.data.copy_(torch.as_tensor(np.log(shares)))  # pyright: ignore[reportIndexIssue]
        self._train(private, plan, network, rows=total, rng=rng)
        weights = tuple(p.detach().double().numpy() for p in network["decoder"].parameters())
        weights = _calibrated(weights, shares, private.domain, rng=rng)
        return VaeModel(schema=private.schema, total=total, weights=weights)

    def _sigma(self, private: PrivateData) -> float:
        """Return the noise of each marginal when together they take their share of mu^2."""
        accountant = private.ledger.accountant
        mu = gdp_mu(private.budget.epsilon, accountant.delta) * sqrt(self.one_way_share)
        queries = len(informative(private.domain))
        return private.budget.l2_sensitivity * sqrt(queries) / mu

    def _train(
        self,
        private: PrivateData,
        plan: SgdPlan,
        network: "nn.ModuleDict",
        *,
        rows: float,
        rng: np.random.Generator,
    ) -> None:
        import torch

        session = private.dpsgd(plan)
        loss = _loss(private.domain)
        session.attach(network, loss, rows=rows, rng=rng)
        optimiser = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        average = WeightAverage(network, decay=self.average_decay)
        for _ in range(plan.steps):
            session.step()
            optimiser.step()
            average.update()
        average.apply()
        session.check()


def _shares(private: PrivateData, measured: Sequence[NoisyMarginal]) -> NDArray[np.float64]:
    """Return each attribute's estimated law, all side by side; no code below the least share."""
    columns = fitted(private, measured)
    laws = [columns.marginal((a,)) / columns.total for a in private.domain.attributes]
    raised = [np.maximum(law, _LEAST_SHARE) for law in laws]
    return np.concatenate([law / law.sum() for law in raised])


def _loss(domain: Domain) -> Any:
    """Return the per-sample loss: the negative evidence lower bound with one latent draw."""
    sizes = list(domain.shape)
    width, starts = sum(sizes), np.cumsum([0, *sizes[:-1]])

    def loss(network: Any, codes: "Tensor", generator: "torch.Generator") -> "Tensor":
        import torch

        ones = torch.zeros(len(codes), width)
        ones.scatter_(1, codes + torch.as_tensor(starts), 1.0)
        mean, log_variance = network["encoder"](ones).chunk(2, dim=1)
        draw = torch.randn(mean.shape, generator=generator)
        logits = network["decoder"](mean + torch.exp(0.5 * log_variance) * draw)
        normalisers = torch.stack([torch.logsumexp(p, 1) for p in logits.split(sizes, 1)]).sum(0)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)
        return normalisers - (logits * ones).sum(1) + divergence

    return loss


def _calibrated(
    weights: tuple[NDArray[np.float64], ...],
    shares: NDArray[np.float64],
    domain: Domain,
    *,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], ...]:
    """Return the weights with output biases moved until the 1-way laws of samples are `shares`.

    Each round adds the log of what a law lacks to its biases: iterative proportional fitting of
    the mixture that the decoder is.
    """
    latent = rng.standard_normal((_CALIBRATION_ROWS, weights[0].shape[1]))
    logits = decode(weights, latent)
    shift = np.zeros_like(shares)
    for _ in range(_CALIBRATION_ROUNDS):
        laws = [_softmax(part).mean(axis=0) for part in _parts(logits + shift, domain)]
        shift += np.log(shares / np.maximum(np.concatenate(laws), 1e-12))
    return (*weights[:3], weights[3] + shift)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
