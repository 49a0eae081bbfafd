"""What is asked of a new batch: as many groups of codes, and pairs, as the noise lets one read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.drift.comparison import Answer, Size
from dpsynth.drift.reference import Reference
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.generators.marginal.rare_codes import neighbour_groups

Groups = Mapping[str, NDArray[np.intp]]
_COUNT_SHARE = 0.05
_PAIR_SHARE = 0.3
_PAIR_GROUPS = 3
"""Fewest groups of an attribute of as many codes in a pair: two would cost more than they tell."""
_CLEAR = 3.0
"""Least expected records of a group of codes, in standard deviations of the noise."""
_FEWEST = 20.0
"""The same in records: below, chance is far from normal."""
_MOST_GROUPS = 32
_MOST_PAIR_GROUPS = 8


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """All that was bought of a batch.

    Args:
        marginals: of single attributes, then of pairs.
        counts: sums that estimate the number of records, with their variances; one a single
            attribute, in order, and the count itself at the end.
        public_rows: the number of records where it is public.
    """

    marginals: tuple[Answer, ...]
    counts: tuple[tuple[float, float], ...]
    public_rows: int | None

    def size(self, index: int) -> Size:
        """Return the batch's size as it enters the comparison of a marginal."""
        if self.public_rows is not None:
            return Size(rows=float(self.public_rows), weight=0.0, spread=0.0)
        precisions = np.array([1 / variance for _, variance in self.counts])
        weights = precisions / precisions.sum()
        rows = float(weights @ np.array([value for value, _ in self.counts]))
        own = index if index < len(self.counts) - 1 else None
        spread = sqrt(sum(w**2 / p for w, p in zip(weights, precisions, strict=True)))
        if own is None:
            return Size(rows=max(1.0, rows), weight=0.0, spread=spread)
        rest = np.delete(weights, own) ** 2 @ (1 / np.delete(precisions, own))
        return Size(rows=max(1.0, rows), weight=float(weights[own]), spread=sqrt(rest))


def ask(private: PrivateData, reference: Reference) -> Answers:
    """Return noisy marginals of a batch, for all of its budget.

    First the number of records is bought, where it is secret; then one-way marginals, in groups of
    neighbouring codes that should stand well above the noise; and, where the noise leaves room for
    groups of two attributes at once, pairs that the model measured, the most dependent first. What
    is asked follows from the model, which is public, from public sigmas and from the noisy count.

    Args:
        private: the one door to the batch.
        reference: of the model.
    """
    rows, public = private.public_rows, private.public_rows
    counted: list[tuple[float, float]] = []
    if public is None:
        sigma = private.sigma_for(_COUNT_SHARE * private.remaining)
        counted.append((private.count(sigma=sigma), sigma**2))
        rows = max(1.0, counted[0][0])
    pairs, pair_groups = _pairs(private, reference, rows=float(rows or 1))
    amount = private.remaining * (1 - _PAIR_SHARE if pairs else 1)
    ones, groups = _singles(private, reference, amount=amount, rows=float(rows or 1))
    found: list[Answer] = []
    if ones:
        sigma = private.sigma_for(amount, queries=len(ones))
        found += _answers(private, ones, groups, sigma, "one-way marginals of the batch")
    singles = [(float(a.counts.sum()), a.counts.size * a.sigma**2) for a in found]
    if ones and pairs:
        sigma = private.sigma_for(private.remaining, queries=len(pairs))
        found += _answers(private, pairs, pair_groups, sigma, "two-way marginals of the batch")
    return Answers(marginals=tuple(found), counts=(*singles, *counted), public_rows=public)


def _singles(
    private: PrivateData, reference: Reference, *, amount: float, rows: float
) -> tuple[list[Clique], Groups]:
    """Return the attributes that can be compared, and their groups."""
    wanted = [a for a in informative(private.domain) if reference.covers((a,))]
    sigma = private.sigma_for(amount, queries=max(1, len(wanted)))
    least = max(_CLEAR * sigma, _FEWEST, rows / _MOST_GROUPS)
    groups = _grouped(private, reference, wanted, rows=rows, least=least)
    return [(a,) for a in wanted if groups[a].max() > 0], groups


def _pairs(
    private: PrivateData, reference: Reference, *, rows: float
) -> tuple[list[Clique], Groups]:
    """Return the pairs to ask, and groups of which two together stand above the noise."""
    single = [a for a in informative(private.domain) if reference.covers((a,))]
    wanted = [pair for pair in combinations(single, 2) if reference.covers(pair)]
    if not wanted:
        return [], {}
    most = min(len(wanted), len(single))
    sigma = private.sigma_for(_PAIR_SHARE * private.remaining, queries=most)
    # If both groups hold a part s of the records, their cell holds s^2 where they are independent.
    least = max(sqrt(max(_CLEAR * sigma, _FEWEST) * rows), rows / _MOST_PAIR_GROUPS)
    groups = _grouped(private, reference, single, rows=rows, least=least)
    fine = {a for a, of in groups.items() if of.max() + 1 >= min(_PAIR_GROUPS, len(of))}
    readable = [pair for pair in wanted if fine.issuperset(pair)]
    ranked = sorted(readable, key=lambda pair: -_dependence(reference, pair))
    return ranked[:most], groups


def _dependence(reference: Reference, pair: Clique) -> float:
    joint = reference.likely(pair)
    return float(np.abs(joint - np.outer(joint.sum(axis=1), joint.sum(axis=0))).sum())


def _grouped(
    private: PrivateData,
    reference: Reference,
    attributes: Sequence[str],
    *,
    rows: float,
    least: float,
) -> dict[str, NDArray[np.intp]]:
    """Return groups of neighbouring codes in which `least` of so many rows are expected."""
    return {
        a: _closed(
            neighbour_groups(
                private.schema.column(a), rows * (shares := reference.likely((a,))), least=least
            ),
            rows * shares,
            least=least,
        )
        for a in attributes
    }


def _closed(
    groups: NDArray[np.intp], counts: NDArray[np.float64], *, least: float
) -> NDArray[np.intp]:
    """Return groups of which none is below `least`: such a one joins the one before, or after."""
    sums = np.bincount(groups, counts)
    joined = groups.copy()
    for group in range(len(sums) - 1, 0, -1):
        if sums[group] < least:
            joined[joined == group] = group - 1
            sums[group - 1] += sums[group]
    kept = np.unique(joined, return_inverse=True)[1].reshape(-1)
    if kept.max() > 0 and np.bincount(kept, counts)[0] < least:
        kept = np.maximum(kept - 1, 0)
    return kept.astype(np.intp)


def _answers(
    private: PrivateData, cliques: Sequence[Clique], groups: Groups, sigma: float, label: str
) -> list[Answer]:
    used = {a for clique in cliques for a in clique}
    merged = {a: groups[a].tolist() for a in used if groups[a].max() + 1 < len(groups[a])}
    view = private.merged(dict(sorted(merged.items()))) if merged else private
    names = dict(zip(private.domain.attributes, view.domain.attributes, strict=True))
    asked = [tuple(names[a] for a in clique) for clique in cliques]
    noisy = view.marginals(asked, sigmas=[sigma] * len(asked), label=label)
    return [
        Answer(clique=c, groups=tuple(groups[a] for a in c), counts=m.values, sigma=sigma)
        for c, m in zip(cliques, noisy, strict=True)
    ]
