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
from dpsynth.generators.neural.adversarial import (
    Judge,
    game_of,
    play,
    stack,
)
from dpsynth.generators.neural.calibrating import shift_to
from dpsynth.generators.neural.gumbel import largest, perturbed, straight_through
from dpsynth.generators.neural.modes import Modes, blocks
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
    """How a row stands side by side: the mode of each column, then the numbers of some.

    Args:
        modes: of each column.
    """

    modes: tuple[Modes, ...]

    @cached_property
    def domain(self) -> Domain:
        """The modes as attributes."""
        return Domain(sizes={str(at): len(of.first) for at, of in enumerate(self.modes)})

    @cached_property
    def numbered(self) -> list[int]:
        """Positions of the columns that have numbers."""
        return [at for at, of in enumerate(self.modes) if len(of.first) < of.size]

    @property
    def width(self) -> int:
        """Outputs of the generator."""
        return sum(self.domain.shape) + len(self.numbered)

    def codes(
        self, modes: NDArray[np.int64], numbers: Array, cuts: Sequence[Array]
    ) -> NDArray[np.int64]:
        """Return rows of codes.

        Args:
            modes: of shape (n, columns).
            numbers: of shape (n, numbered columns).
            cuts: of each numbered column.
        """
        rows = modes.copy()
        for at, number, cut in zip(self.numbered, numbers.T, cuts, strict=True):
            rows[:, at] = self.modes[at].code(modes[:, at], number, cut)
        return rows

    def conditions(self, laws: Array, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return n conditions as (column, mode): any column, a mode as likely as it is there."""
        column = rng.integers(0, len(self.modes), n)
        logits = np.log(np.maximum(laws, 1e-300))
        mode = drawn_rows(np.broadcast_to(logits, (n, laws.size)), self.domain, rng=rng)
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
    """A generator of modes and numbers from noise and a condition. NumPy suffices.

    Args:
        schema: the public description of the records.
        total: number of records it stands for.
        maker: from noise and a conditional vector to logits of modes and numbers.
        layout: what the outputs mean.
        laws: of the modes, side by side: conditions are drawn from them.
        cuts: of each numbered column.
    """

    schema: Schema
    total: float
    maker: Perceptron
    layout: Layout
    laws: Array
    cuts: tuple[Array, ...]

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return in_batches(n, lambda rows: self._batch(rows, rng=rng))

    def _batch(self, n: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        logits, numbers = outputs(self.maker, self.layout, self.laws, n, rng=rng)
        modes = drawn_rows(logits, self.layout.domain, rng=rng)
        return self.layout.codes(modes, numbers, self.cuts)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        found = {"total": np.array(self.total), "laws": self.laws, **self.maker.arrays("maker")}
        found |= {f"first_{at}": of.first for at, of in enumerate(self.layout.modes)}
        found |= {f"size_{at}": np.array(of.size) for at, of in enumerate(self.layout.modes)}
        return found | {f"cuts_{at}": cut for at, cut in enumerate(self.cuts)}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        columns = range(sum(key.startswith("first_") for key in arrays))
        modes = [Modes(first=arrays[f"first_{a}"], size=int(arrays[f"size_{a}"])) for a in columns]
        layout = Layout(modes=tuple(modes))
        return cls(
            schema=schema,
            total=float(arrays["total"]),
            maker=Perceptron.from_arrays("maker", arrays),
            layout=layout,
            laws=arrays["laws"],
            cuts=tuple(arrays[f"cuts_{at}"] for at in range(len(layout.numbered))),
        )


def outputs(
    maker: Perceptron, layout: Layout, laws: Array, n: int, *, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return logits of modes, and numbers, of n rows under drawn conditions."""
    vectors = layout.vectors(layout.conditions(laws, n, rng=rng))
    noise = rng.standard_normal((n, maker.inputs - vectors.shape[1]))
    found = maker(np.concatenate([noise, vectors], axis=1))
    return found[:, : laws.size] + _OBEYED * vectors, np.tanh(found[:, laws.size :])


@final
class _Conditional:
    """A critic of rows beside their conditions, and a generator that is given conditions.

    A record's condition is its own mode in a column that is drawn for it: batches stay Poisson
    samples, and no record is drawn because of what it holds.
    """

    def __init__(
        self,
        chosen: "DpCtgan",
        layout: Layout,
        laws: Array,
        *,
        device: "torch.device",
        rng: np.random.Generator,
    ) -> None:
        import torch

        self._layout, self._laws, self._device, self._rng = layout, laws, device, rng
        self._sizes, self._latent = layout.domain.shape, chosen.latent
        self._temperature = chosen.temperature
        widest = max(of.size for of in layout.modes)
        padded = [np.pad(of.mode, (0, widest - of.size)) for of in layout.modes]
        self._modes = torch.as_tensor(np.stack(padded), device=device)
        padded = [np.pad(of.numbers, (0, widest - of.size)) for of in layout.modes]
        self._numbers = torch.as_tensor(np.stack(padded), dtype=torch.float32, device=device)
        draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
        seen = layout.width + sum(self._sizes)
        self.critic: nn.Sequential = stack((seen, chosen.hidden, 1), generator=draws).to(device)
        widths = (chosen.latent + sum(self._sizes), chosen.hidden, layout.width)
        self.maker: nn.Sequential = stack(widths, generator=draws).to(device)
        start = np.concatenate([np.log(laws), np.zeros(len(layout.numbered))])
        self.maker[-1].bias.data.copy_(torch.as_tensor(start))  # pyright: ignore

    def displeasure(
        self, critic: "nn.Module", codes: "Tensor", generator: "torch.Generator"
    ) -> "Tensor":
        """Return minus the critic's value of rows; fakes bring their conditions behind them."""
        import torch

        columns = len(self._sizes)
        rows, condition = codes[:, :columns], codes[:, columns:]
        at = torch.arange(columns, device=codes.device)
        modes, numbers = self._modes[at, rows], self._numbers[at, rows]
        if condition.shape[1] == 0:
            column = torch.randint(columns, (len(rows), 1), generator=generator).to(modes.device)
            condition = torch.cat([column, modes.gather(1, column)], 1)
        seen = [one_hot(modes, self._sizes), numbers[:, self._layout.numbered]]
        return -critic(torch.cat([*seen, self._vectors(condition)], 1))[:, 0]

    def _vectors(self, condition: "Tensor") -> "Tensor":
        import torch

        device = condition.device
        starts = torch.as_tensor(np.cumsum([0, *self._sizes[:-1]]), device=device)
        vectors = torch.zeros(len(condition), sum(self._sizes), device=device)
        return vectors.scatter_(1, (starts[condition[:, 0]] + condition[:, 1])[:, None], 1.0)

    def _made(self, n: int, generator: "torch.Generator") -> "tuple[Tensor, Tensor, Tensor]":
        """Return conditions, and logits and numbers of rows made under them."""
        import torch

        drawn = self._layout.conditions(self._laws, n, rng=self._rng)
        condition = torch.as_tensor(drawn, device=self._device)
        noise = torch.randn(n, self._latent, generator=generator).to(self._device)
        vectors = self._vectors(condition)
        found = self.maker(torch.cat([noise, vectors], 1))
        width = sum(self._sizes)
        return condition, found[:, :width] + _OBEYED * vectors, torch.tanh(found[:, width:])

    def _rounded(self, modes: "Tensor", numbers: "Tensor") -> "Tensor":
        """Return the codes that modes and numbers stand for."""
        import torch

        cuts = [self._layout.modes[at].even_cuts() for at in self._layout.numbered]
        found = self._layout.codes(
            modes.cpu().numpy(), numbers.detach().double().cpu().numpy(), cuts
        )
        return torch.as_tensor(found, device=self._device)

    def fakes(self, n: int, generator: "torch.Generator") -> "Tensor":
        """Return generated rows with their conditions behind them."""
        import torch

        with torch.no_grad():
            condition, logits, numbers = self._made(n, generator)
            modes = largest(perturbed(logits, generator), self._sizes)
            return torch.cat([self._rounded(modes, numbers), condition], 1)

    def loss(self, judge: Judge, n: int, generator: "torch.Generator") -> "Tensor":
        """Return minus the judge's value of rows, plus how unlikely their conditions are there."""
        import torch

        condition, logits, numbers = self._made(n, generator)
        vectors, noisy = self._vectors(condition), perturbed(logits, generator)
        ones = straight_through(noisy, self._sizes, self._temperature)
        codes = self._rounded(largest(noisy, self._sizes), numbers)
        at = torch.arange(len(self._sizes), device=codes.device)
        known = self._numbers[at, codes][:, self._layout.numbered]
        value = judge(torch.cat([ones, numbers + (known - numbers).detach(), vectors], 1))
        laws = [torch.log_softmax(part, 1) for part in logits.split(list(self._sizes), 1)]
        kept = (torch.cat(laws, 1) * vectors).sum(1)
        return -(value[:, 0] + kept).mean()


@final
@dataclass(frozen=True, kw_only=True)
class DpCtgan(Generator):
    """A conditional GAN for tables: its critic alone meets records, by DP-SGD.

    One plan is reserved before anything is drawn: noisy 1-way marginals, then all steps of the
    critic. The marginals give the number of records, the modes of ordered columns, the law of the
    conditions, and what biases and cuts are calibrated to: no preprocessing looks at records.

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

    Defaults were chosen on simulated mixtures of products (`docs/research/neural_gans.md`).

    Args:
        most_modes: largest number of modes of an ordered column; columns of no more codes are
            treated as if they had no order.
        one_way_share, sample_rate, steps, clipping_norm, critic_rate, learning_rate, critic_steps,
            hidden, latent, batch, spectral_norm, temperature, average_decay, replays, replay_batch,
            replay_rate, replay_decay, device: as of `DpGan`.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Xu et al. 2019, section 4 (CTGAN); Abadi et al. 2016, Algorithm 1.
    """

    most_modes: int = 10
    one_way_share: float = 0.2
    sample_rate: float = 0.1
    steps: int = 600
    clipping_norm: float = 0.5
    critic_rate: float = 0.005
    learning_rate: float = 0.002
    critic_steps: int = 1
    hidden: int = 64
    latent: int = 8
    batch: int = 512
    spectral_norm: float = 1.0
    temperature: float = 0.7
    average_decay: float = 0.98
    replays: int = 1500
    replay_batch: int = 256
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
        shares = parts(side_by_side, private.domain)
        layout = Layout(modes=tuple(self._modes(private, shares)))
        laws = np.concatenate(blocks(layout.modes, shares))
        players = _Conditional(self, layout, laws, device=device, rng=rng)
        play(private, plan, players, game_of(self), rows=total, rng=rng).replay()
        maker = Perceptron.of(players.maker)
        logits, numbers = outputs(maker, layout, laws, _CALIBRATION_ROWS, rng=rng)
        shift = shift_to(logits, laws, layout.domain)
        modes = drawn_rows(logits + shift, layout.domain, rng=rng)
        cuts = [
            layout.modes[at].fitted_cuts(shares[at], modes[:, at], number)
            for at, number in zip(layout.numbered, numbers.T, strict=True)
        ]
        return CtganModel(
            schema=private.schema,
            total=total,
            maker=maker.shifted(np.concatenate([shift, np.zeros(len(layout.numbered))])),
            layout=layout,
            laws=laws,
            cuts=tuple(cuts),
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
