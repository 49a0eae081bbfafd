"""Which pairs may join attributes into a tree, and how many will, before the first is picked."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.generators.marginal.workload import affordable, all_k_ways
from dpsynth.pgm.junction_tree import JunctionTree


@final
@dataclass(frozen=True, kw_only=True)
class TreePlan:
    """Pairs that may join components, and how many of them will, whatever the picks; all public.

    There is room for any choice, so that no pick depends on the sizes of those before it, and each
    is among two candidates or more: a schedule can be reserved for them.

    Args:
        component: attribute -> the name of those that it is joined with already.
        candidates: pairs of attributes of two components.
        certain: candidates that nothing can stand in for; they are taken without a pick.
        picks: how many others are picked.
    """

    component: Mapping[str, str]
    candidates: tuple[Clique, ...]
    certain: tuple[Clique, ...]
    picks: int

    @property
    def edges(self) -> int:
        """How many pairs the tree will have."""
        return len(self.certain) + self.picks

    @classmethod
    def of(
        cls,
        domain: Domain,
        *,
        cliques: Iterable[Clique],
        room: int,
        apart: Collection[str] = (),
    ) -> "TreePlan":
        """Return the plan of as many pairs as there is room for, and of most candidates for them.

        Forests of the first m candidates, small ones first, have at most as many edges as the
        rank of those m, which rises with m; any so many fit if the heaviest do, and how many that
        are falls with m. The lesser of the two is the number of edges: it rises, then falls.
        Candidates are added as long as it stays at its top.

        Where the edges are all that the candidates allow, those without which a component would
        stay apart are certain; joining components makes no others so. Where they are fewer, two
        joins or more are open at each pick.

        Args:
            domain: sizes of the attributes.
            cliques: what joins attributes already.
            room: most cells of all pairs together.
            apart: attributes of which no two make a pair.
        """
        attributes = informative(domain)
        component = merged({a: a for a in attributes}, cliques)
        joining = [
            (a, b)
            for a, b in _pairs(attributes)
            if component[a] != component[b] and not (a in apart and b in apart)
        ]
        pairs = affordable(domain, joining, most_cells=room)
        axis = {a: i for i, a in enumerate(attributes)}
        ranked = sorted(pairs, key=lambda p: (domain.cells_of(p), axis[p[1]] - axis[p[0]]))

        def heaviest(most: int) -> list[int]:
            forest = _forest(component, ranked[:most][::-1])
            return [domain.cells_of(pair) for pair in forest]

        def fitting(most: int) -> int:
            return sum(end <= room for end in accumulate(heaviest(most)))

        most = len(ranked)
        if sum(heaviest(most)) > room:
            sizes = range(most + 1)
            over = bisect_left(sizes, True, key=lambda m: sum(heaviest(m)) > room)
            edges = max(fitting(over - 1), fitting(over))
            most = bisect_left(sizes, True, lo=over, key=lambda m: fitting(m) < edges) - 1
        chosen = set(ranked[:most])
        candidates = tuple(pair for pair in pairs if pair in chosen)
        edges, joins = fitting(most), len(heaviest(most))
        certain = _bridges(component, candidates) if edges == joins else []
        return cls(
            component=component,
            candidates=candidates,
            certain=tuple(certain),
            picks=edges - len(certain),
        )


def beside(
    domain: Domain,
    zeros: Mapping[Clique, NDArray[np.bool_]],
    *,
    pairs: Sequence[Clique] = (),
    largest_tree: int,
    apart: Collection[str] = (),
) -> tuple[TreePlan, TreePlan]:
    """Return the plans of pairs inside what constraints tie together, and of those that join it.

    Args:
        domain: sizes of the attributes.
        zeros: clique -> its impossible cells; in the tree whatever it is.
        pairs: in the tree too.
        largest_tree: most cells of the tree of all.
        apart: attributes of which no two make a pair.

    Raises:
        InvalidValueError: a tree of `zeros` and `pairs` above the ceiling.
    """
    bare = JunctionTree.build(domain, [*zeros, *pairs])
    tied = [clique for clique in bare.cliques if len(clique) > 1]
    return (
        inside(domain, zeros, cliques=pairs, apart=apart),
        TreePlan.of(domain, cliques=tied, room=largest_tree - bare.cells, apart=apart),
    )


def inside(
    domain: Domain,
    zeros: Mapping[Clique, NDArray[np.bool_]],
    *,
    cliques: Iterable[Clique] = (),
    apart: Collection[str] = (),
) -> TreePlan:
    """Return the plan of pairs inside the cliques of constraints, which a tree holds anyway.

    A pair whose constraint lets one code decide the other is no candidate: it has nothing to tell.

    Args:
        domain: sizes of the attributes.
        zeros: clique -> its impossible cells.
        cliques: what joins attributes already.
        apart: attributes of which no two make a pair.
    """
    attributes = informative(domain)
    component = merged({a: a for a in attributes}, cliques)
    found: dict[Clique, None] = {}
    for clique, ruled_out in zeros.items():
        for first, second in combinations(range(len(clique)), 2):
            pair = domain.canonical((clique[first], clique[second]))
            others = tuple(i for i in range(len(clique)) if i not in (first, second))
            possible = (~ruled_out).any(axis=others)
            if set(pair) <= set(attributes) and possible.sum() > max(possible.shape):
                found[pair] = None
    candidates = tuple(
        (a, b) for a, b in found if component[a] != component[b] and not (a in apart and b in apart)
    )
    certain = _bridges(component, candidates)
    return TreePlan(
        component=component,
        candidates=candidates,
        certain=tuple(certain),
        picks=len(_forest(component, candidates)) - len(certain),
    )


def merged(component: Mapping[str, str], cliques: Iterable[Clique]) -> dict[str, str]:
    """Return the components after the attributes of each clique have been joined.

    Args:
        component: attribute -> the name of those that it is joined with.
        cliques: attributes that are not in `component` are passed over.
    """
    joined = dict(component)
    for clique in cliques:
        names = [joined[a] for a in clique if a in joined]
        if len(set(names)) > 1:
            joined = {a: names[0] if c in names else c for a, c in joined.items()}
    return joined


def _pairs(attributes: Sequence[str]) -> list[Clique]:
    return all_k_ways(attributes, 2) if len(attributes) > 1 else []


def _forest(component: Mapping[str, str], pairs: Iterable[Clique]) -> list[Clique]:
    """Return the pairs, each of which joins what those before it leave apart."""
    above = {name: name for name in component.values()}

    def root(name: str) -> str:
        while above[name] != name:
            above[name] = name = above[above[name]]
        return name

    forest: list[Clique] = []
    for first, second in pairs:
        one, other = root(component[first]), root(component[second])
        if one != other:
            above[other] = one
            forest.append((first, second))
    return forest


def _bridges(component: Mapping[str, str], pairs: Sequence[Clique]) -> list[Clique]:
    """Return the pairs without which some components would stay apart.

    A cut that only one pair crosses is crossed by it in a spanning forest, and by none in a
    spanning forest of the rest: the two forests have the bridges of all pairs.
    """
    first = _forest(component, pairs)
    used = set(first)
    both = [*first, *_forest(component, [pair for pair in pairs if pair not in used])]
    return [p for p in first if len(_forest(component, [q for q in both if q != p])) < len(first)]
