"""The score of one run: how badly its model fits pairs of columns, with noise of its own."""

from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.privacy.events import Event, GdpEvent

if TYPE_CHECKING:
    from dpsynth.curator.private_data import PrivateData
    from dpsynth.generators.base import SyntheticModel

_MOST_PAIRS, _MOST_CELLS = 200, 20_000
_MOST_ROWS = 100_000
LABEL = "score of a run"


@final
@dataclass(frozen=True, kw_only=True)
class PairScore:
    """Minus the mean L1 error of a model's counts of pairs of columns, with Gaussian noise.

    The errors are one `FitErrorsQuery`: its noise falls on their mean divided by the square root of
    their number, while the sensitivity of the vector rises by that root, so that the mean of many
    pairs is as cheap as one.

    Args:
        pairs: which; public.
        amount: what the answer may cost.
    """

    pairs: tuple[Clique, ...]
    amount: GdpEvent

    def event(self, private: "PrivateData") -> Event:
        """Return what it costs."""
        return private.fit_errors_event(self.pairs, self.amount)

    def __call__(
        self, private: "PrivateData", model: "SyntheticModel", *, rng: np.random.Generator
    ) -> float:
        """Return the noisy score of `model`; the larger, the better.

        Args:
            private: pays for this score and for nothing else.
            model: was fitted to the same records.
            rng: draws rows of the model.
        """
        counts = _counts(model, private.domain, self.pairs, rng=rng)
        private.reserve([(LABEL, self.event(private))])
        errors, _ = private.fit_errors(
            self.pairs, counts.__getitem__, amount=self.amount, label=LABEL
        )
        return -float(errors.mean())


def scored_pairs(domain: Domain) -> tuple[Clique, ...]:
    """Return the pairs of columns that models are scored on: all that are small, or 200 of them.

    Which ones is public, and the same for every run.
    """
    columns = [a for a, size in domain.sizes.items() if size > 1] or list(domain.attributes[:1])
    pairs = [p for p in combinations(columns, 2) if prod(domain.sizes[a] for a in p) <= _MOST_CELLS]
    if not pairs:
        return tuple((a,) for a in columns)
    step = max(1.0, len(pairs) / _MOST_PAIRS)
    return tuple(pairs[int(i * step)] for i in range(min(len(pairs), _MOST_PAIRS)))


def _counts(
    model: "SyntheticModel",
    domain: Domain,
    pairs: tuple[Clique, ...],
    *,
    rng: np.random.Generator,
) -> dict[Clique, NDArray[np.float64]]:
    """Return the model's expected counts of `pairs`, from rows drawn of it."""
    total = max(1.0, model.total)
    rows = min(_MOST_ROWS, round(total))
    codes = np.concatenate(list(model.codes_in_blocks(rows, rng=rng)))
    found: dict[Clique, NDArray[np.float64]] = {}
    for pair in pairs:
        shape = tuple(domain.sizes[a] for a in pair)
        columns = tuple(codes[:, domain.attributes.index(a)].astype(np.int64) for a in pair)
        cells = np.bincount(np.ravel_multi_index(columns, shape), minlength=prod(shape))
        found[pair] = cells.reshape(shape).astype(np.float64) * (total / rows)
    return found
