"""DP-MERF: a network fitted to one noisy mean embedding of the records."""

# torch states its types only in part.
# pyright: reportMissingTypeStubs=false

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import pi, sqrt
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.embedding import TURN, EmbeddingQuery
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
from dpsynth.generators.graphical import total_of
from dpsynth.generators.marginal.one_ways import measure_one_ways
from dpsynth.generators.mixture import MixtureSyntheticModel
from dpsynth.generators.neural.latent_mixture import LatentMixture, Laws, hearsay
from dpsynth.generators.neural.spending import one_way_laws
from dpsynth.generators.neural.training import device_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Training ends where the misses are about as large as the noise, a half for each number.
_ENOUGH = 0.25


@final
@dataclass(frozen=True, kw_only=True)
class DpMerf(Generator):
    """Random Fourier features of the records, summed and bought once; a network is fitted to them.

    A feature is the cosine, or the sine, of an angle that is the sum of the angles of two codes,
    one of each attribute of a pair: normal numbers for categories; for ordered columns a normal
    speed times the code's place, so that neighbours turn alike. All pairs have as many features,
    and the laws of all pairs are in the embedding's limit; of a sum over all attributes (the paper)
    it would be the whole law, but so few features of it say little of any one pair, at the same
    sensitivity. One-way marginals are bought beside it.

    The network's law is a mixture of products over fixed latent draws. The embedding of a product
    is a product of the attributes' own, so the distance from the noisy one is exact, with no
    samples and no relaxed codes (the paper embeds the softmaxes themselves). Every pair is pulled
    towards independence, since features are fewer than the cells of pairs; as weakly as noise is
    strong, so that features say more as the budget grows.

    Loss: squared distance of the embeddings, in the variance of the noise, plus that pull.
    Relation: both. Sensitivities and proofs: `EmbeddingQuery`, `MarginalQuery`.
    Accounting: two purchases of Gaussian noise under one filter; training is post-processing.
    Cost: the whole budget. Records must be in memory; a unit may have several rows.

    Features and bandwidth were chosen on one real table, other defaults on simulated mixtures of 12
    columns (docs/research/neural_noise_once.md).

    Args:
        one_way_share: part of the budget for one-way marginals.
        features: number of angles.
        bandwidth: standard deviation of a category's angle, and of an ordered column's ends, in
            radians: the angles of wide ones are all but independent of each other.
        label: an attribute whose codes have embeddings of their own; None: one of all records.
        hearsay: weight of a pair's cell, which is pulled to independence, over that of all features
            together, whose noise does not depend on their number.
        steps: of training.
        learning_rate: Adam's.
        hidden: units of each block of the network.
        latent: dimensions of a draw.
        draws: components of the mixture.
        device: where to train; "auto" is a GPU where there is one.

    Raises:
        InvalidValueError: a hyperparameter out of its range.
        UnknownNameError: on fitting, before anything is spent, a label that the domain lacks.
        RecordsElsewhereError: on fitting, likewise, records that are not in memory.

    Reference: Harder, Adamczewski & Park 2021, section 4 and Algorithm 1 (DP-MERF); Rahimi & Recht
        2007 (random Fourier features).
    """

    one_way_share: float = 0.3
    features: int = 2048
    bandwidth: float = 3.0
    label: str | None = None
    hearsay: float = 0.004
    steps: int = 400
    learning_rate: float = 0.01
    hidden: int = 128
    latent: int = 16
    draws: int = 250
    device: str = "auto"

    name: ClassVar[str] = "dpmerf"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "Harder, Adamczewski & Park 2021, Algorithm 1"
    model: ClassVar[type[SyntheticModel]] = MixtureSyntheticModel
    trains: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share")
        check_counts(self, "features", "steps", "hidden", "latent", "draws")
        check_positive(self, "bandwidth", "hearsay", "learning_rate")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> MixtureSyntheticModel:
        check_installed(self)
        # First what may be refused.
        device = device_of(self.device)
        query = EmbeddingQuery(phases=self._phases(private.schema, rng=rng), label=self.label)
        amount = private.remaining * (1 - self.one_way_share)
        embedded, sigma = private.embedding(query, amount=amount)
        singles = measure_one_ways(private, amount=private.remaining)
        total, shares = total_of(private, singles), one_way_laws(private, singles)
        network = LatentMixture(
            private.domain,
            shares,
            draws=self.draws,
            latent=self.latent,
            hidden=self.hidden,
            rng=rng,
            device=device,
        )
        of_features = _misfit(private.domain, query, embedded / total, sigma / total, device)
        of_pairs = hearsay(
            private.domain,
            np.outer(shares, shares),
            [],
            sigma / total / sqrt(self.features * self.hearsay),
        )
        network.fit(
            lambda laws: of_features(laws) + of_pairs(laws),
            steps=self.steps,
            learning_rate=self.learning_rate,
            shifts=True,
            enough=_ENOUGH * embedded.size,
        )
        return MixtureSyntheticModel(schema=private.schema, parts=(network.mixture(total),))

    def _phases(self, schema: Schema, *, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Return each code's angle in each feature, in parts of a turn; a label has none."""
        turning = self._turning(schema.domain, rng=rng)
        found: list[NDArray[np.float64]] = []
        for (attribute, size), turns in zip(schema.domain.sizes.items(), turning, strict=True):
            if isinstance(schema.column(attribute), CategoricalColumn):
                angles = rng.normal(size=(size, self.features))
            else:
                place = np.linspace(-_ENDS, _ENDS, size)[:, None]
                angles = place * rng.normal(size=(1, self.features))
            found.append(angles * turns)
        turns = np.concatenate(found) * (self.bandwidth / (2 * pi))
        return np.rint(turns * TURN).astype(np.int64).astype(np.uint16)

    def _turning(self, domain: Domain, *, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return which attributes turn which features: each pair as many, as far as that goes."""
        free = [i for i, a in enumerate(domain.attributes) if a != self.label]
        found = np.zeros((len(domain.attributes), self.features), dtype=np.bool_)
        pairs = np.array(list(combinations(free, 2)), dtype=np.intp)
        if len(pairs):
            order = np.resize(rng.permutation(len(pairs)), self.features)
            found[pairs[order].T, np.arange(self.features)] = True
        else:
            found[free] = True
        return found


# Two records at random are about as far apart on an ordered column as two categories are.
_ENDS = 2.0


def _misfit(
    domain: Domain,
    query: EmbeddingQuery,
    embedded: NDArray[np.float64],
    sigma: float,
    device: "torch.device",
) -> "Callable[[Laws], Tensor]":
    """Return half the squared distance of a mixture's embedding from the noisy one.

    Args:
        domain: of the records.
        query: what was asked.
        embedded: the answer, for each record of all.
        sigma: the deviation of its noise.
        device: of the laws.
    """
    import torch

    starts = np.cumsum([0, *domain.shape[:-1]])
    turning = np.logical_or.reduceat(query.phases != 0, starts, axis=0)
    # Of the columns that `laws` are turned into, the first is 1: an attribute that is at rest.
    places = np.where(turning, 1 + np.cumsum(turning).reshape(turning.shape) - turning, 0)
    slots = max(1, int(turning.sum(axis=0).max()))
    first, *others = (torch.as_tensor(at, device=device) for at in np.sort(places, axis=0)[-slots:])
    tables = np.split(query.phases.astype(np.float32) * (2 * pi / TURN), starts[1:])
    waves: dict[str, tuple[Tensor, Tensor]] = {}
    for attribute, table, turns in zip(domain.attributes, tables, turning, strict=True):
        angles = torch.as_tensor(table[:, turns], dtype=torch.float32, device=device)
        waves[attribute] = angles.cos(), angles.sin()
    target = torch.as_tensor(embedded, dtype=torch.float32, device=device)

    def loss(laws: Laws) -> "Tensor":
        draws = len(next(iter(laws.values())))
        one = torch.ones(draws, 1, device=device)
        cosines = torch.cat([one, *(laws[a] @ cosine for a, (cosine, _) in waves.items())], 1)
        sines = torch.cat([0 * one, *(laws[a] @ sine for a, (_, sine) in waves.items())], 1)
        real, imaginary = (side.index_select(1, first) for side in (cosines, sines))
        for at in others:
            c, s = cosines.index_select(1, at), sines.index_select(1, at)
            real, imaginary = real * c - imaginary * s, real * s + imaginary * c
        own = one.T if query.label is None else laws[query.label].T
        found = torch.stack([own @ real, own @ imaginary]) / draws
        return 0.5 * (found - target).square().sum() / sigma**2

    return loss
