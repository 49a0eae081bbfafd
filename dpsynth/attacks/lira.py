"""LiRA for tables: is the release denser at a target than releases without it are?"""

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
class Lira(ShadowAttack):
    """Tell members from non-members by what releases without each target are like.

    Scenario: the attacker holds the release, knows the mechanism and its budget, and knows every
    record of the training table except whether each of some targets was among them. For each target
    they fit a Gaussian to the logarithm of the density that shadow releases without it have there,
    and claim membership where the release is unlikely dense, by the threshold at which claims on
    shadows go with membership most. This is the original's offline attack: shadows with the target
    are too few to say how they differ, and that they are denser is known. All targets share one
    variance, which is the original's advice for few shadows. Success: the claim "member" of a
    target that was one. Baseline: the same claim by the toss of a coin. Control: the claim "member"
    of a target in releases that it was not used for.

    Args: as of `ShadowAttack`; errors too.
    """

    name: ClassVar[str] = "lira"
    reference: ClassVar[str] = (
        "N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis and F. Tramer, Membership Inference "
        "Attacks From First Principles (2022), equation 4, with the density of the release at the "
        "target for the loss"
    )

    def scores(
        self,
        releases: Sequence["Table"],
        member: NDArray[np.bool_],
        targets: "Table",
        *,
        known: "Table",  # noqa: ARG002
        population: "Table",
        rng: np.random.Generator,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        density = release_densities(releases, targets, population=population)
        return exceedance(density, member)


def exceedance(density: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how many deviations each density is above its mean over shadows without the target.

    A shadow without the target is compared with the others of its kind, since its nearness to a
    mean that it is part of would tell it from the releases that the threshold is for.

    Args:
        density: releases x targets, the shadows first.
        member: shadows x targets.

    Returns:
        releases x targets; a target that all shadows used is compared with those.
    """
    outside = np.where(member.all(axis=0), True, ~member)
    shadows, count = density[: len(member)], outside.sum(axis=0)
    mean = np.where(outside, shadows, 0).sum(axis=0) / count
    squares = np.where(outside, (shadows - mean) ** 2, 0).sum()
    variance = squares / max(int((count - 1).sum()), 1)
    score = (density - mean) / np.sqrt(variance + 1e-12)
    score[: len(member)] *= np.where(outside, count / np.maximum(count - 1, 1), 1.0)
    return score
