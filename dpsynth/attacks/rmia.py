"""RMIA for tables: a target against the population, in the release and in shadow releases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.density import release_densities
from dpsynth.attacks.shadows import ShadowAttack

if TYPE_CHECKING:
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True)
class Rmia(ShadowAttack):
    """Tell members from non-members by how many of the population they outdo.

    Scenario: the attacker holds the release, knows the mechanism and its budget, knows every record
    of the training table except whether each of some targets was among them, and has other records
    of the population. What a release makes of a record, over what other releases make of it on
    average, is its ratio; the score is the share of population records whose ratio the target's
    outdoes. It asks for few shadows, as it compares records and not only releases. The threshold is
    the one at which claims on shadows go with membership most. Success: the claim "member" of a
    target that was one. Baseline: the same claim by the toss of a coin. Control: the claim "member"
    of a target in releases that it was not used for.

    Args:
        population: control records that targets are compared with, at most.
        others: as of `ShadowAttack`; errors too.
    """

    name: ClassVar[str] = "rmia"
    reference: ClassVar[str] = (
        "S. Zarifzadeh, P. Liu and R. Shokri, Low-Cost High-Power Membership Inference Attacks "
        "(2024), equations 2 to 5, gamma 1, with the density of the release for the likelihood"
    )
    population: int = 200

    def scores(
        self,
        releases: Sequence["Table"],
        member: NDArray[np.bool_],
        targets: "Table",
        *,
        known: "Table",  # noqa: ARG002
        population: "Table",
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        order = rng.permutation(len(population))
        # Some are compared with, the others say how dense the population is; of one, it is both.
        some = order[: max(min(self.population, len(order) // 2), 1)]
        others = population.take(some)
        rest = population.take(np.setdiff1d(order, some) if len(order) > 1 else order)
        own, theirs = (
            _ratios(release_densities(releases, table, population=rest), len(member))
            for table in (targets, others)
        )
        rising = np.sort(theirs, axis=1)
        below, up_to = (
            np.array([np.searchsorted(r, o, side=side) for r, o in zip(rising, own, strict=True)])
            for side in ("left", "right")
        )
        return (below + up_to) / (2 * len(others))


def _ratios(density: NDArray[np.float64], shadows: int) -> NDArray[np.float64]:
    """Return log-densities less the log of their mean over shadows, a shadow's own left out.

    Args:
        density: logarithms, releases x records, the shadows first.
        shadows: how many of them.
    """
    top = density[:shadows].max(axis=0)
    plain = np.exp(density[:shadows] - top)
    total = np.broadcast_to(plain.sum(axis=0), density.shape).copy()
    counted = np.full((len(density), 1), shadows)
    total[:shadows] -= plain
    counted[:shadows] -= 1
    # Where one shadow alone has all of the density, what it leaves is rounding error.
    floor = 1e-9 * plain.sum(axis=0)
    return density - top - np.log(np.maximum(total, floor) / counted)
