"""PATE-GAN: teachers of disjoint parts vote on generated rows; a student and a generator follow."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.teachers import VotePlan
from dpsynth.data.domain import Domain
from dpsynth.generators.base import (
    Generator,
    SyntheticModel,
    check_counts,
    check_installed,
    check_positive,
    check_shares,
)
from dpsynth.generators.graphical import total_of
from dpsynth.generators.marginal.one_ways import measure_one_ways
from dpsynth.generators.neural.adversarial import stack
from dpsynth.generators.neural.calibrating import calibrated
from dpsynth.generators.neural.decoder_model import DecoderModel
from dpsynth.generators.neural.gumbel import largest, perturbed, straight_through
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.generators.neural.softmax import cross_entropy
from dpsynth.generators.neural.spending import one_way_laws
from dpsynth.generators.neural.training import Training, device_of
from dpsynth.generators.neural.voting import drawn_features, side_by_side, taught

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Array = NDArray[np.float64]
# Adam's moments, as GANs are usually trained.
_BETAS = (0.5, 0.9)


@final
@dataclass(frozen=True, kw_only=True)
class PateGan(Generator):
    """A GAN that meets records only through noisy votes of teachers on what it generates.

    The marginals, a share of the budget, give the number of records (and so of teachers), the
    generator's first biases, and the shares that its columns keep. The rest buys all rounds of
    votes before the first. In each round teachers judge fresh rows by fresh random features; the
    student, linear in them, is the posterior mean of what the noisy votes say; the generator then
    takes some steps towards what the student calls real, shorter the less the votes have resolved.

    Loss of the generator: minus the student's value of its rows, plus what its columns' laws lack.
    Relation: both. Sensitivity: `MarginalQuery` for the marginals; sqrt(rows) for the votes of a
    round (`VotingSession` has the proof): parts are disjoint, drawn without a look at records, and
    what a teacher learns never leaves the session.
    Accounting: Gaussian noise on votes, composed exactly by Gaussian DP (or by zCDP). The paper has
    Laplace noise and a bound that depends on the votes, which would have to be released with noise
    of its own; Ganev et al. found that bound wrong in the implementations that they read, besides
    teachers on overlapping data and bounds and categories taken from records. Here there is none
    of these: a domain is public or bought, and the price of a vote does not depend on its outcome.
    Cost: the whole budget.

    Unlike the paper's, teachers are linear discriminants, not networks: with tens of records each
    many teachers out-vote more noise than a few better ones, and theirs is a closed form.

    Defaults were chosen on simulated mixtures of products (`docs/research/neural_gans.md`).

    Args:
        one_way_share: part of the budget's mu^2 for the marginals.
        part: records of a teacher, on average.
        rounds: how often rows are put to the vote.
        rows: how many rows in each round.
        features: random features in each round.
        learning_rate: the generator's, which fades to 0.
        inner_steps: of the generator after each round.
        hidden: units of the generator's hidden layer.
        latent: dimensions of the noise that it starts from.
        batch: rows in each of its steps.
        temperature: of the softmax whose gradients the draws are given.
        device: where to train the generator; "auto" is a GPU where there is one.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Jordon, Yoon & van der Schaar 2019, Algorithm 1; Papernot et al. 2018, section 4
        (Gaussian votes); Ganev, Annamalai & De Cristofaro 2024 (arXiv 2406.13985, its faults).
    """

    one_way_share: float = 0.2
    part: int = 10
    rounds: int = 20
    rows: int = 1000
    features: int = 256
    learning_rate: float = 0.001
    inner_steps: int = 60
    hidden: int = 128
    latent: int = 16
    batch: int = 512
    temperature: float = 0.7
    device: str = "auto"

    name: ClassVar[str] = "pate_gan"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "Jordon, Yoon & van der Schaar 2019, Algorithm 1"
    model: ClassVar[type[SyntheticModel]] = DecoderModel
    trains: ClassVar[bool] = True
    gaussian: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share")
        check_counts(self, "part", "rounds", "rows", "features")
        check_counts(self, "inner_steps", "hidden", "latent", "batch")
        check_positive(self, "temperature")
        _ = Training(learning_rate=self.learning_rate)

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> DecoderModel:
        check_installed(self)
        device = device_of(self.device)
        self.check_noise(private.ledger.accountant.name)
        measured = measure_one_ways(private, amount=private.remaining * self.one_way_share)
        total, shares = total_of(private, measured), one_way_laws(private, measured)
        teachers = max(1, round(total / self.part))
        plan = VotePlan(teachers=teachers, rounds=self.rounds, rows=self.rows)
        session = private.teachers(plan, amount=private.remaining)
        maker = _Maker(self, shares, private.domain, rng=rng, device=device)
        for held in range(self.rounds):
            made = maker.rows(self.rows)
            features = drawn_features(shares, private.domain, self.features, rng=rng)
            votes = session.votes(made, features)
            weights, resolved = taught(features(made), votes, sigma=session.sigma)
            fading = 1.0 - held / self.rounds
            sides = (*side_by_side(features, private.domain), weights)
            maker.follow(*sides, rate=self.learning_rate * sqrt(resolved) * fading)
        decoder = calibrated(Perceptron.of(maker.network), shares, private.domain, rng=rng)
        return DecoderModel(schema=private.schema, total=total, decoders=(decoder,))


@final
class _Maker:
    """The generator's network, in training: it sees no record.

    Args:
        chosen: the hyperparameters.
        shares: the law of each attribute, side by side.
        domain: the attributes and their numbers of codes.
        rng: source of weights and noise.
        device: where the network is.
    """

    def __init__(
        self,
        chosen: PateGan,
        shares: Array,
        domain: Domain,
        *,
        rng: np.random.Generator,
        device: "torch.device",
    ) -> None:
        import torch

        self._chosen, self._sizes, self._device = chosen, domain.shape, device
        self._shares = self._there(shares)
        self._draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
        widths = (chosen.latent, chosen.hidden, shares.size)
        self.network: nn.Sequential = stack(widths, generator=self._draws)
        self.network[-1].bias.data.copy_(torch.as_tensor(np.log(shares)))  # pyright: ignore
        self.network.to(device)
        self._optimiser = torch.optim.Adam(self.network.parameters(), betas=_BETAS)

    def _logits(self, n: int) -> "Tensor":
        import torch

        latent = torch.randn(n, self._chosen.latent, generator=self._draws)
        return self.network(latent.to(self._device))

    def _there(self, array: Array) -> "Tensor":
        import torch

        return torch.as_tensor(array, dtype=torch.float32, device=self._device)

    def rows(self, n: int) -> NDArray[np.int64]:
        """Return so many rows of codes."""
        noisy = perturbed(self._logits(n).detach(), self._draws)
        return largest(noisy, self._sizes).cpu().numpy()

    def follow(self, left: Array, right: Array, weights: Array, *, rate: float) -> None:
        """Take the steps of a round towards what a student calls real.

        Args:
            left: signs of the features' first attributes, as `side_by_side` returns them.
            right: of the second ones.
            weights: the student's.
            rate: learning rate.
        """
        import torch

        lefts, rights, worth = map(self._there, (left, right, weights))
        self._optimiser.param_groups[0]["lr"] = rate
        for _ in range(self._chosen.inner_steps):
            logits = self._logits(self._chosen.batch)
            noisy = perturbed(logits, self._draws)
            ones = straight_through(noisy, self._sizes, self._chosen.temperature)
            value = ((ones @ lefts) * (ones @ rights)) @ worth
            laws = [torch.softmax(part, 1).mean(0) for part in logits.split(list(self._sizes), 1)]
            lacking = cross_entropy(torch.cat(laws).log(), self._shares, self._sizes)
            self._optimiser.zero_grad()
            (lacking - value.mean()).backward()
            self._optimiser.step()
