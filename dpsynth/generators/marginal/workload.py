"""Workloads: which marginals a user cares about, and which ones help to answer them."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import accumulate, combinations
from typing import final

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError

# Counts of so many cells are remembered by the curator, so that rounds do not count them again.
PAIR_CELLS = 2**22

_SKIPPED: ContextVar[set[Clique] | None] = ContextVar("cliques that a fit skipped", default=None)


@final
class SkippedCliquesWarning(UserWarning):
    """Sets of attributes that a mechanism does not consider because they have too many cells."""

    def __init__(self, skipped: int, among: int, most_cells: int, together: int) -> None:
        super().__init__(skipped, among, most_cells, together)
        self.skipped, self.among = skipped, among
        self.most_cells, self.together = most_cells, together

    def __str__(self) -> str:
        return (
            f"{self.skipped} of {self.among} sets of attributes are left out: one may have at most "
            f"{self.most_cells} cells, and all together {self.together}."
        )


@contextmanager
def recording_skipped() -> Iterator[set[Clique]]:
    """Yield a set to which every clique is added that a fit inside finds too large to consider."""
    skipped: set[Clique] = set()
    token = _SKIPPED.set(skipped)
    try:
        yield skipped
    finally:
        _SKIPPED.reset(token)


def record_skipped(cliques: Iterable[Clique]) -> None:
    """Add cliques to those that the fit counts as skipped; each counts once."""
    skipped = _SKIPPED.get()
    if skipped is not None:
        skipped.update(cliques)


def all_k_ways(attributes: Sequence[str], k: int) -> list[Clique]:
    """Return every set of k attributes, or the one of all when there are fewer than k.

    Args:
        attributes: in the order that cliques are to have.
        k: at least 1.
    """
    if k < 1:
        raise InvalidValueError("k", k, "at least 1")
    return list(combinations(attributes, min(k, len(attributes))))


def downward_closure(workload: Iterable[Clique]) -> list[Clique]:
    """Return every non-empty subset of the workload's cliques, small ones first.

    Reference: McKenna et al. 2022, section 4 (candidates of AIM).
    """
    found: dict[Clique, None] = {}
    for clique in workload:
        for size in range(1, len(clique) + 1):
            found.update(dict.fromkeys(combinations(clique, size)))
    return sorted(found, key=len)


def overlap_weights(candidates: Iterable[Clique], workload: Sequence[Clique]) -> dict[Clique, int]:
    """Return for each candidate how many attributes it shares with the workload's cliques, summed.

    Reference: McKenna et al. 2022, equation 1 (w_r).
    """
    appearances = Counter(attribute for clique in workload for attribute in clique)
    return {candidate: sum(appearances[a] for a in candidate) for candidate in candidates}


def affordable(
    domain: Domain, cliques: Sequence[Clique], *, most_cells: float, together: int = PAIR_CELLS
) -> list[Clique]:
    """Return the cliques that a mechanism can afford to consider, in their order (`smallest`).

    What is left out is said in one `SkippedCliquesWarning`, and counted in the result of the fit;
    all of this is public.

    Args:
        domain, cliques, most_cells, together: as of `smallest`.
    """
    kept = smallest(domain, cliques, most_cells=most_cells, together=together)
    skipped = set(cliques) - set(kept)
    if skipped:
        most = max(0, int(most_cells))
        warning = SkippedCliquesWarning(len(skipped), len(cliques), most, together)
        warnings.warn(warning, stacklevel=2)
        record_skipped(skipped)
    return kept


def smallest(
    domain: Domain, cliques: Sequence[Clique], *, most_cells: float, together: int = PAIR_CELLS
) -> list[Clique]:
    """Return the cliques of at most `most_cells` cells, in their order.

    Where too many remain, those of few cells stay, and among equals those whose attributes are
    close to one another.

    Args:
        domain: sizes of the attributes.
        cliques: the candidates; single attributes always stay.
        most_cells: of one.
        together: cells of all that stay, whose counts and predictions are held at once.
    """
    cells = {c: domain.cells_of(c) for c in cliques}
    kept = [c for c in cliques if len(c) == 1 or cells[c] <= most_cells]
    if sum(cells[c] for c in kept) > together:
        axis = {a: i for i, a in enumerate(domain.attributes)}
        nearest = sorted(kept, key=lambda c: (len(c) > 1, cells[c], axis[c[-1]] - axis[c[0]]))
        ends = accumulate(cells[c] for c in nearest)
        chosen = {c for c, end in zip(nearest, ends, strict=True) if end <= together}
        kept = [c for c in kept if len(c) == 1 or c in chosen]
    return kept
