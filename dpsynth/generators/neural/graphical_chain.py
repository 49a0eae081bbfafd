"""A graphical model as a chain of conditional laws, and what of it a corrected chain keeps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.neural.chain import Chain, Correction, Link, evenly_drawn
from dpsynth.generators.neural.softmax import softmax
from dpsynth.pgm.model import GraphicalModel

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
# The axes of a link's parents, by place, that a kept margin has beside the attribute.
Axes: TypeAlias = tuple[int, ...]

# Least share of a cell: its logarithm stays finite.
_LEAST_SHARE = 1e-9
_ROUNDS = 5
# A cell of few rows is scaled as if so many more of them had the wanted law.
_ADDED_ROWS = 8.0


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Margins:
    """Laws of one link's attribute given some of its parents, which a correction shall not move.

    Args:
        link: the link, not corrected.
        laws: axes of the parents -> law of groups in each of their cells, (cells, groups).
    """

    link: Link
    laws: Mapping[Axes, Array]

    def kept(self, codes: Codes, added: Array) -> Link:
        """Return the link whose laws, corrected by `added`, have these means over rows of codes.

        Reference: Deming & Stephan 1940 (iterative proportional fitting), here of mean laws.
        """
        link, groups = self.link, self.link.table.shape[-1]
        onto = np.zeros((len(link.groups), groups))
        onto[np.arange(len(link.groups)), link.groups] = 1.0
        base = link.logits(link.cells(codes)) + added
        parts = [_Part.of(link.cells(codes, axes), law) for axes, law in self.laws.items()]
        for _ in range(_ROUNDS):
            for part in parts:
                moved = part.scale(softmax(base) @ onto)
                base += moved[:, link.groups]
        table = link.table
        for axes, part in zip(self.laws, parts, strict=True):
            kept = [link.table.shape[k] if k in axes else 1 for k in range(len(link.parents))]
            table = table + part.shift.reshape(*kept, groups)
        return replace(link, table=table)


@final
@dataclass(kw_only=True, eq=False)
class _Part:
    """One margin's rows, sorted by cell, and what its cells were scaled by so far, in logs."""

    order: Codes
    starts: Codes
    present: Codes
    index: Codes
    counts: Array
    wanted: Array
    shift: Array

    @classmethod
    def of(cls, cells: Codes, law: Array) -> "_Part":
        present, index, counts = np.unique(cells, return_inverse=True, return_counts=True)
        return cls(
            order=np.argsort(index, kind="stable"),
            starts=np.cumsum(counts) - counts,
            present=present,
            index=index,
            counts=counts[:, None].astype(np.float64),
            wanted=np.maximum(law[present], _LEAST_SHARE),
            shift=np.zeros_like(law),
        )

    def scale(self, laws: Array) -> Array:
        """Return what the rows' logits of groups have to move by, and remember it."""
        sums = np.add.reduceat(laws[self.order], self.starts, axis=0)
        extra = _ADDED_ROWS * self.wanted
        step = np.log((self.wanted * self.counts + extra) / (sums + extra))
        self.shift[self.present] += step
        return step[self.index]


def calibrated(
    margins: Sequence[Margins], correction: Correction, *, rows: int, rng: np.random.Generator
) -> Chain:
    """Return the chain that has the kept margins when it is corrected.

    Rows are drawn link by link; each table is scaled by what the mean corrected laws of the rows
    lack. By induction along the chain the margins are kept, whatever the correction is, up to what
    so many rows leave of an error: projection onto what was measured, by exponential tilting.

    Args:
        margins: of every link, in order.
        correction: what will be added.
        rows: number of rows drawn.
        rng: source of the rows.
    """
    codes = np.zeros((rows, len(margins)), dtype=np.int64)
    links: list[Link] = []
    moved = False
    for place, margin in enumerate(margins):
        link, added = margin.link, correction.logits(codes, place)
        moved = moved or added is not None
        size = len(link.groups)
        added = np.zeros((rows, size)) if added is None else added
        # Up to the first correction the tables have their own margins.
        links.append(margin.kept(codes, added) if moved else link)
        cells = link.cells(codes)
        law = softmax(links[-1].logits(cells) + added)
        codes[:, link.attribute] = evenly_drawn(law, cells, rng=rng)
    return Chain(links=tuple(links))


