"""DP-CTGAN: conditional vectors and modes of ordered columns, with the critic trained by DP-SGD."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.domain import Domain
from dpsynth.data.schema import Schema
from dpsynth.generators.base import (
    Generator,
    SyntheticModel,
    check_counts,
    check_installed,
    check_positive,
    check_shares,
)
from dpsynth.generators.neural.adversarial import Judge, game_of, play, stack
from dpsynth.generators.neural.calibrating import shift_to
from dpsynth.generators.neural.gumbel import largest, perturbed, straight_through
from dpsynth.generators.neural.modes import Modes
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.generators.neural.softmax import drawn_rows, in_batches, one_hot, parts
from dpsynth.generators.neural.spending import check_sgd, start_of
from dpsynth.generators.neural.training import device_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Array = NDArray[np.float64]
_CALIBRATION_ROWS = 2**13
# What a condition adds to its mode's logit, so that the generator obeys before it has learned to.
_OBEYED = 12.0


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """How the modes of a row's columns stand side by side, and what they stand for.

    Args:
        modes: of each column.
        laws: of the codes of each column.
    """

    modes: tuple[Modes, ...]
    laws: tuple[Array, ...]

    @cached_property
    def domain(self) -> Domain:
        """The modes as attributes."""
        return Domain(sizes={str(at): len(of.first) for at, of in enumerate(self.modes)})

    @cached_property
    def shares(self) -> Array:
        """The laws of the modes, side by side."""
        columns = zip(self.modes, self.laws, strict=True)
        return np.concatenate([of.shares(law) for of, law in columns])

    def codes(self, modes: NDArray[np.int64], *, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return rows of codes, each drawn from its column's law within its mode.

        Args:
            modes: of shape (n, columns).
            rng: source of the draws.
        """
        columns = zip(self.modes, self.laws, modes.T, strict=True)
        return np.stack([of.drawn(law, mode, rng=rng) for of, law, mode in columns], axis=1)

    def conditions(self, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return n conditions as (column, mode): any column, a mode as likely as it is there."""
        column = rng.integers(0, len(self.modes), n)
        logits = np.log(np.maximum(self.shares, 1e-300))
        mode = drawn_rows(np.broadcast_to(logits, (n, logits.size)), self.domain, rng=rng)
        return np.stack([column, mode[np.arange(n), column]], axis=1)

    def vectors(self, conditions: NDArray[np.int64]) -> Array:
        """Return conditions as indicators among all modes of all columns."""
        starts = np.cumsum([0, *self.domain.shape[:-1]])
        vectors = np.zeros((len(conditions), sum(self.domain.shape)))
        vectors[np.arange(len(conditions)), starts[conditions[:, 0]] + conditions[:, 1]] = 1.0
        return vectors


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CtganModel(SyntheticModel):
    """A generator of modes from noise and a condition. NumPy suffices.

    Args:
        schema: the public description of the records.
        total: number of records it stands for.
        maker: from noise and a conditional vector to logits of modes.
        layout: what the outputs mean; its laws are those that conditions and codes are drawn from.
    """

    schema: Schema
    total: float
    maker: Perceptron
    layout: Layout

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return in_batches(n, lambda rows: self._batch(rows, rng=rng))

    def _batch(self, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        logits = outputs(self.maker, self.layout, n, rng=rng)
        return self.layout.codes(drawn_rows(logits, self.layout.domain, rng=rng), rng=rng)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        found = {"total": np.array(self.total), **self.maker.arrays("maker")}
        found |= {f"first_{at}": of.first for at, of in enumerate(self.layout.modes)}
        return found | {f"law_{at}": law for at, law in enumerate(self.layout.laws)}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        columns = range(sum(key.startswith("first_") for key in arrays))
        laws = tuple(arrays[f"law_{at}"] for at in columns)
        modes = [Modes(first=arrays[f"first_{at}"], size=len(laws[at])) for at in columns]
        return cls(
            schema=schema,
            total=float(arrays["total"]),
            maker=Perceptron.from_arrays("maker", arrays),
            layout=Layout(modes=tuple(modes), laws=laws),
        )


def outputs(maker: Perceptron, layout: Layout, n: int, *, rng: np.random.Generator) -> Array:
    """Return logits of modes of n rows under drawn conditions."""
    vectors = layout.vectors(layout.conditions(n, rng=rng))
    noise = rng.standard_normal((n, maker.inputs - vectors.shape[1]))
    return maker(np.concatenate([noise, vectors], axis=1)) + _OBEYED * vectors


@final
class _Conditional:
    """A critic of rows beside their conditions, and a generator that is given conditions.

    A record's condition is its own mode in a column that is drawn for it: batches stay Poisson
    samples, and no record is drawn because of what it holds.
    """

    def __init__(
        self, chosen: "DpCtgan", layout: Layout, *, device: "torch.device", rng: np.random.Generator
    ) -> None:
        import torch

        self._layout, self._device, self._rng = layout, device, rng
        self._sizes, self._latent = layout.domain.shape, chosen.latent
        self._temperature = chosen.temperature
        widest = max(of.size for of in layout.modes)
        padded = [np.pad(of.mode, (0, widest - of.size)) for of in layout.modes]
        self._modes = torch.as_tensor(np.stack(padded), device=device)
        draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
        width = sum(self._sizes)
        seen = (2 * width, chosen.hidden, 1)
        self.critic: nn.Sequential = stack(seen, generator=draws).to(device)
        widths = (chosen.latent + width, chosen.hidden, width)
        self.maker: nn.Sequential = stack(widths, generator=draws).to(device)
        start = torch.as_tensor(np.log(layout.shares))
        self.maker[-1].bias.data.copy_(start)  # pyright: ignore

    def displeasure(
        self, critic: "nn.Module", codes: "Tensor", generator: "torch.Generator"
    ) -> "Tensor":
        """Return minus the critic's value of rows.

        Args:
            critic: what judges them.
            codes: records' codes; or modes of fakes, with their conditions behind them.
            generator: draws the conditions of records.
        """
        import torch

        columns = len(self._sizes)
        if codes.shape[1] == columns:
            modes = self._modes[torch.arange(columns, device=codes.device), codes]
            column = torch.randint(columns, (len(codes), 1), generator=generator).to(codes.device)
            condition = torch.cat([column, modes.gather(1, column)], 1)
        else:
            modes, condition = codes[:, :columns], codes[:, columns:]
        seen = torch.cat([one_hot(modes, self._sizes), self._vectors(condition)], 1)
        return -critic(seen)[:, 0]

    def _vectors(self, condition: "Tensor") -> "Tensor":
        import torch

        device = condition.device
        starts = torch.as_tensor(np.cumsum([0, *self._sizes[:-1]]), device=device)
        vectors = torch.zeros(len(condition), sum(self._sizes), device=device)
        return vectors.scatter_(1, (starts[condition[:, 0]] + condition[:, 1])[:, None], 1.0)

    def _made(self, n: int, generator: "torch.Generator") -> "tuple[Tensor, Tensor, Tensor]":
        """Return conditions, the same as vectors, and logits of rows made under them."""
        import torch

        drawn = self._layout.conditions(n, rng=self._rng)
        condition = torch.as_tensor(drawn, device=self._device)
        noise = torch.randn(n, self._latent, generator=generator).to(self._device)
        vectors = self._vectors(condition)
        return condition, vectors, self.maker(torch.cat([noise, vectors], 1)) + _OBEYED * vectors

    def fakes(self, n: int, generator: "torch.Generator") -> "Tensor":
        """Return modes of generated rows with their conditions behind them."""
        import torch

        with torch.no_grad():
            condition, _, logits = self._made(n, generator)
            return torch.cat([largest(perturbed(logits, generator), self._sizes), condition], 1)

    def loss(self, judge: Judge, n: int, generator: "torch.Generator") -> "Tensor":
        """Return minus the judge's value of rows, plus how unlikely their conditions are there."""
        import torch

        _, vectors, logits = self._made(n, generator)
        ones = straight_through(perturbed(logits, generator), self._sizes, self._temperature)
        value = judge(torch.cat([ones, vectors], 1))
        laws = [torch.log_softmax(part, 1) for part in logits.split(list(self._sizes), 1)]
        kept = (torch.cat(laws, 1) * vectors).sum(1)
        return -(value[:, 0] + kept).mean()


@final
@dataclass(frozen=True, kw_only=True)
class DpCtgan(Generator):
    """A conditional GAN for tables: its critic alone meets records, by DP-SGD.

    One plan is reserved before anything is drawn: noisy 1-way marginals, then all steps of the
    critic. The marginals give the number of records, the modes of ordered columns, the laws of the
    conditions and within modes, and what biases are calibrated to: no preprocessing looks at
    records. CTGAN's numbers within modes are not learned: modes are short, and a code within one
    is drawn from its column's law.

    Loss of a record: minus the critic's value of it, beside its own mode in a column that is drawn
    for it. CTGAN's training-by-sampling picks records by what they hold, and batches would then be
    no Poisson samples; here the condition is taken from the record instead, and fakes get theirs
    from the noisy marginals. Nor are several records packed into one judgement. The generator pays
    for a broken condition by cross-entropy; the critic's public half is that of `adversarial`.
    Relation: both. Sensitivity: `MarginalQuery` for the marginals; the sum of clipped gradients
    moves by at most the clipping norm when a record comes or goes (and by twice that when one is
    replaced, which the accountant knows).
    Accounting: Poisson sampling, composed with the marginals by privacy loss distributions.
    Cost: the whole budget.

    Defaults were chosen on simulated mixtures of products; `most_modes`, `critic_noise`, the
    generator's rate and its replays with `uci_adult` in view (`docs/research/neural_gans.md`).

    Args:
        most_modes: largest number of modes of an ordered column, but for a missing value; columns
            of no more codes are treated as if they had no order.
        one_way_share, sample_rate, steps, clipping_norm, critic_rate, learning_rate, critic_noise,
            critic_steps, hidden, latent, batch, spectral_norm, temperature, average_decay, replays,
            replay_batch, replay_rate, replay_decay, device: as of `DpGan`.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Xu et al. 2019, section 4 (CTGAN); Abadi et al. 2016, Algorithm 1.
    """

    most_modes: int = 20
    one_way_share: float = 0.2
    sample_rate: float = 0.1
    steps: int = 600
    clipping_norm: float = 0.5
    critic_rate: float = 0.005
    learning_rate: float = 0.005
    critic_noise: float = 0.2
    critic_steps: int = 1
    hidden: int = 64
    latent: int = 8
    batch: int = 512
    spectral_norm: float = 1.0
    temperature: float = 0.7
    average_decay: float = 0.98
    replays: int = 3000
    replay_batch: int = 1024
    replay_rate: float = 0.005
    replay_decay: float = 0.0
    device: str = "auto"

    name: ClassVar[str] = "dpctgan"
    accountant: ClassVar[str] = "pld"
    reference: ClassVar[str] = "Xu et al. 2019, section 4"
    model: ClassVar[type[SyntheticModel]] = CtganModel
    trains: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share")
        check_counts(self, "most_modes", "hidden", "latent")
        check_sgd(self)
        check_positive(self, "temperature")
        _ = game_of(self)

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> CtganModel:
        check_installed(self)
        device = device_of(self.device)
        total, side_by_side, plan = start_of(private, self)
        laws = parts(side_by_side, private.domain)
        layout = Layout(modes=tuple(self._modes(private, laws)), laws=tuple(laws))
        players = _Conditional(self, layout, device=device, rng=rng)
        play(private, plan, players, game_of(self), rows=total, rng=rng).replay()
        maker = Perceptron.of(players.maker)
        logits = outputs(maker, layout, _CALIBRATION_ROWS, rng=rng)
        shift = shift_to(logits, layout.shares, layout.domain)
        return CtganModel(
            schema=private.schema, total=total, maker=maker.shifted(shift), layout=layout
        )

    def _modes(self, private: PrivateData, shares: Sequence[Array]) -> list[Modes]:
        """Return the modes of each attribute."""
        found: list[Modes] = []
        for name, law in zip(private.domain.attributes, shares, strict=True):
            column = private.schema.column(name)
            if isinstance(column, CategoricalColumn) or len(law) <= self.most_modes:
                found.append(Modes.plain(len(law)))
            else:
                found.append(Modes.of(law, most=self.most_modes, missing=column.missing))
        return found
