"""The game of a critic trained by DP-SGD and a generator that learns through it, for free.

The Wasserstein critic's gain is its mean over real records less its mean over fakes. Only the first
half touches records: its gradient is bought, step by step. The second half is public and exact; it
is clipped as the first is, so that both halves cancel where fakes are distributed as records are.
What keeps the critic's slopes bounded sees no record: its matrices are scaled down to a largest
spectral norm, which is post-processing. After the game the generator takes further steps, also
free, through all that the critic was told in it (`replaying`).
"""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, sqrt
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final

import numpy as np

from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.gradients import GhostClippedSum
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, check_counts, check_positive
from dpsynth.generators.neural.networks import WeightAverage
from dpsynth.generators.neural.replaying import Transcript, Witness
from dpsynth.generators.neural.snapshots import Draws, Moments, Snapshots, Stream, Weights
from dpsynth.generators.neural.training import Training, gradient_norm, length
from dpsynth.generators.progress import Reporter

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Of Adam's first and second moments, as GANs are usually trained.
_BETAS = (0.5, 0.9)
# In replays the loss is one and the same to the end, and noise is from the choice of the step.
_REPLAY_BETAS = (0.9, 0.99)
_REPLAY_DECAY = 0.99
# Of a replay's fakes, over the noise of what they are compared with (standard deviations).
_UNCERTAINTY = 0.35

Judge: TypeAlias = "Callable[[Tensor], Tensor]"
"""From rows to numbers of shape (rows, 1): larger for what looks more like a record."""


