"""Independent rows of a model, and how often its cells occur among them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.grouping import mixed_radix
from dpsynth.pgm.junction_tree import JunctionTree

Codes = NDArray[np.integer[Any]]


def independent_rows(
    tree: JunctionTree,
    marginals: Sequence[NDArray[np.float64]],
    n: int,
    *,
    rng: np.random.Generator,
) -> Codes:
    """Return `n` rows drawn independently of one another, one column an attribute.

    `sample_codes` rounds instead, so that its marginals have far less than the sampling error of
    `n` records; here the sampling error is what is wanted.

    Args:
        tree: where the marginals live.
        marginals: probabilities of each clique's cells, consistent with one another.
        n: number of rows, at least 1.
        rng: source of randomness.
    """
    domain = tree.domain
    rows = np.empty((n, len(domain.attributes)), np.min_scalar_type(max(domain.shape)), order="F")
    for clique, separator, marginal in zip(tree.cliques, tree.separators, marginals, strict=True):
        own = tuple(a for a in clique if a not in separator)
        sizes = [domain.sizes[a] for a in own]
        joint = marginal.transpose([clique.index(a) for a in (*separator, *own)])
        cumulative = np.cumsum(joint.reshape(-1, int(np.prod(sizes))), axis=1)
        mass = cumulative[:, -1:]
        # Only rounding puts a row where there is no mass: its values are as good as any.
        cumulative /= np.where(mass > 0, mass, 1.0)
        cumulative[:, -1] = 1.0
        group = cell_of(domain, rows, separator)
        # One sorted list for all groups: group g has the numbers from g to g + 1.
        edges = (cumulative + np.arange(len(cumulative))[:, None]).ravel()
        place = np.searchsorted(edges, group + rng.random(n), side="right")
        inside = np.minimum(place - group * cumulative.shape[1], cumulative.shape[1] - 1)
        for axis, codes in zip(domain.axes(own), np.unravel_index(inside, sizes), strict=True):
            rows[:, axis] = codes
    return rows


def cell_of(domain: Domain, rows: Codes, attributes: Clique) -> NDArray[np.int64]:
    """Return for each row the index of its cell of `attributes`, axes in the order given."""
    return mixed_radix(rows, domain.axes(attributes), [domain.sizes[a] for a in attributes])


def frequencies(domain: Domain, rows: Codes, attributes: Clique) -> NDArray[np.float64]:
    """Return the shares of the rows in each cell of `attributes`, axes in the order given."""
    shape = domain.project(attributes).shape
    counts = np.bincount(cell_of(domain, rows, attributes), minlength=int(np.prod(shape)))
    return counts.reshape(shape) / len(rows)
