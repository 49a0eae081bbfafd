"""DP-VAE: a variational autoencoder of one-hot records, trained by DP-SGD from noisy 1-ways."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Domain
from dpsynth.generators.base import (
    Generator,
    SyntheticModel,
    check_counts,
    check_installed,
    check_shares,
)
from dpsynth.generators.neural.calibrating import calibrated
from dpsynth.generators.neural.decoder_model import DecoderModel
from dpsynth.generators.neural.networks import autoencoder
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.generators.neural.softmax import cross_entropy, one_hot
from dpsynth.generators.neural.spending import check_sgd, start_of
from dpsynth.generators.neural.training import Training, device_of, train

if TYPE_CHECKING:
    import torch
    from torch import Tensor


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
        device: where to train; "auto" is a GPU where there is one.

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
    device: str = "auto"

    name: ClassVar[str] = "dpvae"
    accountant: ClassVar[str] = "pld"
    trains: ClassVar[bool] = True
    reference: ClassVar[str] = "Kingma & Welling 2014, equation 10; Abadi et al. 2016, Algorithm 1"
    model: ClassVar[type[SyntheticModel]] = DecoderModel
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share")
        check_counts(self, "hidden", "latent")
        check_sgd(self)
        _ = self._training

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> DecoderModel:
        check_installed(self)
        import torch

        device = device_of(self.device)
        total, shares, plan = start_of(private, self)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        network = autoencoder(
            width=shares.size, hidden=self.hidden, latent=self.latent, generator=generator
        )
        network["decoder"][-1].bias.data.copy_(torch.as_tensor(np.log(shares)))  # pyright: ignore[reportIndexIssue]
        loss = _loss(private.domain)
        train(private, plan, network, loss, self._training, rows=total, rng=rng, device=device)
        decoder = calibrated(Perceptron.of(network["decoder"]), shares, private.domain, rng=rng)
        return DecoderModel(schema=private.schema, total=total, decoders=(decoder,))

    @property
    def _training(self) -> Training:
        return Training(learning_rate=self.learning_rate, average_decay=self.average_decay)


def _loss(domain: Domain) -> Any:
    """Return the per-sample loss: the negative evidence lower bound with one latent draw."""
    sizes = domain.shape

    def loss(network: Any, codes: "Tensor", generator: "torch.Generator") -> "Tensor":
        import torch

        ones = one_hot(codes, sizes)
        mean, log_variance = network["encoder"](ones).chunk(2, dim=1)
        draw = torch.randn(mean.shape, generator=generator).to(mean)
        logits = network["decoder"](mean + torch.exp(0.5 * log_variance) * draw)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)
        return cross_entropy(logits, ones, sizes) + divergence

    return loss
