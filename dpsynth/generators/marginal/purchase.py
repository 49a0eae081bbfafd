"""Buying a list of cliques: each at its resolution, and no more of it than is not known already."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

from dpsynth.curator.interactions import CELL_CEILING, has_interactions
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.generators.marginal.resolution import Groups
from dpsynth.generators.marginal.shortlist import Shortlist
from dpsynth.pgm.measurement import NoisyMarginal


def relative_noise(private: PrivateData, shape: tuple[int, ...]) -> float:
    """Return the noise of what is bought of a clique, in that of a marginal of the same cost.

    Interactions are bought (`InteractionQuery`) where they have less: one-way marginals are known
    from measurements of their own, and what a larger marginal says of them is paid for twice. So is
    the number of records in a one-way marginal, where it is known.

    Args:
        private: its accountant and relation decide.
        shape: numbers of codes.
    """
    if not has_interactions(shape) or prod(shape) > CELL_CEILING:
        return 1.0
    return min(1.0, private.interaction_noise(shape))


def bought_in_groups(
    private: PrivateData,
    chosen: Shortlist,
    coarse: Sequence[Groups],
    *,
    sigma_of: Callable[[float], float],
) -> list[NoisyMarginal]:
    """Return the measurements of a list, those of each resolution charged together.

    Args:
        private: records at the finest resolution.
        chosen: what to measure.
        coarse: the coarser resolutions.
        sigma_of: share of the budget -> standard deviation of a marginal's noise.
    """
    found: list[NoisyMarginal] = []
    for level in sorted(set(chosen.levels)):
        own = [i for i, of in enumerate(chosen.levels) if of == level]
        cliques = [chosen.cliques[i] for i in own]
        sigmas = [sigma_of(chosen.shares[i]) for i in own]
        groups = {
            a: tuple(int(g) for g in of)
            for a, of in (coarse[level - 1].items() if level else ())
            if of.max() + 1 < len(of) and any(a in clique for clique in cliques)
        }
        found += bought(private, cliques, sigmas, groups=groups)
    return found


def bought(
    private: PrivateData,
    cliques: Sequence[Clique],
    sigmas: Sequence[float],
    *,
    groups: Mapping[str, tuple[int, ...]] | None = None,
) -> list[NoisyMarginal]:
    """Return interactions of cliques where these have less noise than marginals, else those.

    Args:
        private: the one door to the records.
        cliques: at least one.
        sigmas: standard deviation of the noise of each if it is a marginal; it is charged for.
        groups: attribute -> the group of each code, where they are counted in groups; public.
    """
    if groups:
        view = private.merged(groups)
        names = dict(zip(private.domain.attributes, view.domain.attributes, strict=True))
        answers = bought(view, [tuple(names[a] for a in c) for c in cliques], sigmas)
        return [
            replace(m, clique=clique, groups=tuple(groups.get(a) for a in clique))
            for m, clique in zip(answers, cliques, strict=True)
        ]
    sizes = private.domain.sizes
    noise = [relative_noise(private, tuple(sizes[a] for a in clique)) for clique in cliques]
    found: dict[int, NoisyMarginal] = {}
    for centred, measure in ((True, private.interactions), (False, private.marginals)):
        own = [i for i, of in enumerate(noise) if (of < 1.0) == centred]
        if own:
            scaled = [sigmas[i] * noise[i] for i in own]
            answers = measure([cliques[i] for i in own], sigmas=scaled)
            found |= dict(zip(own, answers, strict=True))
    return [found[i] for i in range(len(cliques))]
