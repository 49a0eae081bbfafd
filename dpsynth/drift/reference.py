"""What a model knows of the population behind its records, and how far off that may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.effects import Effects, subsets
from dpsynth.pgm.model import GraphicalModel

if TYPE_CHECKING:
    from dpsynth.synthesis import Synthesis

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The noisy marginals that a model was fitted to, as shares of the records.

    A model is not the population: its fit has no negative counts, and what it never measured it
    makes up. What was *measured* has neither fault. Its error is the noise, whose law is known, and
    the chance by which the records were drawn.

    Args:
        model: the fit; what is likely, for variances and groups only.
        effects: the least-squares estimate of all that was measured code by code.
        laplace: the noise was Laplace's.
    """

    model: GraphicalModel
    effects: Effects
    laplace: bool

    @classmethod
    def of(cls, synthesis: "Synthesis") -> Self:
        """Return what `synthesis` knows.

        Raises:
            InvalidValueError: its model kept no noisy marginals.
        """
        model = synthesis.model
        names = set(synthesis.schema.names)
        measured = model.measurements if isinstance(model, GraphicalSyntheticModel) else ()
        kept = [m for m in measured if not m.grouped and names.issuperset(m.clique)]
        if not isinstance(model, GraphicalSyntheticModel) or not kept:
            rule = "one that kept its noisy marginals, as those of mst, aim, tree and two_stage do"
            raise InvalidValueError("model", synthesis.generator.name, rule)
        total = model.total if model.public_total else None
        return cls(
            model=model.model,
            effects=Effects.of(model.model.domain, kept, total=total),
            laplace=synthesis.receipt.accountant == "pure",
        )

    @property
    def rows(self) -> float:
        """The number of records, at least 1, as the measurements have it."""
        return max(1.0, float(self.effects.effects[()].values))

    def covers(self, clique: Clique) -> bool:
        """Return whether the attributes were measured, and the marginals inside them."""
        return self.effects.covers(clique)

    def likely(self, clique: Clique) -> Array:
        """Return the fit's shares, which are not negative and sum to 1."""
        shares = self.model.marginal(clique)
        return shares / shares.sum()

    def shares(self, clique: Clique) -> Array:
        """Return the measured shares of covered attributes: unbiased, and negative perhaps."""
        return self.effects.marginal(clique) / self.rows

    def errors(
        self,
        clique: Clique,
        groups: Sequence[NDArray[np.intp]],
        draws: int,
        *,
        rng: np.random.Generator,
    ) -> Array:
        """Return draws of the noise in sums of `shares` over groups of codes, the first axis.

        What several draws of Laplace noise sum to is drawn as a single one, whose tails are
        heavier.

        Args:
            clique: covered attributes.
            groups: for each of them the group of each code.
            draws: their number.
            rng: their source.
        """
        members = [np.bincount(of).astype(np.float64) for of in groups]
        shape = tuple(len(of) for of in members)
        found, total = np.zeros((draws, *shape)), np.zeros(draws)
        for subset in subsets(self.effects.domain.canonical(clique)):
            noise = np.sqrt(self.effects.effects[subset].variance) * unit_noise(
                (draws, *(n if a in subset else 1 for a, n in zip(clique, shape, strict=True))),
                laplace=self.laplace,
                rng=rng,
            )
            for axis, (attribute, of) in enumerate(zip(clique, members, strict=True), start=1):
                along = of.reshape([-1 if i == axis else 1 for i in range(noise.ndim)])
                if attribute in subset:  # as the effect itself, it sums to 0
                    noise = noise * np.sqrt(along)
                    noise = noise - along / along.sum() * noise.sum(axis=axis, keepdims=True)
                else:
                    total = noise.reshape(draws) if not subset and axis == 1 else total
                    noise = noise * along / along.sum()
            found += noise
        scale = total.reshape(-1, *(1,) * len(shape))
        return (found - scale * summed(self.shares(clique), groups)) / self.rows


def summed(values: Array, groups: Sequence[NDArray[np.intp]]) -> Array:
    """Return sums over groups of codes, one axis an attribute."""
    for axis, of in enumerate(groups):
        moved = np.moveaxis(values, axis, 0)
        sums = np.zeros((int(of.max()) + 1, *moved.shape[1:]))
        np.add.at(sums, of, moved)
        values = np.moveaxis(sums, 0, axis)
    return values


def unit_noise(shape: tuple[int, ...], *, laplace: bool, rng: np.random.Generator) -> Array:
    """Return draws of noise of variance 1."""
    return rng.laplace(scale=np.sqrt(0.5), size=shape) if laplace else rng.normal(size=shape)
