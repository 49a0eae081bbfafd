"""Rare codes merged: a cell that noise would drown says nothing, and two of them cost the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.data.domain import Clique
from dpsynth.data.schema import Schema
from dpsynth.generators.graphical import fitted
from dpsynth.pgm.cascade import cascade_counts
from dpsynth.pgm.column_kinds import CATEGORIES, NUMBERS
from dpsynth.pgm.gamma_prior import posterior_counts
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.refinement import Refinement, refined

Array = NDArray[np.float64]

_FIRM = 0.2
"""Part of their noise with which likely counts enter a fit beside interactions, which say nothing
of one-way marginals: noise that is cut off at 0 in their cells would be made up for there."""
_MOST_ORDERED = 1024
"""Most codes in an order whose neighbours are looked at, at about a millisecond each."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MergedData:
    """A view of records whose rare codes are merged, and the way back to single codes.

    Args:
        private: the records, code by code.
        view: the same records and ledger, in groups.
        refinements: attribute of the view -> the attribute whose codes it groups.
    """

    private: PrivateData
    view: PrivateData
    refinements: Mapping[str, Refinement]

    @classmethod
    def of(
        cls,
        private: PrivateData,
        counts: Mapping[str, Array],
        *,
        least: float,
        keep: str | None = None,
        most_cells: float = inf,
    ) -> Self:
        """Return a view in which nearly every code stands for `least` records or more.

        Codes that constraints tell apart are not merged: what is impossible of single codes is
        then what is impossible of groups, and no model of groups has to be mended for it.

        Args:
            private: the records.
            counts: expected records of each code of every attribute; public.
            least: codes of fewer expected records are merged: neighbours where codes are numbers,
                all of them into one group otherwise.
            keep: an attribute that is not merged.
            most_cells: what the way back may add to a junction tree; where it would add more,
                codes of more records are merged too.
        """
        merging = {a: of for a, of in counts.items() if a != keep}
        groups = _merged_groups(private, merging, least=least)
        while added_cells(groups.values()) > most_cells:
            least *= 2
            if all(least > of.sum() for of in merging.values()):  # constraints keep groups apart
                del merging[max(groups, key=lambda a: added_cells([groups[a]]))]
            groups = _merged_groups(private, merging, least=least)
        if not groups:
            return cls(private=private, view=private, refinements={})
        view = private.merged({a: found.tolist() for a, found in groups.items()})
        names = dict(zip(private.domain.attributes, view.domain.attributes, strict=True))
        refinements = {
            names[a]: Refinement(attribute=a, groups=found, counts=counts[a])
            for a, found in groups.items()
        }
        return cls(private=private, view=view, refinements=refinements)

    @property
    def added_cells(self) -> int:
        """Most cells that the way back adds to a junction tree of the view."""
        return added_cells([r.groups for r in self.refinements.values()])

    @property
    def columns(self) -> dict[str, Column]:
        """The public description of the codes that each attribute of the view is made from."""
        of = {name: r.attribute for name, r in self.refinements.items()}
        column = self.private.schema.column
        return {name: column(of.get(name, name)) for name in self.view.domain.attributes}

    def one_ways(
        self,
        measured: Sequence[NoisyMarginal],
        counts: Mapping[str, Array],
        beside: Sequence[NoisyMarginal],
    ) -> list[NoisyMarginal]:
        """Return what a fit of the view should be told of single attributes.

        Their likely counts, held more firmly than the noise of the noisy ones says; but where
        larger marginals mend that noise, the noisy ones themselves: sums over those are worth more
        than a prior, which would resist them.

        Args:
            measured: one-way measurements of codes, of an attribute perhaps several.
            counts: the likely counts of all of them.
            beside: larger measurements of the view.
        """
        pooled = pooled_one_ways(measured)
        if all(m.centred for m in beside):
            pooled = [replace(m, values=counts[m.clique[0]], sigma=_FIRM * m.sigma) for m in pooled]
        return self.merged(pooled)

    def merged(self, measured: Sequence[NoisyMarginal]) -> list[NoisyMarginal]:
        """Return one-way measurements of codes as such of groups; their noise is that of sums.

        A group of more codes has more of it; what is stated is the root of the mean square.
        """
        names = {r.attribute: name for name, r in self.refinements.items()}
        found: list[NoisyMarginal] = []
        for marginal in measured:
            name = names.get(marginal.clique[0])
            if name is None:
                found.append(marginal)
                continue
            groups = self.refinements[name].groups
            sums = np.bincount(groups, weights=marginal.values).astype(np.float64)
            sigma = marginal.sigma * sqrt(marginal.values.size / sums.size)
            found.append(NoisyMarginal(clique=(name,), values=sums, sigma=sigma))
        return found

    def refined(self, model: GraphicalModel) -> GraphicalModel:
        """Return a model of the view as one of single codes."""
        return refined(model, self.private.domain, self.refinements) if self.refinements else model


def added_cells(groups: Iterable[NDArray[np.intp]]) -> int:
    """Return the number of cells of code x group, of all attributes whose codes are in `groups`."""
    return sum(len(of) * (int(of.max()) + 1) for of in groups)


