"""LiRA for tables: is the release's density at a target that of releases with it, or without?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.density import release_densities
from dpsynth.audit.shadows import ShadowAttack, split_point

if TYPE_CHECKING:
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True)
class Lira(ShadowAttack):
    """Tell members from non-members by a likelihood ratio of each target's own.

    Scenario: the attacker holds the release, knows the mechanism and its budget, and knows every
    record of the training table except whether each of some targets was among them. For each target
    they fit two Gaussians to the logarithm of the density that shadow releases have there, one for
    shadows that used the target and one for those that did not, and claim membership where the
    first makes the release likelier, by the ratio that tells members of the shadows best. With few
    shadows all targets share one variance, which is the original's own advice. Success: the claim
    "member" of a target that was one. Baseline: the same claim by the toss of a coin. Control: the
    claim "member" of a target in releases that it was not used for.

    Args: as of `ShadowAttack`; errors too.
    """

    name: ClassVar[str] = "lira"
    reference: ClassVar[str] = (
        "N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis and F. Tramer, Membership Inference "
        "Attacks From First Principles (2022), algorithm 1, with the density of the release at the "
        "target for the loss"
    )

    def odds(
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
        ratio = likelihood_ratio(density, member)
        if member.all() or not member.any():
            return ratio
        return ratio - split_point(ratio[: len(member)], member)


def likelihood_ratio(
    density: NDArray[np.float64], member: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return log-likelihood ratios of membership, with Gaussians of one variance fitted to shadows.

    Args:
        density: releases x targets, the shadows first.
        member: shadows x targets.

    Returns:
        releases x targets; 0 for a target that no shadow used, or that all did.
    """
    shadows = density[: len(member)]
    used, unused = member.sum(axis=0), (~member).sum(axis=0)
    inside = np.where(member, shadows, 0).sum(axis=0) / np.maximum(used, 1)
    outside = np.where(member, 0, shadows).sum(axis=0) / np.maximum(unused, 1)
    spread = (shadows - np.where(member, inside, outside)) ** 2
    variance = spread.sum() / max(spread.size - 2 * member.shape[1], 1) + 1e-12
    ratio = ((density - outside) ** 2 - (density - inside) ** 2) / (2 * variance)
    return np.where((used > 0) & (unused > 0), ratio, 0.0)