def chain_of(domain: Domain, model: GraphicalModel) -> list[Margins]:
    """Return the links of the chain along the junction tree, with the margins of its potentials.

    The chain has the model's law. The tree's cliques are larger than those that have potentials,
    which were measured; a correction may move all but the latter.

    Args:
        domain: attributes of the records.
        model: over these, and perhaps over groups of their codes, which stand in their place in
            all cliques but the one in which the two meet (`refined`).
    """
    units = _Units(domain=domain, grouped=dict(_groups(domain, model)))
    measured = [frozenset(c) for c in model.cliques if not units.meeting(c)]
    known: list[str] = []
    found: list[Margins] = []
    for clique, marginal in zip(model.tree.cliques, model.calibration.marginals, strict=True):
        for unit in (a for a in clique if a not in known and a not in units.grouped):
            parents = tuple(a for a in known if a in clique)
            joint = _summed(clique, marginal, (*parents, unit))
            known.append(unit)
            sets = {
                tuple(k for k, a in enumerate(parents) if a in c) for c in measured if unit in c
            }
            largest = [s for s in sets if not any(set(s) < set(other) for other in sets)]
            laws = {axes: _laws(joint, axes) for axes in sorted(largest) or [()]}
            found.append(Margins(link=units.link(unit, parents, joint), laws=laws))
    return found


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Units:
    """What a model's attributes are in the records: columns, or groups of a column's codes.

    Args:
        domain: attributes of the records.
        grouped: attribute -> name of its groups, group of each code, log of each code's share.
    """

    domain: Domain
    grouped: Mapping[str, tuple[str, Codes, Array]]

    def meeting(self, clique: Clique) -> bool:
        """Return whether codes meet their groups in a clique."""
        return any(a in self.grouped for a in clique)

    def attribute(self, unit: str) -> str:
        """Return the attribute of the records that it stands for."""
        return next((a for a, (name, _, _) in self.grouped.items() if name == unit), unit)

    def link(self, unit: str, parents: Clique, joint: Array) -> Link:
        """Return the link of a unit, given the joint law of its parents and itself."""
        attribute = self.attribute(unit)
        size = self.domain.sizes[attribute]
        return Link(
            attribute=self.domain.attributes.index(attribute),
            parents=tuple(self.domain.attributes.index(self.attribute(a)) for a in parents),
            parent_groups=tuple(self._groups(a) for a in parents),
            groups=self._groups(unit),
            shares=self.grouped[attribute][2] if attribute in self.grouped else np.zeros(size),
            table=np.log(np.maximum(_given(joint), _LEAST_SHARE)),
        )

    def _groups(self, unit: str) -> Codes:
        attribute = self.attribute(unit)
        single = np.arange(self.domain.sizes[attribute])
        return single if attribute == unit else self.grouped[attribute][1]


def _groups(
    domain: Domain, model: GraphicalModel
) -> Iterator[tuple[str, tuple[str, Codes, Array]]]:
    """Yield attribute -> name of its groups, group of each code, log of its share of that."""
    for clique, potential in zip(model.cliques, model.potentials, strict=True):
        if len(clique) != 2 or clique[1] in domain.sizes or clique[0] not in domain.sizes:
            continue
        inside = np.isfinite(potential)
        if not (inside.sum(axis=1) == 1).all():
            continue  # another attribute beside these groups
        groups = np.argmax(inside, axis=1)
        logs = potential[np.arange(len(groups)), groups]
        weights = np.maximum(np.exp(logs - logs.max()), np.finfo(np.float64).tiny)
        shares = weights / np.bincount(groups, weights=weights)[groups]
        yield clique[0], (clique[1], groups, np.log(np.maximum(shares, _LEAST_SHARE)))


def _summed(clique: Clique, marginal: Array, axes: Clique) -> Array:
    """Return the marginal of `axes`, in this order, of a clique's."""
    others = tuple(k for k, a in enumerate(clique) if a not in axes)
    kept = [a for a in clique if a in axes]
    return marginal.sum(axis=others).transpose([kept.index(a) for a in axes])


def _given(joint: Array) -> Array:
    """Return the law along the last axis given the others."""
    sums = joint.sum(axis=-1, keepdims=True)
    single = joint.reshape(-1, joint.shape[-1]).sum(axis=0) / joint.sum()
    # A context without probability is hardly ever drawn; its law is that of all.
    return np.where(sums > 0, joint / np.where(sums > 0, sums, 1.0), single)


def _laws(joint: Array, axes: Axes) -> Array:
    """Return the law along the last axis given some of the others, a row a cell of those."""
    others = tuple(k for k in range(joint.ndim - 1) if k not in axes)
    return _given(joint.sum(axis=others)).reshape(-1, joint.shape[-1])