def _merged_groups(
    private: PrivateData, counts: Mapping[str, Array], *, least: float
) -> dict[str, NDArray[np.intp]]:
    """Return the groups of the attributes of which some codes are merged."""
    groups: dict[str, NDArray[np.intp]] = {}
    for attribute, of in counts.items():
        found = rare_groups(private.schema.column(attribute), of, least=least)
        found = split_groups(found, attribute, private.impossible)
        if found.max() + 1 < len(found):
            groups[attribute] = found
    return groups


def likely_counts(
    measured: Sequence[NoisyMarginal], schema: Schema, *, total: float
) -> dict[str, Array]:
    """Return attribute -> posterior mean counts, from all measurements of it alone.

    Numbers have neighbours, and so may categories in the order that they are declared in; a cascade
    of shares weighs what columns may be like (`cascade_counts`). Very many codes have a common
    gamma prior (`posterior_counts`).

    Args:
        measured: one-way measurements, of an attribute perhaps several.
        schema: which attributes are numbers, whose codes stand in an order.
        total: number of records, public.
    """
    found: dict[str, Array] = {}
    for marginal in pooled_one_ways(measured):
        (attribute,), values, sigma = marginal.clique, marginal.values, marginal.sigma
        column = schema.column(attribute)
        ordered = len(values) - column.missing
        if 1 < ordered <= _MOST_ORDERED:
            kinds = CATEGORIES if isinstance(column, CategoricalColumn) else NUMBERS
            found[attribute] = cascade_counts(
                values, sigma=sigma, total=total, ordered=ordered, kinds=kinds
            )
        else:
            found[attribute] = posterior_counts(values, sigma=sigma, total=total)
    return found


def pooled_one_ways(measured: Sequence[NoisyMarginal]) -> list[NoisyMarginal]:
    """Return one measurement of each attribute, the mean of all by their precisions.

    Args:
        measured: one-way measurements, of an attribute perhaps several.
    """
    precisions: dict[Clique, float] = {}
    sums: dict[Clique, Array] = {}
    for m in measured:
        precision = m.sigma**-2
        precisions[m.clique] = precisions.get(m.clique, 0.0) + precision
        sums[m.clique] = sums.get(m.clique, 0.0) + precision * m.values
    return [
        NoisyMarginal(clique=c, values=of / precisions[c], sigma=precisions[c] ** -0.5)
        for c, of in sums.items()
    ]


def independent(private: PrivateData, likely: Mapping[str, Array]) -> GraphicalModel:
    """Return the model of attributes with these counts, independent but for the constraints.

    Args:
        private: for its public facts.
        likely: counts of each attribute, at least one, which sum to the number of records.
    """
    if private.impossible:  # which columns of these counts need not keep
        told = [NoisyMarginal(clique=(a,), values=of, sigma=1.0) for a, of in likely.items()]
        return fitted(private, told)
    total = float(next(iter(likely.values())).sum())
    # A count that underflows is no structural zero.
    tiny = np.finfo(np.float64).tiny
    return GraphicalModel(
        domain=private.domain,
        total=total,
        cliques=tuple((attribute,) for attribute in likely),
        potentials=tuple(np.log(np.maximum(counts, tiny)) for counts in likely.values()),
    )


def rare_groups(column: Column, counts: Array, *, least: float) -> NDArray[np.intp]:
    """Return for each code its group: codes of fewer than `least` records are merged.

    Numbers are merged with their neighbours until there are enough, categories with one another;
    a missing value is no number, and stays alone.

    Args:
        column: the public description of the codes.
        counts: expected records of each code.
        least: number of records.
    """
    if isinstance(column, CategoricalColumn):
        rare = counts < least
        groups = np.where(rare, 0, np.cumsum(~rare) - (0 if rare.any() else 1))
        return groups.astype(np.intp)
    return neighbour_groups(column, counts, least=least)


def split_groups(
    groups: NDArray[np.intp], attribute: str, impossible: Mapping[Clique, NDArray[np.bool_]]
) -> NDArray[np.intp]:
    """Return groups of codes, split where codes of one have different impossible cells.

    Args:
        groups: for each code of `attribute` its group.
        attribute: whose codes they are.
        impossible: clique -> True for each cell that no record can be in.
    """
    for clique, zeros in impossible.items():
        if attribute in clique:
            cells = np.moveaxis(zeros, clique.index(attribute), 0).reshape(len(groups), -1)
            _, kinds = np.unique(cells, axis=0, return_inverse=True)
            parts = dict.fromkeys(zip(groups.tolist(), kinds.ravel().tolist(), strict=True))
            order = {part: i for i, part in enumerate(sorted(parts, key=lambda part: part[0]))}
            found = [order[p] for p in zip(groups.tolist(), kinds.ravel().tolist(), strict=True)]
            groups = np.array(found, dtype=np.intp)
    return groups


def neighbour_groups(column: Column, counts: Array, *, least: float) -> NDArray[np.intp]:
    """Return for each code its group: neighbours are merged until there are enough records.

    A missing value is nothing's neighbour.

    Args:
        column: the public description of the codes.
        counts: expected records of each code.
        least: number of records.
    """
    groups = np.zeros(len(counts), dtype=np.intp)
    group, held = 0, 0.0
    for code, count in enumerate(counts):
        alone = column.missing and code == len(counts) - 1
        if code and (alone or held >= least or count >= least):
            group, held = group + 1, 0.0
        groups[code] = group
        held += count
    return groups
