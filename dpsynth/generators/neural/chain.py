"""A joint law as a chain: each attribute's law given a few of those drawn before it, in tables.

A network that sees all of what was drawn before may correct every link. It is added to the logits,
so that a correction of 0 leaves the tables' own law.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.generators.neural.softmax import softmax
from dpsynth.pgm.inversion import drawn_from

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_LEAST_SHARE = 1e-9


class Correction(Protocol):
    """What is added to the logits of a link, of all that was drawn before it."""

    def logits(self, codes: Codes, place: int) -> Array | None:
        """Return what is added to the logits of the link at `place`: (rows, codes); None: nothing.

        Args:
            codes: of shape (rows, attributes); columns of later links are not looked at.
            place: of the link in the chain.
        """
        ...

    def arrays(self, name: str) -> Mapping[str, NDArray[Any]]:
        """Return what it is rebuilt from, under keys that begin with `name`."""
        ...


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Link:
    """The law of one attribute given some of those before it.

    Codes may be known in groups: the law is then one of groups, and a code has a fixed share of
    its own.

    Args:
        attribute: its column.
        parents: columns of those that it is given.
        parent_groups: for each parent the group of each of its codes, from 0.
        groups: the group of each code of the attribute.
        shares: log of the share of each code in its group.
        table: logs of the law of groups, of shape (groups of each parent..., groups).
    """

    attribute: int
    parents: tuple[int, ...]
    parent_groups: tuple[Codes, ...]
    groups: Codes
    shares: Array
    table: Array

    def cells(self, codes: Codes, axes: Sequence[int] | None = None) -> Codes:
        """Return the cell of its parents, or of some of them, that each row of codes is in.

        Args:
            codes: of shape (rows, attributes).
            axes: which parents, by their place among them; None: all.
        """
        found = np.zeros(len(codes), dtype=np.int64)
        for axis in range(len(self.parents)) if axes is None else axes:
            groups = self.parent_groups[axis][codes[:, self.parents[axis]]]
            found = found * self.table.shape[axis] + groups
        return found

    def logits(self, cells: Codes) -> Array:
        """Return the log-law of codes in each of the cells, of shape (rows, codes)."""
        return self.table.reshape(-1, self.table.shape[-1])[cells][:, self.groups] + self.shares

    def arrays(self, name: str) -> Mapping[str, NDArray[Any]]:
        """Return what `from_arrays` needs, under keys that begin with `name`."""
        groups = {f"{name}_groups_of_{k}": g for k, g in enumerate(self.parent_groups)}
        return {
            f"{name}_attribute": np.array(self.attribute),
            f"{name}_parents": np.array(self.parents, dtype=np.int64),
            f"{name}_groups": self.groups,
            f"{name}_shares": self.shares,
            f"{name}_table": self.table,
            **groups,
        }

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `arrays` was given."""
        parents = tuple(map(int, arrays[f"{name}_parents"]))
        return cls(
            attribute=int(arrays[f"{name}_attribute"]),
            parents=parents,
            parent_groups=tuple(arrays[f"{name}_groups_of_{k}"] for k in range(len(parents))),
            groups=arrays[f"{name}_groups"],
            shares=arrays[f"{name}_shares"],
            table=arrays[f"{name}_table"],
        )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """Links in an order in which each one's parents come before it.

    Args:
        links: one an attribute.
    """

    links: tuple[Link, ...]

    @classmethod
    def independent(cls, laws: Sequence[Array], order: Sequence[int]) -> Self:
        """Return the chain of independent attributes.

        Args:
            laws: of each attribute's codes.
            order: columns, as they are drawn.
        """
        return cls(
            links=tuple(
                Link(
                    attribute=a,
                    parents=(),
                    parent_groups=(),
                    groups=np.arange(len(laws[a])),
                    shares=np.zeros(len(laws[a])),
                    table=np.log(np.maximum(laws[a], _LEAST_SHARE)),
                )
                for a in order
            )
        )

    @property
    def order(self) -> tuple[int, ...]:
        """The columns, as they are drawn."""
        return tuple(link.attribute for link in self.links)

    def logits(self, codes: Codes) -> list[Array]:
        """Return each link's log-law, given what the rows of codes have before it."""
        return [link.logits(link.cells(codes)) for link in self.links]

    def rows(
        self, n: int, correction: Correction | None = None, *, rng: np.random.Generator
    ) -> Codes:
        """Return `n` rows of codes, those of a cell evenly (`evenly_drawn`)."""
        codes = np.zeros((n, len(self.links)), dtype=np.int64)
        for place, link in enumerate(self.links):
            cells = link.cells(codes)
            logits = link.logits(cells)
            added = None if correction is None else correction.logits(codes, place)
            law = softmax(logits if added is None else logits + added)
            codes[:, link.attribute] = evenly_drawn(law, cells, rng=rng)
        return codes

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return what `from_arrays` needs."""
        return dict(self._named())

    def _named(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield "links", np.array(len(self.links))
        for k, link in enumerate(self.links):
            yield from link.arrays(f"link_{k}").items()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `arrays` was given."""
        places = range(int(arrays["links"]))
        return cls(links=tuple(Link.from_arrays(f"link_{k}", arrays) for k in places))


def evenly_drawn(laws: Array, cells: Codes, *, rng: np.random.Generator) -> Codes:
    """Return one code a row, drawn from its law; rows of one cell share the unit interval evenly.

    Each row's code has exactly its law, but those of a cell together are closer to their mean law
    than independent draws are: they invert their distribution functions at uniform numbers of
    which one lies in each of as many equal parts of the interval as there are rows in the cell.

    Args:
        laws: of shape (rows, codes).
        cells: of shape (rows,).
        rng: source of the draws.

    Reference: McKay, Beckman & Conover 1979 (stratified and Latin hypercube sampling).
    """
    order = np.lexsort((rng.random(len(cells)), cells))
    _, starts, counts = np.unique(cells[order], return_index=True, return_counts=True)
    rank = np.arange(len(cells)) - np.repeat(starts, counts)
    uniform = np.empty(len(cells))
    uniform[order] = (rank + rng.random(len(cells))) / np.repeat(counts, counts)
    return drawn_from(np.cumsum(laws, axis=1), uniform=uniform)