@final
@dataclass(frozen=True, kw_only=True)
class Game:
    """Everything of an adversarial training that costs nothing.

    Args:
        critic_rate: Adam's learning rate for the critic.
        generator: learning rates of the generator, and the average of its weights.
        critic_noise: root mean square length of the noise in each step of the critic, in clipping
            norms; what privacy's noise lacks of it is added to what the critic follows.
        critic_steps: steps of the critic for each one of the generator.
        batch: number of fakes in each step of either.
        replays: steps of the generator after the game.
        replay_batch: largest number of fakes in each of these (`Game.replayed`).
        replay_rate: its learning rate in them, which fades to 0.
        replay_decay: part of its last matrix that is lost in them, for each unit of that rate.
        spectral_norm: largest of each of the critic's matrices.

    Raises:
        InvalidValueError: a value outside its range.
    """

    critic_rate: float
    generator: Training
    critic_noise: float
    critic_steps: int
    batch: int
    replays: int
    replay_batch: int
    replay_rate: float
    replay_decay: float
    spectral_norm: float

    def __post_init__(self) -> None:
        check_counts(self, "critic_steps", "batch", "replays", "replay_batch")
        check_positive(self, "critic_rate", "replay_rate", "spectral_norm")
        for field in ("replay_decay", "critic_noise"):
            if not 0 <= getattr(self, field) < inf:
                raise InvalidValueError(field, getattr(self, field), "finite and at least 0")

    def replayed(self, noise: float) -> int:
        """Return how many fakes a replay is worth, from half of `batch` to `replay_batch`.

        The mean clipped gradient of n fakes is off by at most the clipping norm over the root of n.
        What it is compared with has the noise of privacy: where that is large more fakes tell
        nothing, and more replays do; where it is small, fakes are what is uncertain.

        Args:
            noise: of what the critic was told, as `noise_told` returns it.
        """
        wanted = (_UNCERTAINTY * max(noise, 1e-9)) ** -2
        return int(min(self.replay_batch, max(-(-self.batch // 2), wanted)))

    def lacking(self, noise: float) -> float:
        """Return the length of the noise that is added to a step of the critic, in clipping norms.

        The transcript has what was told by then: it is the critics that shall differ.

        Args:
            noise: of what the critic was told, as `noise_told` returns it.
        """
        return sqrt(max(0.0, self.critic_noise**2 - noise**2))


def game_of(generator: Generator) -> Game:
    """Return the game that hyperparameters describe.

    Args:
        generator: has the fields of `Game` and, for its own network, `learning_rate`, which fades,
            and `average_decay`.

    Raises:
        InvalidValueError: one outside its range.
    """
    hyper: Any = generator
    return Game(
        critic_rate=hyper.critic_rate,
        generator=Training(
            learning_rate=hyper.learning_rate, fading=True, average_decay=hyper.average_decay
        ),
        critic_noise=hyper.critic_noise,
        critic_steps=hyper.critic_steps,
        batch=hyper.batch,
        replays=hyper.replays,
        replay_batch=hyper.replay_batch,
        replay_rate=hyper.replay_rate,
        replay_decay=hyper.replay_decay,
        spectral_norm=hyper.spectral_norm,
    )


class Players(Protocol):
    """The two networks, and what they want."""

    @property
    def critic(self) -> "nn.Module":
        """What judges rows."""
        ...

    @property
    def maker(self) -> "nn.Module":
        """What makes them."""
        ...

    def displeasure(
        self, critic: "nn.Module", codes: "Tensor", generator: "torch.Generator"
    ) -> "Tensor":
        """Return minus the critic's value of each row of codes: the per-record loss."""
        ...

    def fakes(self, n: int, generator: "torch.Generator") -> "Tensor":
        """Return generated rows, as `displeasure` takes them."""
        ...

    def loss(self, judge: "Judge", n: int, generator: "torch.Generator") -> "Tensor":
        """Return the generator's loss over so many fakes, one number; `judge` says how real rows
        of what the critic takes are, as the critic does."""
        ...


def play(
    private: PrivateData,
    plan: SgdPlan,
    players: Players,
    game: Game,
    *,
    rows: float,
    rng: np.random.Generator,
) -> "Rematch":
    """Take all steps of a reserved plan; the generator then holds the average of its weights.

    Args:
        private: charged for the plan now.
        plan: what was reserved.
        players: the networks, which are trained.
        game: rates and schedule.
        rows: the number of records to divide by; public, or bought.
        rng: source of fakes.

    Returns:
        What replays need, none of which was taken yet.

    Raises:
        TrainingError: the critic is no longer finite at rows that are no records.
        InvalidValueError, PrivacyError: as of `CheckedNetwork` and `PrivateData.dpsgd`.
    """
    import torch

    critic, maker, free = players.critic, players.maker, game.generator
    loss, norm = players.displeasure, plan.clipping_norm
    checked = CheckedNetwork(critic, loss, clipping_norm=norm, domain=private.domain, rng=rng)
    session = private.dpsgd(plan, checked, rows=rows)
    public = GhostClippedSum(module=critic, loss=loss, norm=norm)
    draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
    judging, making = _adam(critic, game.critic_rate), _adam(maker, free.learning_rate)
    noise = noise_told(plan, critic, rows=rows)
    reporter = Reporter(private.ledger, plan.steps, shown=not session.keeps)
    average = WeightAverage(maker, decay=free.average_decay)
    transcript = Transcript(critic, steps=plan.steps)
    moved = {"critic": Weights(critic), "judging": Moments(judging), "transcript": transcript}
    moved |= {"maker": Weights(maker), "making": Moments(making), "average": average}
    snapshots = Snapshots(session, {**moved, "draws": Draws(draws), "rng": Stream(rng)})
    for step in range(snapshots.restore(), plan.steps):
        session.step()
        transcript.note()
        reporter.report(step + 1, lambda: (session.trial_loss(), gradient_norm(critic)))
        _take_off(critic, public(players.fakes(game.batch, draws), draws), of=game.batch)
        _disturb(critic, norm * game.lacking(noise), draws)
        judging.step()
        scale_down(critic, game.spectral_norm)
        if (step + 1) % game.critic_steps == 0:
            rate = free.learning_rate * free.rate(step, plan.steps)
            _lower(players.loss(critic, game.batch, draws), making, rate=rate)
            average.update()
        snapshots.save(last=step + 1 == plan.steps)
    average.apply()
    session.check()
    return Rematch(
        transcript=transcript,
        public=public,
        players=players,
        game=game,
        reporter=reporter,
        batch=game.replayed(noise),
        draws=draws,
        rng=rng,
    )


def _adam(network: "nn.Module", rate: float) -> "torch.optim.Adam":
    """Return an optimiser as GANs are usually trained with."""
    import torch

    return torch.optim.Adam(network.parameters(), lr=rate, betas=_BETAS)


def _take_off(critic: "nn.Module", gradients: "Sequence[Tensor]", *, of: int) -> None:
    """Take the mean of the gradients of so many fakes off the records', which a session has set."""
    for parameter, total in zip(critic.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        parameter.grad -= total / of


def _disturb(critic: "nn.Module", length: float, draws: "torch.Generator") -> None:
    """Add noise of a root mean square length to the critic's gradient: post-processing."""
    import torch

    if length == 0.0:
        return
    parameters = list(critic.parameters())
    each = length / sqrt(sum(parameter.numel() for parameter in parameters))
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad += each * torch.randn(parameter.shape, generator=draws).to(parameter.grad)


def _lower(loss: "Tensor", making: "torch.optim.Optimizer", *, rate: float) -> None:
    """Take a step of the generator."""
    making.param_groups[0]["lr"] = rate
    making.zero_grad()
    loss.backward()
    making.step()


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Rematch:
    """A game that is over, to be replayed as often as one likes: free.

    Args:
        transcript: what the critic was told.
        public: its clipped gradients of fakes.
        players: the networks.
        game: rates and schedule.
        reporter: is told of the steps.
        batch: fakes in each of them.
        draws: randomness of fakes.
        rng: draws the steps of the game.
    """

    transcript: Transcript
    public: GhostClippedSum
    players: Players
    game: Game
    reporter: Reporter
    batch: int
    draws: "torch.Generator"
    rng: np.random.Generator

    def replay(self, *, until: float = 1.0) -> None:
        """Bring the mean gradients of fakes closer to those of records at critics of the game.

        The generator goes on from the weights that it has. The derivative of half the squared
        distance is a generator's usual loss, judged by a `Witness` of the difference; clipping is
        taken to be what it is where the generator stands.

        A generator may tie columns together where no critic looks. Its last matrix decays, and at 0
        columns are independent: what is not held by what the critics were told is let go.

        Args:
            until: the first part of the game that is replayed.
        """
        import torch

        critic, maker, game = self.players.critic, self.players.maker, self.game
        names = [name for name, _ in critic.named_parameters()]
        fade = Training(learning_rate=game.replay_rate, fading=True, average_decay=_REPLAY_DECAY)
        making = torch.optim.Adam(maker.parameters(), lr=fade.learning_rate, betas=_REPLAY_BETAS)
        average = WeightAverage(maker, decay=fade.average_decay)
        dependence = [p for p in maker.parameters() if p.ndim == 2][-1]
        reporter = self.reporter.replaying(game.replays)
        for step in range(game.replays):
            told = self.transcript.revive(rng=self.rng, until=until)
            fakes = self.public(self.players.fakes(self.batch, self.draws), self.draws)
            missed = [of / self.batch - real for of, real in zip(fakes, told, strict=True)]
            judge = Witness(critic, dict(zip(names, missed, strict=True)))
            rate = fade.learning_rate * fade.rate(step, game.replays)
            _lower(self.players.loss(judge, self.batch, self.draws), making, rate=rate)
            dependence.data.mul_(exp(-game.replay_decay * rate))
            average.update()
            reporter.report(step + 1, lambda: (length(missed), gradient_norm(maker)))  # noqa: B023
        average.apply()


def noise_told(plan: SgdPlan, critic: "nn.Module", *, rows: float) -> float:
    """Return the root mean square length of the noise of a step's mean gradient, in clipping norms.

    Args:
        plan: of the training.
        critic: all of its parameters are trained.
        rows: the number of records to divide by.
    """
    weights = sum(parameter.numel() for parameter in critic.parameters())
    return sqrt(weights) * plan.noise_multiplier / (plan.sample_rate * rows)


def scale_down(critic: "nn.Module", largest: float) -> None:
    """Divide the critic's matrices of a spectral norm above `largest` until they have that one.

    Reference: Miyato et al. 2018, equation 4 (spectral normalisation), here a ceiling.
    """
    import torch
    from torch import nn

    with torch.no_grad():
        for layer in critic.modules():
            if isinstance(layer, nn.Linear):
                norm = torch.linalg.matrix_norm(layer.weight, 2)
                layer.weight.div_((norm / largest).clamp(min=1.0))


def stack(widths: Sequence[int], *, generator: "torch.Generator") -> "nn.Sequential":
    """Return Linear layers of these widths with ReLU between them, by He's initial weights.

    Args:
        widths: of the inputs, of each hidden layer, and of the outputs.
        generator: randomness of the weights.
    """
    from torch import nn

    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layer = nn.Linear(inputs, outputs)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
