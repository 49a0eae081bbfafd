"""How finely to measure a marginal: what coarse groups of codes keep of a gain, and what they save.

A marginal of twice as many cells costs twice as much in noise, and most of what attributes have in
common shows in a few groups of their codes already.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import Column
from dpsynth.data.domain import Clique
from dpsynth.generators.marginal.noise_cost import noise_cost
from dpsynth.generators.marginal.rare_codes import neighbour_groups
from dpsynth.pgm.measurement import MEAN_SIZE

Array = NDArray[np.float64]
Groups: TypeAlias = Mapping[str, NDArray[np.intp]]
"""Attribute -> the group of each of its codes."""

_FACTOR = 3.0
_COARSER = 3
# Of a dependence, 1 - 1.5 / groups is reckoned to show along an attribute of many codes. With what
# is due to chance this says of five tables how much of the error of strong pairs goes when they are
# known in groups: at the three resolutions .95, .83, .51 on randhie, where it is .99, .81, .58, and
# .97, .85, .67 on Adult, where it is .98, .85, .67. It is too much where codes are copied exactly.
_LOSS = 1.5


def coarser(
    columns: Mapping[str, Column],
    counts: Mapping[str, Array],
    *,
    least: float,
    keep: str | None = None,
) -> list[Groups]:
    """Return coarser and coarser groups of all attributes, each of about three times the records.

    Codes are merged with their neighbours, categories too, whose order may say nothing: groups of
    chance that are alike in size show more than one large group of all that is rare.

    Args:
        columns: the public description of each attribute's codes.
        counts: expected records of each code; public.
        least: records of a code at the finest resolution, which is not among those returned.
        keep: an attribute that is left as it is.
    """
    found: list[Groups] = []
    last: Groups = {a: np.arange(len(of)) for a, of in counts.items()}
    for level in range(1, _COARSER + 1):
        wanted = least * _FACTOR**level
        merged = {a: neighbour_groups(columns[a], of, least=wanted) for a, of in counts.items()}
        # One group says nothing: what is left in two or more stays so.
        last = {a: g if g.max() > 0 and a != keep else last[a] for a, g in merged.items()}
        found.append(last)
    return found


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Resolved:
    """Expected counts of a clique at each resolution, the finest first.

    Args:
        tables: the counts.
        kept: what share of a dependence each is reckoned to show; 0 where a resolution is no other
            than the one before.
        chance: L1 distance at each of records from the distribution that they are drawn from.
        noise: of what would be measured at each, in the noise of a marginal of the same cost.
    """

    tables: tuple[Array, ...]
    kept: tuple[float, ...]
    chance: tuple[float, ...]
    noise: tuple[float, ...]

    @classmethod
    def of(
        cls,
        clique: Clique,
        expected: Array,
        coarse: Sequence[Groups],
        *,
        noise: Callable[[tuple[int, ...]], float] = lambda _: 1.0,
    ) -> Self:
        """Return what a clique is at all resolutions.

        Args:
            clique: its attributes.
            expected: counts at the finest resolution, axes in the order of `clique`; public.
            coarse: coarser ones.
            noise: numbers of codes -> noise in that of a marginal; of marginals themselves 1.
        """
        tables, kept = [expected], [1.0]
        for groups in coarse:
            table = expected
            for axis, attribute in enumerate(clique):
                of = groups[attribute]
                if of.max() + 1 < len(of):
                    table = _summed(table, axis, of)
            same = table.shape == tables[-1].shape
            kept.append(0.0 if same else share_kept(table.shape, expected.shape))
            tables.append(table)
        chance = [MEAN_SIZE * float(np.sqrt(np.maximum(t, 0.0)).sum()) for t in tables]
        return cls(
            tables=tuple(tables),
            kept=tuple(kept),
            chance=tuple(chance),
            noise=tuple(noise(table.shape) for table in tables),
        )

    @property
    def coarsest(self) -> int:
        """The resolution of fewest cells."""
        return max(level for level, kept in enumerate(self.kept) if kept > 0)

    def cost(self, level: int, *, sigma: float, kappa: float) -> float:
        """Return the error that noise leaves at a resolution; arguments as of `worth`."""
        return noise_cost(self.tables[level], sigma=sigma * self.noise[level], kappa=kappa)

    def worth(self, gain: float, *, sigma: float, kappa: float, doubt: float) -> tuple[float, int]:
        """Return the most that a clique gains after noise, and the resolution that does.

        Records differ from any distribution by chance, more so in many cells than in few: what
        groups show less of that is off the gain first, then what they do not show of a dependence.

        Args:
            gain: error of the model at the finest resolution, in records.
            sigma: standard deviation of the noise in each cell of a marginal.
            kappa: cost of a cell of few records, in its expected counts.
            doubt: standard deviation of the noise in `gain`. A coarse marginal costs so little that
                noise alone would look worth it: there, so much is taken off the gain.
        """
        best = gain - self.cost(0, sigma=sigma, kappa=kappa), 0
        for level, kept in enumerate(self.kept):
            left = kept * (gain - doubt - self.chance[0] + self.chance[level])
            if level == 0 or left <= max(best[0], 0.0):
                continue
            net = left - self.cost(level, sigma=sigma, kappa=kappa)
            if net > best[0]:
                best = net, level
        return best


def share_kept(groups: Sequence[int], codes: Sequence[int]) -> float:
    """Return the share of a dependence that is reckoned to show in groups of codes.

    Args:
        groups: their number for each attribute.
        codes: number of codes of each.
    """
    pairs = [(g, k) for g, k in zip(groups, codes, strict=True) if g < k]
    return prod(max(0.0, 1 - _LOSS / g) / (1 - _LOSS / k) for g, k in pairs)


def _summed(table: Array, axis: int, groups: NDArray[np.intp]) -> Array:
    moved = np.moveaxis(table, axis, 0)
    found = np.zeros((int(groups.max()) + 1, *moved.shape[1:]))
    np.add.at(found, groups, moved)
    return np.moveaxis(found, 0, axis)
