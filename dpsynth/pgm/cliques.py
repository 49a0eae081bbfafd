"""Sets of cliques: canonical order, maximal members, the member that covers some attributes."""

from collections.abc import Iterable, Sequence

from dpsynth.data.domain import Clique, Domain


def maximal_cliques(domain: Domain, cliques: Iterable[Iterable[str]]) -> tuple[Clique, ...]:
    """Return the cliques that no other one contains, each once, in the domain's attribute order.

    Args:
        domain: gives the order of attributes inside a clique.
        cliques: sets of attributes, in any order, with repetitions and subsets; empty ones vanish.

    Returns:
        The maximal ones, sorted by the position of their attributes in the domain.

    Raises:
        UnknownNameError: an attribute that the domain lacks.
    """
    found = {domain.canonical(clique) for clique in cliques}
    kept: list[frozenset[str]] = []
    for candidate in sorted((frozenset(c) for c in found if c), key=len, reverse=True):
        if not any(candidate <= other for other in kept):
            kept.append(candidate)
    return tuple(sorted((domain.canonical(c) for c in kept), key=domain.axes))


def covering(domain: Domain, cliques: Sequence[Clique], attributes: Iterable[str]) -> int | None:
    """Return the index of the clique with the fewest cells that contains `attributes`, if any."""
    wanted = set(attributes)
    hosts = [i for i, clique in enumerate(cliques) if wanted <= set(clique)]
    return min(hosts, key=lambda i: domain.cells_of(cliques[i]), default=None)
