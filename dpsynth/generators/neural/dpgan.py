"""DPGAN: a Wasserstein critic of one-hot records by DP-SGD, and a generator that learns from it."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.generators.base import (
    Generator,
    SyntheticModel,
    check_counts,
    check_installed,
    check_positive,
    check_shares,
)
from dpsynth.generators.neural.adversarial import Judge, Rematch, game_of, play, stack
from dpsynth.generators.neural.choosing import Choices, tied
from dpsynth.generators.neural.decoder_model import DecoderModel
from dpsynth.generators.neural.gumbel import largest, perturbed, straight_through
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.generators.neural.softmax import one_hot
from dpsynth.generators.neural.spending import check_sgd, start_of
from dpsynth.generators.neural.training import device_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Of each replay: whether from first weights instead of the game's, and which first part of it.
_REPLAYS = ((False, 1.0), (False, 0.4), (True, 0.4), (True, 0.4))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _OneHot:
    """A critic of one-hot rows, and a generator of them from normal noise."""

    critic: "nn.Sequential"
    maker: "nn.Sequential"
    sizes: Sequence[int]
    latent: int
    temperature: float
    device: "torch.device"

    def displeasure(
        self,
        critic: "nn.Module",
        codes: "Tensor",
        generator: "torch.Generator",  # noqa: ARG002
    ) -> "Tensor":
        return -critic(one_hot(codes, self.sizes)).squeeze(1)

    def fakes(self, n: int, generator: "torch.Generator") -> "Tensor":
        return largest(self._made(n, generator).detach(), self.sizes)

    def loss(self, judge: Judge, n: int, generator: "torch.Generator") -> "Tensor":
        made = self._made(n, generator)
        return -judge(straight_through(made, self.sizes, self.temperature)).mean()

    def _made(self, n: int, generator: "torch.Generator") -> "Tensor":
        import torch

        noise = torch.randn(n, self.latent, generator=generator).to(self.device)
        return perturbed(self.maker(noise), generator)


@final
@dataclass(frozen=True, kw_only=True)
class DpGan(Generator):
    """A Wasserstein GAN of which the critic alone meets records, by DP-SGD.

    One plan is reserved before anything is drawn: noisy 1-way marginals, then all steps of the
    critic, then a choice for each column. The marginals give the number of records, the generator's
    first biases, and, after training, the shares to which its biases are calibrated. The generator
    learns through the critic's weights, which are private outputs. What replays make of them
    differs from one to the next more than privacy's noise does: the model is the mixture of
    several. How much of its ties to others each column keeps is chosen by the records (`choosing`).

    Loss of a record: minus the critic's value of it. The critic's value of fakes is the public half
    of its loss: added outside, exactly and with the same clipping (`adversarial`). A loss of one
    record less one fake each has larger gradients, and clipping would take more of them.
    Relation: both. Sensitivity: `MarginalQuery` for the marginals; the sum of clipped gradients
    moves by at most the clipping norm when a record comes or goes (and by twice that when one is
    replaced, which the accountant knows); `BestFitQuery` for the choices.
    Accounting: Poisson sampling, composed with marginals and choices by privacy loss distributions.
    Cost: the whole budget.

    Defaults were chosen on simulated mixtures of products, those of noise, replays and choices with
    `uci_adult` in view (`docs/research/neural_gans.md`).

    Args:
        one_way_share: part of the budget's mu^2 for the marginals.
        choice_share: part of it for the choices.
        sample_rate: probability with which a record joins a batch.
        steps: number of batches, and of steps of the critic.
        clipping_norm: largest gradient of a record, over all parameters.
        critic_rate: the critic's learning rate.
        learning_rate: the generator's, which fades to 0.
        critic_noise: length of the noise in a step of the critic, in clipping norms; where privacy
            asks for less, the rest is added after the step was noted: critics that follow the
            records closely are alike, and then replays learn less from them.
        critic_steps: steps of the critic for each one of the generator.
        hidden: units of the hidden layer of either network.
        latent: dimensions of the noise that the generator starts from.
        batch: fakes in each step of the game; at least half as many in each replay.
        spectral_norm: largest of the critic's matrices.
        temperature: of the softmax whose gradients the draws are given.
        average_decay: of the running average of the generator's weights.
        replays: steps of each of four generators after the game, through what the critic was told
            in all of it or in its first two fifths.
        replay_batch: largest number of fakes in each of them; what the critic was told decides how
            many are worth it: the less noise it had, the more.
        replay_rate: its learning rate in them, which fades to 0.
        replay_decay: part of its last matrix that is lost in them, for each unit of that rate.
        device: where to train; "auto" is a GPU where there is one.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Xie et al. 2018, Algorithm 1, with the noise of Abadi et al. 2016; Arjovsky, Chintala
        & Bottou 2017, equation 3; Bie, Kamath & Zhang 2023, section 4 (large batches, and a critic
        that keeps up with the generator).
    """

    one_way_share: float = 0.2
    choice_share: float = 0.03
    sample_rate: float = 0.1
    steps: int = 600
    clipping_norm: float = 0.5
    critic_rate: float = 0.005
    learning_rate: float = 0.002
    critic_noise: float = 0.2
    critic_steps: int = 1
    hidden: int = 64
    latent: int = 8
    batch: int = 512
    spectral_norm: float = 1.0
    temperature: float = 0.7
    average_decay: float = 0.98
    replays: int = 1500
    replay_batch: int = 512
    replay_rate: float = 0.005
    replay_decay: float = 0.3
    device: str = "auto"

    name: ClassVar[str] = "dpgan"
    accountant: ClassVar[str] = "pld"
    reference: ClassVar[str] = "Xie et al. 2018, Algorithm 1"
    model: ClassVar[type[SyntheticModel]] = DecoderModel
    trains: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "choice_share")
        check_counts(self, "hidden", "latent")
        check_sgd(self)
        check_positive(self, "temperature")
        _ = game_of(self)

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> DecoderModel:
        check_installed(self)
        import torch

        device = device_of(self.device)
        choices = Choices.of(private, self.choice_share)
        total, shares, plan = start_of(private, self, after=choices.plan)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        widths = (self.latent, self.hidden, shares.size)
        players = _OneHot(
            critic=stack((shares.size, self.hidden, 1), generator=generator).to(device),
            maker=_maker(widths, shares, generator).to(device),
            sizes=private.domain.shape,
            latent=self.latent,
            temperature=self.temperature,
            device=device,
        )
        rematch = play(private, plan, players, game_of(self), rows=total, rng=rng)
        decoders = _replayed(rematch, lambda: _maker(widths, shares, generator))
        decoders = tied(private, choices, decoders, shares, total=total, rng=rng)
        return DecoderModel(schema=private.schema, total=total, decoders=decoders)


def _maker(
    widths: Sequence[int], shares: NDArray[np.float64], generator: "torch.Generator"
) -> "nn.Sequential":
    """Return a generator whose columns have these laws, but for its first weights."""
    import torch

    maker = stack(widths, generator=generator)
    maker[-1].bias.data.copy_(torch.as_tensor(np.log(shares)))  # pyright: ignore
    return maker


def _replayed(rematch: Rematch, fresh: "Callable[[], nn.Sequential]") -> list[Perceptron]:
    """Return what each replay makes of the game's generator, or of a fresh one."""
    maker = rematch.players.maker
    played = deepcopy(maker.state_dict())
    found: list[Perceptron] = []
    for anew, until in _REPLAYS:
        maker.load_state_dict(fresh().state_dict() if anew else played)
        rematch.replay(until=until)
        found.append(Perceptron.of(maker))
    return found
