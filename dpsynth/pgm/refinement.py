"""A model of groups of codes, made a model of the codes themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.evidence import combine
from dpsynth.pgm.model import GraphicalModel

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Refinement:
    """An attribute whose codes a model knows in groups only.

    Args:
        attribute: the attribute of single codes.
        groups: for each code its group.
        counts: for each code a public estimate of its records, at least 0: how a group is shared
            out among its codes. A group of which all are 0 is shared out evenly.
    """

    attribute: str
    groups: NDArray[np.intp]
    counts: Array

    def potential(self, size: int) -> Array:
        """Return log-weights of code x group: the share of the code in its own, zeros elsewhere.

        Args:
            size: number of groups.
        """
        counts = np.maximum(self.counts, 0.0)
        of_group = np.bincount(self.groups, weights=counts, minlength=size)
        counts = np.where(of_group[self.groups] > 0, counts, 1.0)
        shares = counts / np.bincount(self.groups, weights=counts, minlength=size)[self.groups]
        # No code of a group is ruled out: an estimate of 0 is no knowledge that there are none.
        log_shares = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
        found = np.full((len(shares), size), -np.inf)
        found[np.arange(len(shares)), self.groups] = log_shares
        return found


def refined(
    model: GraphicalModel, domain: Domain, refinements: Mapping[str, Refinement]
) -> GraphicalModel:
    """Return the model of both codes and groups; its marginals of groups are those of `model`.

    Given its group, a code is independent of everything else.

    Args:
        model: over `domain`'s attributes, but those of `refinements` in the place of theirs.
        domain: of the codes; its attributes come first in the result, in this order.
        refinements: attribute of `model` -> what it groups.

    Raises:
        InvalidValueError: groups or counts that do not fit the domains.
    """
    sizes = dict(domain.sizes)
    parts: list[tuple[Clique, Array]] = []
    for name, refinement in refinements.items():
        of, groups = domain.sizes.get(refinement.attribute), model.domain.sizes.get(name)
        shape = refinement.groups.shape, refinement.counts.shape
        if of is None or groups is None or shape != ((of,), (of,)) or name in domain.sizes:
            raise InvalidValueError(f"refinement of {name!r}", shape, "one entry a code of each")
        sizes[name] = groups
        parts.append(((refinement.attribute, name), refinement.potential(groups)))
    whole = Domain(sizes=sizes)
    for clique, potential in zip(model.cliques, model.potentials, strict=True):
        key = whole.canonical(clique)
        parts.append((key, potential.transpose([clique.index(a) for a in key])))
    cliques, potentials = combine(whole, ([c for c, _ in parts], [p for _, p in parts]))
    return GraphicalModel(
        domain=whole,
        total=model.total,
        cliques=cliques,
        potentials=tuple(potentials),
        ceiling=model.ceiling,
    )
