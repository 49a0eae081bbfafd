"""How much of a column's ties to others a generator keeps: chosen by the records, and paid for.

A critic's word on a pair of columns is coarse, and a generator may tie columns together that have
little to do with each other. What it knows of a column is in the rows of its last matrix: times a
number below 1 they leave the column nearer to independence, where its law is kept by its biases.
A handful of such numbers is tried for each column, and the best chosen by the exponential
mechanism: a record counts in a column's pairs no more than in any one pair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.best_fit import BestFitQuery
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.neural.calibrating import shift_to
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.generators.neural.softmax import softmax
from dpsynth.generators.neural.spending import mu_for
from dpsynth.privacy.events import Event, ExponentialEvent

Array = NDArray[np.float64]
# What may be left of a column's ties. Most columns do well at the start, before it is their turn.
_SCALES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.25)
_START = 0.8
# Draws of the latent variable of which predictions are means.
_DRAWS = 2**12
# Cells of the pairs that are looked at for a column: 8 MiB of predictions a candidate.
_MOST_CELLS = 2**20
_LABEL = "choose what to keep of a column's ties"


@final
@dataclass(frozen=True, kw_only=True)
class Choices:
    """One choice a column, of equal epsilon, as they are reserved.

    Args:
        epsilon: of each.
        asked: column -> what is asked of it, in the order of the choices; public.
    """

    epsilon: float
    asked: dict[str, tuple[Clique, ...]]

    @classmethod
    def of(cls, private: PrivateData, share: float) -> Self:
        """Return the choices that a part of the budget pays for.

        Their number is that of the columns and nothing else: how many codes a column has may be an
        answer, and a plan must not depend on it. So a column without pairs is asked for its law.

        The loss of an exponential mechanism has range epsilon, and so a variance of at most
        epsilon^2 / 4, where that of Gaussian noise is mu^2: epsilon is twice the mu of a choice.

        Args:
            private: its budget and domain.
            share: part of the budget's mu^2.

        Reference: Dong, Durfee & Rogers 2020 (bounded range); Cesar & Rogers 2021, Lemma 3.4.
        """
        asked = {
            name: _pairs(name, private.domain) or ((name,),) for name in private.domain.attributes
        }
        epsilon = 2.0 * mu_for(private, share) / len(asked) ** 0.5
        return cls(epsilon=epsilon, asked=asked)

    @property
    def plan(self) -> list[tuple[str, Event]]:
        """What will be charged, in this order."""
        return [(_LABEL, ExponentialEvent(epsilon=self.epsilon))] * len(self.asked)


def _pairs(name: str, domain: Domain) -> tuple[Clique, ...]:
    """Return pairs of a column with others of more than one code, small ones first, up to a number
    of cells."""
    sizes = domain.sizes
    others = [other for other, size in sizes.items() if other != name and size > 1]
    found: list[Clique] = []
    cells = 0
    for other in sorted(others, key=lambda o: sizes[o]):
        cells += sizes[name] * sizes[other]
        if sizes[name] == 1 or cells > _MOST_CELLS:
            break
        found.append((name, other))
    return tuple(found)


def tied(
    private: PrivateData,
    choices: Choices,
    decoders: Sequence[Perceptron],
    shares: Array,
    *,
    total: float,
    rng: np.random.Generator,
) -> tuple[Perceptron, ...]:
    """Return the decoders with what was chosen of each column's ties, one column after the other.

    Each choice is between the mixtures that they are, all else as chosen so far. Biases are moved
    so that columns keep their laws.

    Args:
        private: charged for each choice.
        choices: what was reserved.
        decoders: from standard normal noise to the logits of all attributes, side by side; equally
            likely.
        shares: the law of each attribute, likewise.
        total: the number of records, public or bought.
        rng: source of the noise.
    """
    domain = private.domain
    parts = [_Part.of(one, shares, domain, rng=rng) for one in decoders]
    for name, cliques in choices.asked.items():
        tried = [[part.scaled(name, by) for part in parts] for by in _SCALES]
        candidates = tuple(_expected(some, cliques, total) for some in tried)
        query = BestFitQuery(cliques=cliques, candidates=candidates)
        parts = tried[private.select_best(query, epsilon=choices.epsilon, label=_LABEL)]
    return tuple(part.decoder() for part in parts)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """A decoder at draws of its latent variable, column by column.

    Args:
        whole: the decoder as it was.
        ties: column -> its logits without biases, one row a draw.
        shares: column -> its law.
        scales: column -> what is left of its ties.
        biases: column -> its biases.
        laws: column -> its law given each draw.
    """

    whole: Perceptron
    ties: dict[str, Array]
    shares: dict[str, Array]
    scales: dict[str, float]
    biases: dict[str, Array]
    laws: dict[str, Array]

    @classmethod
    def of(
        cls, decoder: Perceptron, shares: Array, domain: Domain, *, rng: np.random.Generator
    ) -> "_Part":
        """Return a decoder with the same part left of all ties."""
        last = decoder.biases[-1]
        ties = decoder(rng.standard_normal((_DRAWS, decoder.inputs))) - last
        part = cls(
            whole=decoder,
            ties=dict(_columns(ties, domain)),
            shares=dict(_columns(shares, domain)),
            scales={},
            biases=dict(_columns(last, domain)),
            laws={},
        )
        for name in domain.attributes:
            part = part.scaled(name, _START)
        return part

    def scaled(self, name: str, scale: float) -> "_Part":
        """Return it with another part left of a column's ties, and the column's law kept."""
        logits = scale * self.ties[name] + self.biases[name]
        shift = shift_to(logits, self.shares[name], Domain(sizes={name: logits.shape[1]}))
        return replace(
            self,
            scales={**self.scales, name: scale},
            biases={**self.biases, name: self.biases[name] + shift},
            laws={**self.laws, name: softmax(logits + shift)},
        )

    def decoder(self) -> Perceptron:
        """Return the decoder that it is now."""
        scales = np.concatenate([np.full(len(of), self.scales[n]) for n, of in self.biases.items()])
        return replace(
            self.whole,
            weights=(*self.whole.weights[:-1], self.whole.weights[-1] * scales[:, None]),
            biases=(*self.whole.biases[:-1], np.concatenate(list(self.biases.values()))),
        )


def _columns(flat: Array, domain: Domain) -> Iterator[tuple[str, Array]]:
    """Yield each attribute and its own of what stands side by side on the last axis."""
    ends = np.cumsum(domain.shape)
    for name, size, end in zip(domain.attributes, domain.shape, ends, strict=True):
        yield name, flat[..., end - size : end]


def _expected(parts: Sequence[_Part], cliques: Sequence[Clique], total: float) -> tuple[Array, ...]:
    """Return the counts of each column or pair that equally likely parts expect."""
    scale = total / (len(parts) * _DRAWS)
    found: list[Array] = []
    for name, *other in cliques:
        sums = [
            of.laws[name].T @ of.laws[other[0]] if other else of.laws[name].sum(axis=0)
            for of in parts
        ]
        found.append(scale * np.sum(sums, axis=0))
    return tuple(found)
